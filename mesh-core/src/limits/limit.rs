//! How many of something there are at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A bound on how many of something there are at once. Clones count together.
///
/// A refused one is counted. Taking a permit and giving it back is one atomic operation each; nobody
/// waits.
///
/// ```
/// use mesh_core::limits::Limit;
///
/// let connections = Limit::new(1);
/// let one = connections.acquire().expect("there is room");
/// assert!(connections.acquire().is_none());
/// assert_eq!((connections.in_use(), connections.refused()), (1, 1));
/// drop(one);
/// assert_eq!(connections.in_use(), 0);
/// ```
#[derive(Clone)]
pub struct Limit(Arc<Shared>);

struct Shared {
    max: AtomicU32,
    in_use: AtomicU32,
    refused: AtomicU64,
}

/// One of those that a [`Limit`] counts, until it is dropped.
#[must_use = "a permit that is dropped at once counts nothing"]
pub struct Permit(Arc<Shared>);

impl Limit {
    /// A limit of `max`; 0 refuses all.
    #[must_use]
    pub fn new(max: u32) -> Self {
        Self(Arc::new(Shared {
            max: AtomicU32::new(max),
            in_use: AtomicU32::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// One more, unless there are as many as may be.
    #[must_use]
    pub fn acquire(&self) -> Option<Permit> {
        self.acquire_below(self.0.max.load(Ordering::Relaxed))
    }

    /// One more, unless there are `max` already, whatever the limit's own bound is.
    #[must_use]
    pub fn acquire_below(&self, max: u32) -> Option<Permit> {
        let counted = self
            .0
            .in_use
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_use| {
                (in_use < max).then_some(in_use.saturating_add(1))
            });
        if counted.is_ok() {
            return Some(Permit(self.0.clone()));
        }
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Changes the bound. Those that are there already stay.
    pub fn set_max(&self, max: u32) {
        self.0.max.store(max, Ordering::Relaxed);
    }

    /// The bound.
    #[must_use]
    pub fn max(&self) -> u32 {
        self.0.max.load(Ordering::Relaxed)
    }

    /// How many there are.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.0.in_use.load(Ordering::Relaxed)
    }

    /// How many were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("max", &self.max())
            .field("in_use", &self.in_use())
            .field("refused", &self.refused())
            .finish()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lowered_bound_refuses_until_enough_are_gone() {
        let limit = Limit::new(3);
        let mut held: Vec<_> = (0..3).map(|_| limit.acquire().unwrap()).collect();
        limit.set_max(1);
        for in_use in [3, 2, 1] {
            assert_eq!(limit.in_use(), in_use);
            assert!(limit.acquire().is_none(), "{in_use} are there");
            held.pop();
        }
        assert!(limit.acquire().is_some());
    }

    #[test]
    fn threads_never_have_more_permits_than_the_bound() {
        let limit = Limit::new(5);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let permit = limit.acquire();
                        assert!(limit.in_use() <= 5);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(limit.in_use(), 0);
    }
}
