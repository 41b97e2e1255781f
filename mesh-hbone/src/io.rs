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

    /// Waits until the other end has gone away without having left anything to read: it ended or
    /// reset the connection before it sent a byte.
    ///
    /// For giving up work that nobody waits for any more. A stream that has something to read, or
    /// that cannot tell, waits for ever.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Pending
    }

    /// Makes the closing that follows a reset (for TCP: `SO_LINGER` 0) in place of a clean end.
    fn reset_on_drop(&mut self) {}
}

impl Socket for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        match self.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
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

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_gone(cx)
    }

    fn reset_on_drop(&mut self) {
        (**self).reset_on_drop();
    }
}
