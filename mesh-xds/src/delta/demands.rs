//! Who waits for which resource.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
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
    /// The server has no such resource.
    NotFound,
    /// The server has such a resource, which was rejected, and no earlier version of it is in force;
    /// or it was demanded by an alias, which the version in force need not have. What it says about
    /// itself is not known: nothing may be assumed of it.
    Rejected,
    /// The server did not say in time.
    TimedOut,
}

/// The demands of one type.
#[derive(Debug, Default)]
pub(super) struct Demands {
    /// The names that the server has not answered, with who waits; nobody once all have timed out.
    by_name: HashMap<Name, VecDeque<(Instant, DemandId)>>,
    by_deadline: BTreeMap<(Instant, DemandId), Name>,
    /// The names that nobody waits for any more.
    // Invariant: exactly those whose entry in `by_name` is empty.
    idle: BTreeSet<Name>,
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
        self.idle.remove(&name);
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
        self.idle.remove(name);
        for waiter in &waiting {
            self.by_deadline.remove(waiter);
        }
        Some(waiting.into_iter().map(|(_, id)| id).collect())
    }

    /// No further answers are to come: everyone who waits.
    pub(super) fn drain(&mut self) -> Vec<DemandId> {
        self.by_name.clear();
        self.idle.clear();
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
                if waiting.is_empty() {
                    self.idle.insert(name);
                }
            }
            expired.push(waiter.1);
        }
        expired
    }

    /// Forgets a name that nobody waits for any more, to make room; the name.
    pub(super) fn evict(&mut self) -> Option<Name> {
        let name = self.idle.pop_first()?;
        self.by_name.remove(&name);
        Some(name)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_the_names_that_nobody_waits_for_each_makes_room_once() {
        let mut demands = Demands::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (id, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            demands.enter(name.into(), DemandId(id as u64), at(1));
        }
        assert_eq!(demands.evict(), None, "all are waited for");
        assert_eq!(demands.expire(at(1)).len(), 4);
        // One is waited for again, one has its answer.
        assert!(
            !demands.enter("a".into(), DemandId(9), at(2)),
            "it is known"
        );
        assert_eq!(demands.answered("b"), Some(Vec::new()));
        let evicted: BTreeSet<_> = std::iter::from_fn(|| demands.evict()).collect();
        assert_eq!(evicted, BTreeSet::from(["c".into(), "d".into()]));
        assert_eq!(demands.expire(at(2)), [DemandId(9)]);
        assert_eq!(demands.evict(), Some("a".into()));
        assert!(demands.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_idle_is_what_has_no_waiters(
            steps in prop::collection::vec((0..5_u8, "[a-f]", 0..4_u64), 0..200),
        ) {
            let (mut demands, start, mut id) = (Demands::default(), Instant::now(), 0);
            let mut now = start;
            for (step, name, seconds) in steps {
                match step {
                    0 | 1 => {
                        id += 1;
                        demands.enter(name.into(), DemandId(id), now + Duration::from_secs(4));
                    }
                    2 => drop(demands.answered(&name)),
                    3 => {
                        now += Duration::from_secs(seconds);
                        demands.expire(now);
                    }
                    _ => drop(demands.evict()),
                }
                let waiting = demands.by_name.iter().filter(|(_, waiting)| waiting.is_empty());
                let idle: BTreeSet<_> = waiting.map(|(name, _)| name.clone()).collect();
                prop_assert_eq!(&demands.idle, &idle);
                let all = demands.by_name.values().map(VecDeque::len).sum::<usize>();
                prop_assert_eq!(demands.waiting(), all);
            }
        }
    }
}
