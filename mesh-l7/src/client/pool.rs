//! The connections to one host.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::failure::Failure;
use super::http1::Http1;
use super::http2::Http2;

/// The connections to one host, which leads to `E`; those that are being made, and who waits for the right `L` to
/// use one.
pub(super) struct Pool<E, L> {
    pub(super) endpoint: E,
    /// HTTP/1 connections that nobody uses; the one used last is at the end.
    pub(super) idle: Vec<Http1>,
    /// HTTP/2 connections that take streams.
    pub(super) open: Vec<Http2>,
    /// Those that have been made and are not closed.
    pub(super) connections: usize,
    pub(super) dialing: usize,
    pub(super) waiting: VecDeque<oneshot::Sender<Handed<L>>>,
}

/// What someone who waits is given.
pub(super) enum Handed<L> {
    Lease(L),
    /// Something has changed: look again.
    Again,
    Failed(Failure),
}

impl<E, L> Pool<E, L> {
    pub(super) fn new(endpoint: E) -> Self {
        Self {
            endpoint,
            idle: Vec::new(),
            open: Vec::new(),
            connections: 0,
            dialing: 0,
            waiting: VecDeque::new(),
        }
    }

    /// The connection that was used last.
    pub(super) fn pop_idle(&mut self) -> Option<Http1> {
        while let Some(connection) = self.idle.pop() {
            if connection.may_go_on() {
                return Some(connection);
            }
        }
        None
    }

    /// A stream on the connection that has the fewest.
    pub(super) fn stream(&mut self, max: usize) -> Option<Http2> {
        self.open.retain(Http2::may_go_on);
        let connection = self.open.iter_mut().min_by_key(|open| open.streams)?;
        if connection.streams >= connection.limit(max) {
            return None;
        }
        connection.streams = connection.streams.saturating_add(1);
        Some(connection.clone())
    }

    /// Whether a connection is to be made for one more who waits, `max` streams to a connection.
    pub(super) fn needs_dial(&self, http2: bool, max: usize) -> bool {
        match http2 {
            true => self.waiting.len() >= self.dialing.saturating_mul(max),
            false => true,
        }
    }

    /// Whether those who wait are more than the connections that are being made can serve.
    pub(super) fn is_short(&self, http2: bool) -> bool {
        match http2 {
            true => self.dialing == 0 && !self.waiting.is_empty(),
            false => self.waiting.len() > self.dialing,
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.connections == 0 && self.dialing == 0 && self.waiting.is_empty()
    }
}
