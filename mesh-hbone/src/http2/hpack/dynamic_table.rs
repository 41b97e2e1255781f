//! The dynamic table: fields of earlier blocks, newest first.

use std::collections::VecDeque;

/// What an entry counts on top of its name and value, in bytes (RFC 7541 §4.1).
const ENTRY_OVERHEAD: usize = 32;

/// The fields that a peer has added, within a size. Has no heap memory while it is empty from the
/// start or of maximum zero.
#[derive(Debug)]
pub(super) struct DynamicTable {
    /// The newest in front.
    entries: VecDeque<Entry>,
    /// Of all entries, in bytes as RFC 7541 §4.1 counts them.
    size: usize,
    /// What `size` never exceeds.
    maximum: usize,
}

/// A field of the table.
#[derive(Debug)]
pub(super) struct Entry {
    /// Name and value.
    text: Box<[u8]>,
    /// Where in `text` the value begins.
    value_at: usize,
}

impl Entry {
    fn size(&self) -> usize {
        self.text.len().saturating_add(ENTRY_OVERHEAD)
    }
}

impl DynamicTable {
    pub(super) const fn new(maximum: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            maximum,
        }
    }

    /// In bytes as RFC 7541 §4.1 counts them.
    pub(super) const fn maximum(&self) -> usize {
        self.maximum
    }

    /// Changes the maximum and evicts what does not fit any more (RFC 7541 §4.3).
    pub(super) fn set_maximum(&mut self, maximum: usize) {
        self.maximum = maximum;
        self.shrink_to(maximum);
        if maximum == 0 {
            self.entries = VecDeque::new();
        }
    }

    /// Name and value of the `nth` entry, from zero for the newest.
    pub(super) fn get(&self, nth: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(nth)?;
        entry.text.split_at_checked(entry.value_at)
    }

    /// An entry for [`insert`](Self::insert), or `None` when it is larger than the whole table.
    pub(super) fn entry(&self, name: &[u8], value: &[u8]) -> Option<Entry> {
        let length = name.len().checked_add(value.len())?;
        if length.checked_add(ENTRY_OVERHEAD)? > self.maximum {
            return None;
        }
        Some(Entry {
            text: [name, value].concat().into_boxed_slice(),
            value_at: name.len(),
        })
    }

    /// Adds an entry and evicts the oldest until it fits; one that is larger than the table
    /// empties it (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, entry: Option<Entry>) {
        let Some(entry) = entry else {
            return self.shrink_to(0);
        };
        self.shrink_to(self.maximum.saturating_sub(entry.size()));
        self.size = self.size.saturating_add(entry.size());
        self.entries.push_front(entry);
    }

    /// Evicts the oldest entries until the others are no more than `size`.
    fn shrink_to(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size = self.size.saturating_sub(oldest.size());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DynamicTable;

    #[test]
    fn a_table_of_size_zero_has_no_memory() {
        let mut table = DynamicTable::new(100);
        assert_eq!(table.entries.capacity(), 0);
        let entry = table.entry(b"name", b"value");
        table.insert(entry);
        assert_eq!(table.size, 41);
        table.set_maximum(0);
        assert_eq!((table.entries.capacity(), table.size), (0, 0));
        assert!(table.entry(b"", b"").is_none());
    }

    #[test]
    fn an_entry_may_fill_the_table() {
        let mut table = DynamicTable::new(41);
        let entry = table.entry(b"name", b"value");
        table.insert(entry);
        assert_eq!(table.get(0), Some((&b"name"[..], &b"value"[..])));
        assert!(table.entry(b"name", b"values").is_none());
    }
}
