//! Telling a silent peer from a dead one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

use crate::config::Http2Config;

/// Sends a PING when nothing has come from the peer for a while, and gives up without an answer:
/// `interval + timeout` after the last byte.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    ping: Option<PingPong>,
    /// Fires at the next moment that matters or before it: bytes do not set it anew.
    timer: Pin<Box<Sleep>>,
    /// Bytes received so far, and when the last of them were seen.
    received: u64,
    heard: Instant,
    /// When the PING that has no answer was sent.
    asked: Option<Instant>,
}

impl Keepalive {
    pub(crate) fn new(config: &Http2Config, ping: Option<PingPong>) -> Self {
        Self {
            interval: config.keepalive_interval(),
            timeout: config.keepalive_timeout(),
            ping,
            timer: Box::pin(sleep(config.keepalive_interval())),
            received: 0,
            heard: Instant::now(),
            asked: None,
        }
    }

    /// Ready when the peer is dead. `received` is the number of bytes that have come from it; to be
    /// polled whenever some have.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, received: u64) -> Poll<()> {
        let Some(ping) = &mut self.ping else {
            return Poll::Pending;
        };
        if self.received != received {
            self.received = received;
            self.heard = Instant::now();
        }
        if self.asked.is_some() && ping.poll_pong(cx).is_ready() {
            // An answer, or the end of the connection, which shows elsewhere.
            self.asked = None;
            self.timer.as_mut().reset(self.heard + self.interval);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let silent = self.heard + self.interval;
            let due = match self.asked {
                None => silent,
                // Whatever comes is a sign of life, though the answer does not.
                Some(asked) => silent.max(asked) + self.timeout,
            };
            let now = Instant::now();
            if now < due {
                self.timer.as_mut().reset(due);
            } else if self.asked.is_some() {
                return Poll::Ready(());
            } else if ping.send_ping(Ping::opaque()).is_ok() {
                self.asked = Some(now);
                self.timer.as_mut().reset(now + self.timeout);
            } else {
                self.timer.as_mut().reset(now + self.interval);
            }
        }
    }
}
