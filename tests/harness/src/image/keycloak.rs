//! The image of Keycloak under its public name, made of the distribution on Maven Central and of
//! Debian's Java, so that the same manifest runs where the public image can be pulled and here.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::cache::Cache;
use crate::components::hex;
use crate::error::{Doing as _, Error, Result};
use crate::image::libraries::{add_libraries, add_program};
use crate::image::{Image, Tree, write};
use crate::packages;
use crate::program::{program, run};
use crate::report::Report;

/// The pinned release.
pub const VERSION: &str = "26.7.3";
const SHA256: &str = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f";

/// Part of the key: raise it when the way of making the image changes.
const RECIPE: &str = "1";

/// Java releases that Keycloak runs on, as Debian names their folders, best first.
const JAVA: [&str; 3] = ["java-21-openjdk", "java-25-openjdk", "java-17-openjdk"];

/// What `kc.sh` calls.
const TOOLS: [&str; 9] =
    ["cat", "dirname", "grep", "readlink", "sed", "sh", "sleep", "uname", "xargs"];

/// The image's public name.
#[must_use]
pub fn image_name() -> String {
    format!("quay.io/keycloak/keycloak:{VERSION}")
}

/// The archive of the image, made if it is not in the cache yet.
///
/// # Errors
/// Java cannot be installed, or the distribution not be downloaded.
pub fn ensure(cache: &Cache, report: &Report) -> Result<PathBuf> {
    packages::for_keycloak(report)?;
    let java = java()?;
    let out = cache.images().join(format!("keycloak-{VERSION}-{}.tar", key(&java)?));
    if out.exists() {
        return Ok(out);
    }
    let _lock = cache.lock("keycloak")?;
    if out.exists() {
        return Ok(out);
    }
    let zip = download(cache, report)?;
    let unpacked = cache.downloads().join(format!("keycloak-{VERSION}"));
    report.long_step("make the image of Keycloak", |_| {
        let folder = cache.downloads().display().to_string();
        let zip = zip.display().to_string();
        run(&mut program("unzip", ["-q", "-o", "-d", &folder, &zip]))?;
        write(&image(&unpacked, &java)?, &out)
    })?;
    fs::remove_dir_all(&unpacked).doing(|| format!("remove {}", unpacked.display()))?;
    Ok(out)
}

fn download(cache: &Cache, report: &Report) -> Result<PathBuf> {
    let folder = cache.downloads();
    fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
    let name = format!("keycloak-quarkus-dist-{VERSION}.zip");
    let path = folder.join(&name);
    if path.exists() {
        return Ok(path);
    }
    let partial = folder.join(format!("{name}.partial"));
    let url = format!(
        "https://repo1.maven.org/maven2/org/keycloak/keycloak-quarkus-dist/{VERSION}/{name}"
    );
    let target = partial.display().to_string();
    report.long_step("download Keycloak (160 MB)", |_| {
        let args = ["--fail", "--silent", "--show-error", "--location", "--output", &target, &url];
        run(&mut program("curl", args)).map_err(|error| {
            Error::Need(format!("cannot download Keycloak: is the network there?\n{error}"))
        })
    })?;
    let content = fs::read(&partial).doing(|| format!("read {target}"))?;
    let found = hex(&Sha256::digest(&content));
    if found != SHA256 {
        return Err(Error::Need(format!("{url} has the SHA-256 {found}, not the pinned {SHA256}")));
    }
    fs::rename(&partial, &path).doing(|| format!("make {}", path.display()))?;
    Ok(path)
}

/// The folder of Debian's Java.
fn java() -> Result<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    JAVA.iter()
        .map(|name| PathBuf::from(format!("/usr/lib/jvm/{name}-{architecture}")))
        .find(|folder| folder.join("lib/server/libjvm.so").exists())
        .ok_or_else(|| {
            Error::Need(
                "Keycloak needs Debian's Java: apt-get install default-jre-headless".to_owned(),
            )
        })
}

fn key(java: &Path) -> Result<String> {
    let release = java.join("release");
    let release = fs::read(&release).doing(|| format!("read {}", release.display()))?;
    let mut hash = Sha256::new();
    for part in [RECIPE.as_bytes(), SHA256.as_bytes(), &release] {
        hash.update(part);
    }
    Ok(hex(&hash.finalize()).chars().take(16).collect())
}

fn image(distribution: &Path, java: &Path) -> Result<Image> {
    let mut tree = Tree::new();
    tree.folder_of(Path::new("opt/keycloak"), distribution, &|_| false)?;
    tree.folder("/opt/keycloak/data/import", 0o755);
    // Keycloak writes into its own folder, as the user of the public image.
    tree.own("opt/keycloak", 1000);
    add_java(&mut tree, java)?;
    for tool in TOOLS {
        add_program(&mut tree, &format!("/bin/{tool}"), &tool_path(tool)?)?;
    }
    tree.bytes("/etc/passwd", "keycloak:x:1000:0:keycloak:/opt/keycloak:/bin/sh\n", 0o644);
    tree.bytes("/etc/nsswitch.conf", "hosts: files dns\n", 0o644);
    tree.folder("/tmp", 0o1777);
    let mut image = Image::new(&image_name(), tree, &["/opt/keycloak/bin/kc.sh"]);
    "1000".clone_into(&mut image.user);
    image.env.push(format!("JAVA_HOME={}", java.display()));
    image.env.push("KC_RUN_IN_CONTAINER=true".to_owned());
    Ok(image)
}

fn add_java(tree: &mut Tree, java: &Path) -> Result<()> {
    for part in ["bin", "conf", "lib"] {
        tree.folder_of(&java.join(part), &java.join(part), &not_for_a_server)?;
    }
    add_libraries(tree, &java.join("bin/java"), None)?;
    let libraries = java.join("lib");
    for folder in [libraries.clone(), libraries.join("server")] {
        let doing = || format!("read {}", folder.display());
        for entry in fs::read_dir(&folder).doing(doing)? {
            let path = entry.doing(doing)?.path();
            if path.extension().is_some_and(|e| e == "so") && !not_for_a_server(&path) {
                add_libraries(tree, &path, Some(&libraries.join("server")))?;
            }
        }
    }
    Ok(())
}

/// Parts of a development kit and of a desktop.
fn not_for_a_server(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let desktop = ["libatk", "libawt_x", "libjawt", "libjsound", "libsplash", "libfontm"];
    let development = ["src.zip", "ct.sym", "libsaproc.so"];
    let in_bin = path.parent().is_some_and(|parent| parent.ends_with("bin"));
    desktop.iter().any(|start| name.starts_with(start))
        || development.contains(&&*name)
        || (in_bin && name != "java")
}

fn tool_path(tool: &str) -> Result<PathBuf> {
    ["/usr/bin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(tool))
        .find(|path| path.exists())
        .ok_or_else(|| {
            Error::Need(format!(
                "there is no {tool} in /usr/bin: install coreutils, grep, sed, dash and findutils"
            ))
        })
}
