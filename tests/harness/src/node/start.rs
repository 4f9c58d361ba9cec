//! Brings a node up, step by step. Reads as the order in which things depend on one another.

use std::fs;
use std::io::BufRead as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::cluster::cgroup;
use crate::cluster::config::{self, Arguments};
use crate::cluster::pki::NODE;
use crate::cluster::state::State;
use crate::error::{Doing as _, Error, Result};
use crate::node::event::{Event, step};
use crate::node::mounts;
use crate::node::processes::Processes;
use crate::node::{KEEP, LINKED, Plan};
use crate::program::{output, program, run};

/// Starts everything and returns it once the cluster works.
pub(crate) fn start(state: &State) -> Result<Processes> {
    let plan = plan(state)?;
    mounts::cover(&plan.keep)?;
    await_link(state, &plan)?;
    step("network inside the namespace", || network(&plan))?;
    let mut processes = Processes::new(state);
    step("start etcd and the API server", || control_plane(&mut processes, &plan))?;
    if plan.api_only {
        step("API server ready", || api_ready(&mut processes, &plan))?;
        Event::Ready.send();
        return Ok(processes);
    }
    step("start containerd", || containerd(&mut processes))?;
    step("load the images of the system's pods", || images(&mut processes, &plan))?;
    step("API server ready", || api_ready(&mut processes, &plan))?;
    step("start controllers, scheduler, kubelet and kube-proxy", || {
        workers(&mut processes, &plan)
    })?;
    step("apply the system's manifests", || manifests(&mut processes, &plan))?;
    step("node ready", || node_ready(&mut processes, &plan))?;
    step("cluster DNS ready", || dns_ready(&mut processes, &plan))?;
    Event::Ready.send();
    Ok(processes)
}

fn plan(state: &State) -> Result<Plan> {
    let path = state.path("node.json");
    let text = fs::read(&path).doing(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::Damaged { path, reason: error.to_string() })
}

/// Held for good once the node removes itself, so that nothing else ends the process meanwhile.
static ABANDONED: Mutex<()> = Mutex::new(());

/// Waits until the process ends if the node is removing itself, as its failures come from that.
pub(crate) fn yield_to_removal() {
    drop(ABANDONED.lock());
}

/// Waits for the link, and from then on watches the starting command: if it ends without
/// having said that the node may stay, even by SIGKILL, the node removes all it made.
fn await_link(state: &State, plan: &Plan) -> Result<()> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .doing(|| "hear from the starting command".to_owned())?;
    if line.trim_end() != LINKED {
        abandon(state, &config::cgroup(&plan.name));
    }
    let (state, group) = (state.clone(), config::cgroup(&plan.name));
    thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if read.is_err() || line.trim_end() != KEEP {
            abandon(&state, &group);
        }
    });
    Ok(())
}

#[expect(clippy::exit, reason = "the starting command is gone; there is nobody to return to")]
fn abandon(state: &State, group: &str) {
    let _held = ABANDONED.lock();
    // All processes of this namespace but this one; again, as the main thread may be starting some.
    while waitpid(None, Some(WaitPidFlag::WNOHANG)) != Err(Errno::ECHILD) {
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        thread::sleep(Duration::from_millis(5));
    }
    // With this end goes the machine's, at once and not when the last connection has timed out.
    let _ = run(&mut program("ip", ["link", "delete", "eth0"]));
    let _ = cgroup::remove(group);
    if mounts::uncover(state.dir()) {
        let _ = fs::remove_dir_all(state.dir());
    }
    std::process::exit(1);
}

fn network(plan: &Plan) -> Result<()> {
    let address = format!("{}/24", plan.network.node);
    let host = plan.network.host.to_string();
    for args in [
        vec!["link", "set", "lo", "up"],
        vec!["address", "add", address.as_str(), "dev", "eth0"],
        vec!["link", "set", "eth0", "up"],
        vec!["route", "add", "default", "via", host.as_str()],
    ] {
        run(&mut program("ip", args))?;
    }
    // These belong to the network namespace, not to the machine.
    for (name, value) in [("ip_forward", "1"), ("conf/all/send_redirects", "0")] {
        let path = format!("/proc/sys/net/ipv4/{name}");
        fs::write(&path, value).doing(|| format!("set {path}"))?;
    }
    Ok(())
}

