//! One side of a copy.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::buffers;
use crate::io::Socket;
use crate::tunnel::Tunnel;

/// What copying needs of a side. Sealed: the two kinds of sides are all there is.
pub trait End {
    /// The next bytes; `None` at the end.
    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>>;
    /// Takes note that this many pulled bytes have been passed on.
    fn passed_on(&mut self, bytes: usize);
    /// Called while pulled bytes cannot be passed on. Fails when nobody wants them any more.
    fn while_blocked(&mut self, cx: &mut Context<'_>) -> io::Result<()>;
    /// Sends some of the bytes and removes them from `chunk`.
    fn poll_push(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<io::Result<usize>>;
    /// Sends what may still be buffered.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Ends the sending direction.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Waits for a reset after reading has ended.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error>;
    /// Makes the closing that follows a reset.
    fn abort(&mut self);
}

/// A side that is a plain byte stream, such as a TCP connection.
#[derive(Debug)]
pub struct Plain<S> {
    io: S,
    reads: ReadSize,
}

impl<S: Socket> Plain<S> {
    /// A side of a copy.
    pub fn new(io: S) -> Self {
        Self {
            io,
            reads: ReadSize::Small,
        }
    }
}

/// How much to read at once: grows with reads that fill their buffer, shrinks with those that use
/// little of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReadSize {
    Small,
    Medium,
    Large,
}

impl ReadSize {
    /// Bytes. The largest leaves room for an HTTP/2 frame header, so that a full read becomes a
    /// whole number of full TLS records.
    const fn bytes(self) -> usize {
        match self {
            Self::Small => 2 * 1024,
            Self::Medium => 16 * 1024 - 64,
            Self::Large => buffers::LARGE - 64,
        }
    }

    const fn after(self, read: usize) -> Self {
        match self {
            Self::Small if read >= Self::Small.bytes() => Self::Medium,
            Self::Medium if read >= Self::Medium.bytes() => Self::Large,
            Self::Large if read < Self::Medium.bytes() => Self::Medium,
            Self::Medium if read < Self::Small.bytes() => Self::Small,
            same => same,
        }
    }
}

impl<S: Socket> End for Plain<S> {
    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        ready!(self.io.poll_readable(cx))?;
        let size = self.reads.bytes();
        let mut buffer = match self.reads {
            ReadSize::Large => buffers::take(),
            ReadSize::Small | ReadSize::Medium => BytesMut::with_capacity(size),
        };
        let polled = pin!(self.io.read_buf(&mut (&mut buffer).limit(size))).poll(cx);
        let chunk = match polled {
            Poll::Ready(Ok(1..)) => Some(buffer.split().freeze()),
            _ => None,
        };
        if self.reads == ReadSize::Large {
            buffers::give(buffer);
        }
        self.reads = self.reads.after(ready!(polled)?);
        Poll::Ready(Ok(chunk))
    }

    fn passed_on(&mut self, _: usize) {}

    fn while_blocked(&mut self, _: &mut Context<'_>) -> io::Result<()> {
        Ok(())
    }

    fn poll_push(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, chunk))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        // A writer that claims more than it was given is a bug there, not a panic here.
        drop(chunk.split_to(written.min(chunk.len())));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.io).poll_shutdown(cx)) {
            // The other end is gone already, which is what shutting down would have told it.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }

    fn poll_reset(&mut self, _: &mut Context<'_>) -> Poll<io::Error> {
        // Writing to the socket will tell.
        Poll::Pending
    }

    fn abort(&mut self) {
        self.io.reset_on_drop();
    }
}

impl End for Tunnel {
    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.poll_data(cx)
    }

    fn passed_on(&mut self, bytes: usize) {
        self.release(bytes);
    }

    fn while_blocked(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // Nobody reads meanwhile, so nothing else tells of a reset.
        if let Poll::Ready(error) = Tunnel::poll_reset(self, cx) {
            return Err(error);
        }
        Ok(())
    }

    fn poll_push(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<io::Result<usize>> {
        self.poll_send(cx, chunk)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Tunnel::poll_end(self))
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        Tunnel::poll_reset(self, cx)
    }

    fn abort(&mut self) {
        if !(self.sent_end() && self.received_end()) {
            self.reset();
        }
    }
}
