//! A list of tasks that wait for a condition, without a runtime.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Capacity, in entries, that an empty list keeps.
const KEPT: usize = 64;

/// No entry. There are never so many: their wakers alone would take 64 GiB.
const NONE: u32 = u32::MAX;

/// Tasks that wait for a condition that lives elsewhere.
///
/// Whoever makes the condition true calls [`wake_all`](Self::wake_all) afterwards, and nobody makes
/// it false again for those who wait. A waiter looks at the condition again after it has entered
/// the list, so no wake-up is lost; while it waits, polling it again takes no lock unless it has
/// been woken in between.
#[derive(Default)]
pub(crate) struct Waiters {
    entries: Mutex<Entries>,
    /// How often all have been woken; changes under the lock only.
    epoch: AtomicU32,
}

#[derive(Default)]
struct Entries {
    entries: Vec<Entry>,
    /// First of the chain of free entries; `None` = none is free.
    free: Option<u32>,
    taken: usize,
}

enum Entry {
    /// Belongs to nobody; the next free one.
    Free(Option<u32>),
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
            epoch: 0,
            waker: None,
        }
    }

    /// Wakes every task that waits now.
    pub(crate) fn wake_all(&self) {
        // The wakers run without the lock: they may poll at once or take locks of their own.
        let wakers = {
            let mut entries = self.entries.lock();
            self.epoch.fetch_add(1, Ordering::Release);
            entries.take_wakers()
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// How many futures are in the list.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().taken
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

    fn get_mut(&mut self, key: u32) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(key).ok()?)
    }

    /// Puts `waker` into entry `key`, or into a new one; gives the entry's key.
    fn enter(&mut self, key: u32, waker: &Waker) -> u32 {
        if let Some(entry) = self.get_mut(key) {
            match entry {
                Entry::Waiting(old) => old.clone_from(waker),
                Entry::Free(_) | Entry::Woken => *entry = Entry::Waiting(waker.clone()),
            }
            return key;
        }
        self.taken += 1;
        let waiting = Entry::Waiting(waker.clone());
        if let Some(key) = self.free
            && let Some(entry) = self.get_mut(key)
            && let Entry::Free(next) = *entry
        {
            *entry = waiting;
            self.free = next;
            return key;
        }
        self.entries.push(waiting);
        u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
    }

    /// Frees entry `key`; gives its waker, to be dropped without the lock.
    fn leave(&mut self, key: u32) -> Option<Entry> {
        let free = Entry::Free(self.free);
        let old = std::mem::replace(self.get_mut(key)?, free);
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
    /// The entry that belongs to this future. Short, as the epoch: many connections wait.
    key: u32,
    /// The epoch in which the entry was written.
    epoch: u32,
    /// The waker in the entry.
    waker: Option<Waker>,
}

impl<F> Wait<'_, F> {
    /// Whether a wake-up reaches `waker` already.
    ///
    /// Not ready does not mean not woken: the wake-up of an earlier change may come so late that it
    /// finds an entry that waits for the next one.
    fn waits_with(&self, waker: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|old| old.will_wake(waker))
            && self.epoch == self.waiters.epoch.load(Ordering::Acquire)
    }

    fn enter(&mut self, waker: &Waker) {
        let mut entries = self.waiters.entries.lock();
        self.key = entries.enter(self.key, waker);
        self.epoch = self.waiters.epoch.load(Ordering::Relaxed);
        drop(entries);
        self.waker = Some(waker.clone());
    }

    fn leave(&mut self) {
        if self.key != NONE {
            let entry = self.waiters.entries.lock().leave(self.key);
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
        if this.waits_with(waker) {
            return Poll::Pending;
        }
        this.enter(waker);
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
