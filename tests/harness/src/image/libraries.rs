//! The shared libraries that a program needs in an image of its own.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::image::Tree;
use crate::program::{program, run};

/// Adds the program `from` as `path`, with the libraries it links to where its loader looks for them.
pub(crate) fn add_program(tree: &mut Tree, path: &str, from: &Path) -> Result<()> {
    tree.copy(path, from, 0o755);
    add_libraries(tree, from)
}

/// Adds the libraries that `file` links to.
pub(crate) fn add_libraries(tree: &mut Tree, file: &Path) -> Result<()> {
    // ldd fails for a static program, which needs none.
    let Ok(listed) = run(&mut program("ldd", [file])) else {
        return Ok(());
    };
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
            path.starts_with('/').then(|| PathBuf::from(path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_loader_are_found_and_the_kernels_page_is_not() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            parse(listed),
            [
                PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"),
                PathBuf::from("/lib64/ld-linux-x86-64.so.2")
            ]
        );
    }
}
