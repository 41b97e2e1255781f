//! The byte stream below HTTP/2: TLS records with few, large writes.
//!
//! The HTTP/2 library flushes after every DATA frame. A tunnel that carries many small streams
//! would pay a TLS record and a system call for each. So the stream handed to the library takes
//! flushes as hints only: small writes gather in one plaintext buffer, large ones are encrypted at
//! once, and the task that drives the connection calls [`Flusher::poll_flush`] when the library has
//! nothing more to say. Reading takes what the socket has in one call, whatever the library asks.
//!
//! Memory: at most [`WRITE_LIMIT`] bytes plus one frame wait for the socket; one read buffer of
//! [`buffers::LARGE`] bytes is held while there is something in it.

use std::io::{self, BufRead, IoSlice, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::buffers;

/// Bytes that may wait for the socket before the HTTP/2 library is told to wait.
const WRITE_LIMIT: usize = 128 * 1024;

/// Plaintext that is gathered into one TLS record; the largest record (RFC 8446 §5.1).
const GATHER: usize = 16 * 1024;

/// Writes up to this size are gathered; larger ones are not worth the copy.
const SMALL: usize = 4 * 1024;

/// The stream that the HTTP/2 library reads and writes.
#[derive(Debug)]
pub(crate) struct Records<IO>(Arc<Mutex<Inner<IO>>>);

/// The same stream in the hands of the task that drives the connection.
#[derive(Debug)]
pub(crate) struct Flusher<IO>(Arc<Mutex<Inner<IO>>>);

impl<IO> Clone for Flusher<IO> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<IO> Flusher<IO> {
    /// Looks at the certificates that the peer showed; `None` without TLS.
    pub(crate) fn with_peer<T>(&self, look: impl FnOnce(&[CertificateDer<'_>]) -> T) -> Option<T> {
        self.0.lock().tls.as_ref()?.peer_certificates().map(look)
    }
}

#[derive(Debug)]
struct Inner<IO> {
    io: IO,
    /// `None` for a stream that needs no TLS because it is authenticated already.
    tls: Option<rustls::Connection>,
    /// Plaintext that is not yet encrypted, or everything that waits when there is no TLS.
    gathered: BytesMut,
    /// Bytes that were given to rustls since it last had nothing left to send.
    encrypted: usize,
    /// Bytes from the socket that are not yet decrypted.
    arrived: BytesMut,
    /// Bytes ever read from the socket: how the keepalive knows that the peer lives.
    received: u64,
    /// Whether the HTTP/2 library was ever given bytes. TLS has some of its own, such as tickets.
    delivered: bool,
    /// Whether the socket has ended.
    ended: bool,
}

/// Splits a stream, after its TLS handshake, into the two handles.
pub(crate) fn split<IO>(io: IO, mut tls: Option<rustls::Connection>) -> (Records<IO>, Flusher<IO>) {
    if let Some(tls) = &mut tls {
        // The bound is `WRITE_LIMIT`, checked before encrypting; a second one would cut records.
        tls.set_buffer_limit(None);
    }
    let shared = Arc::new(Mutex::new(Inner {
        io,
        tls,
        gathered: BytesMut::new(),
        encrypted: 0,
        arrived: BytesMut::new(),
        received: 0,
        delivered: false,
        ended: false,
    }));
    (Records(shared.clone()), Flusher(shared))
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Flusher<IO> {
    /// Sends everything that was written. Ready when nothing is left; call it again on wake-up.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        ready!(inner.poll_drain(cx))?;
        Pin::new(&mut inner.io).poll_flush(cx)
    }

    /// Sends everything and ends the stream.
    pub(crate) fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_close(cx)
    }

    /// Whether the peer has begun to speak inside of TLS.
    pub(crate) fn has_delivered(&self) -> bool {
        self.0.lock().delivered
    }

    /// Bytes ever read from the socket.
    pub(crate) fn received(&self) -> u64 {
        self.0.lock().received
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Inner<IO> {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.gathered.len() + self.encrypted >= WRITE_LIMIT {
            ready!(self.poll_drain(cx))?;
        }
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        let gather = total <= SMALL && self.gathered.len() + total <= GATHER;
        match &mut self.tls {
            Some(tls) if !gather => {
                // One pass over what waits and what is new, so that records are full.
                let mut all = Vec::with_capacity(1 + bufs.len());
                all.push(IoSlice::new(&self.gathered));
                all.extend(bufs.iter().map(|buf| IoSlice::new(buf)));
                let taken = tls.writer().write_vectored(&all)?;
                if taken != self.gathered.len() + total {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.encrypted += taken;
                self.gathered.clear();
            }
            _ => bufs
                .iter()
                .for_each(|buf| self.gathered.extend_from_slice(buf)),
        }
        Poll::Ready(Ok(total))
    }

    /// Encrypts what was gathered and writes until nothing is left.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            io,
            tls,
            gathered,
            encrypted,
            ..
        } = self;
        if let Some(tls) = tls {
            if !gathered.is_empty() {
                tls.writer().write_all(gathered)?;
                *encrypted += gathered.len();
                gathered.clear();
            }
            // A small one is kept for the next few frames, a large one is not held while idle.
            if gathered.capacity() > SMALL {
                *gathered = BytesMut::new();
            }
            while tls.wants_write() {
                match tls.write_tls(&mut NonBlocking { io, cx }) {
                    Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Poll::Pending;
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            *encrypted = 0;
        } else {
            while !gathered.is_empty() {
                let written = ready!(Pin::new(&mut *io).poll_write(cx, gathered))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                gathered.advance(written);
            }
            *gathered = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        if let Some(tls) = &mut self.tls {
            // Idempotent: rustls queues the alert once.
            tls.send_close_notify();
        }
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let done = match &mut self.tls {
                Some(tls) => deliver(tls, buf)?,
                None => {
                    let n = self.arrived.len().min(buf.remaining());
                    buf.put_slice(&self.arrived.split_to(n));
                    n > 0 || self.ended
                }
            };
            if done {
                self.delivered |= !buf.filled().is_empty();
                self.release_when_empty();
                return Poll::Ready(Ok(()));
            }
            match &mut self.tls {
                Some(tls) if !self.arrived.is_empty() || self.ended => {
                    // At the end this reads nothing, which tells rustls that the peer is gone.
                    tls.read_tls(&mut (&mut self.arrived).reader())?;
                    if let Err(error) = tls.process_new_packets() {
                        // The alert for the peer is queued; the driver's last flush sends it.
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                    }
                }
                _ => ready!(self.poll_fill(cx))?,
            }
        }
    }

    /// Reads whatever the socket has.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.arrived.capacity() < buffers::LARGE {
            self.arrived = buffers::take();
        }
        let read = pin!(self.io.read_buf(&mut self.arrived)).poll(cx);
        if let Poll::Ready(Ok(n)) = &read {
            self.received = self
                .received
                .saturating_add(u64::try_from(*n).unwrap_or(u64::MAX));
            self.ended = *n == 0;
        }
        self.release_when_empty();
        read.map_ok(drop)
    }

    fn release_when_empty(&mut self) {
        if self.arrived.is_empty() && self.arrived.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.arrived));
        }
    }
}

