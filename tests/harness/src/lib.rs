//! The cluster harness: real one-node Kubernetes clusters, container images without a container
//! engine, and the demo made of both.
//!
//! It touches only processes, networks and files that it made itself. It knows nothing of what
//! the operator or the proxy do.

pub mod build;
pub mod cache;
pub mod cli;
pub mod cluster;
pub mod components;
pub mod demo;
pub mod error;
pub mod image;
pub mod interrupt;
pub mod node;
mod packages;
mod program;

pub use launcher::{clock, report};
