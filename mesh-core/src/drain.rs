//! Graceful shutdown as a value: signal, wait, escalate.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::waiters::Waiters;

// Phases, in order; 0 before the first.
const DRAINING: u8 = 1;
const FORCED: u8 = 2;

/// A new drain: the end that signals, and the first participant.
///
/// Each clone of the [`Drain`] is one participant, which is live until it is dropped. A listener
/// holds one and gives a clone to every connection.
///
/// ```
/// use mesh_core::drain;
///
/// let (trigger, drain) = drain::channel();
/// let connection = drain.clone();
/// assert_eq!(trigger.participants(), 2);
///
/// trigger.drain();
/// assert!(connection.is_draining() && !connection.is_forced());
/// drop((drain, connection));
/// assert_eq!(trigger.participants(), 0); // `trigger.finished()` is ready
/// ```
#[must_use]
pub fn channel() -> (Trigger, Drain) {
    let shared = Arc::new(Shared {
        participants: AtomicUsize::new(1),
        ..Shared::default()
    });
    (Trigger(shared.clone()), Drain(shared))
}

/// The end of a drain that signals and waits.
///
/// Dropping it signals nothing: participants then run until they end by themselves.
pub struct Trigger(Arc<Shared>);

/// A live participant of a drain, such as a listener or a connection.
///
/// It counts as live until it is dropped.
pub struct Drain(Arc<Shared>);

#[derive(Default)]
struct Shared {
    phase: AtomicU8,
    participants: AtomicUsize,
    draining: Waiters,
    forced: Waiters,
    finished: Waiters,
}

impl Shared {
    fn reached(&self, phase: u8) -> bool {
        self.phase.load(Ordering::Acquire) >= phase
    }

    fn wait_for(&self, phase: u8) -> impl Future<Output = ()> + Send + Unpin + '_ {
        let waiters = if phase == FORCED {
            &self.forced
        } else {
            &self.draining
        };
        waiters.wait(move || self.reached(phase).then_some(()))
    }
}

impl Trigger {
    /// Begins the graceful phase: participants take nothing new and finish what they have.
    ///
    /// Has no effect when the phase has begun.
    pub fn drain(&self) {
        if self.0.phase.fetch_max(DRAINING, Ordering::AcqRel) < DRAINING {
            self.0.draining.wake_all();
        }
    }

    /// Begins the forced phase, when the deadline has passed: participants end at once.
    ///
    /// Implies [`drain`](Self::drain).
    pub fn force(&self) {
        let before = self.0.phase.fetch_max(FORCED, Ordering::AcqRel);
        if before < DRAINING {
            self.0.draining.wake_all();
        }
        if before < FORCED {
            self.0.forced.wake_all();
        }
    }

    /// How many participants are live.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.0.participants.load(Ordering::Acquire)
    }

    /// Waits until no participant is live.
    ///
    /// # Cancellation
    /// Cancel-safe: dropping the future has no effect.
    pub fn finished(&self) -> impl Future<Output = ()> + Send + Unpin + '_ {
        let ready = || (self.participants() == 0).then_some(());
        self.0.finished.wait(ready)
    }
}

impl Drain {
    /// Waits until the graceful phase has begun.
    ///
    /// # Cancellation
    /// Cancel-safe: dropping the future has no effect.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + Unpin + '_ {
        self.0.wait_for(DRAINING)
    }

    /// Waits until the deadline has passed.
    ///
    /// # Cancellation
    /// Cancel-safe: dropping the future has no effect.
    pub fn forced(&self) -> impl Future<Output = ()> + Send + Unpin + '_ {
        self.0.wait_for(FORCED)
    }

    /// Whether the graceful phase has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.reached(DRAINING)
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.0.reached(FORCED)
    }
}

impl Clone for Drain {
    fn clone(&self) -> Self {
        self.0.participants.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if self.0.participants.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.finished.wake_all();
        }
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f, "Trigger")
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f, "Drain")
    }
}

impl Shared {
    fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("draining", &self.reached(DRAINING))
            .field("forced", &self.reached(FORCED))
            .field("participants", &self.participants.load(Ordering::Relaxed))
            .finish()
    }
}

#[cfg(test)]
mod tests;
