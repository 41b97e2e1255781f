//! Which part of a divided table a thread uses.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The next thread that asks gets this place.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The place of this thread among all that ever asked, from 0.
pub(super) fn of_thread() -> usize {
    PLACE.with(|place| {
        place.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            place.set(Some(next));
            next
        })
    })
}

/// The part of a table that this thread uses; `None` when there are no parts.
pub(super) fn part_of<T>(parts: &[T]) -> Option<&T> {
    parts.get(of_thread().checked_rem(parts.len())?)
}
