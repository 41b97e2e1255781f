//! Read buffers: lent to whoever has bytes to read right now, and to nobody else.

use std::cell::RefCell;

use bytes::BytesMut;

/// Bytes of one large read buffer.
pub(crate) const LARGE: usize = 64 * 1024;

/// Free large buffers that one thread keeps for the next reader.
const KEPT: usize = 4;

thread_local! {
    static FREE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for [`LARGE`] bytes.
pub(crate) fn take() -> BytesMut {
    FREE.try_with(|free| free.borrow_mut().pop())
        .ok()
        .flatten()
        .unwrap_or_else(|| BytesMut::with_capacity(LARGE))
}

/// Gives a buffer back. Its memory is reused when nothing else refers to it.
pub(crate) fn give(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.capacity() < LARGE && !buffer.try_reclaim(LARGE) {
        return;
    }
    // A thread that is ending has no free list any more; the buffer is simply freed.
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < KEPT {
            free.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_lent_again_and_only_a_few_are_kept() {
        let many: Vec<_> = (0..2 * KEPT).map(|_| take()).collect();
        many.into_iter().for_each(give);
        assert_eq!(FREE.with(|free| free.borrow().len()), KEPT);
        assert!(take().capacity() >= LARGE);
        assert_eq!(FREE.with(|free| free.borrow().len()), KEPT - 1);
    }
}
