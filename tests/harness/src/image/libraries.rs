//! The shared libraries that a program needs in an image of its own.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::image::Tree;
use crate::program::{output, program};

/// Adds the program `from` as `path`, with the libraries it links to where its loader looks for them.
pub(crate) fn add_program(tree: &mut Tree, path: &str, from: &Path) -> Result<()> {
    tree.copy(path, from, 0o755);
    add_libraries(tree, from, None)
}

/// Adds the libraries that `file` links to; `beside` is where it finds those of its own kind.
pub(crate) fn add_libraries(tree: &mut Tree, file: &Path, beside: Option<&Path>) -> Result<()> {
    let mut ldd = program("ldd", [file]);
    if let Some(folder) = beside {
        ldd.env("LD_LIBRARY_PATH", folder);
    }
    let said = output(&mut ldd)?;
    let (listed, errors) =
        (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    if errors.contains("not a dynamic executable") {
        return Ok(());
    }
    if !said.status.success() || listed.contains("not found") {
        let file = file.display();
        return Err(Error::Need(format!("cannot find the libraries of {file}:\n{listed}{errors}")));
    }
    for library in parse(&listed) {
        tree.copy(&library, &library, 0o755);
    }
    Ok(())
}

/// The paths in ldd's output; the kernel's own page has none.
fn parse(listed: &str) -> Vec<PathBuf> {
    listed
        .lines()
        .filter_map(|line| {
            let path = line.split_once("=> ").map_or(line, |(_, path)| path).trim();
            let path = path.split(" (").next()?;
            path.starts_with('/').then(|| straight(Path::new(path)))
        })
        .collect()
}

/// The path without `..`: a library found beside its program is named by way of it.
fn straight(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut straight, part| {
        if part == Component::ParentDir {
            straight.pop();
        } else {
            straight.push(part);
        }
        straight
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_loader_are_found_and_the_kernels_page_is_not() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \tlibjli.so => /opt/java/bin/../lib/libjli.so (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            parse(listed),
            [
                PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"),
                PathBuf::from("/opt/java/lib/libjli.so"),
                PathBuf::from("/lib64/ld-linux-x86-64.so.2")
            ]
        );
    }
}
