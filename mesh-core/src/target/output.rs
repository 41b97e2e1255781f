//! A text that is written while another one is read, and copied only where they begin to differ.

use std::borrow::Cow;

/// The beginning of a source, until something else is written.
pub(super) struct Output<'a> {
    source: &'a [u8],
    /// How much of the source has been written. Of no meaning once there is a copy.
    same: usize,
    copy: Option<Vec<u8>>,
}

impl<'a> Output<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            same: 0,
            copy: None,
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match &self.copy {
            Some(copy) => copy,
            None => self.beginning(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn push(&mut self, byte: u8) {
        match &mut self.copy {
            Some(copy) => copy.push(byte),
            None if self.source.get(self.same) == Some(&byte) => self.same += 1,
            None => self.copied().push(byte),
        }
    }

    pub(super) fn truncate(&mut self, length: usize) {
        match &mut self.copy {
            Some(copy) => copy.truncate(length),
            None => self.same = self.same.min(length),
        }
    }

    /// Removes slashes that come directly after a slash.
    pub(super) fn merge_slashes(&mut self) {
        if self.as_slice().windows(2).any(|pair| pair == b"//") {
            self.copied().dedup_by(|b, a| *a == b'/' && *b == b'/');
        }
    }

    pub(super) fn finish(self) -> Cow<'a, [u8]> {
        let beginning = self.beginning();
        self.copy.map_or(Cow::Borrowed(beginning), Cow::Owned)
    }

    fn beginning(&self) -> &'a [u8] {
        self.source.get(..self.same).unwrap_or(self.source)
    }

    fn copied(&mut self) -> &mut Vec<u8> {
        let beginning = self.beginning();
        // What is still to come is about as long as the rest of the source.
        let capacity = self.source.len() + 4;
        self.copy.get_or_insert_with(|| {
            let mut copy = Vec::with_capacity(capacity);
            copy.extend_from_slice(beginning);
            copy
        })
    }
}
