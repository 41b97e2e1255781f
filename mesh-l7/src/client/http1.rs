//! HTTP/1 to an upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::connection::{Lifetime, Usage};
use super::failure::Failure;
use super::hearing::Hearing;
use super::settings::ClientSettings;
use crate::body::{Body, BodyError};
use crate::hygiene::DEFAULT_LINES;

/// One HTTP/1 connection.
pub(super) struct Http1 {
    pub(super) sender: SendRequest<Outgoing>,
    task: AbortHandle,
    pub(super) usage: Usage,
}

impl Http1 {
    /// Begins to speak HTTP/1 on a connection.
    ///
    /// `live` says that it is there, and is held until it is closed.
    pub(super) async fn begin<IO, L>(
        io: IO,
        lifetime: Lifetime,
        settings: &ClientSettings,
        live: impl FnOnce() -> L,
    ) -> Result<Self, Failure>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        L: Send + 'static,
    {
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder
            .max_header_size(settings.rules.head_bytes)
            .max_buf_size(settings.rules.head_bytes.max(8 << 10).saturating_mul(2));
        // Room for a number of lines that is set is cleared for each head, room for the default is not.
        if settings.rules.lines != DEFAULT_LINES {
            builder.max_headers(settings.rules.lines);
        }
        let (sender, connection) = builder
            .handshake(TokioIo::new(Hearing::new(io)))
            .await
            .map_err(Failure::connect)?;
        let usage = Usage::new(lifetime);
        let outlived = usage.clone().outlived();
        let live = live();
        let task = tokio::spawn(async move {
            let _live = live;
            tokio::select! {
                // What goes wrong is told to the request; without one, the connection is closed.
                _ = connection.with_upgrades() => {}
                () = outlived => {}
            }
        });
        Ok(Self {
            sender,
            task: task.abort_handle(),
            usage,
        })
    }

    pub(super) fn may_go_on(&self) -> bool {
        !self.sender.is_closed() && self.usage.may_go_on()
    }

    /// Closes it, whatever is under way.
    pub(super) fn close(self) {
        self.task.abort();
    }
}

/// The body of a request, and what has become of it.
pub(super) struct Outgoing {
    pub(super) body: Body,
    fate: Option<Arc<Fate>>,
}

/// What has become of the body of a request.
#[derive(Debug, Default)]
pub(super) struct Fate(AtomicU8);

const ENDED: u8 = 1;
const FAILED: u8 = 2;

impl Fate {
    /// Whether all of it has been taken.
    pub(super) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ENDED
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FAILED
    }
}

impl Outgoing {
    pub(super) fn new(body: Body) -> (Self, Option<Arc<Fate>>) {
        let fate = (!body.is_end_stream()).then(Arc::<Fate>::default);
        let outgoing = Self {
            body,
            fate: fate.clone(),
        };
        (outgoing, fate)
    }

    fn note(&self, fate: u8) {
        if let Some(noted) = &self.fate {
            noted.0.store(fate, Ordering::Relaxed);
        }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.note(ENDED),
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => self.note(ENDED),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.note(ENDED),
            Poll::Ready(Some(Err(_))) => self.note(FAILED),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outgoing {
    /// A body of known length is not asked whether there is more after its last byte.
    fn drop(&mut self) {
        if self.body.is_end_stream() || self.body.size_hint().exact() == Some(0) {
            self.note(ENDED);
        }
    }
}
