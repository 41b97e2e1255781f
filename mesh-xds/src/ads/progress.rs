//! Whether a response is on its way: when the last of its bytes came.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tonic::body::Body;
use tower_service::Service;

use super::clock::now;
use crate::control::ControlChannel;

/// When bytes of responses came last. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    start: Instant,
    /// In milliseconds after `start`, and one more; 0 = never.
    last: Arc<AtomicU64>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            start: now(),
            last: Arc::default(),
        }
    }

    /// When the last bytes came, if any did.
    pub(super) fn last(&self) -> Option<Instant> {
        let after = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.start + Duration::from_millis(after))
    }

    fn note(&self) {
        let after = now().saturating_duration_since(self.start).as_millis();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        self.last.store(after.saturating_add(1), Ordering::Relaxed);
    }
}

/// A channel that notes when bytes of responses come.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) channel: ControlChannel,
    pub(super) progress: Progress,
}

impl Service<http::Request<Body>> for Noted {
    type Response = http::Response<NotedBody>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (response, progress) = (self.channel.call(request), self.progress.clone());
        Box::pin(async move {
            let response = response.await?;
            Ok(response.map(|body| NotedBody { body, progress }))
        })
    }
}

/// The body of a response.
#[derive(Debug)]
pub(super) struct NotedBody {
    body: Incoming,
    progress: Progress,
}

impl HttpBody for NotedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(_))) = &frame {
            self.progress.note();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
