//! A tunnel: the byte stream of one CONNECT request.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::carrier::Carrier;
use crate::peer::Peer;

/// Frames smaller than this are copied together while they wait, so that a few bytes never keep a
/// whole read buffer in memory; larger ones are kept as they are.
const KEEP_WHOLE: usize = 16 * 1024;

/// The byte stream of one CONNECT request, after it was answered with 200.
///
/// It reads and writes like a TCP connection. Shutting down the writing side half-closes: the peer
/// reads an end and can still send. Dropping a tunnel that has not ended on both sides resets it,
/// and the peer sees an error, not an end. [`Tunnel::reset`] does the same at once.
///
/// Flow control: bytes that are read make room for the peer to send more. A tunnel that nobody
/// reads holds at most the stream window ([`Http2Config::stream_window`]) in memory and never
/// slows its neighbours on the same connection. One exception: a peer that sends some 65,000 DATA
/// frames of a few bytes to tunnels that nobody even polls is closed as abusive, all its tunnels
/// included. [`copy`](crate::copy::copy) polls, and gathers such frames.
///
/// [`Http2Config::stream_window`]: crate::Http2Config::stream_window
#[derive(Debug)]
pub struct Tunnel {
    send: h2::SendStream<Bytes>,
    recv: h2::RecvStream,
    /// `None` as long as everything that arrives is read at once.
    waiting: Option<Box<Waiting>>,
    carrier: Arc<Carrier>,
    headers: Option<Box<HeaderMap>>,
    sent_end: bool,
    received_end: bool,
    /// What the tunnel keeps from being reused or closed while it lives.
    _held: Option<Arc<dyn Any + Send + Sync>>,
}

impl Tunnel {
    pub(crate) fn new(
        send: h2::SendStream<Bytes>,
        recv: h2::RecvStream,
        carrier: Arc<Carrier>,
        headers: Option<Box<HeaderMap>>,
        held: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Self {
        Self {
            send,
            recv,
            waiting: None,
            carrier,
            headers,
            sent_end: false,
            received_end: false,
            _held: held,
        }
    }

    /// The other end of the connection that carries the tunnel.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.carrier.peer()
    }

    /// The headers of the answer, on the client's side; `None` on the server's.
    #[must_use]
    pub fn response_headers(&self) -> Option<&HeaderMap> {
        self.headers.as_deref()
    }

    /// Takes the headers of the answer, so that a long-lived tunnel does not keep them in memory.
    pub fn take_response_headers(&mut self) -> Option<HeaderMap> {
        self.headers.take().map(|headers| *headers)
    }

