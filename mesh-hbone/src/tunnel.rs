//! A tunnel: the byte stream of one CONNECT request.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::carrier::Carrier;
use crate::http2::{Handle, Http2Error, Reason};
use crate::peer::Peer;

/// The byte stream of one CONNECT request, after it was answered with 200.
///
/// It reads and writes like a TCP connection. Shutting down the writing side half-closes: the peer
/// reads an end and can still send. Dropping a tunnel that has not ended on both sides resets it,
/// and the peer sees an error, not an end. [`Tunnel::reset`] does the same at once.
///
/// Flow control: bytes that are read make room for the peer to send more. A tunnel that nobody
/// reads holds at most the stream window ([`Http2Config::stream_window`]) and a read buffer of 64 KiB in memory and never
/// slows its neighbours on the same connection, however small the frames are that it came in.
///
/// [`Http2Config::stream_window`]: crate::Http2Config::stream_window
#[derive(Debug)]
pub struct Tunnel {
    handle: Handle,
    /// What is left of bytes of which a reader took only some.
    rest: Bytes,
    /// Bytes that were dealt with and that the connection does not know of yet.
    released: u32,
    carrier: Arc<Carrier>,
    headers: Option<Box<HeaderMap>>,
    sent_end: bool,
    received_end: bool,
    /// What the tunnel keeps from being reused or closed while it lives.
    _held: Option<Arc<dyn Any + Send + Sync>>,
}

/// Bytes that are dealt with before the connection is told: far less than any window.
const RELEASE: u32 = 4 * 1024;

impl Tunnel {
    pub(crate) fn new(
        handle: Handle,
        carrier: Arc<Carrier>,
        headers: Option<Box<HeaderMap>>,
        held: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Self {
        Self {
            handle,
            rest: Bytes::new(),
            released: 0,
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
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.rest))));
        }
        if self.received_end {
            return Poll::Ready(Ok(None));
        }
        match ready!(self.handle.poll_data(cx)) {
            Ok(Some(chunk)) => Poll::Ready(Ok(Some(chunk))),
            // A peer that wants nothing more and closed the stream without an error has said all.
            Ok(None)
            | Err(Http2Error::ResetByPeer {
                reason: Reason::NO_ERROR,
            }) => {
                self.received_end = true;
                Poll::Ready(Ok(None))
            }
            Err(error) => Poll::Ready(Err(self.failure(error))),
        }
    }

    /// Lets the peer send this many bytes more, after as many from [`Tunnel::poll_data`] have been
    /// dealt with.
    pub fn release(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.released = self.released.saturating_add(bytes);
        if self.released >= RELEASE {
            self.handle.release(std::mem::take(&mut self.released));
        }
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
        if self.sent_end {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let sent = ready!(self.handle.poll_send(cx, chunk));
        Poll::Ready(sent.map_err(|error| self.failure(error)))
    }

    /// What befell the tunnel: its own reset by the peer, else the end of the connection.
    fn failure(&self, error: Http2Error) -> io::Error {
        match (&error, self.carrier.lost()) {
            (Http2Error::ResetByPeer { .. }, _) | (_, None) => into_io(error),
            (_, Some(lost)) => lost.into(),
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
            if let Err(error) = self.handle.end()
                && !self.was_closed_cleanly()
            {
                return Err(self.failure(error));
            }
        }
        Ok(())
    }

    /// Whether the peer has ended its side and closed the stream without an error.
    fn was_closed_cleanly(&mut self) -> bool {
        let closed = self.handle.poll_reset(&Context::from_waker(Waker::noop()));
        self.received_end && matches!(closed, Poll::Ready(Ok(Reason::NO_ERROR)))
    }

    /// Resets the tunnel: the peer sees an error, as with a TCP reset (RFC 9113 §8.5).
    pub fn reset(&mut self) {
        self.handle.reset(Reason::CONNECT_ERROR);
    }

    /// Waits until the peer resets the tunnel. Needed only after the peer has ended its side, when
    /// reading no longer tells.
    pub(crate) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match ready!(self.handle.poll_reset(cx)) {
            Ok(Reason::NO_ERROR) => Poll::Pending,
            Ok(reason) => Poll::Ready(into_io(Http2Error::ResetByPeer { reason })),
            Err(error) => Poll::Ready(self.failure(error)),
        }
    }

    /// Whether the peer has ended its side and everything was read.
    pub(crate) fn received_end(&self) -> bool {
        self.received_end && self.rest.is_empty()
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
            self.rest = chunk;
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
        if self.sent_end {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let sent = ready!(self.handle.poll_send_copy(cx, buf));
        Poll::Ready(sent.map_err(|error| self.failure(error)))
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

/// An HTTP/2 error as the users of a byte stream know it.
fn into_io(error: Http2Error) -> io::Error {
    let kind = match &error {
        Http2Error::Io(source) => source.kind(),
        Http2Error::ResetByPeer { .. } | Http2Error::Reset { .. } => io::ErrorKind::ConnectionReset,
        Http2Error::GoingAway { .. } | Http2Error::Broken { .. } => {
            io::ErrorKind::ConnectionAborted
        }
        Http2Error::Closing => io::ErrorKind::BrokenPipe,
    };
    io::Error::new(kind, error)
}
