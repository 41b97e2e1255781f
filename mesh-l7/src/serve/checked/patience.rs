//! How long nothing may come.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::super::turn::Standing;

/// How soon a connection on which a request is being answered is looked at again, at least.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waiting {
    /// The rest of a head.
    Head,
    /// A request, or something that others bound in time.
    Other,
}

/// Deadlines that begin with what is waited for, and not with each byte of it.
///
/// One timer serves all requests: when it rings, it is set again to where it should be by now. So a request costs no
/// change of it.
pub(super) struct Patience {
    head: Duration,
    idle: Duration,
    /// When the connection began.
    began: Instant,
    waiting: Waiting,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(head: Duration, idle: Duration) -> Self {
        Self {
            head,
            idle,
            began: Instant::now(),
            waiting: Waiting::Other,
            sleep: None,
        }
    }

    /// Waits until the connection has been without a request for too long.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>, standing: Standing) -> Poll<()> {
        self.waiting = Waiting::Other;
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
        }
        loop {
            let now = Instant::now();
            let end = match standing {
                Standing::Busy => now.checked_add(self.idle.max(LOOK_AGAIN)),
                Standing::Idle(since) => since.unwrap_or(self.began).checked_add(self.idle),
            };
            // A time that is too far away to be written down is not waited for.
            let Some(end) = end else {
                return Poll::Pending;
            };
            if end <= now {
                return Poll::Ready(());
            }
            ready!(self.set(end).poll(cx));
        }
    }

    /// Waits until the rest of a head has not come for too long.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, waiting: Waiting) -> Poll<()> {
        let began = waiting != self.waiting;
        self.waiting = waiting;
        if waiting == Waiting::Other {
            return Poll::Pending;
        }
        if began {
            let Some(end) = Instant::now().checked_add(self.head) else {
                self.sleep = None;
                return Poll::Pending;
            };
            self.set(end);
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    fn set(&mut self, end: Instant) -> Pin<&mut Sleep> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(end)));
        sleep.as_mut().reset(end);
        sleep.as_mut()
    }
}
