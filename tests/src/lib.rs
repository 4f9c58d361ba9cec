//! What the tests share: real servers on free ports, a browser-like client, and waiting with a reason.
//!
//! Everything here starts what it needs, stops it when dropped, and fails with the command that installs what is missing.

pub mod browser;
pub mod client;
pub mod cluster;
pub mod eventually;
pub mod keycloak;
pub mod prober;
pub mod process;
pub mod provider;
pub mod proxy;
pub mod redis;
