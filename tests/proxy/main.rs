//! The proxy as a process, against real identity providers, a real Redis and real browsers.

mod endpoints;
mod refresh;
mod setup;
