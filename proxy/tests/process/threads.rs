//! A system that gives no more threads: whoever needs one is told so, and everything else goes on.

use super::{Proxy, Volume, config, key_file};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;

/// Bytes of addresses that a process has.
fn size_of(proxy: &Proxy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn without_threads_files_and_reloads_fail_for_the_time_and_nothing_panics() {
    let (folder, key) = key_file();
    std::fs::write(folder.path().join("page"), "a page").unwrap();
    let with = |ping: &str| {
        let mut config = config(&key, ping);
        config["access"]["skipAuth"] = json!([{"path": "^/"}]);
        config["upstreams"] = json!([
            {"id": "files", "path": "/", "target": {"file": {"root": folder.path()}}},
        ]);
        config
    };
    let volume = Volume::new(&with("/one"));
    let errors = folder.path().join("errors");
    let argument = format!("--generated-config={}", volume.config().display());
    let file = std::fs::File::create(&errors).unwrap();
    let mut proxy = Proxy::start_telling(&[argument], &[], file);
    assert_eq!(proxy.get("http", "/one").0, 200);
    let process = Pid::from_child(&proxy.child);
    let enough = getrlimit(Resource::As);
    // Room for what is asked for now, and for no stack.
    let now = Some(size_of(&proxy) + (1 << 20));
    prlimit(Some(process), Resource::As, Rlimit { current: now, ..enough }).unwrap();
    assert_eq!(proxy.get("http", "/page").0, 500);
    assert_eq!(proxy.get("http", "/one").0, 200, "whatever needs none is served");
    volume.swap("v2", &with("/two").to_string());
    proxy.until(|status| status["reload"]["lastError"].is_string());
    prlimit(Some(process), Resource::As, enough).unwrap();
    assert_eq!(proxy.get("http", "/page"), (200, "a page".to_owned()));
    proxy.until(|status| status["reload"]["lastError"].is_null());
    assert_eq!(proxy.get("http", "/two").0, 200);
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
    let told = std::fs::read_to_string(&errors).unwrap();
    // That line needed a thread too, and came when there was one.
    assert!(told.contains("the one before stays in force") && !told.contains("panicked"), "{told}");
}
