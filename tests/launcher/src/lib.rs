//! What `make` runs before everything else: is the machine fit for what is asked, what will it take, and then the build
//! of the harness under one line of progress.
//!
//! It uses the standard library alone, so that it is there within seconds. The harness checks and tells with the same
//! code.

pub mod build;
pub mod cache;
pub mod check;
pub mod choice;
pub mod clock;
pub mod logged;
pub mod machine;
pub mod packages;
pub mod report;
