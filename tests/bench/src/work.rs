//! CPU per request and throughput per CPU-second. The programs take turns within each round, so that whatever else the
//! machine does hits all of them alike.

use crate::load::{self, Load, Manner, Requests};
use crate::process::Process;
use crate::report::{Report, Row, float, median, say};
use crate::sealed::Sealed;
use crate::targets::{KINDS, Kind, Setup, log_in};
use crate::{Outcome, redis};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const ROUNDS: usize = 15;
/// A row that misses its bar is measured on, up to this many times, and all its rounds count: one series differs from the next
/// by some hundredths on a machine that is not quiet, and a bar may be as near.
const SERIES: usize = 3;
const TIME: Duration = Duration::from_millis(700);

/// Work of one kind.
struct Work {
    name: &'static str,
    load: Load,
    on: On,
    bytes: u64,
    bar: Option<f64>,
    goal: f64,
}

/// Who does it, and what it is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// All do the same.
    All,
    /// The proxy and the floor do the same over TLS.
    Secure,
    /// The proxy does it while it is asked by another; the floor a GET of 1 KB.
    Asked,
    /// The same with sessions in Redis.
    Redis,
    /// The proxy does it; the floor a GET of 1 KB.
    Own,
}

/// What requests carry.
struct Credentials {
    cookie: String,
    /// Of a session in Redis.
    ticket: String,
    bearer: String,
}

fn request(line: &str, credentials: &str, body: usize) -> Vec<u8> {
    let length = if body > 0 { format!("Content-Length: {body}\r\n") } else { String::new() };
    let mut request = format!(
        "{line} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\
         Accept-Language: en\r\n{credentials}{length}\r\n"
    )
    .into_bytes();
    request.resize(request.len() + body, b'x');
    request
}

fn works(setup: &Setup<'_>, given: &Credentials) -> Outcome<Vec<Work>> {
    let cookie = format!("Cookie: {}\r\n", given.cookie);
    let ticket = format!("Cookie: {}\r\n", given.ticket);
    let bearer = format!("Authorization: Bearer {}\r\n", given.bearer);
    let plain = |request, status, connections| Requests {
        request,
        status,
        connections,
        manner: Manner::Plain,
    };
    let get = plain(request("GET /1k", &cookie, 0), 200, 32);
    let by = |manner| Requests { manner, ..get.clone() };
    let sealed = Arc::new(Sealed::open(&given.cookie)?);
    let fresh = Requests { request: request("GET /1k", "", 0), ..by(Manner::Fresh(sealed)) };
    let tls = Manner::Tls(setup.certificate.client(b"http/1.1")?);
    let http2 = Manner::Http2(setup.certificate.client(b"h2")?, "/1k", given.cookie.clone());
    let auth = |cookie: &str| plain(request("GET /oauth2/auth", cookie, 0), 202, 32);
    let work = |name, on, requests, bar, goal| Work {
        name,
        load: Load::Requests(requests),
        on,
        bytes: 0,
        bar,
        goal,
    };
    let long = |name, requests, bytes| Work { bytes, ..work(name, On::All, requests, None, 1.1) };
    Ok(vec![
        work("GET 1 KB, cookie session", On::All, get.clone(), Some(1.05), 1.05),
        work("/oauth2/auth, cookie session", On::Asked, auth(&cookie), Some(0.6), 0.6),
        work("GET 1 KB, session not seen before", On::All, fresh, None, 1.2),
        work(
            "GET 1 KB, bearer token seen before",
            On::All,
            plain(request("GET /1k", &bearer, 0), 200, 32),
            None,
            1.2,
        ),
        work("/oauth2/auth, session in Redis", On::Redis, auth(&ticket), Some(1.05), 1.05),
        Work {
            name: "login, start to session",
            load: Load::Logins(Arc::clone(&setup.beside.provider), 16),
            on: On::Own,
            bytes: 0,
            bar: Some(6.0),
            goal: 6.0,
        },
        work("GET 1 KB over TLS", On::Secure, by(tls), None, 1.1),
        work(
            "GET 1 KB over HTTP/2",
            On::Secure,
            Requests { connections: 4, ..by(http2) },
            None,
            1.1,
        ),
        long("POST 64 KB", plain(request("POST /post", &cookie, 64 << 10), 200, 16), 64 << 10),
        long("GET 100 KB", plain(request("GET /100k", &cookie, 0), 200, 16), 100 << 10),
        long("GET 10 MB", plain(request("GET /10m", &cookie, 0), 200, 4), 10 << 20),
    ])
}

