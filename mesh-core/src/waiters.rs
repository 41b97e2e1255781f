//! A list of tasks that wait for a condition, without a runtime.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Capacity, in entries, that an empty list keeps.
const KEPT: usize = 64;

/// No entry.
const NONE: usize = usize::MAX;

/// Tasks that wait for a condition that lives elsewhere.
///
/// Whoever makes the condition true calls [`wake_all`](Self::wake_all) afterwards, and nobody makes
/// it false again for those who wait. A waiter looks at the condition again after it has entered
/// the list, so no wake-up is lost; while it waits, polling it again takes no lock.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    entries: Vec<Entry>,
    /// First of the chain of free entries; `None` = none is free.
    free: Option<usize>,
    taken: usize,
}

enum Entry {
    /// Belongs to nobody; the next free one.
    Free(Option<usize>),
    /// Belongs to a future that is to be woken.
    Waiting(Waker),
    /// Belongs to a future that has been woken.
    Woken,
}

impl Waiters {
    /// Waits until `ready` gives a value.
    ///
    /// Dropping the future, polled or not, leaves nothing behind.
    pub(crate) fn wait<T, F: Fn() -> Option<T>>(&self, ready: F) -> Wait<'_, F> {
        Wait {
            waiters: self,
            ready,
            key: NONE,
            waker: None,
        }
    }

    /// Wakes every task that waits now.
    pub(crate) fn wake_all(&self) {
        // The wakers run without the lock: they may poll at once or take locks of their own.
        let wakers = self.0.lock().take_wakers();
        for waker in wakers {
            waker.wake();
        }
    }

    /// How many futures are in the list.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().taken
    }
}

impl Entries {
    fn take_wakers(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for entry in &mut self.entries {
            if matches!(entry, Entry::Waiting(_))
                && let Entry::Waiting(waker) = std::mem::replace(entry, Entry::Woken)
            {
                wakers.push(waker);
            }
        }
        wakers
    }

    /// Puts `waker` into entry `key`, or into a new one; gives the entry's key.
    fn enter(&mut self, key: usize, waker: &Waker) -> usize {
        if let Some(entry) = self.entries.get_mut(key) {
            match entry {
                Entry::Waiting(old) => old.clone_from(waker),
                Entry::Free(_) | Entry::Woken => *entry = Entry::Waiting(waker.clone()),
            }
            return key;
        }
        self.taken += 1;
        let waiting = Entry::Waiting(waker.clone());
        if let Some(key) = self.free
            && let Some(entry) = self.entries.get_mut(key)
            && let Entry::Free(next) = entry
        {
            self.free = *next;
            *entry = waiting;
            return key;
        }
        self.entries.push(waiting);
        self.entries.len() - 1
    }

    /// Frees entry `key`; gives its waker, to be dropped without the lock.
    fn leave(&mut self, key: usize) -> Option<Entry> {
        let entry = self.entries.get_mut(key)?;
        let old = std::mem::replace(entry, Entry::Free(self.free));
        self.free = Some(key);
        self.taken = self.taken.saturating_sub(1);
        if self.taken == 0 {
            self.entries.clear();
            self.entries.shrink_to(KEPT);
            self.free = None;
        }
        Some(old)
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}

/// The future of [`Waiters::wait`].
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Wait<'a, F> {
    waiters: &'a Waiters,
    ready: F,
    /// The entry that belongs to this future.
    key: usize,
    /// The waker in the entry.
    waker: Option<Waker>,
}

impl<F> Wait<'_, F> {
    fn leave(&mut self) {
        if self.key != NONE {
            let entry = self.waiters.0.lock().leave(self.key);
            self.key = NONE;
            self.waker = None;
            drop(entry);
        }
    }
}

impl<T, F: Fn() -> Option<T> + Unpin> Future for Wait<'_, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        if let Some(value) = (this.ready)() {
            this.leave();
            return Poll::Ready(value);
        }
        let waker = context.waker();
        if this.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            // Not ready, so not woken: the entry is as the last poll left it.
            return Poll::Pending;
        }
        this.key = this.waiters.0.lock().enter(this.key, waker);
        this.waker = Some(waker.clone());
        // The condition may have become true before the entry was there to be woken.
        if let Some(value) = (this.ready)() {
            this.leave();
            return Poll::Ready(value);
        }
        Poll::Pending
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
