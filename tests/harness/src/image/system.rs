//! The images of the cluster's own pods.

use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::cluster::config::PAUSE_IMAGE;
use crate::components::{self, Module};
use crate::error::Result;
use crate::image::{Image, NON_ROOT, Tree, write};
use crate::report::Report;

/// The image of the cluster's DNS server.
pub(crate) fn coredns_image() -> Result<String> {
    let version = components::version(Module::CoreDns)?;
    Ok(format!("registry.k8s.io/coredns/coredns:{version}"))
}

/// Archives of all system images, written if they are not in the cache yet.
pub(crate) fn ensure(cache: &Cache, report: &Report) -> Result<Vec<PathBuf>> {
    Ok(vec![
        single(Module::Pause, "pause", PAUSE_IMAGE, cache, report)?,
        single(Module::CoreDns, "coredns", &coredns_image()?, cache, report)?,
    ])
}

/// An image of one static program.
fn single(
    module: Module,
    name: &str,
    image: &str,
    cache: &Cache,
    report: &Report,
) -> Result<PathBuf> {
    let programs = components::ensure(module, cache, report)?;
    // The folder's name carries the key of the build.
    let key = programs.file_name().unwrap_or_default();
    let out = cache.images().join(key).with_added_extension("tar");
    if out.exists() {
        return Ok(out);
    }
    let _lock = cache.lock("images")?;
    let path = format!("/{name}");
    write(&image_of(image, &path, &programs.join(name)), &out)?;
    Ok(out)
}

fn image_of(image: &str, path: &str, program: &Path) -> Image {
    let mut tree = Tree::new();
    tree.copy(path, program, 0o755);
    let mut image = Image::new(image, tree, &[path]);
    NON_ROOT.clone_into(&mut image.user);
    image
}
