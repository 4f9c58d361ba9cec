//! Whether the demo can begin. What the launcher looked at before anything was built is looked at again, with what only the
//! harness knows: which components are up to date, and whether a demo is up that holds the ports.

use std::path::Path;

use launcher::check::{self, Built};
use launcher::choice::Choice;
use launcher::machine;

use crate::cache::Cache;
use crate::components::{self, Module};
use crate::demo::forwards;
use crate::demo::settings::{Settings, State};
use crate::error::{Error, Result};

/// The settings, if nothing stands in the way of a demo with them.
///
/// # Errors
/// All that stands in the way.
pub(crate) fn settings(from: Option<&Path>, cache: &Cache, state: &State) -> Result<Settings> {
    let (choice, mut problems) = Choice::read(|name| std::env::var(name).ok());
    let ours = match state.remembered().filter(|_| forwards::run(state)) {
        Some(settings) => vec![settings.port, settings.keycloak_port],
        None => Vec::new(),
    };
    let mut components = true;
    for module in [Module::Pause, Module::Kubernetes, Module::CoreDns, Module::Helm3] {
        components &= components::is_built(module, cache)?;
    }
    let built =
        Built { harness: true, programs: from.is_some() || machine::built().programs, components };
    problems.extend(check::problems(&choice, &machine::look(&choice, &ours, built)));
    if problems.is_empty() {
        return Ok(choice.into());
    }
    Err(Error::Need(check::refusal(&problems)))
}
