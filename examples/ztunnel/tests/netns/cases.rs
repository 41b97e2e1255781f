//! The tests, by what they are about.

mod capture;
mod lifecycle;
mod load;
mod mesh;
mod refusals;
mod streams;
mod waypoints;

use libtest_mimic::{Completion, Trial};

use crate::harness;

/// All tests.
pub(crate) fn all() -> Vec<Trial> {
    [
        lifecycle::trials(),
        load::trials(),
        capture::trials(),
        streams::trials(),
        refusals::trials(),
        waypoints::trials(),
        mesh::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A test that needs namespaces.
fn trial(name: &str, test: fn()) -> Trial {
    trial_with(name, || None, test)
}

/// A test that needs namespaces and something else.
fn trial_with(name: &str, missing: fn() -> Option<String>, test: fn()) -> Trial {
    Trial::ignorable_test(name, move || {
        if let Some(reason) = harness::missing().or_else(missing) {
            return Ok(Completion::ignored_with(reason));
        }
        test();
        Ok(Completion::Completed)
    })
}
