//! Telling a silent peer from a dead one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

use crate::config::Http2Config;

/// Sends a PING when nothing has come from the peer for a while, and gives up without an answer.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: std::time::Duration,
    timeout: std::time::Duration,
    ping: Option<PingPong>,
    timer: Pin<Box<Sleep>>,
    /// Bytes received when the timer was last set.
    received: u64,
    waiting: bool,
}

impl Keepalive {
    pub(crate) fn new(config: &Http2Config, ping: Option<PingPong>) -> Self {
        Self {
            interval: config.keepalive_interval(),
            timeout: config.keepalive_timeout(),
            ping,
            timer: Box::pin(sleep(config.keepalive_interval())),
            received: 0,
            waiting: false,
        }
    }

    /// Ready when the peer is dead. `received` is the number of bytes that have come from it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, received: u64) -> Poll<()> {
        let Some(ping) = &mut self.ping else {
            return Poll::Pending;
        };
        loop {
            if self.waiting && ping.poll_pong(cx).is_ready() {
                // An answer, or the end of the connection, which shows elsewhere. Its own bytes are
                // no reason to wait for another interval.
                self.waiting = false;
                self.received = received;
                self.timer.as_mut().reset(Instant::now() + self.interval);
            }
            ready!(self.timer.as_mut().poll(cx));
            let heard = std::mem::replace(&mut self.received, received) != received;
            if heard || !self.waiting && ping.send_ping(Ping::opaque()).is_err() {
                self.timer.as_mut().reset(Instant::now() + self.interval);
            } else if self.waiting {
                return Poll::Ready(());
            } else {
                self.waiting = true;
                self.timer.as_mut().reset(Instant::now() + self.timeout);
            }
        }
    }
}
