use super::*;
use crate::clock::SystemClock;
use crate::metrics::Registry;
use crate::output::Writer;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A folder as Kubernetes mounts a Secret: files are links over `..data`, which is swapped as a whole.
struct Volume {
    folder: TempDir,
    version: usize,
}

impl Volume {
    fn new(files: &[(&str, String)]) -> Self {
        let mut volume = Self { folder: tempfile::tempdir().unwrap(), version: 0 };
        volume.swap(files);
        for (name, _) in files {
            let first = Path::new(name).components().next().unwrap().as_os_str();
            let link = volume.path(first.to_str().unwrap());
            if !link.exists() {
                volume.link(first.to_str().unwrap());
            }
        }
        volume
    }

    /// Shows an entry that later versions have.
    fn link(&self, name: &str) {
        symlink(Path::new("..data").join(name), self.path(name)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a new version beside the old one and swaps the link, as the kubelet does.
    fn swap(&mut self, files: &[(&str, String)]) {
        self.version += 1;
        let fresh = format!("..v{}", self.version);
        for (name, content) in files {
            let path = self.path(&fresh).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        symlink(&fresh, self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
        if self.version > 1 {
            fs::remove_dir_all(self.path(&format!("..v{}", self.version - 1))).unwrap();
        }
    }
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn config(volume: &Path, prefix: &str, address: &str) -> String {
    let key = volume.join("keys/1");
    format!(
        r#"{{"version": "v1", "listeners": {{"http": {{"address": "{address}"}}}},
            "providers": [{{"id": "main", "clientId": "app", "issuerUrl": "http://127.0.0.1:1"}}],
            "session": {{"keys": [{{"file": "{}"}}]}}, "access": {{"emailDomains": ["*"]}},
            "http": {{"proxyPrefix": "{prefix}"}}}}"#,
        key.display()
    )
}

struct Running {
    volume: Volume,
    cell: Arc<SiteCell>,
    status: Arc<InForce>,
    registry: Arc<Registry>,
    demands: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start() -> Self {
        let mut volume =
            Volume::new(&[("config.v1.json", String::new()), ("keys/1", KEY.to_owned())]);
        let text = config(volume.folder.path(), "/one", "127.0.0.1:0");
        volume.swap(&[("config.v1.json", text), ("keys/1", KEY.to_owned())]);
        let source =
            Source::Generated(volume.path("config.v1.json"), crate::options::PodPorts::default());
        let registry = Registry::new();
        let context = Context::new(Handle::current(), Arc::new(SystemClock), &registry);
        let (loaded, seen) = first(&source).unwrap();
        let cell = SiteCell::new(compile(&loaded, &context, None).unwrap());
        let status = Arc::new(InForce::new(loaded.hash.clone(), &registry));
        let outputs = [(); 2].map(|()| Writer::new(std::io::sink(), &registry));
        let [out, errors] = &outputs;
        let telemetry = Telemetry::start(&loaded.config.logging, (out, errors));
        let (at, state) = (Arc::clone(&cell), Arc::clone(&status));
        let reloader = Reloader { source, cell: at, context, telemetry, status: state };
        let (demands, received) = mpsc::channel(1);
        let task = tokio::spawn(reloader.run(seen, received));
        Self { volume, cell, status, registry, demands, task }
    }

    fn swap(&mut self, config: String, key: &str) {
        self.volume.swap(&[("config.v1.json", config), ("keys/1", key.to_owned())]);
    }

    fn config(&self, prefix: &str) -> String {
        config(self.volume.folder.path(), prefix, "127.0.0.1:0")
    }

    fn prefix(&self) -> String {
        self.cell.load().config.http.proxy_prefix.clone()
    }

    /// Waits for the word on a reload that succeeded, which comes after its configuration is in force.
    async fn until_told_well(&self) {
        self.until("no error", |running| running.status.state().last_error.is_none()).await;
    }

    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let limit = Duration::from_secs(5);
        let wait = async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let state = self.status.state();
        assert!(
            tokio::time::timeout(limit, wait).await.is_ok(),
            "{what}: not within {limit:?}; before: {state:?}"
        );
    }

    fn metric(&self, line: &str) -> bool {
        self.registry.text().lines().any(|have| have == line)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapping_the_link_of_a_mounted_secret_takes_the_new_configuration_into_force() {
    let mut running = Running::start();
    let before = running.status.state().hash;
    for prefix in ["/two", "/three", "/four"] {
        running.swap(running.config(prefix), KEY);
        running.until(prefix, |running| running.prefix() == prefix).await;
    }
    running.until("the word on it", |running| running.status.state().hash != before).await;
    assert_eq!(running.status.state().last_error, None);
    assert!(running.metric("oauth2_proxy_config_last_reload_successful 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_the_site_it_began_with_and_the_next_one_gets_the_new() {
    let mut running = Running::start();
    let reader = crate::site::SiteReader::new(&running.cell);
    let old = reader.current();
    running.swap(running.config("/two"), KEY);
    running.until("a new epoch", |running| running.cell.load().epoch > old.epoch).await;
    let new = reader.current();
    assert_eq!((&*old.config.http.proxy_prefix, &*new.config.http.proxy_prefix), ("/one", "/two"));
    assert!(
        Arc::ptr_eq(old.providers.standard(), new.providers.standard()),
        "an unchanged provider is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_leaves_the_old_configuration_in_force_until_it_is_mended() {
    let mut running = Running::start();
    let hash = running.status.state().hash;
    for (bad, named) in [
        ("{".to_owned(), "config.v1.json"),
        (running.config("/two").replace("emailDomains", "emialDomains"), "access.emialDomains"),
        (running.config("two"), "http.proxyPrefix"),
        (running.config("/two").replace("keys/1", "keys/2"), "session.keys[0]"),
        (config(running.volume.folder.path(), "/two", "127.0.0.1:9"), "listeners.http.address"),
    ] {
        running.swap(bad, KEY);
        let told = |running: &Running| {
            running.status.state().last_error.is_some_and(|error| error.contains(named))
        };
        running.until(named, told).await;
        assert_eq!(
            (running.prefix(), running.status.state().hash),
            ("/one".to_owned(), hash.clone())
        );
    }
    assert!(running.metric("oauth2_proxy_config_last_reload_successful 0"));
    assert!(running.metric("oauth2_proxy_config_reloads_total{result=\"failure\"} 5"));
    running.swap(running.config("/mended"), KEY);
    running.until("the mended file", |running| running.prefix() == "/mended").await;
    running.until_told_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_newer_level_counts_from_when_it_is_there_until_it_goes() {
    let mut running = Running::start();
    let folder = running.volume.folder.path().to_owned();
    let volume = |newer: Option<String>| {
        let mut files = vec![
            ("config.v1.json", config(&folder, "/old", "127.0.0.1:0")),
            ("keys/1", KEY.to_owned()),
        ];
        files.extend(newer.map(|text| ("config.v1.2.json", text)));
        files
    };
    running.volume.swap(&volume(None));
    running.until("the only file", |running| running.prefix() == "/old").await;
    running.volume.link("config.v1.2.json");
    running.volume.swap(&volume(Some(running.config("/new"))));
    running.until("the newer file", |running| running.prefix() == "/new").await;
    running.until_told_well().await;
    // One that is wrong is no reason to take an older one.
    running.volume.swap(&volume(Some("{".to_owned())));
    let told = |running: &Running| {
        running.status.state().last_error.is_some_and(|error| error.contains("config.v1.2.json"))
    };
    running.until("its refusal", told).await;
    assert_eq!(running.prefix(), "/new");
    running.volume.swap(&volume(None));
    running.until("the file that is left", |running| running.prefix() == "/old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_file_for_pods_with_another_volume_is_passed_over_and_a_missing_key_is_no_reason_to()
 {
    let mut running = Running::start();
    let folder = running.volume.folder.path().to_owned();
    let emails = format!(r#""emailsFile": "{}", "emailDomains""#, folder.join("emails").display());
    let newer = running.config("/new").replace(r#""emailDomains""#, &emails);
    running.volume.link("config.v1.2.json");
    let files = |newer: &str, more: &[(&'static str, String)]| {
        let mut files = vec![
            ("config.v1.json", config(&folder, "/old", "127.0.0.1:0")),
            ("config.v1.2.json", newer.to_owned()),
        ];
        files.extend_from_slice(more);
        files
    };
    let key = ("keys/1", KEY.to_owned());
    running.volume.swap(&files(&newer, std::slice::from_ref(&key)));
    running.until("the older file", |running| running.prefix() == "/old").await;
    running.until_told_well().await;
    running.volume.link("emails");
    running.volume.swap(&files(&newer, &[key.clone(), ("emails", "a@example.com".to_owned())]));
    running.until("the newer file", |running| running.prefix() == "/new").await;
    running.until_told_well().await;
    let keyless = newer.replace("keys/1", "keys/2");
    running.volume.swap(&files(&keyless, &[key, ("emails", "a@example.com".to_owned())]));
    let told = |running: &Running| {
        running.status.state().last_error.is_some_and(|error| error.contains("session.keys[0]"))
    };
    running.until("the missing key", told).await;
    assert_eq!(running.prefix(), "/new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_emptied_secret_file_is_noticed_without_a_change_of_the_configuration() {
    let mut running = Running::start();
    running.swap(running.config("/one"), "");
    let named = |running: &Running| {
        running
            .status
            .state()
            .last_error
            .is_some_and(|error| error.contains("session.keys[0]") && error.contains("keys/1"))
    };
    running.until("the empty key", named).await;
    let epoch = running.cell.load().epoch;
    running.swap(running.config("/one"), "another secret of enough length");
    running.until("the new key", |running| running.cell.load().epoch > epoch).await;
    running.until_told_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_client_secret_makes_a_new_provider_and_an_emptied_one_keeps_the_old() {
    let mut running = Running::start();
    let secret = running.volume.path("secret");
    fs::write(&secret, "first").unwrap();
    let field = format!(r#""clientId": "app", "clientSecret": {{"file": "{}"}}"#, secret.display());
    running.swap(running.config("/two").replace(r#""clientId": "app""#, &field), KEY);
    running.until("the secret", |running| running.prefix() == "/two").await;
    let first = Arc::clone(running.cell.load().providers.standard());
    fs::write(&secret, "").unwrap();
    let named = |running: &Running| {
        running
            .status
            .state()
            .last_error
            .is_some_and(|error| error.contains("providers[0].clientSecret"))
    };
    running.until("the empty secret", named).await;
    assert!(Arc::ptr_eq(running.cell.load().providers.standard(), &first));
    fs::write(&secret, "second").unwrap();
    running
        .until("the new secret", |running| {
            !Arc::ptr_eq(running.cell.load().providers.standard(), &first)
        })
        .await;
    running.until_told_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_in_place_is_taken_once_it_is_whole() {
    let running = Running::start();
    let text = running.config("/written");
    let real = fs::canonicalize(running.volume.path("config.v1.json")).unwrap();
    let (half, rest) = text.split_at(text.len() / 2);
    fs::write(&real, half).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&real).unwrap();
    std::io::Write::write_all(&mut file, rest.as_bytes()).unwrap();
    running.until("the whole file", |running| running.prefix() == "/written").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demand_reloads_even_what_did_not_change() {
    let running = Running::start();
    let epoch = running.cell.load().epoch;
    running.demands.send(()).await.unwrap();
    running.until("a new epoch", |running| running.cell.load().epoch > epoch).await;
    drop(running.demands);
    running.task.await.unwrap();
}

/// The runtime has one thread here, as that has which makes refreshes.
#[tokio::test]
async fn a_file_that_is_slow_to_read_holds_up_nothing_beside_the_reload() {
    let mut running = Running::start();
    let slow = running.volume.path("slow");
    assert!(std::process::Command::new("mkfifo").arg(&slow).status().unwrap().success());
    running.swap(running.config("/two").replace("keys/1", "slow"), KEY);
    let (opened, reads) = tokio::sync::oneshot::channel();
    let (go, gone) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        // Waits for somebody who reads.
        let mut file = fs::OpenOptions::new().write(true).open(&slow).unwrap();
        let _ = opened.send(());
        let told = gone.recv_timeout(Duration::from_secs(5)).is_ok();
        std::io::Write::write_all(&mut file, KEY.as_bytes()).unwrap();
        told
    });
    reads.await.unwrap();
    let _ = go.send(());
    running.until("the slow file", |running| running.prefix() == "/two").await;
    assert!(writer.join().unwrap(), "the runtime stood still until the file was read");
}
