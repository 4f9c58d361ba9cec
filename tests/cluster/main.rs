//! The operator against a whole cluster: real pods, real sidecars, real Services.
//!
//! Each test has a namespace and an operator of its own, which looks after that namespace alone.

#![expect(clippy::panic, reason = "the way a test fails")]
#![expect(clippy::print_stdout, reason = "what was measured")]

mod denial;
mod guard;
mod guarded;
mod idle;
mod injection;
mod killed;
mod levels;
mod lifecycle;
mod load;
mod login;
mod socket;
mod stage;
mod traffic;
