//! The bytes of an HTTP/1 connection, checked before the parser behind sees them.

mod farewell;
mod patience;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::arrival::Arrival;
use super::fault::Fault;
use super::refusal;
use super::settings::ClientEnd;
use super::turn::{Standing, Turn};
use crate::hygiene::{Expects, RequestStream};

use farewell::Farewell;
use patience::{Patience, Waiting};

/// Bytes that are read at once when they do not go to the parser directly.
const READ: usize = 4096;

/// A connection of which the reader sees checked requests only. After the first fault it sees the end;
/// when everything before has been answered and the connection is shut down, the fault is answered.
pub(super) struct Checked<IO> {
    io: IO,
    requests: RequestStream,
    turn: Arc<Turn>,
    client_end: ClientEnd,
    /// The most that is held back.
    limit: usize,
    /// What has been received and not been read; the first `passed` bytes of it may be.
    held: BytesMut,
    passed: usize,
    /// There may be more in `held` that can be passed.
    unjudged: bool,
    end: Option<End>,
    patience: Patience,
    farewell: Farewell,
    arrival: Arc<Arrival>,
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// The client has closed its direction.
    Client,
    /// That was the last request, there was a fault between requests, or nothing came in time.
    Last,
    /// A fault inside of a body.
    Broken,
}

impl<IO> Checked<IO> {
    pub(super) fn new(io: IO, arrival: Arc<Arrival>, turn: Arc<Turn>) -> Self {
        let settings = &*arrival.settings;
        Self {
            io,
            requests: RequestStream::new(settings.rules.clone()),
            turn,
            client_end: settings.client_end,
            limit: settings.rules.head_bytes.saturating_add(READ),
            held: BytesMut::new(),
            passed: 0,
            unjudged: false,
            end: None,
            patience: Patience::new(settings.head_timeout, settings.idle_timeout),
            farewell: Farewell::default(),
            arrival,
        }
    }

    fn fail(&mut self, fault: Fault) {
        if fault.is_in_body() {
            self.turn.fail_body(fault);
            self.end = Some(End::Broken);
        } else {
            self.farewell.answer(&fault);
            let words = u64::try_from(fault.to_string().len()).unwrap_or(u64::MAX);
            refusal::tell(&self.arrival, None, &fault, words);
            self.end = Some(End::Last);
        }
        self.held = BytesMut::new();
    }

    /// Gives what may be read to the reader; false when there is nothing.
    fn pass(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let here = self.passed.min(buf.remaining());
        if here == 0 {
            return false;
        }
        buf.put_slice(&self.held.split_to(here));
        self.passed -= here;
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        true
    }

    fn judge(&mut self) {
        self.unjudged = false;
        match self.requests.accept(&self.held) {
            Ok(0) => {}
            Ok(passed) => {
                self.passed = passed;
                self.unjudged = true;
            }
            Err(fault) => self.fail(fault.into()),
        }
    }
}

impl<IO: AsyncRead + Unpin> Checked<IO> {
    /// Reads what goes to the reader directly. False when the reader gets nothing of it.
    fn poll_direct(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let received = buf.filled().get(before..).unwrap_or_default();
        if received.is_empty() {
            self.end = Some(End::Client);
            return Poll::Ready(Ok(false));
        }
        let passed = match self.requests.accept(received) {
            Ok(passed) => passed,
            Err(fault) => {
                self.fail(fault.into());
                0
            }
        };
        if self.end.is_none() {
            let rest = received.get(passed..).unwrap_or_default();
            self.held.extend_from_slice(rest);
            // After some have passed, the rest may have a fault that has not been told.
            self.unjudged = passed > 0 && !rest.is_empty();
        }
        buf.set_filled(before.saturating_add(passed));
        Poll::Ready(Ok(passed > 0))
    }

    /// Reads to what is held.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [0; READ];
        let mut buf = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        if buf.filled().is_empty() {
            self.end = Some(End::Client);
        }
        self.held.extend_from_slice(buf.filled());
        self.unjudged = true;
        Poll::Ready(Ok(()))
    }

    /// The end, once the reader may see it: an end in the middle of an answer would cut it off.
    fn poll_end(&mut self, cx: &mut Context<'_>, end: End) -> Poll<io::Result<()>> {
        let in_body = self.requests.expects() == Expects::Body;
        let gone = end == End::Client && self.client_end == ClientEnd::Gone;
        if end == End::Broken || in_body || gone || !self.turn.is_busy(cx.waker()) {
            return Poll::Ready(Ok(()));
        }
        if end == End::Client {
            return Poll::Pending;
        }
        // Nothing more is expected, but the client may go away.
        let mut space = [0; READ];
        loop {
            let mut buf = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                self.end = Some(End::Client);
                return match self.client_end {
                    ClientEnd::Gone => Poll::Ready(Ok(())),
                    ClientEnd::HalfClosed => Poll::Pending,
                };
            }
        }
    }

    /// Nothing has been received: how long that may go on.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let expects = self.requests.expects();
        if self.held.is_empty() && matches!(expects, Expects::Head | Expects::Body) {
            // The common case: no answer needs to wake the reader, as the timer looks at what was answered when.
            let standing = match expects {
                Expects::Body => Standing::Busy,
                _ => self.turn.standing(),
            };
            ready!(self.patience.poll_idle(cx, standing));
            self.end = Some(End::Last);
            return Poll::Ready(());
        }
        // Asked whatever is expected, so that the answer to an upgrade wakes the reader.
        let busy = self.turn.is_busy(cx.waker());
        let waiting = match expects == Expects::Head && !busy {
            true => Waiting::Head,
            false => Waiting::Other,
        };
        ready!(self.patience.poll_head(cx, waiting));
        self.fail(Fault::Timeout);
        Poll::Ready(())
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Checked<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            // An answer to an earlier request than the last that was read says nothing about that one.
            if let Some((request, switched)) = this.turn.take_switched()
                && request == this.requests.heads()
            {
                this.requests.answered(switched);
                this.unjudged = true;
            }
            if this.pass(buf) {
                return Poll::Ready(Ok(()));
            }
            if this.unjudged && !this.held.is_empty() {
                this.judge();
                continue;
            }
            if let Some(end) = this.end {
                return this.poll_end(cx, end);
            }
            if this.requests.expects() == Expects::Nothing {
                this.end = Some(End::Last);
                continue;
            }
            let read = if this.held.is_empty() {
                this.poll_direct(cx, buf)?
            } else if this.held.len() >= this.limit {
                // Only what follows an upgrade that has not been answered can be so long.
                let _busy = this.turn.is_busy(cx.waker());
                return Poll::Pending;
            } else {
                this.poll_held(cx)?.map(|()| false)
            };
            match read {
                Poll::Ready(true) => return Poll::Ready(Ok(())),
                Poll::Ready(false) => {}
                Poll::Pending => ready!(this.poll_patience(cx)),
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Checked<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // A client that is still sending would have the connection reset, and lose the answer.
        let sending = this.end != Some(End::Client) && this.requests.expects() != Expects::Tunnel;
        this.farewell.poll_said(&mut this.io, cx, sending)
    }
}
