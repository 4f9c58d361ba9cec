//! Writes `docs/options.md` from the table of options: `cargo run -p proxy --example options`.

use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/options.md");
    std::fs::write(page, proxy::options_page())
}
