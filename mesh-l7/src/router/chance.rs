//! Where chance comes from.

use std::fmt;
use std::sync::Arc;

use mesh_core::random::{Random, ThreadRandom};

/// Where a router's random numbers come from: [`ThreadRandom`] by default.
#[derive(Clone, Default)]
pub struct Chance(Option<Arc<dyn Fn() -> u64 + Send + Sync>>);

impl Chance {
    /// A function that returns evenly distributed numbers, or, in a test, the ones that it wants.
    pub fn of(numbers: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(numbers)))
    }
}

impl Random for Chance {
    fn next(&mut self) -> u64 {
        match &self.0 {
            Some(numbers) => numbers(),
            None => ThreadRandom.next(),
        }
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chance").finish_non_exhaustive()
    }
}
