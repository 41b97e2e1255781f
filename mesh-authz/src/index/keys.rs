//! The numbers under which the index holds things.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

/// Computes numbers, with a seed that an author of policies does not know. Two things with the same
/// number cost a comparison.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(RandomState);

impl Keys {
    /// The number of a text that is the key of something.
    pub(super) fn text(&self, text: &str) -> u64 {
        self.number(u64::MAX, text.as_bytes(), &[])
    }

    /// The number of a value: one or two texts, and what kind of value they are.
    pub(super) fn number(&self, kind: u64, first: &[u8], second: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(kind ^ (first.len() as u64) << 32);
        hasher.write(first);
        if !second.is_empty() {
            hasher.write(second);
        }
        hasher.finish()
    }

    /// The same, as short as tables hold it.
    pub(super) fn tag(&self, kind: u64, first: &[u8], second: &[u8]) -> u32 {
        tag(self.number(kind, first, second))
    }
}

/// The part of a number that tables hold.
pub(super) fn tag(number: u64) -> u32 {
    u32::try_from(number >> 32).unwrap_or(u32::MAX)
}
