//! How long nothing may come.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waiting {
    /// The rest of a head.
    Head,
    /// The first byte of a request.
    Request,
    /// Something that others bound in time.
    Nothing,
}

/// A deadline that begins with what is waited for, and not with each byte of it.
pub(super) struct Patience {
    head: Duration,
    idle: Duration,
    waiting: Waiting,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(head: Duration, idle: Duration) -> Self {
        Self {
            head,
            idle,
            waiting: Waiting::Nothing,
            sleep: None,
        }
    }

    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>, waiting: Waiting) -> Poll<()> {
        let patience = match waiting {
            Waiting::Head => self.head,
            Waiting::Request => self.idle,
            Waiting::Nothing => {
                self.waiting = waiting;
                return Poll::Pending;
            }
        };
        if self.waiting != waiting {
            self.waiting = waiting;
            let now = Instant::now();
            // A time that is too far away to be written down is not waited for.
            let Some(deadline) = now.checked_add(patience) else {
                return Poll::Pending;
            };
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(deadline),
                none => *none = Some(Box::pin(sleep_until(deadline))),
            }
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
