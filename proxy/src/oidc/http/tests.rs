//! Connections that are kept, and what becomes of requests on them, against servers of a few lines.

use super::*;
use crate::clock::SystemClock;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

const ANSWER: &str = "HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\n{}";
const LATE: &str = "HTTP/1.1 408 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What came: on which connection, and how many bytes of a request; 0 is its end.
type Seen = Arc<Mutex<Vec<(usize, usize)>>>;

/// A server that gives the requests of each connection these answers, the first connection the first of them, and closes it
/// after the last.
async fn server(answers: &'static [&'static [&'static str]]) -> (Url, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap()).parse().unwrap();
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        for (index, answers) in answers.iter().enumerate() {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, (index, answers), Arc::clone(&noted)));
        }
    });
    (url, seen)
}

async fn serve(
    mut stream: TcpStream,
    (index, answers): (usize, &'static [&'static str]),
    seen: Seen,
) {
    for answer in answers {
        let count = stream.read(&mut [0; 4096]).await.unwrap_or(0);
        seen.lock().unwrap().push((index, count));
        if count == 0 {
            return;
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn http() -> Http {
    Http::new(ProviderTls::default(), Arc::new(SystemClock))
}

async fn post(http: &Http, url: &Url) -> Result<u16, HttpError> {
    let form = Zeroizing::new("code=1".to_owned());
    http.post_form(url, form, None, TOTAL_TIME).await.map(|answer| answer.status)
}

/// The connections that requests came on.
fn used(seen: &Seen) -> Vec<usize> {
    let seen = seen.lock().unwrap();
    seen.iter().filter(|(_, count)| *count > 0).map(|(index, _)| *index).collect()
}

#[tokio::test]
async fn requests_that_follow_each_other_share_a_connection() {
    let (url, seen) = server(&[&[ANSWER; 4]]).await;
    for _ in 0..3 {
        assert_eq!(post(&http(), &url).await.unwrap(), 200);
    }
    assert_eq!(used(&seen), [0, 0, 0]);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_a_moment() {
    let (url, seen) = server(&[&[ANSWER; 2]]).await;
    post(&http(), &url).await.unwrap();
    let closed = timeout(Duration::from_secs(20), async {
        while !seen.lock().unwrap().contains(&(0, 0)) {
            sleep(Duration::from_millis(20)).await;
        }
    });
    closed.await.expect("nobody needs it");
}

#[tokio::test]
async fn a_request_that_meets_the_end_of_a_kept_connection_goes_out_once_more() {
    // The second request is read, and the connection closed or given up without an answer to it.
    for first in [&[ANSWER, ""] as &[&str], &[ANSWER, LATE]] {
        let first: &'static [&'static str] = first.to_vec().leak();
        let (url, seen) = server(vec![first, &[ANSWER]].leak()).await;
        for _ in 0..2 {
            assert_eq!(post(&http(), &url).await.unwrap(), 200);
        }
        assert_eq!(used(&seen), [0, 0, 1]);
    }
}

#[tokio::test]
async fn a_request_on_a_new_connection_is_sent_once() {
    let (url, seen) = server(&[&[""], &[ANSWER]]).await;
    let error = post(&http(), &url).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error}");
    let (late, also) = server(&[&[LATE], &[ANSWER]]).await;
    assert_eq!(post(&http(), &late).await.unwrap(), 408);
    assert_eq!((used(&seen), used(&also)), (vec![0], vec![0]));
}

#[tokio::test]
async fn a_request_whose_second_connection_ends_as_well_is_lost() {
    let (url, seen) = server(&[&[ANSWER, ""], &[""], &[ANSWER]]).await;
    post(&http(), &url).await.unwrap();
    assert!(post(&http(), &url).await.is_err());
    assert_eq!(used(&seen), [0, 0, 1]);
}

#[tokio::test]
async fn a_request_whose_answer_has_begun_is_not_sent_again() {
    let (url, seen) = server(&[&[ANSWER, "HTTP/1.1 2"], &[ANSWER]]).await;
    post(&http(), &url).await.unwrap();
    assert!(post(&http(), &url).await.is_err());
    assert_eq!(used(&seen), [0, 0]);
}

#[tokio::test]
async fn a_connection_that_is_not_to_be_kept_is_not_used_again() {
    const LAST: &str = "HTTP/1.1 200 x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    const REDIRECT: &str = "HTTP/1.1 302 x\r\nLocation: /\r\nContent-Length: 90\r\n\r\nnot read.";
    const MORE: &str = "HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 x\r\n\r\n";
    for answer in [LAST, REDIRECT, MORE] {
        let first: &'static [&'static str] = vec![answer, ANSWER].leak();
        let (url, seen) = server(vec![first, &[ANSWER]].leak()).await;
        assert_eq!(post(&http(), &url).await.is_ok(), answer != REDIRECT);
        assert_eq!(post(&http(), &url).await.unwrap(), 200);
        assert_eq!(used(&seen), [0, 1], "{answer}");
    }
}

#[tokio::test]
async fn a_file_of_roots_that_does_not_answer_holds_up_nobody_and_is_asked_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let root = rcgen::generate_simple_self_signed(["id.example".to_owned()]).unwrap().cert.pem();
    std::fs::write(&path, &root).unwrap();
    let ways = Ways::new(ProviderTls { ca_files: vec![path.clone()], ..ProviderTls::default() });
    let url = Url::parse("https://id.example/token").unwrap();
    let is_there = async || matches!(ways.to(&url).await, Ok(Way::Direct(Some(_))));
    assert!(is_there().await);
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        assert!(is_there().await);
        sleep(Duration::from_millis(10)).await;
    }
    // Other tests may be reading theirs.
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    let reading = names.filter(|name| name == "roots\n").count();
    assert!((1..6).contains(&reading), "{reading}");
    // Lets the thread go.
    std::fs::write(&path, &root).unwrap();
}
