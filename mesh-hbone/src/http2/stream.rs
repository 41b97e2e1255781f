//! One stream, as its connection keeps it.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;

use super::message::Answer;
use super::reason::{Http2Error, Reason};
use super::received::Received;

/// Bytes that may wait for the connection in one stream's queue.
pub(super) const SEND_BUFFER: usize = 256 * 1024;

/// Pieces that these may be in.
pub(super) const SEND_PIECES: usize = 64;

/// How a stream ended before both of its sides did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    ResetByPeer(Reason),
    ResetHere(Reason),
    /// The peer went away without having looked at it.
    Unprocessed(Reason),
}

impl From<Fate> for Http2Error {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::ResetByPeer(reason) => Self::ResetByPeer { reason },
            Fate::ResetHere(reason) => Self::Reset { reason },
            Fate::Unprocessed(reason) => Self::GoingAway { reason },
        }
    }
}

/// One stream. Everything that is only sometimes there is small while it is not.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the independent facts of RFC 9113 §5.1"
)]
pub(super) struct Stream {
    pub(super) received: Received,
    /// Bytes that the peer may still send.
    pub(super) window_in: i64,
    /// Bytes that were dealt with since the peer was last told.
    pub(super) credit: u32,
    /// Bytes to send; all of them fit the peer's windows.
    pub(super) queue: VecDeque<Bytes>,
    pub(super) queued: usize,
    /// Bytes that may still be queued.
    pub(super) window_out: i64,
    /// The final answer of the peer, until it is taken.
    pub(super) answer: Option<Box<Answer>>,
    /// Who waits for bytes, an answer or a reset.
    pub(super) reader: Option<Waker>,
    /// Who waits for room.
    pub(super) writer: Option<Waker>,
    pub(super) fate: Option<Fate>,
    /// With what the stream is reset when its queue is empty: nobody holds it any more.
    pub(super) cancel: Option<Reason>,
    /// Whether somebody holds it.
    pub(super) held: bool,
    /// Whether it counts against the limit of streams.
    pub(super) counted: bool,
    /// Whether its request waits for the peer to allow it.
    pub(super) waiting: bool,
    /// Whether its request was not yet taken by anyone (servers).
    pub(super) unseen: bool,
    /// Whether its final answer has come (clients) or was given (servers).
    pub(super) answered: bool,
    /// Whether the peer has ended its side.
    pub(super) received_end: bool,
    /// Whether this side is to end after the queue, and whether it has.
    pub(super) end_wanted: bool,
    pub(super) end_sent: bool,
    /// Whether it is in the list of those that have something to send.
    pub(super) scheduled: bool,
    /// Whether it is in the list of those that wait for the window of the connection.
    pub(super) blocked: bool,
}

impl Stream {
    pub(super) fn new(window_in: u32, window_out: u32) -> Self {
        Self {
            received: Received::default(),
            window_in: window_in.into(),
            credit: 0,
            queue: VecDeque::new(),
            queued: 0,
            window_out: window_out.into(),
            answer: None,
            reader: None,
            writer: None,
            fate: None,
            cancel: None,
            held: true,
            counted: false,
            waiting: false,
            unseen: false,
            answered: false,
            received_end: false,
            end_wanted: false,
            end_sent: false,
            scheduled: false,
            blocked: false,
        }
    }

    /// Whether nothing more goes over the wire for it.
    pub(super) fn is_closed(&self) -> bool {
        self.fate.is_some() || self.received_end && self.end_sent
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    pub(super) fn wake(&mut self) {
        self.wake_reader();
        self.wake_writer();
    }
}
