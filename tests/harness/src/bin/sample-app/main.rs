//! The sample application of the demo, and the upstream of the cluster tests.
//!
//! It has no login of its own: it greets whomever the headers in front of it name. Listens on
//! `PORT` (8080) and, told to stop, serves on for `DRAIN_SECONDS` (5) while traffic moves away. Called with `forward` it is the
//! demo's entrance instead.

mod forward;
mod page;
mod stream;
mod websocket;

use std::convert::Infallible;
use std::env;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

type Body = BoxBody<Bytes, Infallible>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let served = match &arguments[..] {
        [] => serve().await,
        [forward, target] if forward == "forward" => {
            forward::serve(number("PORT", 8080), target).await
        }
        _ => Err(std::io::Error::other("usage: sample-app [forward <host>:<port>]")),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            harness::report::say(format_args!("sample-app: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> std::io::Result<()> {
    let port: u16 = number("PORT", 8080);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let connections = GracefulShutdown::new();
    harness::report::say(format_args!("sample-app: listening on {port}"));
    let drain = async {
        terminate.recv().await;
        tokio::time::sleep(Duration::from_secs(number("DRAIN_SECONDS", 5))).await;
    };
    tokio::pin!(drain);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                serve_connection(stream, &connections);
            }
            () = &mut drain => break,
        }
    }
    let finished = tokio::time::timeout(Duration::from_secs(10), connections.shutdown());
    // Streams and WebSockets that are still open are cut after it.
    let _ = finished.await;
    Ok(())
}

fn serve_connection(stream: TcpStream, connections: &GracefulShutdown) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request)) });
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new());
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let watched = connections.watch(connection.into_owned());
    tokio::spawn(async move {
        // A client that goes away is its own affair.
        let _ = watched.await;
    });
}

fn answer(mut request: Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => page::greeting(request.headers()),
        (&Method::GET, "/healthz") => text("ok\n"),
        (&Method::GET, "/stream") => stream::lines(request.uri().query().unwrap_or_default()),
        (&Method::GET, "/ws") => websocket::echo(&mut request),
        (_, "/headers") => json_of(&headers(&request)),
        _ => with_status(StatusCode::NOT_FOUND, text("not found\n")),
    }
}

/// The request as it arrived here, each header with all its values.
fn headers(request: &Request<Incoming>) -> Value {
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let values = request.headers().get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        headers.insert(name.to_string(), json!(values));
    }
    json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "headers": headers,
    })
}

fn json_of(document: &Value) -> Response<Body> {
    let response = Response::new(full(format!("{document:#}\n")));
    with_type(response, "application/json")
}

fn text(content: &'static str) -> Response<Body> {
    with_type(Response::new(full(content)), "text/plain; charset=utf-8")
}

fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).boxed()
}

fn with_type(mut response: Response<Body>, kind: &'static str) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn with_status(status: StatusCode, mut response: Response<Body>) -> Response<Body> {
    *response.status_mut() = status;
    response
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
