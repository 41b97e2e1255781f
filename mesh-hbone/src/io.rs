//! Byte streams as a proxy needs them.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A byte stream that a proxy can carry: a TCP connection, or anything that behaves like one.
///
/// Beside reading and writing it can say that it is readable without a buffer being at hand, so
/// that idle connections hold none, and it can end in a reset, so that resets travel through.
/// Both have defaults that are correct for streams that can do neither.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Waits until a read would return something. May report readiness that is not there.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Waits for the first sign of the other end: `true` when it reset the connection, `false` when
    /// there is something to read. An end counts as something: whoever only listens may half-close
    /// at once.
    ///
    /// For giving up work that nobody waits for any more. The default, for streams that cannot
    /// tell, is `false` at once.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let _ = cx;
        Poll::Ready(false)
    }

    /// Makes the closing that follows a reset (for TCP: `SO_LINGER` 0) in place of a clean end.
    fn reset_on_drop(&mut self) {}
}

impl Socket for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut byte = [0];
        let peeked = self.poll_peek(cx, &mut ReadBuf::new(&mut byte));
        peeked.map(|peeked| peeked.is_err())
    }

    fn reset_on_drop(&mut self) {
        // Failing means that the peer sees a clean end: the best that is left.
        let _ = socket2::SockRef::from(&*self).set_linger(Some(Duration::ZERO));
    }
}

impl Socket for tokio::io::DuplexStream {}

impl<S: Socket + ?Sized> Socket for Box<S> {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_readable(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<bool> {
        (**self).poll_gone(cx)
    }

    fn reset_on_drop(&mut self) {
        (**self).reset_on_drop();
    }
}
