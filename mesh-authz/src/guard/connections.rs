//! The list of live connections, by workload.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;

use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;

use super::denial::Denial;
use crate::connection::Connection;

/// All connections of a guard.
#[derive(Debug, Default)]
pub(super) struct Connections {
    groups: Vec<Option<Group>>,
    by_uid: HashMap<Box<str>, u32>,
    len: usize,
}

/// The connections of one workload.
#[derive(Debug)]
pub(super) struct Group {
    /// The last record that was known.
    pub(super) workload: Arc<Workload>,
    /// What the decisions were made with.
    pub(super) versions: Vec<u64>,
    /// Whether there are connections that are not decided, for a policy that has not arrived.
    pub(super) undecided: bool,
    slots: Vec<Slot>,
    free: Option<u32>,
    taken: usize,
}

#[derive(Debug)]
enum Slot {
    /// Belongs to nobody; the next free one.
    Free(Option<u32>),
    Taken(Entry),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Entry {
    identity: Option<SpiffeId>,
    source: IpAddr,
    destination_ip: IpAddr,
    destination_port: u16,
    pub(super) stage: Stage,
}

/// Where a connection stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// It is allowed.
    Live(Option<Waker>),
    /// It waits for a policy.
    Held(Option<Waker>),
    /// It need not wait any longer.
    Released,
    /// It is no longer allowed.
    Cut(Denial),
}

/// Where a connection is in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    group: u32,
    slot: u32,
}

impl Stage {
    /// Sets another stage; the waker of the old one.
    pub(super) fn replace(&mut self, stage: Self) -> Option<Waker> {
        match std::mem::replace(self, stage) {
            Self::Live(waker) | Self::Held(waker) => waker,
            Self::Released | Self::Cut(_) => None,
        }
    }
}

impl Entry {
    pub(super) fn new(connection: &Connection<'_>, stage: Stage) -> Self {
        Self {
            identity: connection.identity.cloned(),
            source: connection.source,
            destination_ip: connection.destination.ip(),
            destination_port: connection.destination.port(),
            stage,
        }
    }

    pub(super) fn connection(&self) -> Connection<'_> {
        let destination = SocketAddr::new(self.destination_ip, self.destination_port);
        Connection::new(self.source, self.identity.as_ref(), destination)
    }
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Enters a connection; `group` makes the group of its workload when there is none. `None` when
    /// there is no place: there are never so many, their entries alone would take 256 GiB.
    pub(super) fn insert(
        &mut self,
        uid: &str,
        entry: Entry,
        group: impl FnOnce() -> Group,
    ) -> Option<Place> {
        let at = match self.by_uid.get(uid) {
            Some(at) => *at,
            None => self.add_group(uid, group())?,
        };
        let undecided = matches!(entry.stage, Stage::Held(_));
        let group = self.group_mut(at)?;
        let slot = group.insert(entry)?;
        group.undecided |= undecided;
        self.len += 1;
        Some(Place { group: at, slot })
    }

    fn add_group(&mut self, uid: &str, group: Group) -> Option<u32> {
        let free = self.groups.iter().position(Option::is_none);
        let at = free.unwrap_or(self.groups.len());
        let number = u32::try_from(at).ok()?;
        match self.groups.get_mut(at) {
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
        let empty = group.taken == 0;
        self.len -= 1;
        if empty {
            self.remove_group(place.group);
        }
        Some(entry)
    }

    fn remove_group(&mut self, at: u32) {
        let group = index(at).and_then(|at| self.groups.get_mut(at));
        if let Some(group) = group.and_then(Option::take) {
            self.by_uid.remove(group.workload.uid());
        }
        while matches!(self.groups.last(), Some(None)) {
            self.groups.pop();
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
        group.map(|group| &group.workload)
    }

    /// The number of places for groups.
    pub(super) fn groups(&self) -> u32 {
        u32::try_from(self.groups.len()).unwrap_or(u32::MAX)
    }
}

impl Group {
    pub(super) fn new(workload: Arc<Workload>, versions: Vec<u64>) -> Self {
        Self {
            workload,
            versions,
            undecided: false,
            slots: Vec::new(),
            free: None,
            taken: 0,
        }
    }

    /// The number of places for connections.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The connections at some of the places.
    pub(super) fn entries_mut(
        &mut self,
        places: std::ops::Range<usize>,
    ) -> impl Iterator<Item = &mut Entry> {
        let end = places.end.min(self.slots.len());
        let slots = self.slots.get_mut(places.start.min(end)..end);
        let slots = slots.unwrap_or(&mut []).iter_mut();
        slots.filter_map(|slot| match slot {
            Slot::Taken(entry) => Some(entry),
            Slot::Free(_) => None,
        })
    }

    fn entry_mut(&mut self, at: u32) -> Option<&mut Entry> {
        match self.slots.get_mut(index(at)?)? {
            Slot::Taken(entry) => Some(entry),
            Slot::Free(_) => None,
        }
    }

    fn insert(&mut self, entry: Entry) -> Option<u32> {
        let entry = Slot::Taken(entry);
        if let Some(at) = self.free
            && let Some(slot) = index(at).and_then(|at| self.slots.get_mut(at))
            && let Slot::Free(next) = *slot
        {
            *slot = entry;
            self.free = next;
            self.taken += 1;
            return Some(at);
        }
        let at = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(entry);
        self.taken += 1;
        Some(at)
    }

    fn remove(&mut self, at: u32) -> Option<Entry> {
        let free = Slot::Free(self.free);
        let slot = self.slots.get_mut(index(at)?)?;
        match std::mem::replace(slot, free) {
            Slot::Taken(entry) => {
                self.free = Some(at);
                self.taken -= 1;
                Some(entry)
            }
            // Nobody owns a free slot, so nobody removes it.
            free @ Slot::Free(_) => {
                *slot = free;
                None
            }
        }
    }
}

fn index(at: u32) -> Option<usize> {
    usize::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::{Entry, Slot};

    #[test]
    fn a_connection_is_small() {
        // Bytes, as the documentation of the guard says.
        assert!(size_of::<Entry>() <= 72);
        assert!(size_of::<Slot>() <= 72);
    }
}
