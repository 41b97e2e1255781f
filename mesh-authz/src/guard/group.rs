//! The connections of one workload.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;

use super::denial::Denial;
use crate::connection::Connection;
use crate::index::PolicyIndex;

/// The connections of one workload.
#[derive(Debug)]
pub(super) struct Group {
    /// The last record that was known.
    workload: Arc<Workload>,
    /// What the decisions were made with.
    versions: Vec<u64>,
    /// Whether a connection was decided with something else than `versions` says, something newer.
    mixed: bool,
    /// Whether there are connections that are not decided, for a policy that has not arrived.
    undecided: bool,
    /// Whether there are such among those that were entered or looked at in the present round.
    found_undecided: bool,
    /// The place from which on the present round, if one is under way, goes on.
    round: Option<usize>,
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
    Cut(Box<Denial>),
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

impl Group {
    /// A group of a workload whose decisions are made with an index.
    pub(super) fn new(workload: Arc<Workload>, index: &PolicyIndex) -> Self {
        Self {
            versions: index.versions(&workload).collect(),
            workload,
            mixed: false,
            undecided: false,
            found_undecided: false,
            round: None,
            slots: Vec::new(),
            free: None,
            taken: 0,
        }
    }

    /// The last record that was known.
    pub(super) fn workload(&self) -> &Arc<Workload> {
        &self.workload
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Notes that a connection is decided with this index and this record of the workload.
    pub(super) fn note(&mut self, index: &PolicyIndex, workload: &Arc<Workload>) {
        // Two policies that are both missing have the same version.
        let same = Arc::ptr_eq(&self.workload, workload)
            || self.workload.authorization_policies() == workload.authorization_policies();
        let same = same && index.versions(workload).eq(self.versions.iter().copied());
        self.mixed |= !same;
    }

    /// [Notes](Self::note) an index and a record of the workload, which is kept.
    pub(super) fn renew(&mut self, index: &PolicyIndex, known: &Arc<Workload>) {
        self.note(index, known);
        if !Arc::ptr_eq(&self.workload, known) {
            self.workload = known.clone();
        }
    }

    /// Begins a round if there is a reason for one and none is under way; whether one is under
    /// way then. What decides now is [noted](Self::note) already.
    pub(super) fn begin(&mut self, index: &PolicyIndex, expired: bool) -> bool {
        if self.round.is_none() {
            let reason = self.mixed || expired && self.undecided;
            if !reason {
                return false;
            }
            self.round = Some(0);
            self.mixed = false;
            self.found_undecided = false;
            self.versions.clear();
            self.versions.extend(index.versions(&self.workload));
        }
        true
    }

    /// The places that the round comes to next, `most` of them or fewer.
    pub(super) fn next(&self, most: usize) -> Range<usize> {
        let start = self.round.unwrap_or(0);
        start..start.saturating_add(most).min(self.slots.len())
    }

    /// The round has looked at the places before `end`; whether it is at its end.
    pub(super) fn advance(&mut self, end: usize, undecided: bool) -> bool {
        self.found_undecided |= undecided;
        let ended = end >= self.slots.len();
        self.round = (!ended).then_some(end);
        // What was undecided before the round has been looked at by its end.
        self.undecided = self.found_undecided || self.undecided && !ended;
        ended
    }

    /// The connections at some of the places.
    pub(super) fn entries_mut(&mut self, places: Range<usize>) -> impl Iterator<Item = &mut Entry> {
        let slots = self.slots.get_mut(places).unwrap_or(&mut []).iter_mut();
        slots.filter_map(|slot| match slot {
            Slot::Taken(entry) => Some(entry),
            Slot::Free(_) => None,
        })
    }

    pub(super) fn entry_mut(&mut self, at: u32) -> Option<&mut Entry> {
        match self.slots.get_mut(index(at)?)? {
            Slot::Taken(entry) => Some(entry),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn insert(&mut self, entry: Entry) -> Option<u32> {
        let undecided = matches!(entry.stage, Stage::Held(_));
        self.undecided |= undecided;
        self.found_undecided |= undecided;
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

    pub(super) fn remove(&mut self, at: u32) -> Option<Entry> {
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
