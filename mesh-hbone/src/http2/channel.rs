//! The byte stream below HTTP/2: TLS records with few, large reads and writes.

use std::future::Future;
use std::io::{self, BufRead, IoSlice, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Instant;

use super::send::Batch;
use crate::buffers;

/// Frames that are put into TLS records at once without an allocation for the list of them.
const FEW: usize = 3;

/// A stream, after its TLS handshake. An idle one holds no buffer.
#[derive(Debug)]
pub(super) struct Channel<IO> {
    io: IO,
    /// `None` for a stream that needs no TLS because it is authenticated already.
    tls: Option<rustls::Connection>,
    /// Bytes from the socket; of TLS, those that are not yet decrypted.
    arrived: BytesMut,
    /// Decrypted bytes that rustls holds.
    decrypted: usize,
    /// Without TLS: bytes that wait for the socket.
    unsent: BytesMut,
    /// When bytes last came from the socket.
    heard: Instant,
    /// Whether the peer has ended the stream.
    ended: bool,
}

impl<IO> Channel<IO> {
    pub(super) fn new(io: IO, mut tls: Option<rustls::Connection>) -> Self {
        let (mut decrypted, mut ended) = (0, false);
        if let Some(tls) = &mut tls {
            // The handshake may have read more than its own. What is wrong with that shows again when more is read.
            if let Ok(state) = tls.process_new_packets() {
                decrypted = state.plaintext_bytes_to_read();
                ended = state.peer_has_closed();
            }
            // What is encrypted at once is bounded by its caller; a second bound would cut records.
            tls.set_buffer_limit(None);
        }
        Self {
            io,
            tls,
            arrived: BytesMut::new(),
            decrypted,
            unsent: BytesMut::new(),
            heard: Instant::now(),
            ended,
        }
    }

    pub(super) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.tls.as_ref()?.peer_certificates()
    }

    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Channel<IO> {
    /// Decrypts as much as is needed for [`Channel::plaintext`] to have something, if it can.
    pub(super) fn decrypt(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while self.decrypted == 0 && !self.arrived.is_empty() && !self.ended {
            tls.read_tls(&mut (&mut self.arrived).reader())?;
            let state = tls
                .process_new_packets()
                // The alert for the peer is queued; the last flush sends it.
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.decrypted = state.plaintext_bytes_to_read();
            if state.peer_has_closed() {
                self.ended = true;
            }
        }
        Ok(())
    }

    /// Bytes of HTTP/2 that have come; none when more have to be read.
    pub(super) fn plaintext(&mut self) -> &[u8] {
        match &mut self.tls {
            Some(tls) if self.decrypted > 0 => tls.reader().into_first_chunk().unwrap_or_default(),
            Some(_) => &[],
            None => &self.arrived,
        }
    }

    /// Takes note that so many of those bytes were dealt with.
    pub(super) fn consume(&mut self, bytes: usize) {
        match &mut self.tls {
            Some(tls) => {
                tls.reader().consume(bytes);
                self.decrypted = self.decrypted.saturating_sub(bytes);
            }
            None => self.arrived.advance(bytes.min(self.arrived.len())),
        }
        self.release_when_empty();
    }

    /// Reads whatever the socket has.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.arrived.capacity() < buffers::LARGE {
            self.arrived = buffers::take();
        }
        let read = pin!(self.io.read_buf(&mut self.arrived)).poll(cx);
        match &read {
            Poll::Ready(Ok(0)) => self.ended = true,
            Poll::Ready(Ok(_)) => self.heard = Instant::now(),
            _ => {}
        }
        self.release_when_empty();
        read.map_ok(drop)
    }

    fn release_when_empty(&mut self) {
        if self.arrived.is_empty() && self.arrived.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.arrived));
        }
    }

    /// Encrypts frames, in records as full as they can be.
    pub(super) fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        let Batch {
            control,
            frames,
            bytes,
        } = batch;
        let total = std::mem::take(bytes);
        match &mut self.tls {
            Some(tls) => {
                let mut few = [IoSlice::new(&[]); 1 + 2 * FEW];
                let mut many = Vec::new();
                let slices: &[IoSlice<'_>] = if frames.len() <= FEW {
                    fill(&mut few, control, frames);
                    &few
                } else {
                    many.resize(1 + 2 * frames.len(), IoSlice::new(&[]));
                    fill(&mut many, control, frames);
                    &many
                };
                if tls.writer().write_vectored(slices)? != total {
                    return Err(io::ErrorKind::WriteZero.into());
                }
            }
            None => {
                self.unsent.extend_from_slice(control);
                for (head, payload) in &*frames {
                    self.unsent.extend_from_slice(head);
                    self.unsent.extend_from_slice(payload);
                }
            }
        }
        *control = BytesMut::new();
        frames.clear();
        if frames.capacity() > 2 * FEW {
            *frames = Vec::new();
        }
        Ok(())
    }

    /// Writes to the socket until nothing is left.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            io, tls, unsent, ..
        } = self;
        if let Some(tls) = tls {
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
        } else if !unsent.is_empty() {
            while !unsent.is_empty() {
                let written = ready!(Pin::new(&mut *io).poll_write(cx, unsent))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                unsent.advance(written);
            }
            *unsent = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Asks the stream below to send what it holds.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Ends the stream, after everything was sent.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        if let Some(tls) = &mut self.tls {
            // Idempotent: rustls queues the alert once.
            tls.send_close_notify();
        }
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Puts what a batch has into a list of as many slices.
fn fill<'a>(slices: &mut [IoSlice<'a>], control: &'a [u8], frames: &'a [([u8; 9], bytes::Bytes)]) {
    let parts = frames
        .iter()
        .flat_map(|(head, payload)| [&head[..], &payload[..]]);
    let parts = std::iter::once(control).chain(parts);
    for (slice, part) in slices.iter_mut().zip(parts) {
        *slice = IoSlice::new(part);
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

impl<IO: AsyncWrite + Unpin> Write for NonBlocking<'_, '_, IO> {
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
