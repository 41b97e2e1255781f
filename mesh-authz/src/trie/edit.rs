//! Changes to a trie.

use std::sync::Arc;

use super::{BITS, Branch, Child, Leaf, Trie, Values};

impl<V: Clone> Trie<V> {
    /// Inserts a value behind those with the same hash.
    pub(crate) fn insert(&mut self, hash: u64, value: V) {
        let values = Values::One(value);
        self.root.insert(0, Leaf { hash, values });
    }

    /// Removes the first value under a hash that is wanted.
    pub(crate) fn remove(&mut self, hash: u64, wanted: impl Fn(&V) -> bool) -> Option<V> {
        // Nothing is copied when there is nothing to remove.
        let at = self.get(hash).iter().position(wanted)?;
        self.root.remove(0, hash, at)
    }

    /// The first value under a hash that is wanted, to be changed.
    pub(crate) fn get_mut(&mut self, hash: u64, wanted: impl Fn(&V) -> bool) -> Option<&mut V> {
        let at = self.get(hash).iter().position(wanted)?;
        let (mut branch, mut shift) = (&mut self.root, 0);
        loop {
            let child = branch.find(hash, shift)?;
            match Arc::make_mut(&mut branch.children).get_mut(child)? {
                Child::Branch(next) => branch = next,
                Child::Leaf(leaf) => return leaf.values.get_mut(at),
            }
            shift += BITS;
        }
    }
}

impl<V: Clone> Branch<V> {
    fn insert(&mut self, shift: u32, new: Leaf<V>) {
        let bit = Self::bit(new.hash, shift);
        let at = self.place(bit);
        if self.bitmap & bit == 0 {
            self.bitmap |= bit;
            let (before, after) = self.children.split_at(at.min(self.children.len()));
            let new = std::iter::once(Child::Leaf(new));
            let children = before.iter().cloned().chain(new);
            self.children = children.chain(after.iter().cloned()).collect();
            return;
        }
        let Some(child) = Arc::make_mut(&mut self.children).get_mut(at) else {
            return;
        };
        match child {
            Child::Branch(branch) => branch.insert(shift + BITS, new),
            Child::Leaf(leaf) if leaf.hash == new.hash => leaf.values.append(new.values),
            Child::Leaf(_) => {
                let mut branch = Self::default();
                let old = std::mem::replace(child, Child::Branch(Self::default()));
                if let Child::Leaf(old) = old {
                    branch.insert(shift + BITS, old);
                }
                branch.insert(shift + BITS, new);
                *child = Child::Branch(branch);
            }
        }
    }

    /// Removes value `at` of those under a hash.
    fn remove(&mut self, shift: u32, hash: u64, at: usize) -> Option<V> {
        let place = self.find(hash, shift)?;
        let children = Arc::make_mut(&mut self.children);
        let child = children.get_mut(place)?;
        match child {
            Child::Branch(branch) => {
                let removed = branch.remove(shift + BITS, hash, at);
                match &*branch.children {
                    [] => self.drop_child(Self::bit(hash, shift), place),
                    // A leaf that is alone stands where its branch stood.
                    [Child::Leaf(only)] => *child = Child::Leaf(only.clone()),
                    _ => {}
                }
                removed
            }
            Child::Leaf(leaf) => {
                let removed = leaf.values.as_slice().get(at)?.clone();
                if !leaf.values.remove(at) {
                    self.drop_child(Self::bit(hash, shift), place);
                }
                Some(removed)
            }
        }
    }

    fn drop_child(&mut self, bit: u64, place: usize) {
        self.bitmap &= !bit;
        let (before, rest) = self.children.split_at(place.min(self.children.len()));
        let after = rest.get(1..).unwrap_or_default();
        self.children = before.iter().chain(after).cloned().collect();
    }
}

impl<V: Clone> Values<V> {
    fn append(&mut self, new: Self) {
        let all = self.as_slice().iter().chain(new.as_slice());
        *self = Self::Many(all.cloned().collect());
    }

    /// Removes one of the values; whether any is left.
    fn remove(&mut self, at: usize) -> bool {
        let (before, rest) = self.as_slice().split_at(at.min(self.as_slice().len()));
        let after = rest.get(1..).unwrap_or_default();
        let rest = match (before, after) {
            ([], []) => return false,
            ([only], []) | ([], [only]) => Self::One(only.clone()),
            _ => Self::Many(before.iter().chain(after).cloned().collect()),
        };
        *self = rest;
        true
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut V> {
        match self {
            Self::One(value) => (at == 0).then_some(value),
            Self::Many(values) => Arc::make_mut(values).get_mut(at),
        }
    }
}
