//! Memory of idle keep-alive connections: opened one after the other, each with one request served.

use crate::load;
use crate::report::Report;
use crate::targets::{KINDS, Kind, Setup};
use crate::{Outcome, clock};
use std::time::Duration;
use tokio::net::TcpStream;

const CONNECTIONS: u64 = 5000;

/// Adds the row.
pub(crate) fn measure(setup: &Setup<'_>, report: &mut Report) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for kind in KINDS {
        let process = setup.start(kind)?;
        let target = if kind == Kind::Proxy { "/ping" } else { "/1k" };
        let request = format!("GET {target} HTTP/1.1\r\nHost: bench.example\r\n\r\n").into_bytes();
        let mut open = Vec::new();
        runtime.block_on(async {
            let mut buffer = Vec::new();
            let mut warm = TcpStream::connect(process.address).await?;
            load::ask(&mut warm, &request, 200, &mut buffer).await?;
            let before = process.resident();
            for _ in 0..CONNECTIONS {
                let mut stream = TcpStream::connect(process.address).await?;
                load::ask(&mut stream, &request, 200, &mut buffer).await?;
                open.push(stream);
            }
            let mut last = 0;
            // Settled: the same at two looks, a while apart.
            let settled = || std::mem::replace(&mut last, process.resident()) == process.resident();
            clock::within(Duration::from_secs(5), Duration::from_millis(1100), settled);
            report.idle(kind, process.resident().saturating_sub(before) / CONNECTIONS);
            Ok::<_, Box<dyn std::error::Error>>(())
        })?;
    }
    Ok(())
}
