//! What streams have to send, and whose turn it is.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};

use super::frame::{DATA, END_STREAM, HEAD, Head, MAX};
use super::headers::put_fields;
use super::hpack::encode;
use super::reason::{Http2Error, Reason};
use super::state::State;
use super::stream::{SEND_BUFFER, SEND_PIECES, Stream};

/// Frames on their way out: control frames first, then DATA.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) control: BytesMut,
    pub(super) frames: Vec<([u8; HEAD], Bytes)>,
    /// Bytes of all of it.
    pub(super) bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl State {
    /// Takes frames, until there are no more or they are `limit` bytes.
    pub(super) fn take_batch(&mut self, batch: &mut Batch, limit: usize) {
        if !self.control.is_empty() {
            batch.bytes += self.control.len();
            batch.control = std::mem::take(&mut self.control);
        }
        while batch.bytes < limit
            && let Some(frame) = self.next_frame()
        {
            batch.bytes += HEAD + frame.1.len();
            batch.frames.push(frame);
        }
        if self.ready.is_empty() && self.ready.capacity() > 64 {
            self.ready = VecDeque::new();
        }
    }

    /// The next DATA frame; streams take turns.
    fn next_frame(&mut self) -> Option<([u8; HEAD], Bytes)> {
        loop {
            let id = self.ready.pop_front()?;
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.scheduled = false;
            if stream.fate.is_some() {
                continue;
            }
            let most = usize::try_from(self.remote.frame_size).unwrap_or(usize::MAX);
            let payload = stream.take(most);
            if !stream.queue.is_empty() {
                stream.scheduled = true;
                self.ready.push_back(id);
            }
            let end = stream.queue.is_empty() && stream.end_wanted && !stream.end_sent;
            if payload.is_empty() && !end {
                self.cancel(id);
                continue;
            }
            stream.end_sent |= end;
            stream.wake_writer();
            let head = Head {
                length: u32::try_from(payload.len()).unwrap_or(MAX),
                kind: DATA,
                flags: if end { END_STREAM } else { 0 },
                stream: id,
            };
            self.cancel(id);
            if end {
                self.settle(id);
            }
            return Some((head.bytes(), payload));
        }
    }

    /// Resets a stream that nobody holds any more, as soon as its last bytes are on their way.
    fn cancel(&mut self, id: u32) {
        if let Some(stream) = self.streams.get(&id)
            && let Some(reason) = stream.cancel
            && stream.queue.is_empty()
            && (stream.end_sent || !stream.end_wanted)
        {
            self.reset(id, reason);
        }
    }

    fn schedule(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.scheduled
        {
            stream.scheduled = true;
            self.ready.push_back(id);
        }
        self.call();
    }

    /// Queues the beginning of `chunk`, as much as there is room for, at least a byte, and removes it from there.
    pub(super) fn poll_send(
        &mut self,
        cx: &Context<'_>,
        id: u32,
        wanted: usize,
        take: impl FnOnce(usize) -> Bytes,
    ) -> Poll<Result<usize, Http2Error>> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(self.ended.clone().unwrap_or(Http2Error::Closing)));
        };
        if stream.fate.is_some() || self.ended.is_some() {
            let failure = stream
                .fate
                .map(Http2Error::from)
                .or_else(|| self.ended.clone());
            return Poll::Ready(Err(failure.unwrap_or(Http2Error::Closing)));
        }
        let window = stream.window_out.min(self.window_out);
        let room = usize::try_from(window).unwrap_or(0);
        let room = match stream.queue.len() < SEND_PIECES {
            true => room.min(SEND_BUFFER.saturating_sub(stream.queued)),
            false => 0,
        };
        if room == 0 {
            if self.window_out <= 0 && !stream.blocked {
                stream.blocked = true;
                self.blocked.push_back(id);
            }
            register(&mut stream.writer, cx);
            return Poll::Pending;
        }
        let now = take(room.min(wanted));
        let length = now.len();
        if length > 0 {
            let bytes = i64::try_from(length).unwrap_or(0);
            stream.window_out -= bytes;
            self.window_out -= bytes;
            stream.queued += length;
            stream.queue.push_back(now);
            self.schedule(id);
        }
        Poll::Ready(Ok(length))
    }

    /// Ends this side of a stream after what is queued.
    pub(super) fn end(&mut self, id: u32) -> Result<(), Http2Error> {
        let failure = match self.streams.get(&id) {
            Some(stream) => self.failure(stream),
            None => Some(Http2Error::Closing),
        };
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.end_wanted = true;
        }
        self.schedule(id);
        Ok(())
    }

    /// Nobody holds the stream any more: what it has to send is sent, then it is reset unless both sides have ended.
    pub(super) fn let_go(&mut self, id: u32) {
        let server = self.is_server();
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.held = false;
        stream.unseen = false;
        stream.received = super::received::Received::default();
        stream.answer = None;
        (stream.reader, stream.writer) = (None, None);
        if stream.is_closed() || self.ended.is_some() {
            if self.ended.is_some() {
                self.streams.remove(&id);
            }
            return self.settle(id);
        }
        if !(stream.received_end && stream.end_wanted) {
            // A server that has said everything wants nothing more, which is no error (RFC 9113 §8.1).
            let said_all = server && stream.end_wanted;
            stream.cancel = Some(if said_all {
                Reason::NO_ERROR
            } else {
                Reason::CANCEL
            });
        }
        self.cancel(id);
    }

    /// Opens a stream with a CONNECT request (RFC 9113 §8.5); it may wait for the peer to allow it.
    pub(super) fn open(&mut self, authority: &str, headers: &HeaderMap) -> Result<u32, Http2Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        if let Some((_, reason)) = self.going_away {
            return Err(Http2Error::GoingAway { reason });
        }
        let id = self.next;
        if self.leaving || id > MAX {
            return Err(Http2Error::Closing);
        }
        self.next += 2;
        let mut block = BytesMut::with_capacity(64);
        encode::field(
            &mut block,
            b":method",
            Method::CONNECT.as_str().as_bytes(),
            false,
        );
        encode::field(&mut block, b":authority", authority.as_bytes(), false);
        put_fields(&mut block, headers);
        let mut stream = Box::new(Stream::new(self.local.window, self.remote.window));
        stream.waiting = true;
        self.streams.insert(id, stream);
        self.waiting.push_back((id, block.freeze()));
        self.admit();
        Ok(id)
    }
}

impl Stream {
    /// The next bytes of the queue, at most `most`.
    fn take(&mut self, most: usize) -> Bytes {
        let Some(first) = self.queue.front_mut() else {
            return Bytes::new();
        };
        let now = if first.len() > most {
            first.split_to(most)
        } else {
            let now = std::mem::take(first);
            self.queue.pop_front();
            if self.queue.is_empty() {
                // An idle stream holds no memory.
                self.queue = VecDeque::new();
            }
            now
        };
        self.queued = self.queued.saturating_sub(now.len());
        now
    }
}

/// Remembers who waits.
pub(super) fn register(slot: &mut Option<std::task::Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}
