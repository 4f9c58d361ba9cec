//! CPU per request and throughput per CPU-second. The programs take turns within each round, so that whatever else the
//! machine does hits all of them alike.

use crate::load::{self, Load};
use crate::provider::Provider;
use crate::report::{Report, float, median, say};
use crate::targets::{KINDS, Kind, Setup, log_in};
use crate::{Outcome, process};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

const ROUNDS: usize = 15;
const TIME: Duration = Duration::from_millis(700);

/// What stands behind and beside the proxies, in a thread of this process, where the load runs too.
pub(crate) struct Beside {
    runtime: Handle,
    pub(crate) upstream: SocketAddr,
    pub(crate) provider: Arc<Provider>,
}

impl Beside {
    pub(crate) fn start() -> Outcome<Self> {
        // Away from the core of what is measured; with one core only there is no choice.
        let this = std::process::id().to_string();
        let others = std::thread::available_parallelism()?.get().saturating_sub(1).max(1);
        let list = if others > 1 { format!("1-{others}") } else { "1".to_owned() };
        let _ = std::process::Command::new("taskset")
            .args(["--all-tasks", "--cpu-list", "--pid", &list, &this])
            .output();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _ = runtime.map(|runtime| runtime.block_on(beside(&sender)));
        });
        receiver.recv()?.map_err(Into::into)
    }
}

async fn beside(sender: &mpsc::Sender<Result<Beside, String>>) {
    let bind = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let bound = async {
        let (upstream, provider) = (bind().await?, bind().await?);
        let beside = Beside {
            runtime: Handle::current(),
            upstream: upstream.local_addr()?,
            provider: Arc::new(Provider::new(provider.local_addr()?)?),
        };
        Ok::<_, Box<dyn std::error::Error>>((upstream, provider, beside))
    };
    match bound.await {
        Ok((upstream, listener, beside)) => {
            let provider = Arc::clone(&beside.provider);
            tokio::spawn(provider.serve(listener));
            let _ = sender.send(Ok(beside));
            crate::upstream::serve(upstream).await;
        }
        Err(error) => {
            let _ = sender.send(Err(error.to_string()));
        }
    }
}

/// Work of one kind, what the proxy is asked for, and which work of the floor it is held against.
struct Work {
    name: &'static str,
    load: Load,
    /// Only the proxy can do it.
    own: bool,
    bytes: u64,
    bar: Option<f64>,
    goal: f64,
}

fn works(cookie: &str, bearer: &str) -> Vec<Work> {
    let cookie = format!("Cookie: {cookie}\r\n");
    let bearer = format!("Authorization: Bearer {bearer}\r\n");
    let load = |line: &str, status, connections, credentials: &str, body: usize| {
        let length = if body > 0 { format!("Content-Length: {body}\r\n") } else { String::new() };
        let mut request = format!(
            "{line} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\
             Accept-Language: en\r\n{credentials}{length}\r\n"
        )
        .into_bytes();
        request.resize(request.len() + body, b'x');
        Load { request, status, connections }
    };
    let work = |name, load, bytes, bar, goal| Work { name, load, own: false, bytes, bar, goal };
    vec![
        work(
            "GET 1 KB, cookie session, log on",
            load("GET /1k", 200, 32, &cookie, 0),
            1 << 10,
            Some(1.2),
            1.1,
        ),
        Work {
            name: "/oauth2/auth, cookie session, log on",
            load: load("GET /oauth2/auth", 202, 32, &cookie, 0),
            own: true,
            bytes: 0,
            bar: Some(0.8),
            goal: 0.7,
        },
        work(
            "GET 1 KB, bearer token seen before",
            load("GET /1k", 200, 32, &bearer, 0),
            1 << 10,
            None,
            1.2,
        ),
        work("POST 64 KB", load("POST /post", 200, 16, &cookie, 64 << 10), 64 << 10, None, 1.1),
        work("GET 100 KB", load("GET /100k", 200, 16, &cookie, 0), 100 << 10, None, 1.1),
        work("GET 10 MB", load("GET /10m", 200, 4, &cookie, 0), 10 << 20, None, 1.1),
    ]
}

/// Microseconds of CPU per request, for each program.
type Samples = BTreeMap<Kind, Vec<f64>>;

/// Runs all works and adds their rows.
pub(crate) fn measure(setup: &Setup<'_>, report: &mut Report) -> Outcome<()> {
    let programs: Vec<(Kind, process::Process)> =
        KINDS.iter().map(|kind| Ok((*kind, setup.start(*kind)?))).collect::<Outcome<_>>()?;
    let asked = [(Kind::Proxy, setup.asked()?)];
    let proxy = programs.iter().find(|(kind, _)| *kind == Kind::Proxy).map(|(_, process)| process);
    let cookie = log_in(proxy.ok_or("no proxy was started")?)?;
    say(&format!("session cookie: {} bytes", cookie.len()));
    let mut get_floor = None;
    for work in works(&cookie, &setup.beside.provider.bearer()?) {
        let samples = setup
            .beside
            .runtime
            .block_on(rounds(&work, if work.own { &asked } else { &programs }))?;
        let floor = samples.get(&Kind::Floor).map(|samples| median(samples));
        get_floor = get_floor.or(floor);
        let base = floor.or(get_floor).ok_or("the floor was not measured")?;
        report.work(&work_row(&work, &samples, base));
    }
    Ok(())
}

fn work_row(work: &Work, samples: &Samples, base: f64) -> crate::report::Row {
    let of = |kind| samples.get(&kind).map(|samples: &Vec<f64>| median(samples));
    let proxy = of(Kind::Proxy).unwrap_or(f64::NAN);
    // Within a round the machine is the same for all, from one to the next it may not be.
    let rounds = samples.get(&Kind::Floor).into_iter().zip(samples.get(&Kind::Proxy));
    let ratios: Vec<f64> = rounds
        .flat_map(|(floor, proxy)| floor.iter().zip(proxy).map(|(floor, proxy)| proxy / floor))
        .collect();
    crate::report::Row {
        name: work.name.to_owned(),
        floor: base,
        proxy,
        ratio: if ratios.is_empty() { proxy / base } else { median(&ratios) },
        nginx: of(Kind::Nginx),
        bytes: work.bytes,
        bar: work.bar,
        goal: work.goal,
    }
}

async fn rounds(work: &Work, programs: &[(Kind, process::Process)]) -> Outcome<Samples> {
    let mut samples = Samples::new();
    for round in 0..=ROUNDS {
        let mut order: Vec<_> = programs.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (kind, process) in order {
            let before = process.cpu();
            let outcome = load::run(&work.load, process.address, TIME).await;
            let answers =
                outcome.map_err(|error| format!("{}, {}: {error}", work.name, kind.name()))?;
            // The first round warms up.
            if round > 0 && answers > 0 {
                let nanoseconds = float(process.cpu() - before);
                samples.entry(*kind).or_default().push(nanoseconds / 1000.0 / float(answers));
            }
        }
    }
    Ok(samples)
}
