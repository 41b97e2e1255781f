//! Read buffers: lent to whoever has bytes to read right now, and to nobody else.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Once;

use bytes::BytesMut;

/// Bytes of one large read buffer.
pub(crate) const LARGE: usize = 64 * 1024;

/// Large buffers that one thread keeps for the next reader, whether their bytes are still in use or
/// not: 1 MiB. Without them an allocator may give memory back to the operating system and get it anew
/// for each read of bulk bytes: glibc's does on the main thread, where it took a fifth of the time.
const KEPT: usize = 16;

/// The largest memory block that is freed before bulk bytes flow. See [`KEEP_FREED`].
const FREED: usize = 1024 * 1024;

/// What else is allocated for bulk bytes is not ours: frames in the HTTP/2 library, records in rustls.
/// glibc gives freed memory back to the system when more than its limit is free at the end of a heap,
/// at first 128 KiB, so each frame would cost page faults anew. The limit grows to twice the largest
/// block that was ever freed (`M_TRIM_THRESHOLD`, mallopt(3)): 2 MiB for each thread from then on. Other
/// allocators do nothing of the kind, and the block costs nothing: nobody writes to it.
static KEEP_FREED: Once = Once::new();

thread_local! {
    static KEEP: RefCell<VecDeque<BytesMut>> = const { RefCell::new(VecDeque::new()) };
}

/// An empty buffer with room for [`LARGE`] bytes.
pub(crate) fn take() -> BytesMut {
    KEEP.try_with(|keep| {
        let mut keep = keep.borrow_mut();
        // Oldest first: its bytes are the first that have been passed on.
        let free = |buffer: &mut BytesMut| buffer.capacity() >= LARGE || buffer.try_reclaim(LARGE);
        let at = keep.iter_mut().position(free)?;
        keep.remove(at)
    })
    .ok()
    .flatten()
    .unwrap_or_else(|| {
        KEEP_FREED.call_once(|| drop(black_box(Vec::<u8>::with_capacity(FREED))));
        BytesMut::with_capacity(LARGE)
    })
}

/// Gives a buffer back, of which bytes may have been split off. Its memory is lent again when nothing
/// else refers to it.
pub(crate) fn give(mut buffer: BytesMut) {
    buffer.clear();
    // A thread that is ending keeps no buffers any more; this one is simply freed.
    let _ = KEEP.try_with(|keep| {
        let mut keep = keep.borrow_mut();
        if keep.len() == KEPT {
            // Whose bytes are in use for so long is of no use here.
            keep.pop_front();
        }
        keep.push_back(buffer);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        KEEP.with(|keep| keep.borrow().len())
    }

    #[test]
    fn a_returned_buffer_is_lent_again_and_only_a_few_are_kept() {
        let many: Vec<_> = (0..2 * KEPT).map(|_| take()).collect();
        many.into_iter().for_each(give);
        assert_eq!(kept(), KEPT);
        assert!(take().capacity() >= LARGE);
        assert_eq!(kept(), KEPT - 1);
    }

    #[test]
    fn memory_is_lent_again_when_its_bytes_have_been_passed_on() {
        let mut buffer = take();
        let memory = buffer.as_ptr();
        buffer.extend_from_slice(&[7; 1000]);
        let chunk = buffer.split().freeze();
        give(buffer);
        let other = take();
        assert_ne!(other.as_ptr(), memory, "lent while its bytes are in use");
        assert_eq!(chunk[..], [7; 1000]);
        drop(chunk);
        let again = take();
        assert_eq!((again.as_ptr(), again.len()), (memory, 0));
        assert!(again.capacity() >= LARGE);
    }
}
