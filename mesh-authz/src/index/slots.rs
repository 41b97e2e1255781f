//! Policies by number.

use std::sync::Arc;

use crate::policy::{Policy, Rule};

/// Slots of a chunk.
const CHUNK: usize = 256;

/// A rule: the slot of its policy, and its place there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct RuleId {
    pub(super) slot: u32,
    pub(super) place: u32,
}

#[derive(Clone)]
enum Slot {
    Taken(Policy),
    /// The next free one.
    Free(Option<u32>),
}

/// Policies by number; the number of one that is removed is given to another. Clones are cheap.
#[derive(Clone, Default)]
pub(super) struct Slots {
    chunks: Arc<Vec<Arc<Vec<Slot>>>>,
    free: Option<u32>,
}

impl Slots {
    pub(super) fn get(&self, slot: u32) -> Option<&Policy> {
        let (chunk, at) = place(slot);
        match self.chunks.get(chunk)?.get(at)? {
            Slot::Taken(policy) => Some(policy),
            Slot::Free(_) => None,
        }
    }

    /// Policy and rule.
    pub(super) fn rule(&self, id: RuleId) -> Option<(&Policy, Rule<'_>)> {
        let policy = self.get(id.slot)?;
        Some((policy, policy.rule_at(id.place)?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Policy> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        slots.filter_map(|slot| match slot {
            Slot::Taken(policy) => Some(policy),
            Slot::Free(_) => None,
        })
    }

    /// Puts a policy somewhere; `None` when there are as many as there are numbers.
    pub(super) fn insert(&mut self, policy: Policy) -> Option<u32> {
        let taken = Slot::Taken(policy);
        let chunks = Arc::make_mut(&mut self.chunks);
        if let Some(free) = self.free {
            let (chunk, at) = place(free);
            let slot = Arc::make_mut(chunks.get_mut(chunk)?).get_mut(at)?;
            if let Slot::Free(next) = std::mem::replace(slot, taken) {
                self.free = next;
            }
            return Some(free);
        }
        if chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
        }
        let before = chunks.len().checked_sub(1)?.checked_mul(CHUNK)?;
        let last = Arc::make_mut(chunks.last_mut()?);
        let slot = u32::try_from(before + last.len()).ok()?;
        last.push(taken);
        Some(slot)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Policy> {
        let (chunk, at) = place(slot);
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(chunk)?;
        let found = Arc::make_mut(chunk).get_mut(at)?;
        if matches!(found, Slot::Free(_)) {
            return None;
        }
        let free = Slot::Free(self.free);
        self.free = Some(slot);
        match std::mem::replace(found, free) {
            Slot::Taken(policy) => Some(policy),
            Slot::Free(_) => None,
        }
    }
}

fn place(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK, slot % CHUNK)
}
