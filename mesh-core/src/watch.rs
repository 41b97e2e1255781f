//! A value that is replaced as a whole: readers load it without a lock and can wait for the next.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::waiters::Waiters;

/// A value with its publisher and the first watch on it.
///
/// ```
/// use mesh_core::watch;
///
/// let (publisher, watch) = watch::channel(1);
/// publisher.publish(2);
/// assert_eq!(*watch.load(), 2);
/// ```
#[must_use]
pub fn channel<T>(initial: T) -> (Publisher<T>, Watch<T>) {
    channel_shared(Arc::new(initial))
}

/// [`channel`] for a value that is shared already.
#[must_use]
pub fn channel_shared<T>(initial: Arc<T>) -> (Publisher<T>, Watch<T>) {
    let shared = Arc::new(Shared {
        value: ArcSwap::new(initial),
        version: AtomicU64::new(0),
        closed: AtomicBool::new(false),
        publishing: Mutex::new(()),
        changed: Waiters::default(),
    });
    let watch = Watch {
        shared: shared.clone(),
        seen: 0,
    };
    (Publisher(shared), watch)
}

/// The publisher is gone: the value will not change any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the publisher of a watched value is gone")]
#[non_exhaustive]
pub struct Closed;

/// The end that replaces the value. Dropping it closes the watches.
pub struct Publisher<T>(Arc<Shared<T>>);

/// The end that reads the value. Clones are cheap; each remembers what it has seen by itself.
pub struct Watch<T> {
    shared: Arc<Shared<T>>,
    /// Version of the last value that [`changed`](Self::changed) gave.
    seen: u64,
}

struct Shared<T> {
    value: ArcSwap<T>,
    version: AtomicU64,
    closed: AtomicBool,
    /// Held while value and version change together.
    publishing: Mutex<()>,
    changed: Waiters,
}

impl<T> Shared<T> {
    /// The value and its version, when it is not `seen`; an error when there will be none.
    fn newer(&self, seen: u64) -> Option<Result<(Arc<T>, u64), Closed>> {
        // `closed` is read first: a value that was published before the end is still given.
        let closed = self.closed.load(Ordering::Acquire);
        if self.version.load(Ordering::Acquire) == seen {
            return closed.then_some(Err(Closed));
        }
        let _publishing = self.publishing.lock();
        let version = self.version.load(Ordering::Acquire);
        Some(Ok((self.value.load_full(), version)))
    }
}

impl<T> Publisher<T> {
    /// Replaces the value and wakes those who wait for a change.
    pub fn publish(&self, value: impl Into<Arc<T>>) {
        let value = value.into();
        let old = {
            let _publishing = self.0.publishing.lock();
            let old = self.0.value.swap(value);
            self.0.version.fetch_add(1, Ordering::Release);
            old
        };
        self.0.changed.wake_all();
        // Freed outside the lock: the old value may be large.
        drop(old);
    }

    /// The present value.
    #[must_use]
    pub fn load(&self) -> Arc<T> {
        self.0.value.load_full()
    }

    /// A watch that has seen the present value.
    #[must_use]
    pub fn watch(&self) -> Watch<T> {
        Watch {
            seen: self.0.version.load(Ordering::Acquire),
            shared: self.0.clone(),
        }
    }
}

impl<T> Drop for Publisher<T> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.changed.wake_all();
    }
}

impl<T> Watch<T> {
    /// A value that never changes: [`changed`](Self::changed) always answers [`Closed`].
    #[must_use]
    pub fn fixed(value: T) -> Self {
        channel(value).1
    }

    /// The present value, without taking a lock.
    #[must_use]
    pub fn load(&self) -> Arc<T> {
        self.shared.value.load_full()
    }

    /// Waits for a value that this watch has not seen, and gives the newest.
    ///
    /// Values between the last seen and the newest are skipped. [`load`](Self::load) does not
    /// count as seeing.
    ///
    /// # Errors
    /// [`Closed`] when the publisher is gone and its last value has been seen; again on every
    /// further call, so a loop must end then.
    ///
    /// # Cancellation
    /// Cancel-safe: when the future is dropped, the change is still unseen.
    #[expect(clippy::manual_async_fn, reason = "promises a future that can be sent")]
    pub fn changed(&mut self) -> impl Future<Output = Result<Arc<T>, Closed>> + Send + '_
    where
        T: Send + Sync,
    {
        async move {
            let (shared, seen) = (&*self.shared, self.seen);
            let (value, version) = shared.changed.wait(|| shared.newer(seen)).await?;
            self.seen = version;
            Ok(value)
        }
    }
}

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            seen: self.seen,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Publisher").field(&self.load()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.load()).finish()
    }
}

#[cfg(test)]
mod tests;
