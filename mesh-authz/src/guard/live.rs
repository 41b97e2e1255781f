//! A connection's own end of the list.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::connections::Place;
use super::denial::Denial;
use super::group::Stage;
use super::shared::Shared;

/// The permission for a live connection: a future that resolves with the reason when it is
/// withdrawn, and never otherwise.
///
/// While it waits, polling it again takes no lock.
///
/// # Cancellation
/// Dropping it takes the connection off the list.
#[derive(Debug)]
#[must_use = "the connection is off the list when this is dropped"]
pub struct Live(Registration);

/// A connection that waits for a policy: a future that resolves when there may be an answer. The
/// connection is then to be admitted again.
///
/// # Cancellation
/// Dropping it takes the connection off the list.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Held(Registration);

#[derive(Debug)]
struct Registration {
    shared: Arc<Shared>,
    place: Place,
    /// The epoch in which the list was looked at.
    epoch: u32,
    /// The waker that is in the list.
    waker: Option<Waker>,
}

impl Registration {
    /// What is to be done, when it is anything.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Denial>> {
        let epoch = &self.shared.epoch;
        let waits = self
            .waker
            .as_ref()
            .is_some_and(|old| old.will_wake(cx.waker()));
        if waits && self.epoch == epoch.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let mut state = self.shared.state.lock();
        self.epoch = epoch.load(Ordering::Acquire);
        let Some(entry) = state.connections.entry_mut(self.place) else {
            return Poll::Pending;
        };
        let old = match &mut entry.stage {
            Stage::Live(waker) | Stage::Held(waker) => waker.replace(cx.waker().clone()),
            Stage::Released => return Poll::Ready(None),
            Stage::Cut(denial) => return Poll::Ready(Some(Denial::clone(denial))),
        };
        drop(state);
        drop(old);
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let entry = self.shared.state.lock().connections.remove(self.place);
        drop(entry);
    }
}

impl Live {
    pub(super) fn new(shared: &Arc<Shared>, place: Place) -> Self {
        Self(Registration {
            shared: shared.clone(),
            place,
            epoch: 0,
            waker: None,
        })
    }
}

impl Held {
    pub(super) fn new(shared: &Arc<Shared>, place: Place) -> Self {
        Self(Registration {
            shared: shared.clone(),
            place,
            epoch: 0,
            waker: None,
        })
    }
}

impl Future for Live {
    type Output = Denial;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Denial> {
        match self.0.poll(cx) {
            Poll::Ready(Some(denial)) => Poll::Ready(denial),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Future for Held {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::Live;

    #[test]
    fn a_permission_is_small() {
        // Bytes, as the documentation of the guard says.
        assert!(size_of::<Live>() <= 40);
    }
}
