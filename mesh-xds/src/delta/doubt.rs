//! Resources of a wildcard subscription that may have been removed while the client was away.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use mesh_core::name::Name;

use super::DeltaConfig;

/// The names in doubt of one type, and when to ask about them. See [`delta`](super).
#[derive(Debug, Default)]
pub(super) struct Doubt {
    names: HashSet<Name>,
    /// Existed when a probe asked. Still in doubt: were they removed before the stream brings them,
    /// the server would have nothing to take back.
    existed: HashSet<Name>,
    ask_at: Option<Instant>,
    /// When to ask at the latest, however much the server says; from its first response on.
    latest: Option<Instant>,
    /// A probe has been made: from then on only probes say when the next one is.
    probed: bool,
    failures: u32,
}

impl Doubt {
    /// The names that the first request of a stream left out.
    pub(super) fn new(left_out: Vec<Name>, now: Instant, config: &DeltaConfig) -> Self {
        Self {
            ask_at: (!left_out.is_empty()).then(|| now + config.first_response),
            names: left_out.into_iter().collect(),
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.existed.is_empty()
    }

    /// The server said something about the resource.
    pub(super) fn mentioned(&mut self, name: &str) -> bool {
        !self.is_empty() && (self.names.remove(name) || self.existed.remove(name))
    }

    /// A probe says that the resource exists.
    pub(super) fn exists(&mut self, name: &str) {
        self.existed.extend(self.names.take(name));
    }

    /// The server said something about the type, and may be about to say more. Postpones the first
    /// probe, within limits, and no other one.
    pub(super) fn heard(&mut self, now: Instant, config: &DeltaConfig) {
        if self.is_empty() {
            self.ask_at = None;
        } else if !self.probed {
            let latest = *self.latest.get_or_insert(now + config.first_response);
            self.ask_at = Some(latest.min(now + config.quiet));
        }
    }

    /// When to ask, unless the server says something before.
    pub(super) fn ask_at(&self) -> Option<Instant> {
        self.ask_at
    }

    /// A probe is made: the names to ask for, in a stable order.
    pub(super) fn ask(&mut self) -> Vec<Name> {
        self.probed = true;
        if self.names.is_empty() {
            self.names = std::mem::take(&mut self.existed);
        }
        let mut names: Vec<_> = self.names.iter().cloned().collect();
        names.sort_unstable();
        names
    }

    /// A probe is over; what is left is asked for: at once what has not been asked for yet, after a
    /// pause what existed or was not answered.
    pub(super) fn probed(&mut self, answered: bool, now: Instant, pause: Duration) {
        self.failures = if answered { 0 } else { self.failures + 1 };
        let pause = match self.failures {
            0 if self.names.is_empty() => pause,
            0 => Duration::ZERO,
            failures => pause * 2_u32.pow((failures - 1).min(4)),
        };
        self.ask_at = (!self.is_empty()).then(|| now + pause);
    }
}

/// A probe under way: names of one type that a stream of its own asks about.
#[derive(Debug)]
pub(super) struct Probe {
    /// The type's place among the subscriptions.
    pub(super) kind: usize,
    pub(super) unanswered: HashSet<Name>,
    pub(super) until: Instant,
}