    /// The next bytes as they arrived, without a copy; `None` when the peer has ended its side.
    ///
    /// The peer may not send more in their place until [`Tunnel::release`] is called.
    ///
    /// # Errors
    /// `ConnectionReset` when the peer reset the tunnel; otherwise what befell the connection, such
    /// as a [`ConnectionLost`](crate::ConnectionLost).
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if let Some(waiting) = &mut self.waiting {
            if let Some(chunk) = waiting.pop() {
                return Poll::Ready(Ok(Some(chunk)));
            }
            self.waiting = None;
        }
        self.poll_frame(cx)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.received_end {
            return Poll::Ready(Ok(None));
        }
        match ready!(self.recv.poll_data(cx)) {
            Some(Ok(chunk)) => Poll::Ready(Ok(Some(chunk))),
            None => {
                self.received_end = true;
                Poll::Ready(Ok(None))
            }
            Some(Err(error)) if error.is_reset() && error.reason() == Some(Reason::NO_ERROR) => {
                self.received_end = true;
                Poll::Ready(Ok(None))
            }
            Some(Err(error)) => Poll::Ready(Err(self.failure(error))),
        }
    }

    /// Lets the peer send this many bytes more, after as many from [`Tunnel::poll_data`] have been
    /// dealt with.
    pub fn release(&mut self, bytes: usize) {
        // Fails only when more is released than was received, and then changes nothing.
        let _ = self.recv.flow_control().release_capacity(bytes);
    }

    /// Takes over what has arrived while the bytes before it cannot be passed on.
    ///
    /// The HTTP/2 library keeps each DATA frame apart, at a cost that is out of proportion for
    /// small ones. The window bounds the bytes; this bounds the rest.
    ///
    /// # Errors
    /// When the tunnel is reset: who waits for a slow reader of the bytes before has to know.
    pub(crate) fn poll_gather(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Poll::Ready(Some(chunk)) = self.poll_frame(cx)? {
            self.waiting.get_or_insert_default().push(chunk);
        }
        Ok(())
    }

    /// Sends as much of `chunk` as the peer's window allows, at least a byte, and removes it from
    /// `chunk`.
    ///
    /// # Errors
    /// `BrokenPipe` after [`Tunnel::poll_end`]; `ConnectionReset` when the peer reset the tunnel;
    /// otherwise what befell the connection.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        let capacity = ready!(self.poll_capacity(cx, chunk.len()))?;
        let now = chunk.split_to(capacity.min(chunk.len()));
        let sent = now.len();
        let queued = self.send.send_data(now, false);
        queued.map_err(|error| self.failure(error))?;
        Poll::Ready(Ok(sent))
    }

    /// Waits for room to send. Nothing is ever queued beyond the room there is.
    fn poll_capacity(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        if self.sent_end {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.send.capacity() == 0 {
            self.send.reserve_capacity(wanted.max(1));
        }
        loop {
            let capacity = self.send.capacity();
            if capacity > 0 {
                return Poll::Ready(Ok(capacity));
            }
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.failure(error))),
                None => {
                    let lost = self.carrier.lost().map(io::Error::from);
                    return Poll::Ready(Err(
                        lost.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
                    ));
                }
            }
        }
    }

    /// What befell the tunnel: its own reset by the peer, else the end of the connection.
    fn failure(&self, error: h2::Error) -> io::Error {
        match self.carrier.lost() {
            Some(lost) if !(error.is_reset() && error.is_remote()) => lost.into(),
            _ => into_io(error),
        }
    }

    /// Ends this side: the peer reads an end. Receiving goes on.
    ///
    /// A peer that has ended its own side and then closed the stream without an error, because it
    /// wants nothing more (RFC 9113 §8.1), needs not be told.
    ///
    /// # Errors
    /// When the stream is already reset.
    pub fn poll_end(&mut self) -> io::Result<()> {
        if !self.sent_end {
            self.sent_end = true;
            let queued = self.send.send_data(Bytes::new(), true);
            if let Err(error) = queued
                && !self.was_closed_cleanly()
            {
                return Err(self.failure(error));
            }
        }
        Ok(())
    }

    /// Whether the peer has ended its side and closed the stream without an error.
    fn was_closed_cleanly(&mut self) -> bool {
        let closed = self
            .send
            .poll_reset(&mut Context::from_waker(Waker::noop()));
        self.received_end && matches!(closed, Poll::Ready(Ok(Reason::NO_ERROR)))
    }

    /// Resets the tunnel: the peer sees an error, as with a TCP reset (RFC 9113 §8.5).
    pub fn reset(&mut self) {
        self.send.send_reset(Reason::CONNECT_ERROR);
    }

    /// Waits until the peer resets the tunnel. Needed only after the peer has ended its side, when
    /// reading no longer tells.
    pub(crate) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match ready!(self.send.poll_reset(cx)) {
            Ok(Reason::NO_ERROR) => Poll::Pending,
            Ok(reason) => {
                let error = h2::Error::from(reason);
                Poll::Ready(io::Error::new(io::ErrorKind::ConnectionReset, error))
            }
            Err(error) => Poll::Ready(self.failure(error)),
        }
    }

    /// Whether the peer has ended its side, though bytes may still wait to be read.
    pub(crate) fn has_ended(&self) -> bool {
        self.received_end
    }

    /// Whether the peer has ended its side and everything was read.
    pub(crate) fn received_end(&self) -> bool {
        self.received_end
            && self
                .waiting
                .as_ref()
                .is_none_or(|waiting| waiting.is_empty())
    }

    /// Whether this side has ended.
    pub(crate) fn sent_end(&self) -> bool {
        self.sent_end
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let Some(mut chunk) = ready!(self.poll_data(cx))? else {
                return Poll::Ready(Ok(()));
            };
            let now = chunk.split_to(chunk.len().min(buf.remaining()));
            buf.put_slice(&now);
            self.release(now.len());
            if !chunk.is_empty() {
                self.waiting.get_or_insert_default().put_back(chunk);
            }
            // An empty frame is no end.
            if !now.is_empty() || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let capacity = ready!(self.poll_capacity(cx, buf.len()))?;
        let (now, _) = buf.split_at(capacity.min(buf.len()));
        let queued = self.send.send_data(Bytes::copy_from_slice(now), false);
        queued.map_err(|error| self.failure(error))?;
        Poll::Ready(Ok(now.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's driver sends what it has without being asked.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.poll_end())
    }
}

impl crate::io::Socket for Tunnel {
    fn reset_on_drop(&mut self) {
        self.reset();
    }
}

/// Bytes that have arrived and wait for their reader, oldest first.
#[derive(Debug, Default)]
struct Waiting {
    chunks: VecDeque<Bytes>,
    /// The youngest bytes, gathered from small frames.
    tail: BytesMut,
}

impl Waiting {
    fn push(&mut self, chunk: Bytes) {
        if chunk.len() < KEEP_WHOLE {
            self.tail.extend_from_slice(&chunk);
            return;
        }
        self.settle();
        self.chunks.push_back(chunk);
    }

    fn settle(&mut self) {
        if !self.tail.is_empty() {
            self.chunks
                .push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    fn put_back(&mut self, chunk: Bytes) {
        self.chunks.push_front(chunk);
    }

    fn pop(&mut self) -> Option<Bytes> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Some(chunk);
        }
        (!self.tail.is_empty()).then(|| std::mem::take(&mut self.tail).freeze())
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.tail.is_empty()
    }
}

/// An HTTP/2 error as the users of a byte stream know it.
fn into_io(error: h2::Error) -> io::Error {
    if error.is_io() {
        // `is_io` says that there is one.
        return error
            .into_io()
            .unwrap_or_else(|| io::ErrorKind::Other.into());
    }
    let kind = match error.reason() {
        _ if error.is_reset() => io::ErrorKind::ConnectionReset,
        _ if error.is_go_away() => io::ErrorKind::ConnectionAborted,
        // Neither a reason nor a cause: the stream is closed, and so nobody reads what is sent.
        None => io::ErrorKind::BrokenPipe,
        Some(_) => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
