//! Loads image archives into a cluster.

use std::path::Path;

use crate::cluster::Cluster;
use crate::error::Result;
use crate::image::{Described, describe};
use crate::node::ctr;
use crate::program::run;
use crate::report::Report;

/// The images of an archive, and whether the cluster was given any of them just now.
#[derive(Debug)]
pub struct Loaded {
    /// Their full names.
    pub names: Vec<String>,
    /// Whether the cluster did not have this very content before.
    pub fresh: bool,
}

/// Loads the images of `archive` if the cluster does not have them yet.
///
/// # Errors
/// The archive cannot be read, or the cluster does not run.
pub fn load(cluster: &Cluster, archive: &Path, report: &Report) -> Result<Loaded> {
    cluster.require_running()?;
    let socket = cluster.state().containerd();
    let images = describe(archive)?;
    let present = run(ctr(&socket).args(["images", "ls"]))?;
    let names: Vec<String> = images.iter().map(|image| image.name.clone()).collect();
    let shown = names.join(", ");
    if images.iter().all(|image| has(&present, image)) {
        report.note(&format!("{shown} is loaded already"));
        return Ok(Loaded { names, fresh: false });
    }
    report.step(&format!("load {shown}"), || {
        run(ctr(&socket).args(["images", "import"]).arg(archive))
    })?;
    Ok(Loaded { names, fresh: true })
}

/// Whether the output of `ctr images ls` has the image with this very content.
fn has(listed: &str, image: &Described) -> bool {
    listed.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(&image.name) && words.any(|word| word == image.digest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_name_with_other_content_is_not_the_image() {
        let image = Described { name: "a/b:1".to_owned(), digest: "sha256:11".to_owned() };
        let listed =
            |digest: &str| format!("REF TYPE DIGEST\na/b:1 application/x sha256:{digest} 1 MiB\n");
        assert!(has(&listed("11"), &image));
        assert!(!has(&listed("22"), &image));
        assert!(!has("", &image));
    }
}
