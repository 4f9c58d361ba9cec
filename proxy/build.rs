//! Makes the program smaller. Half a megabyte of relocations takes a few kilobytes in the packed form, where the linker and the
//! loader of this machine know it; the images carry the loader of the machine that they are made on. And the types of files
//! are written as one text, because a table of texts has to be relocated and so takes memory in every process.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, io};

const PACKED: &str = "-Wl,-z,pack-relative-relocs";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    fs::write(folder().join("types.txt"), types())?;
    if env::var("PROFILE").as_deref() == Ok("release") && packed_programs_start() {
        println!("cargo::rustc-link-arg-bins={PACKED}");
    }
    Ok(())
}

fn folder() -> PathBuf {
    env::var_os("OUT_DIR").unwrap_or_default().into()
}

/// Lines of an extension and the type that files with it have.
fn types() -> String {
    let known = mime_guess::get_extensions("*", "*").unwrap_or_default();
    let line = |extension: &&str| {
        let guess = mime_guess::from_ext(extension);
        guess.first_raw().map(|name| format!("{extension} {name}\n"))
    };
    let mut lines: Vec<String> = known.iter().filter_map(line).collect();
    lines.sort();
    lines.dedup();
    lines.concat()
}

/// Tried out, because a linker may know the form and the loader beside it not (glibc before 2.36). A program for another
/// machine is not tried, and not packed.
fn packed_programs_start() -> bool {
    let variable = |name| env::var(name).unwrap_or_default();
    if variable("HOST") != variable("TARGET") || variable("CARGO_CFG_TARGET_OS") != "linux" {
        return false;
    }
    let (source, program) = (folder().join("probe.c"), folder().join("probe"));
    if fs::write(&source, "int one; int *all[] = {&one}; int main(void) { return *all[0]; }")
        .is_err()
    {
        return false;
    }
    let mut compiler = Command::new("cc");
    compiler.arg("-fPIE").arg("-pie").arg(PACKED).arg(&source).arg("-o").arg(&program);
    let linked = compiler.output().is_ok_and(|output| {
        // A linker that does not know the word says so, and goes on without.
        output.status.success() && output.stderr.is_empty()
    });
    linked && Command::new(&program).status().is_ok_and(|status| status.success())
}
