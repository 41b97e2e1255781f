//! The task's side of a connection: moves bytes between the channel and the streams.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::channel::Channel;
use super::frame;
use super::handle::{Core, Handle};
use super::message::Request;
use super::reason::{Broken, Http2Error, Reason};
use super::send::Batch;
use super::settings::Local;
use super::state::{Opened, State};
use crate::buffers;

/// Bytes that are encrypted before they have to go to the socket.
const WRITE_LIMIT: usize = 128 * 1024;

/// Reads of the socket before whoever waits for their bytes gets a turn.
const READS: usize = 2;

/// Times that answers to the peer are sent, and more of its questions read, before others get a turn.
const ROUNDS: usize = 16;

/// A connection. To be polled until it is ready; dropping it ends its streams.
#[derive(Debug)]
pub(crate) struct Connection<IO> {
    core: Arc<Core>,
    channel: Channel<IO>,
    /// Where larger pieces of DATA are copied to.
    landing: BytesMut,
    batch: Batch,
}

impl<IO> Connection<IO> {
    /// A client's side. Until the peer has spoken, `assumed_streams` may be open at once.
    pub(crate) fn client(
        io: IO,
        tls: Option<rustls::Connection>,
        local: Local,
        assumed_streams: u32,
    ) -> Self {
        Self::new(io, tls, State::client(local, assumed_streams))
    }

    /// A server's side.
    pub(crate) fn server(io: IO, tls: Option<rustls::Connection>, local: Local) -> Self {
        Self::new(io, tls, State::server(local))
    }

    fn new(io: IO, tls: Option<rustls::Connection>, state: State) -> Self {
        Self {
            core: Arc::new(Core(Mutex::new(state))),
            channel: Channel::new(io, tls),
            landing: BytesMut::new(),
            batch: Batch::default(),
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The certificates that the peer showed; `None` without TLS.
    pub(crate) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.channel.peer_certificates()
    }

    /// When bytes last came from the peer.
    pub(crate) fn heard(&self) -> Instant {
        self.channel.heard()
    }

    /// Whether the peer has begun to speak HTTP/2.
    pub(crate) fn is_settled(&self) -> bool {
        self.core.0.lock().settled
    }

    /// The next request that nobody has taken (servers). To be called after each poll until there is none.
    pub(crate) fn take_request(&mut self) -> Option<(Request, Handle)> {
        let mut state = self.core.0.lock();
        let Some(Opened { id, request }) = state.requests.pop_front() else {
            state.early_resets = 0;
            return None;
        };
        let stream = state.streams.get_mut(&id)?;
        stream.unseen = false;
        Some((
            request,
            Handle {
                core: self.core.clone(),
                id,
            },
        ))
    }

    /// Tells the peer why the connection ends, and everybody here that it has.
    pub(crate) fn abort(&mut self, reason: Reason) {
        let mut state = self.core.0.lock();
        let last = state.last_seen();
        frame::put_go_away(&mut state.control, last, reason);
        state.fail(Http2Error::Reset { reason });
    }

    /// Tells everybody here that the connection has ended.
    pub(crate) fn end(&mut self) {
        self.core
            .0
            .lock()
            .fail(Http2Error::io(io::ErrorKind::BrokenPipe.into()));
    }
}

impl<IO> Drop for Connection<IO> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    /// Moves what can be moved. Ready when the connection has ended, with an error unless somebody wanted it to.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http2Error>> {
        self.core.0.lock().attend(cx);
        for _ in 0..ROUNDS {
            let read = self.poll_read(cx);
            let written = self.poll_write(cx);
            if let Poll::Ready(Err(error)) = read {
                return Poll::Ready(self.ended(error));
            }
            if let Poll::Ready(Err(error)) = written {
                return Poll::Ready(self.ended(Ended::Failed(Http2Error::io(error))));
            }
            if written.is_ready() && self.is_finished() {
                return Poll::Ready(Ok(()));
            }
            match read {
                Poll::Ready(Ok(Stopped::Tired)) => break,
                // There was too much to say first; more is read when that is said.
                Poll::Ready(Ok(Stopped::Choked)) if written.is_ready() => {}
                _ => return Poll::Pending,
            }
        }
        // Others first; there may be more to read.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether there is nothing left to do.
    fn is_finished(&self) -> bool {
        let mut state = self.core.0.lock();
        let finished = state.is_finished();
        if finished {
            state.fail(Http2Error::Closing);
        }
        finished
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stopped, Ended>> {
        let mut reads = 0;
        let result = loop {
            match self.deliver() {
                Ok(None) => {}
                Ok(Some(stopped)) => break Poll::Ready(Ok(stopped)),
                Err(error) => break Poll::Ready(Err(error)),
            }
            if self.channel.has_ended() {
                break Poll::Ready(Err(Ended::ByPeer));
            }
            if reads == READS {
                break Poll::Ready(Ok(Stopped::Tired));
            }
            reads += 1;
            match self.channel.poll_fill(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    break Poll::Ready(Err(Ended::Failed(Http2Error::io(error))));
                }
                Poll::Pending => break Poll::Pending,
            }
        };
        if self.landing.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.landing));
        }
        result
    }

    /// Hands what has come to the streams.
    fn deliver(&mut self) -> Result<Option<Stopped>, Ended> {
        loop {
            let decrypted = self.channel.decrypt();
            decrypted.map_err(|error| Ended::Failed(Http2Error::io(error)))?;
            let bytes = self.channel.plaintext();
            if bytes.is_empty() {
                return Ok(None);
            }
            let mut state = self.core.0.lock();
            let taken = state.receive(bytes, &mut self.landing);
            let choked = state.is_choked();
            drop(state);
            self.channel.consume(taken.map_err(Ended::Broken)?);
            if choked {
                return Ok(Some(Stopped::Choked));
            }
        }
    }

    /// Sends what there is to send. Ready when nothing is left.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            std::task::ready!(self.channel.poll_drain(cx))?;
            self.core.0.lock().take_batch(&mut self.batch, WRITE_LIMIT);
            if self.batch.is_empty() {
                return self.channel.poll_flush(cx);
            }
            self.channel.write(&mut self.batch)?;
        }
    }

    /// Everybody learns of the end.
    fn ended(&mut self, end: Ended) -> Result<(), Http2Error> {
        let mut state = self.core.0.lock();
        let error = match end {
            // With nothing under way it is no loss.
            Ended::ByPeer if state.active == 0 && state.place.is_between_frames() => {
                state.fail(Http2Error::io(io::ErrorKind::UnexpectedEof.into()));
                return Ok(());
            }
            Ended::ByPeer => Http2Error::io(io::ErrorKind::UnexpectedEof.into()),
            Ended::Failed(error) => error,
            Ended::Broken(broken) => {
                let last = state.last_seen();
                frame::put_go_away(&mut state.control, last, broken.reason);
                broken.into()
            }
        };
        state.fail(error.clone());
        Err(error)
    }

    /// Sends what is left of a connection that has ended.
    pub(crate) fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(cx)
    }

    /// Sends what is left of a connection that has ended, and ends the stream below.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_write(cx))?;
        self.channel.poll_close(cx)
    }
}

/// Why reading stopped though there may be more to read.
#[derive(Clone, Copy, Debug)]
enum Stopped {
    Choked,
    Tired,
}

/// Why the connection has ended.
#[derive(Debug)]
enum Ended {
    ByPeer,
    Failed(Http2Error),
    Broken(Broken),
}
