//! A stream in the hands of whoever uses it, and the connection in the hands of those who open streams.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

use super::message::Answer;
use super::reason::{Http2Error, Reason};
use super::send::register;
use super::state::State;

/// What a connection, its driver and its streams share.
pub(crate) struct Core(pub(super) Mutex<State>);

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

impl Core {
    /// Sends a CONNECT request (clients). It may wait for the peer to allow it; requests are sent in the order of calls.
    pub(crate) fn open(
        self: &Arc<Self>,
        authority: &str,
        headers: &HeaderMap,
    ) -> Result<Handle, Http2Error> {
        let id = self.0.lock().open(authority, headers)?;
        Ok(Handle {
            core: self.clone(),
            id,
        })
    }

    /// No new streams; the connection ends when the last one has ended.
    pub(crate) fn leave(&self) {
        self.0.lock().leave();
    }

    /// Whether no new streams can be opened.
    pub(crate) fn is_closing(&self) -> bool {
        let state = self.0.lock();
        state.leaving || state.going_away.is_some() || state.ended.is_some()
    }

    /// Streams that the peer allows at once.
    pub(crate) fn allowed(&self) -> usize {
        let streams = self.0.lock().remote.streams;
        usize::try_from(streams).unwrap_or(usize::MAX)
    }

    /// Asks the peer for a sign of life. Forgets an earlier one.
    pub(crate) fn ask(&self) {
        let mut state = self.0.lock();
        state.alive = false;
        super::frame::put_ping(&mut state.control, 0, super::state::PING_ALIVE);
        state.call();
    }

    /// Whether the peer has given it.
    pub(crate) fn has_answered(&self) -> bool {
        self.0.lock().alive
    }
}

/// One stream. Dropping it resets it unless both sides have ended; what is queued is sent before.
pub(crate) struct Handle {
    pub(super) core: Arc<Core>,
    pub(super) id: u32,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Handle {
    /// Waits for the final answer (clients).
    pub(crate) fn poll_answer(&mut self, cx: &Context<'_>) -> Poll<Result<Answer, Http2Error>> {
        let mut state = self.core.0.lock();
        let ended = state.ended.clone();
        let Some(stream) = state.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(ended.unwrap_or(Http2Error::Closing)));
        };
        if let Some(answer) = stream.answer.take() {
            return Poll::Ready(Ok(*answer));
        }
        if let Some(failure) = stream.fate.map(Http2Error::from).or(ended) {
            return Poll::Ready(Err(failure));
        }
        register(&mut stream.reader, cx);
        Poll::Pending
    }

    /// Answers the request (servers). Fails when the peer has reset it or gone.
    pub(crate) fn respond(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        end: bool,
    ) -> Result<(), Http2Error> {
        let mut state = self.core.0.lock();
        let failure = match state.streams.get(&self.id) {
            Some(stream) => state.failure(stream),
            None => Some(Http2Error::Closing),
        };
        if let Some(failure) = failure {
            return Err(failure);
        }
        state.respond(self.id, status, headers, end);
        Ok(())
    }

    /// The next bytes; `None` when the peer has ended its side. The peer may not send more in their place until
    /// [`Handle::release`]; `released` are bytes for it that save a call.
    pub(crate) fn poll_data(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Http2Error>> {
        let mut state = self.core.0.lock();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(state.ended.clone().unwrap_or(Http2Error::Closing)));
        };
        if let Some(bytes) = stream.received.pop() {
            return Poll::Ready(Ok(Some(bytes)));
        }
        if stream.received_end {
            return Poll::Ready(Ok(None));
        }
        if stream.fate.is_some() || state.ended.is_some() {
            let failure = stream
                .fate
                .map(Http2Error::from)
                .or_else(|| state.ended.clone());
            return Poll::Ready(Err(failure.unwrap_or(Http2Error::Closing)));
        }
        register(&mut stream.reader, cx);
        Poll::Pending
    }

    /// Lets the peer send this many bytes more.
    pub(crate) fn release(&mut self, bytes: u32) {
        self.core.0.lock().release(self.id, bytes);
    }

    /// Sends the beginning of `chunk`, as much as there is room for, at least a byte of what is not empty.
    pub(crate) fn poll_send(
        &mut self,
        cx: &Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<Result<usize, Http2Error>> {
        let wanted = chunk.len();
        let take = |room: usize| chunk.split_to(room.min(wanted));
        self.core.0.lock().poll_send(cx, self.id, wanted, take)
    }

    /// The same with bytes that have to be copied.
    pub(crate) fn poll_send_copy(
        &mut self,
        cx: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Http2Error>> {
        let take = |room: usize| Bytes::copy_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.core.0.lock().poll_send(cx, self.id, bytes.len(), take)
    }

    /// Ends this side after what was sent. Fails when the stream is reset.
    pub(crate) fn end(&mut self) -> Result<(), Http2Error> {
        self.core.0.lock().end(self.id)
    }

    /// Resets the stream at once; nothing happens when it has ended.
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.core.0.lock().reset(self.id, reason);
    }

    /// Waits until the stream is reset or its connection ends. Not to be used while somebody reads.
    pub(crate) fn poll_reset(&mut self, cx: &Context<'_>) -> Poll<Result<Reason, Http2Error>> {
        let mut state = self.core.0.lock();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&self.id) else {
            return Poll::Ready(Err(state.ended.clone().unwrap_or(Http2Error::Closing)));
        };
        let failure = stream.fate.map(Http2Error::from);
        // A connection may end after both sides of the stream have.
        let failure = failure.or_else(|| state.ended.clone().filter(|_| !stream.is_closed()));
        match failure {
            Some(Http2Error::ResetByPeer { reason } | Http2Error::Reset { reason }) => {
                Poll::Ready(Ok(reason))
            }
            Some(failure) => Poll::Ready(Err(failure)),
            None => {
                register(&mut stream.reader, cx);
                Poll::Pending
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.0.lock().let_go(self.id);
    }
}
