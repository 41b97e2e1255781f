//! Bytes of a stream that have arrived and wait for their reader.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::buffers;

/// Fewer bytes than this are copied together while they wait, so that a few bytes never keep a whole read buffer in
/// memory, and many small frames cost no more than one large one.
const SMALL: usize = 4 * 1024;

/// Bytes in the order in which they came: `chunks`, then `tail`.
#[derive(Debug, Default)]
pub(super) struct Received {
    chunks: VecDeque<BytesMut>,
    tail: BytesMut,
}

impl Received {
    /// Adds bytes. `landing` is the buffer that larger ones are copied to, shared by all streams of a connection.
    pub(super) fn push(&mut self, bytes: &[u8], landing: &mut BytesMut) {
        if self.tail.is_empty() {
            match self.chunks.back_mut() {
                // What lies behind it in the same buffer is passed on in one piece.
                Some(last)
                    if landing.capacity() >= bytes.len()
                        && last.as_ptr().wrapping_add(last.len()) == landing.as_ptr() =>
                {
                    landing.extend_from_slice(bytes);
                    return last.unsplit(landing.split());
                }
                None if bytes.len() >= SMALL => {
                    if landing.capacity() < bytes.len() {
                        buffers::give(std::mem::replace(landing, buffers::take()));
                    }
                    landing.extend_from_slice(bytes);
                    return self.chunks.push_back(landing.split());
                }
                _ => {}
            }
        }
        // A stream that is not read keeps one read buffer from its next use, not one for each piece.
        self.tail.extend_from_slice(bytes);
        if self.tail.len() >= buffers::LARGE {
            self.chunks.push_back(std::mem::take(&mut self.tail));
        }
    }

    /// The oldest bytes, in one piece as large as they came.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if let Some(chunk) = self.chunks.pop_front() {
            if self.chunks.is_empty() {
                // An idle stream holds no memory.
                self.chunks = VecDeque::new();
            }
            return Some(chunk.freeze());
        }
        (!self.tail.is_empty()).then(|| std::mem::take(&mut self.tail).freeze())
    }

    /// Allocations that are held.
    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.chunks.len() + usize::from(!self.tail.is_empty())
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.tail.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            steps in proptest::collection::vec((0..20_000usize, any::<bool>()), 0..60)
        ) {
            let (mut received, mut landing) = (Received::default(), BytesMut::new());
            let (mut expected, mut got) = (Vec::new(), Vec::new());
            for (n, (length, pop)) in steps.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..length).map(|at| (at + n) as u8).collect();
                received.push(&bytes, &mut landing);
                expected.extend(bytes);
                if pop && let Some(chunk) = received.pop() {
                    got.extend(chunk);
                }
            }
            while let Some(chunk) = received.pop() {
                prop_assert!(!chunk.is_empty());
                got.extend(chunk);
            }
            prop_assert!(received.is_empty());
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_million_bytes_in_as_many_frames_take_no_more_than_twice_their_size() {
        let (mut received, mut landing) = (Received::default(), BytesMut::new());
        for _ in 0..1_000_000 {
            received.push(b"x", &mut landing);
        }
        let held: usize = received.chunks.iter().map(BytesMut::capacity).sum();
        let held = held + received.tail.capacity();
        assert!(held <= 2 << 20, "{held}");
        assert_eq!(landing.capacity(), 0);
    }

    #[test]
    fn neighbours_in_the_buffer_are_one_piece_and_small_ones_are_gathered() {
        let (mut received, mut landing) = (Received::default(), BytesMut::new());
        for _ in 0..4 {
            received.push(&[1; 16 * 1024], &mut landing);
        }
        for _ in 0..1000 {
            received.push(&[2; 10], &mut landing);
        }
        assert_eq!(received.pop().unwrap().len(), 64 * 1024);
        assert_eq!(received.pop().unwrap().len(), 10_000);
        assert!(received.pop().is_none());
    }
}
