//! Times parts of the request path: the least of many rounds, in nanoseconds. `cargo bench -p proxy`; what the whole costs
//! is what `make bench` tells.

use proxy::probe::timing::parts;
use std::io::{Write, stdout};
use std::time::Instant;

const ROUNDS: u32 = 30;
const TIMES: u32 = 10_000;

fn main() {
    for (name, mut part) in parts() {
        let least = (0..ROUNDS).map(|_| round(&mut part)).fold(f64::INFINITY, f64::min);
        // Nobody reading is no reason to fail.
        let _ = writeln!(stdout(), "{least:8.0} ns  {name}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn round(part: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..TIMES {
        part();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}
