//! Writes the manifest into `crds/` and into the chart, or with `--check` says which copy is stale.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let check = match env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => return Err(format!("{other}: unknown; the only option is --check").into()),
    };
    let manifest = crds::manifest()?;
    let mut fresh = true;
    for path in copies() {
        if check {
            if fs::read_to_string(&path).is_ok_and(|text| text == manifest) {
                continue;
            }
            fresh = false;
        } else if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
            fs::write(&path, &manifest)?;
        }
    }
    if fresh {
        Ok(ExitCode::SUCCESS)
    } else {
        Err("the manifest is stale: run `make generate`".into())
    }
}

fn copies() -> [PathBuf; 2] {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    [
        root.join(crds::FILE_NAME),
        root.join("../charts/oauth2-proxy-operator/files").join(crds::FILE_NAME),
    ]
}
