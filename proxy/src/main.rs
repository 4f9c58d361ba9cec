//! The program `oauth2-proxy`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Texts that are not UTF-8 can name no option; they become recognisably wrong rather than end the program.
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment =
        std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    proxy::main(&arguments, environment)
}
