//! Logins from the first request to the session, as a browser makes them; the provider's page is left out.

use super::{ask, together};
use crate::Outcome;
use crate::clock::now;
use crate::http::{Answer, Callback};
use crate::provider::Provider;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::TcpStream;

/// So many logins are under way on each connection.
const AT_ONCE: usize = 20;

/// A connection, and the requests that are next on it.
struct Person {
    stream: TcpStream,
    next: Vec<Vec<u8>>,
}

/// Logs in again and again on `connections` to `address`. The ID tokens are made between the two requests of a login and not
/// beside them: a signature costs several times what the login does, so whoever is measured would mostly wait for it with
/// cold caches, and is compared with a program that is never idle.
pub(super) async fn run(
    provider: &Provider,
    (address, connections): (SocketAddr, usize),
    until: Instant,
) -> Outcome<u64> {
    let mut people = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        people.push(Person { stream, next: Vec::new() });
    }
    let mut logins = 0;
    while now() < until {
        for person in &mut people {
            person.next = vec![request("/oauth2/start?rd=/", ""); AT_ONCE];
        }
        for (person, starts) in all_ask(&mut people).await? {
            for start in starts {
                let start = Answer::of(&start)?;
                let Callback { target, code } = start.callback()?;
                provider.sign_for(code)?;
                person.next.push(request(&target, &format!("Cookie: {}\r\n", start.pairs())));
            }
        }
        logins += all_ask(&mut people).await?.map(|(_, answers)| answers.len() as u64).sum::<u64>();
    }
    Ok(logins)
}

/// Lets all ask what is next; each answer is a redirect.
async fn all_ask(
    people: &mut Vec<Person>,
) -> Outcome<impl Iterator<Item = (&mut Person, Vec<String>)>> {
    let asking = std::mem::take(people).into_iter().map(async |mut person: Person| {
        let mut buffer = Vec::with_capacity(16 * 1024);
        let mut answers = Vec::new();
        for request in std::mem::take(&mut person.next) {
            answers.push(ask(&mut person.stream, &request, 302, &mut buffer).await?);
        }
        Ok((person, answers))
    });
    let (asked, answers): (Vec<_>, Vec<_>) = together(asking).await?.into_iter().unzip();
    *people = asked;
    Ok(people.iter_mut().zip(answers))
}

fn request(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: bench.example\r\n{headers}\r\n").into_bytes()
}
