//! A persistent hash table: clones share their structure, a change copies one path.
//!
//! A hash array mapped trie of 64-way branches over 64-bit hashes. Several values may be under one
//! hash, in the order of their insertion. A branch stands, with the bitmap that says which of its
//! children there are, in its parent: a step of a look-up reads one place. Branches are changed in
//! place while nobody else holds them.

use std::sync::Arc;

mod edit;

/// Bits of the hash that one level consumes.
const BITS: u32 = 6;

#[derive(Clone)]
pub(crate) struct Trie<V> {
    root: Branch<V>,
}

// Invariant: `children` has one item for each bit of `bitmap`, in order of the bits.
#[derive(Clone)]
struct Branch<V> {
    bitmap: u64,
    children: Arc<[Child<V>]>,
}

#[derive(Clone)]
enum Child<V> {
    Branch(Branch<V>),
    Leaf(Leaf<V>),
}

/// What is under one hash.
#[derive(Clone)]
struct Leaf<V> {
    hash: u64,
    values: Values<V>,
}

#[derive(Clone)]
enum Values<V> {
    One(V),
    /// Never empty.
    Many(Arc<[V]>),
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self {
            root: Branch::default(),
        }
    }
}

impl<V> Default for Branch<V> {
    fn default() -> Self {
        Self {
            bitmap: 0,
            children: Arc::default(),
        }
    }
}

impl<V> Trie<V> {
    /// The values under a hash.
    pub(crate) fn get(&self, hash: u64) -> &[V] {
        let (mut branch, mut shift) = (&self.root, 0);
        loop {
            let Some(at) = branch.find(hash, shift) else {
                return &[];
            };
            match branch.children.get(at) {
                Some(Child::Branch(next)) => branch = next,
                Some(Child::Leaf(leaf)) if leaf.hash == hash => return leaf.values.as_slice(),
                Some(Child::Leaf(_)) | None => return &[],
            }
            shift += BITS;
        }
    }
}

impl<V> Branch<V> {
    /// The bit of a hash at a level.
    fn bit(hash: u64, shift: u32) -> u64 {
        1 << (hash.checked_shr(shift).unwrap_or(0) & 63)
    }

    /// How many children stand before the one with this bit.
    fn place(&self, bit: u64) -> usize {
        // At most 64.
        (self.bitmap & (bit - 1)).count_ones() as usize
    }

    /// Where the child with this hash is, when it is there.
    fn find(&self, hash: u64, shift: u32) -> Option<usize> {
        let bit = Self::bit(hash, shift);
        (self.bitmap & bit != 0).then(|| self.place(bit))
    }
}

impl<V> Values<V> {
    fn as_slice(&self) -> &[V] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

#[cfg(test)]
mod tests;