/// A program, and what it is asked.
type Turn<'a> = (Kind, &'a Process, &'a Load);

/// Microseconds of CPU per request, for each program.
type Samples = BTreeMap<Kind, Vec<f64>>;

/// Runs the works with `part` in their names and adds their rows.
pub(crate) fn measure(setup: &Setup<'_>, part: &str, report: &mut Report) -> Outcome<()> {
    let all: Vec<(Kind, Process)> =
        KINDS.iter().map(|kind| Ok((*kind, setup.start(*kind)?))).collect::<Outcome<_>>()?;
    let of = |wanted| {
        let process = all.iter().find(|(kind, _)| *kind == wanted).map(|(_, process)| process);
        process.ok_or("it was not started")
    };
    let (floor, proxy) = (of(Kind::Floor)?, of(Kind::Proxy)?);
    let (secure, asked) = (setup.secure()?, setup.asked()?);
    let redis = redis::start(setup.folder)?;
    let with_redis = setup.with_redis(&redis)?;
    let given = Credentials {
        cookie: log_in(proxy)?,
        ticket: log_in(&with_redis)?,
        bearer: setup.beside.provider.bearer()?,
    };
    say(&format!("session cookie: {} bytes", given.cookie.len()));
    let works = works(setup, &given)?;
    let get = works.first().map(|work| &work.load).ok_or("nothing to do")?;
    for work in works.iter().filter(|work| work.name.contains(part)) {
        let beside_get = |proxy| vec![(Kind::Floor, floor, get), (Kind::Proxy, proxy, &work.load)];
        let turns: Vec<Turn<'_>> = match work.on {
            On::All => same(&all, &work.load),
            On::Secure => same(&secure, &work.load),
            On::Asked => beside_get(&asked),
            On::Redis => beside_get(&with_redis),
            On::Own => beside_get(proxy),
        };
        let mut samples = Samples::new();
        for _ in 0..SERIES {
            setup.beside.runtime.block_on(rounds(work.name, &turns, &mut samples))?;
            if !row(work, &samples).misses() {
                break;
            }
        }
        report.work(&row(work, &samples));
    }
    Ok(())
}

/// All programs are asked the same.
fn same<'a>(programs: &'a [(Kind, Process)], load: &'a Load) -> Vec<Turn<'a>> {
    programs.iter().map(|(kind, process)| (*kind, process, load)).collect()
}

fn row(work: &Work, samples: &Samples) -> Row {
    let of = |kind| samples.get(&kind).map(|samples| median(samples));
    // Within a round the machine is the same for all, from one to the next it may not be.
    let rounds = samples.get(&Kind::Floor).into_iter().zip(samples.get(&Kind::Proxy));
    let ratios: Vec<f64> = rounds
        .flat_map(|(floor, proxy)| floor.iter().zip(proxy).map(|(floor, proxy)| proxy / floor))
        .collect();
    Row {
        name: work.name,
        floor: of(Kind::Floor).unwrap_or(f64::NAN),
        proxy: of(Kind::Proxy).unwrap_or(f64::NAN),
        ratio: median(&ratios),
        nginx: of(Kind::Nginx),
        bytes: work.bytes,
        bar: work.bar,
        goal: work.goal,
    }
}

/// One series of rounds, added to what there is.
async fn rounds(name: &str, turns: &[Turn<'_>], samples: &mut Samples) -> Outcome<()> {
    for round in 0..=ROUNDS {
        let mut order: Vec<_> = turns.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (kind, process, load) in order {
            let before = process.cpu();
            let outcome = load::run(load, process.address, TIME).await;
            let answers = outcome.map_err(|error| format!("{name}, {}: {error}", kind.name()))?;
            // The first round warms up.
            if round > 0 && answers > 0 {
                let nanoseconds = float(process.cpu() - before);
                samples.entry(*kind).or_default().push(nanoseconds / 1000.0 / float(answers));
            }
        }
    }
    Ok(())
}
