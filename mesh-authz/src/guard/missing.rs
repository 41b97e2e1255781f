//! Since when policies have been missing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_core::name::Name;
use parking_lot::Mutex;

/// How long connections wait for a policy that a workload names, when nothing else is said.
pub const GRACE: Duration = Duration::from_secs(5);

/// Policies that workloads name and that are not known, and since when.
///
/// Clones share what they know. Guards over the same stores, such as those of the workers of one
/// process, are to be made with clones of one value: a policy is then missing for all of them
/// since the moment when the first has met it. A lock is taken only when a guard meets a reference
/// that it has not met before, or does not wait for one any longer.
#[derive(Clone, Debug)]
pub struct MissingPolicies(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    grace: Duration,
    /// By the unique id of the workload and the key of the policy.
    references: Mutex<HashMap<(Box<str>, Name), Reference>>,
}

#[derive(Debug)]
struct Reference {
    since: Instant,
    /// How many guards know it.
    guards: usize,
}

impl MissingPolicies {
    /// Nothing is missing yet.
    ///
    /// `grace` is how long connections wait for a policy that a workload names and that is not
    /// known, from the moment when that is first noticed; 0 denies at once. The default is
    /// [`GRACE`].
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self(Arc::new(Shared {
            grace,
            references: Mutex::default(),
        }))
    }

    /// The number of references of workloads to policies that are missing, as far as a connection
    /// has met them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.references.lock().len()
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A guard has met a reference at `now`; the end of its grace, `None` for one beyond all times.
    pub(super) fn enter(&self, uid: &str, key: &Name, now: Instant) -> Option<Instant> {
        let mut references = self.0.references.lock();
        let reference = references.entry((uid.into(), key.clone()));
        let reference = reference.or_insert(Reference {
            since: now,
            guards: 0,
        });
        reference.guards += 1;
        reference.since.checked_add(self.0.grace)
    }

    /// A guard does not wait any longer for what it has entered.
    pub(super) fn leave(&self, uid: &str, key: &Name) {
        let id = (uid.into(), key.clone());
        let mut references = self.0.references.lock();
        if let Some(reference) = references.get_mut(&id) {
            reference.guards -= 1;
            if reference.guards == 0 {
                references.remove(&id);
            }
        }
    }
}

impl Default for MissingPolicies {
    fn default() -> Self {
        Self::new(GRACE)
    }
}
