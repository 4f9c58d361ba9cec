//! The small public face of the inner parts, for programs that judge them from outside: `cargo bench` times them, fuzz targets
//! feed them, and `tests/second_opinion` compares their verdicts with those of other libraries.
//!
//! Nothing else may use it. It decides nothing: each function calls what the program itself calls, and says what came of it.

pub mod sealed;
pub mod timing;

pub use crate::oidc::probe as oidc;
