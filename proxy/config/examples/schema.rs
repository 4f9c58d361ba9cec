//! Writes `proxy/config/schema.json`: `cargo run -p proxy-config --example schema`.

use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    std::fs::write(schema, proxy_config::Config::schema_json())
}
