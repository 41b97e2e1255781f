//! Whose turn it is on an HTTP/1 connection: what its reader and its requests know of each other.

use std::task::Waker;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::fault::Fault;
use super::switched::Switched;

/// State that the reader of a connection shares with the request that is being answered. Everything is
/// done by one task; the lock is never contended.
#[derive(Default)]
pub(super) struct Turn(Mutex<State>);

#[derive(Default)]
struct State {
    /// A request is being answered.
    busy: bool,
    /// When the last one had been answered.
    idle_since: Option<Instant>,
    /// Requests that have begun.
    begun: u64,
    /// Which request has been answered, and whether its answer switched protocols; until the reader
    /// has been told.
    switched: Option<(u64, bool)>,
    /// A fault in the body of the request that is being answered.
    fault: Option<Fault>,
    /// What was switched to.
    tunnel: Option<Switched>,
    reader: Option<Waker>,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// A request is being answered.
    Busy,
    /// None is, since the last one was answered.
    Idle(Option<Instant>),
}

impl Turn {
    /// A request begins.
    pub(super) fn begin(&self) {
        let mut state = self.0.lock();
        state.busy = true;
        state.begun = state.begun.saturating_add(1);
    }

    /// The request has been answered.
    pub(super) fn finish(&self) {
        let reader = {
            let mut state = self.0.lock();
            state.busy = false;
            state.idle_since = Some(Instant::now());
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Says whether the answer to the present request switched protocols.
    pub(super) fn answered(&self, tunnel: Option<Switched>) {
        let reader = {
            let mut state = self.0.lock();
            state.switched = Some((state.begun, tunnel.is_some()));
            state.tunnel = tunnel;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The number of the request that was answered last, from 1, and whether that switched protocols.
    pub(super) fn take_switched(&self) -> Option<(u64, bool)> {
        self.0.lock().switched.take()
    }

    pub(super) fn take_tunnel(&self) -> Option<Switched> {
        self.0.lock().tunnel.take()
    }

    /// Whether a request is being answered; if so, the reader is woken when it has been.
    pub(super) fn is_busy(&self, reader: &Waker) -> bool {
        let mut state = self.0.lock();
        if state.busy {
            match &mut state.reader {
                Some(waker) => waker.clone_from(reader),
                none => *none = Some(reader.clone()),
            }
        }
        state.busy
    }

    /// Whether a request is being answered, or since when none is; `None` before the first one. Wakes nobody.
    pub(super) fn standing(&self) -> Standing {
        let state = self.0.lock();
        match state.busy {
            true => Standing::Busy,
            false => Standing::Idle(state.idle_since),
        }
    }

    pub(super) fn fail_body(&self, fault: Fault) {
        self.0.lock().fault = Some(fault);
    }

    /// The fault in the body of the request, if there is one.
    pub(super) fn take_body_fault(&self) -> Option<Fault> {
        self.0.lock().fault.take()
    }
}
