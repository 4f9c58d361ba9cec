//! Stopping under load.

use super::support::{PATIENCE, Running, eventually};
use crate::body::Body;
use crate::server::Drain;
use http::Response;
use proxy_config::Limits;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn drain(
    running: &mut Running,
    linger: Duration,
    timeout: Duration,
) -> std::thread::JoinHandle<()> {
    let server = running.server.take().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(server.drain(Drain { linger, timeout }));
    })
}

#[test]
fn what_is_in_flight_is_finished_and_nothing_new_is_accepted() {
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let mut running = Running::start(&Limits::default(), move |_, _, _| {
        let gate = Arc::clone(&gate);
        async move {
            drop(gate.acquire().await);
            Response::new(Body::from("done"))
        }
    });
    let address = running.address.unwrap();
    let (mut client, mut parked) = (running.connect(), running.connect());
    client.send(ASK.as_bytes());
    let workers = running.server.as_ref().unwrap().workers();
    eventually("the request is in flight", || {
        workers.iter().any(|worker| worker.busy.count() == 1)
    });
    let draining = drain(&mut running, Duration::ZERO, PATIENCE);
    eventually("connections are refused", || TcpStream::connect(address).is_err());
    assert!(!draining.is_finished());
    open.add_permits(1);
    let answer = client.answer();
    assert_eq!((answer.body.as_str(), answer.header("connection")), ("done", Some("close")));
    assert!(client.is_closed());
    draining.join().unwrap();
    assert!(parked.is_closed());
}

#[test]
fn while_it_lingers_every_request_is_served_and_told_to_go_elsewhere() {
    let mut running =
        Running::start(&Limits::default(), |_, _, _| async { Response::new(Body::from("done")) });
    let workers = running.server.as_ref().unwrap().workers();
    let mut old = running.connect();
    assert_eq!(old.ask(ASK).header("connection"), None);
    let draining = drain(&mut running, Duration::from_secs(2), PATIENCE);
    eventually("it is stopping", || workers.iter().all(|worker| worker.busy.is_stopping()));
    assert_eq!(old.ask(ASK).header("connection"), Some("close"));
    assert_eq!(running.connect().ask(ASK).header("connection"), Some("close"));
    draining.join().unwrap();
}

#[test]
fn what_takes_too_long_is_cut_off() {
    let mut running =
        Running::start(&Limits::default(), |_, _, _| std::future::pending::<Response<Body>>());
    let mut client = running.connect();
    client.send(ASK.as_bytes());
    let workers = running.server.as_ref().unwrap().workers();
    eventually("the request is in flight", || {
        workers.iter().any(|worker| worker.busy.count() == 1)
    });
    drain(&mut running, Duration::ZERO, Duration::from_millis(200)).join().unwrap();
    assert!(client.is_closed());
}
