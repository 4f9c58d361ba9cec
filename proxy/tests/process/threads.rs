//! A system that gives no more threads: whoever needs one is told so, and everything else goes on.

use super::{PATIENCE, Proxy, Volume, config, key_file};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;
use std::time::Instant;

/// Bytes of each thread's stack. Nothing else that the program asks for comes near it, so that a limit can take away
/// threads and leave all the memory that is needed beside: without that, the program ends.
const STACK: u64 = 1 << 30;

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
    let mut proxy =
        Proxy::start_telling(&[argument], &[("RUST_MIN_STACK", &STACK.to_string())], file);
    assert_eq!(proxy.get("http", "/one").0, 200);
    let process = Pid::from_child(&proxy.child);
    let enough = getrlimit(Resource::As);
    // Again, if a thread has ended that was there when the size was taken.
    let begun = Instant::now();
    loop {
        let now = Some(size_of(&proxy) + STACK / 2);
        prlimit(Some(process), Resource::As, Rlimit { current: now, ..enough }).unwrap();
        match proxy.get("http", "/page").0 {
            500 => break,
            status => assert_eq!(status, 200),
        }
        assert!(begun.elapsed() < PATIENCE, "there is always a thread");
    }
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

/// Whoever needs another one later is to say what becomes of it when there is none.
#[test]
fn a_proxy_has_its_threads_from_the_start_and_watches_files_with_none_of_them() {
    let (_folder, key) = key_file();
    let volume = Volume::new(&config(&key, "/one"));
    let proxy = volume.start(&[]);
    let before = proxy.status()["configHash"].clone();
    volume.swap("v2", &config(&key, "/two").to_string());
    proxy.until(|status| status["configHash"] != before);
    let folder = format!("/proc/{}/task", proxy.child.id());
    let begun = Instant::now();
    loop {
        let names = std::fs::read_dir(&folder).unwrap().map_while(Result::ok);
        let names = names.filter_map(|one| std::fs::read_to_string(one.path().join("comm")).ok());
        let mut other: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
        other.retain(|name| {
            !["oauth2-proxy", "admin", "output"].contains(&&**name) && !name.starts_with("worker-")
        });
        if other.is_empty() {
            break;
        }
        // Those that were made for the reload end with it.
        assert!(begun.elapsed() < PATIENCE, "{other:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
