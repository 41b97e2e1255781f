//! The list of live connections, by workload.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mesh_core::model::Workload;

use super::group::{Entry, Group};

/// All connections of a guard.
#[derive(Debug, Default)]
pub(super) struct Connections {
    groups: Vec<Option<Group>>,
    /// The places in `groups` that are empty.
    free: BTreeSet<u32>,
    by_uid: HashMap<Box<str>, u32>,
    len: usize,
}

/// Where a connection is in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    group: u32,
    slot: u32,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The group of a workload, which is made when there is none. `None` when there is no place for
    /// it: there are never so many, their entries alone would take 256 GiB.
    pub(super) fn group_of(&mut self, uid: &str, make: impl FnOnce() -> Group) -> Option<u32> {
        match self.by_uid.get(uid) {
            Some(at) => Some(*at),
            None => self.add_group(uid, make()),
        }
    }

    /// Enters a connection into a group; `None` when there is no place, as above.
    pub(super) fn insert(&mut self, group: u32, entry: Entry) -> Option<Place> {
        let slot = self.group_mut(group)?.insert(entry)?;
        self.len += 1;
        Some(Place { group, slot })
    }

    fn add_group(&mut self, uid: &str, group: Group) -> Option<u32> {
        let number = match self.free.pop_first() {
            Some(free) => free,
            None => u32::try_from(self.groups.len()).ok()?,
        };
        match self.groups.get_mut(index(number)?) {
            Some(place) => *place = Some(group),
            None => self.groups.push(Some(group)),
        }
        self.by_uid.insert(uid.into(), number);
        Some(number)
    }

    /// Removes a connection; what it held is to be dropped without the lock.
    pub(super) fn remove(&mut self, place: Place) -> Option<Entry> {
        let group = self.group_mut(place.group)?;
        let entry = group.remove(place.slot)?;
        let empty = group.is_empty();
        self.len -= 1;
        if empty {
            self.remove_group(place.group);
        }
        Some(entry)
    }

    fn remove_group(&mut self, at: u32) {
        let group = index(at).and_then(|at| self.groups.get_mut(at));
        if let Some(group) = group.and_then(Option::take) {
            self.by_uid.remove(group.workload().uid());
            self.free.insert(at);
        }
        while matches!(self.groups.last(), Some(None)) {
            self.groups.pop();
            self.free.remove(&self.groups());
        }
        if self.groups.is_empty() {
            *self = Self::default();
        }
    }

    pub(super) fn entry_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.group_mut(place.group)?.entry_mut(place.slot)
    }

    /// The group at a place; `None` for one that is empty or behind the last.
    pub(super) fn group_mut(&mut self, at: u32) -> Option<&mut Group> {
        self.groups.get_mut(index(at)?)?.as_mut()
    }

    /// The workload of a group.
    pub(super) fn workload(&self, uid: &str) -> Option<&Arc<Workload>> {
        let group = self.groups.get(index(*self.by_uid.get(uid)?)?)?.as_ref();
        group.map(Group::workload)
    }

    /// The number of places for groups.
    pub(super) fn groups(&self) -> u32 {
        u32::try_from(self.groups.len()).unwrap_or(u32::MAX)
    }
}

fn index(at: u32) -> Option<usize> {
    usize::try_from(at).ok()
}

#[cfg(test)]
mod tests;
