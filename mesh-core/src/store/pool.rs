//! One of each: names and records that many workloads share.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::model::{Place, Profile, Workload, WorkloadSpec};
use crate::name::Name;

/// Builds workloads that share what is equal, and forgets what no workload of the store uses.
///
/// It counts uses by workloads of the store, not references: a reader that still holds an old
/// workload keeps that alive, but nothing here.
#[derive(Debug)]
pub(super) struct Pool {
    hasher: RandomState,
    names: Counted<Name>,
    profiles: Counted<Arc<Profile>>,
    places: Counted<Arc<Place>>,
}

/// Values with the number of their uses; never 0.
type Counted<T> = HashTable<(T, usize)>;

impl Pool {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            hasher,
            names: HashTable::new(),
            profiles: HashTable::new(),
            places: HashTable::new(),
        }
    }

    /// A workload, counted as one use of what it shares until [`release`](Self::release).
    pub(super) fn workload(&mut self, spec: WorkloadSpec) -> Workload {
        let Self {
            hasher,
            names,
            profiles,
            places,
        } = self;
        let hasher = &*hasher;
        let names = std::cell::RefCell::new(names);
        let intern = |name: &mut Name| keep_name(&mut names.borrow_mut(), hasher, name);
        Workload::build(
            spec,
            |candidate| {
                keep(profiles, hasher, candidate, |profile| {
                    profile.each_name(&mut |name| intern(name));
                    profile.complete();
                })
            },
            |candidate| {
                keep(places, hasher, candidate, |place| {
                    place.each_name(&mut |name| intern(name));
                })
            },
        )
    }

    /// Takes back the uses of a workload that leaves the store.
    pub(super) fn release(&mut self, workload: &Workload) {
        let (names, hasher) = (&mut self.names, &self.hasher);
        if let Some(mut gone) = forget(&mut self.profiles, hasher, workload.profile()) {
            Arc::make_mut(&mut gone).each_name(&mut |name| forget_name(names, hasher, name));
        }
        if let Some(mut gone) = forget(&mut self.places, hasher, workload.place()) {
            Arc::make_mut(&mut gone).each_name(&mut |name| forget_name(names, hasher, name));
        }
    }

    /// The numbers of names, profiles and places.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.names.len(), self.profiles.len(), self.places.len()]
    }
}

/// The one record equal to the candidate, which is completed when it is the first.
fn keep<T: Eq + Hash>(
    table: &mut Counted<Arc<T>>,
    hasher: &RandomState,
    mut candidate: T,
    complete: impl FnOnce(&mut T),
) -> Arc<T> {
    let hash = hasher.hash_one(&candidate);
    let equal = |(known, _): &(Arc<T>, usize)| **known == candidate;
    let rehash = |(known, _): &(Arc<T>, usize)| hasher.hash_one(known);
    match table.entry(hash, equal, rehash) {
        Entry::Occupied(mut known) => {
            let (known, uses) = known.get_mut();
            *uses += 1;
            known.clone()
        }
        Entry::Vacant(free) => {
            complete(&mut candidate);
            let first = Arc::new(candidate);
            free.insert((first.clone(), 1));
            first
        }
    }
}

/// Takes back one use; the record when that was the last.
fn forget<T: Eq + Hash>(
    table: &mut Counted<Arc<T>>,
    hasher: &RandomState,
    record: &Arc<T>,
) -> Option<Arc<T>> {
    let hash = hasher.hash_one(record);
    let known = table.find_entry(hash, |(known, _)| Arc::ptr_eq(known, record));
    let mut known = known.ok()?;
    known.get_mut().1 -= 1;
    (known.get().1 == 0).then(|| known.remove().0.0)
}

fn keep_name(table: &mut Counted<Name>, hasher: &RandomState, name: &mut Name) {
    if name.is_empty() {
        return;
    }
    let hash = hasher.hash_one(&*name);
    let rehash = |(known, _): &(Name, usize)| hasher.hash_one(known);
    match table.entry(hash, |(known, _)| *known == *name, rehash) {
        Entry::Occupied(mut known) => {
            let (known, uses) = known.get_mut();
            *uses += 1;
            *name = known.clone();
        }
        Entry::Vacant(free) => {
            free.insert((name.clone(), 1));
        }
    }
}

fn forget_name(table: &mut Counted<Name>, hasher: &RandomState, name: &Name) {
    let hash = hasher.hash_one(name);
    if let Ok(mut known) = table.find_entry(hash, |(known, _)| known == name) {
        known.get_mut().1 -= 1;
        if known.get().1 == 0 {
            known.remove();
        }
    }
}
