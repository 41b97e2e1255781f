//! Telling a silent peer from a dead one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::config::Http2Config;
use crate::http2::Core;

/// Sends a PING when nothing has come from the peer for a while, and gives up without an answer:
/// `interval + timeout` after the last byte.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    /// Fires at the next moment that matters or before it: neither bytes nor answers set it anew.
    timer: Pin<Box<Sleep>>,
    /// When the PING that has no answer was sent.
    asked: Option<Instant>,
}

impl Keepalive {
    pub(crate) fn new(config: &Http2Config) -> Self {
        Self {
            interval: config.keepalive_interval(),
            timeout: config.keepalive_timeout(),
            timer: Box::pin(sleep(config.keepalive_interval())),
            asked: None,
        }
    }

    /// Ready when the peer is dead. `heard` is when bytes last came from it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, heard: Instant, core: &Core) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if core.has_answered() {
                self.asked = None;
            }
            let silent = heard + self.interval;
            let due = match self.asked {
                None => silent,
                // Whatever comes is a sign of life, though the answer does not.
                Some(asked) => silent.max(asked) + self.timeout,
            };
            let now = Instant::now();
            if now < due {
                // Not later than an answer that comes at once has to be followed by the next question.
                let look = match self.asked {
                    None => due,
                    Some(_) => due.min(now + self.interval),
                };
                self.timer.as_mut().reset(look);
            } else if self.asked.is_some() {
                return Poll::Ready(());
            } else {
                core.ask();
                self.asked = Some(now);
                self.timer
                    .as_mut()
                    .reset(now + self.timeout.min(self.interval));
            }
        }
    }
}
