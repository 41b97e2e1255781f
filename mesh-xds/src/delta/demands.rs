//! Who waits for which resource.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use mesh_core::name::Name;

/// A demand, as [`Delta::demand`](super::Delta::demand) gave it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DemandId(pub(super) u64);

/// How a demand ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// The resource is there, and has been applied.
    Found,
    /// The server has no such resource, or has one that was rejected.
    NotFound,
    /// The server did not say in time.
    TimedOut,
}

/// The demands of one type.
#[derive(Debug, Default)]
pub(super) struct Demands {
    /// The names that the server has not answered, with who waits; nobody once all have timed out.
    by_name: HashMap<Name, VecDeque<(Instant, DemandId)>>,
    by_deadline: BTreeMap<(Instant, DemandId), Name>,
}

impl Demands {
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// How many demands wait.
    pub(super) fn waiting(&self) -> usize {
        self.by_deadline.len()
    }

    /// Whether the name has been demanded and not been answered.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Enters a demand; whether the name is new.
    pub(super) fn enter(&mut self, name: Name, id: DemandId, until: Instant) -> bool {
        self.by_deadline.insert((until, id), name.clone());
        let waiting = self.by_name.entry(name);
        let is_new = matches!(waiting, std::collections::hash_map::Entry::Vacant(_));
        waiting.or_default().push_back((until, id));
        is_new
    }

    /// Names without an answer.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.by_name.keys()
    }

    /// The name has been answered: who waited.
    pub(super) fn answered(&mut self, name: &str) -> Option<Vec<DemandId>> {
        let waiting = self.by_name.remove(name)?;
        for waiter in &waiting {
            self.by_deadline.remove(waiter);
        }
        Some(waiting.into_iter().map(|(_, id)| id).collect())
    }

    /// No further answers are to come: everyone who waits.
    pub(super) fn drain(&mut self) -> Vec<DemandId> {
        self.by_name.clear();
        let waiting = std::mem::take(&mut self.by_deadline);
        waiting.into_keys().map(|(_, id)| id).collect()
    }

    /// The demands whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<DemandId> {
        let mut expired = Vec::new();
        while let Some(first) = self.by_deadline.first_entry()
            && first.key().0 <= now
        {
            let (waiter, name) = first.remove_entry();
            // All wait for the same time: it is the first of its name.
            if let Some(waiting) = self.by_name.get_mut(&name)
                && let Some(at) = waiting.iter().position(|other| *other == waiter)
            {
                waiting.remove(at);
            }
            expired.push(waiter.1);
        }
        expired
    }

    /// Forgets a name that nobody waits for any more, to make room; the name.
    pub(super) fn evict(&mut self) -> Option<Name> {
        let mut idle = self
            .by_name
            .iter()
            .filter(|(_, waiting)| waiting.is_empty());
        let name = idle.next()?.0.clone();
        self.by_name.remove(&name);
        Some(name)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first_key_value().map(|((at, _), _)| *at)
    }
}
