//! The operator against a whole cluster: real pods, real sidecars, real Services.
//!
//! Each test has a namespace and an operator of its own, which looks after that namespace alone.

#![expect(clippy::panic, reason = "the way a test fails")]

mod guard;
mod idle;
mod injection;
mod levels;
mod lifecycle;
mod load;
mod socket;
mod stage;
mod traffic;