/// Hands out decrypted bytes; `true` when some were there or the peer ended the stream cleanly.
fn deliver(tls: &mut rustls::Connection, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
    let before = buf.filled().len();
    let mut reader = tls.reader();
    while buf.remaining() > 0 {
        match reader.fill_buf() {
            Ok([]) => return Ok(true),
            Ok(chunk) => {
                let (now, _) = chunk.split_at(chunk.len().min(buf.remaining()));
                buf.put_slice(now);
                let taken = now.len();
                reader.consume(taken);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) if buf.filled().len() > before => break,
            Err(error) => return Err(error),
        }
    }
    Ok(buf.filled().len() > before)
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Records<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.lock().poll_read(cx, buf)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Records<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A hint: the driver flushes when the library has said everything.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_close(cx)
    }
}

/// The socket as rustls writes to it: blocking calls that say `WouldBlock`.
struct NonBlocking<'a, 'b, IO> {
    io: &'a mut IO,
    cx: &'a mut Context<'b>,
}

impl<IO: AsyncWrite + Unpin> NonBlocking<'_, '_, IO> {
    fn now(poll: Poll<io::Result<usize>>) -> io::Result<usize> {
        match poll {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<IO: AsyncWrite + Unpin> io::Write for NonBlocking<'_, '_, IO> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Self::now(Pin::new(&mut *self.io).poll_write(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::now(Pin::new(&mut *self.io).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
