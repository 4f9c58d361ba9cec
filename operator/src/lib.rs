//! The operator. Life of an `OAuth2Proxy`, in order:
//!
//! - `controller` gives an object its turn, on the replica that holds the lease (`leader`), when a watch, a report of pods
//!   (`report`) or a changed Secret (`references`) asks for it;
//! - `proxy_controller` does the phases: `dereference`, `validate`, `build`, `apply`, `status`;
//! - `poke` makes kubelets deliver what changed at once.
//!
//! `pod` renders the proxy as a container, for the stand-alone Deployment and for injection alike.

mod clock;
mod condition;
mod context;
mod controller;
mod event;
mod fleet;
mod inject;
mod leader;
mod metrics;
mod object;
mod pod;
mod poke;
mod proxy_controller;
mod references;
mod report;
mod scope;
mod traffic;
mod workload_controller;