fn control_plane(processes: &mut Processes, plan: &Plan) -> Result<()> {
    let state = processes.state().clone();
    let own = |name: &str| plan.programs.join(name);
    processes.start("etcd", &own("etcd"), config::etcd(&state))?;
    processes.start(
        "kube-apiserver",
        &own("kube-apiserver"),
        config::apiserver(&state, &plan.network, plan.api_only),
    )
}

fn containerd(processes: &mut Processes) -> Result<()> {
    let state = processes.state().clone();
    let file = state.path("containerd.toml").display().to_string();
    let arguments = Arguments(vec![format!("--config={file}")]);
    processes.start("containerd", Path::new("containerd"), arguments)
}

fn images(processes: &mut Processes, plan: &Plan) -> Result<()> {
    let socket = processes.state().containerd();
    processes
        .wait("containerd to answer", "containerd", || said(output(ctr(&socket).arg("version"))))?;
    for image in &plan.images {
        run(ctr(&socket).args(["images", "import"]).arg(image))?;
    }
    Ok(())
}

/// `ctr` for the namespace in which the kubelet's images are.
pub(crate) fn ctr(socket: &Path) -> Command {
    let mut command = program("ctr", ["--namespace", "k8s.io", "--address"]);
    command.arg(socket);
    command
}

fn kubectl<const N: usize>(processes: &Processes, plan: &Plan, args: [&str; N]) -> Command {
    let mut command = program(plan.programs.join("kubectl"), args);
    command
        .env("KUBECONFIG", processes.state().kubeconfig())
        .env("KUBECACHEDIR", processes.state().path("tmp/kubectl"));
    command
}

fn api_ready(processes: &mut Processes, plan: &Plan) -> Result<()> {
    let mut ready = kubectl(processes, plan, ["get", "--raw", "/readyz"]);
    processes.wait("the API server to be ready", "kube-apiserver", || said(output(&mut ready)))
}

fn workers(processes: &mut Processes, plan: &Plan) -> Result<()> {
    let state = processes.state().clone();
    for (name, arguments) in [
        ("kube-controller-manager", config::controller_manager(&state, &plan.network)),
        ("kube-scheduler", config::scheduler(&state)),
        ("kubelet", config::kubelet_arguments(&state, &plan.network)),
        ("kube-proxy", config::proxy(&state, &plan.network)),
    ] {
        processes.start(name, &plan.programs.join(name), arguments)?;
    }
    Ok(())
}

fn manifests(processes: &mut Processes, plan: &Plan) -> Result<()> {
    let file = processes.state().path("system.yaml");
    fs::write(&file, &plan.manifests).doing(|| format!("write {}", file.display()))?;
    let mut apply = kubectl(processes, plan, ["apply", "--server-side", "-f"]);
    apply.arg(file);
    processes.wait("the system's manifests to apply", "kube-apiserver", || said(output(&mut apply)))
}

fn node_ready(processes: &mut Processes, plan: &Plan) -> Result<()> {
    const READY: &str = r#"jsonpath={.status.conditions[?(@.type=="Ready")]}"#;
    let mut get = kubectl(processes, plan, ["get", "node", NODE, "--output", READY]);
    processes.wait("the node to be ready", "kubelet", || {
        seen(output(&mut get), |text| text.contains(r#""status":"True""#))
    })
}

fn dns_ready(processes: &mut Processes, plan: &Plan) -> Result<()> {
    const READY: &str = "jsonpath={.items[*].status}";
    let mut get = kubectl(
        processes,
        plan,
        [
            "get",
            "endpointslices",
            "--namespace=kube-system",
            "--selector=kubernetes.io/service-name=kube-dns",
            "--output=json",
        ],
    );
    let mut pods =
        kubectl(processes, plan, ["get", "pods", "--namespace=kube-system", "--output", READY]);
    processes.wait("the cluster's DNS to be ready", "kubelet", || {
        seen(output(&mut get), |text| text.contains(r#""ready": true"#))
            .map_err(|_| said_by(output(&mut pods)))
    })
}

fn said(result: Result<std::process::Output>) -> Result<(), String> {
    seen(result, |_| true)
}

fn seen(
    result: Result<std::process::Output>,
    good: impl FnOnce(&str) -> bool,
) -> Result<(), String> {
    match result {
        Ok(output) if output.status.success() && good(&String::from_utf8_lossy(&output.stdout)) => {
            Ok(())
        }
        other => Err(said_by(other)),
    }
}

fn said_by(result: Result<std::process::Output>) -> String {
    match result {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&text).trim().to_owned()
        }
        Err(error) => error.to_string(),
    }
}
