//! The operator beside a real API server with thousands of objects and workloads: what the first sync, rest and one change cost.
//! No kubelet and no controller could keep up on one machine, so `play` writes what they would. Prints numbers with their bars
//! and fails if one is missed.

mod audit;
mod change;
mod objects;
mod play;
mod pods;
mod program;
mod report;
mod silent;

use audit::Audit;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use objects::Shape;
use program::Program;
use report::Report;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tests::cluster::Cluster;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long is waited for what a change brings with it.
const AFTERWARDS: Duration = Duration::from_secs(15);
/// Patience with the first sync.
const PATIENCE: Duration = Duration::from_mins(40);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Asked::read(&arguments) {
        Ok(asked) => tokio::select! {
            outcome = measure(asked) => match outcome {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(error) => {
                    report::say(&format!("scale: {error}"));
                    ExitCode::FAILURE
                }
            },
            () = interrupted() => {
                report::say("scale: interrupted; the cluster is removed");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            report::say(&error);
            ExitCode::FAILURE
        }
    }
}

/// Waits for Ctrl-C or a wish to end, so that the cluster goes as well.
async fn interrupted() {
    let Ok(mut wish) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = wish.recv() => {}
    }
}

/// What the command line asks for.
struct Asked {
    program: String,
    shape: Shape,
    rest: Duration,
    silent: usize,
    counts_only: bool,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let usage = "usage: scale PATH-OF-THE-OPERATOR OBJECTS WORKLOADS NAMESPACES SECONDS-OF-REST SILENT-WORKLOADS [counts]";
        let [program, numbers @ ..] = arguments else { return Err(usage.to_owned()) };
        let (numbers, counts_only) = match numbers {
            [numbers @ .., last] if last == "counts" => (numbers, true),
            numbers => (numbers, false),
        };
        let numbers: Vec<usize> = numbers
            .iter()
            .map(|text| text.parse().map_err(|_| format!("`{text}` is no number; {usage}")))
            .collect::<Result<_, _>>()?;
        let [objects, workloads, namespaces, rest, silent] = numbers[..] else {
            return Err(usage.to_owned());
        };
        if objects == 0 || workloads == 0 || namespaces == 0 {
            return Err(format!("at least one of each; {usage}"));
        }
        let rest = Duration::from_secs(u64::try_from(rest).unwrap_or(u64::MAX));
        let shape = Shape { objects, workloads, namespaces: namespaces.min(objects) };
        Ok(Self { program: program.clone(), shape, rest, silent, counts_only })
    }
}

/// Measures everything; whether all bars are met.
async fn measure(asked: Asked) -> Outcome<bool> {
    let name = format!("scale{}", std::process::id());
    report::say("etcd and the API server start");
    let cluster = tokio::task::spawn_blocking(move || Cluster::api_server(&name)).await?;
    let client = client(cluster.kubeconfig()).await?;
    let Asked { program, shape, rest, silent, counts_only } = asked;
    let world = Arc::new(play::World::new(client.clone(), shape));
    play::start(&world).await?;
    objects::create(&client, shape).await?;
    world.until_pods(shape.workloads).await;

    let (mut report, log) = (Report::new(counts_only), Audit::of(&cluster));
    let operator = Program::start(&cluster, &program)?;
    let began = Instant::now();
    world.until_settled(began + PATIENCE).await?;
    let synced = began.elapsed();
    report.sync((synced, operator.cpu()?), operator.memory()?, &log.since(0)?, shape);

    at_rest((&operator, &log), rest, &mut report).await?;
    changes(&client, &world, &log, &mut report).await?;
    operator.stop().await?;
    let mark = log.length()?;
    let operator = Program::start(&cluster, &program)?;
    let took = operator.until_quiet().await?;
    report.restart((took, operator.cpu()?), operator.memory()?, &log.since(mark)?);
    if silent > 0 {
        silent::measure(&client, &world, silent, &mut report).await?;
    }
    drop(operator);
    Ok(report.finish())
}

async fn at_rest(
    (operator, log): (&Program, &Audit),
    rest: Duration,
    report: &mut Report,
) -> Outcome<()> {
    // What the last answers of pods bring with them.
    sleep(Duration::from_secs(20)).await;
    let (mark, before) = (log.length()?, operator.cpu()?);
    report::say(&format!("at rest for {} s", rest.as_secs()));
    sleep(rest).await;
    let used = operator.cpu()?.saturating_sub(before);
    report.rest(rest, used, operator.memory()?, &log.since(mark)?);
    Ok(())
}

/// Changes one thing after the other, and waits each time until everything is as it should be again.
async fn changes(
    client: &Client,
    world: &play::World,
    log: &Audit,
    report: &mut Report,
) -> Outcome<()> {
    let mut mark = log.length()?;
    let mut measured = async |what: &str, took: Duration, most: u32| -> Outcome<()> {
        sleep(AFTERWARDS).await;
        report.change(what, took, most, &log.within("scale-0", mark)?);
        mark = log.length()?;
        Ok(())
    };
    measured("one object changed", change::object(client, world).await?, 1).await?;
    measured("one Deployment labelled", change::label(client).await?, 0).await?;
    let reverted = change::template(client, world).await?;
    // The template, and what the workload says of itself: first that it is being injected, then that it is routed.
    measured("one Deployment applied without the sidecar", reverted, 3).await?;
    measured("one Service changed back", change::service(client).await?, 1).await
}

async fn client(kubeconfig: &Path) -> Outcome<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
