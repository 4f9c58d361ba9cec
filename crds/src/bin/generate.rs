//! Writes the manifest into `crds/` and into the chart, and the page of the documentation, or with `--check` says which file is stale.

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
    let (manifest, page) = (crds::manifest()?, crds::reference_page()?);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let files = [
        (root.join(crds::FILE_NAME), &manifest),
        (root.join("../charts/oauth2-proxy-operator/files").join(crds::FILE_NAME), &manifest),
        (root.join("../docs").join(crds::PAGE_NAME), &page),
    ];
    let mut stale = Vec::new();
    for (path, text) in files {
        if check {
            if fs::read_to_string(&path).ok().as_ref() != Some(text) {
                stale.push(path.display().to_string());
            }
        } else if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
            fs::write(&path, text)?;
        }
    }
    if stale.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(format!("run `make generate`: stale are {}", stale.join(", ")).into())
    }
}
