//! A body that is counted on its way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};

use super::grpc::{self, Messages};
use super::sink::Needs;
use crate::body::{Body, BodyError};
use crate::record::{Captured, Entry, Flags, Open, head_size};

/// Counts a body, and keeps the record open until its end or until it is dropped.
pub(super) struct Watched {
    body: Body,
    /// There until the end has been noted.
    open: Option<Open>,
    bytes: u64,
    /// Where they are counted.
    messages: Option<Messages>,
    side: Side,
}

/// Which body of the two.
pub(super) enum Side {
    Request,
    /// With what is wanted of its trailers.
    Response(Arc<Needs>),
}

/// How a body came to its end.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Complete,
    Failed,
    Dropped,
}

impl Watched {
    /// Watches a body that has more to come; of one that has not, `open` ends at once.
    pub(super) fn body(body: Body, open: Open, grpc: bool, side: Side) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Self {
            body,
            open: Some(open),
            bytes: 0,
            messages: grpc.then(Messages::default),
            side,
        })
    }

    fn data(&mut self, data: &Bytes) {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        if let Some(messages) = &mut self.messages {
            messages.push(data);
        }
    }

    fn trailers(&self, trailers: &HeaderMap) {
        let (Some(open), Side::Response(needs)) = (&self.open, &self.side) else {
            return;
        };
        open.record().note(|entry| {
            if entry.grpc {
                entry.grpc_status = grpc::status(trailers).or(entry.grpc_status);
            }
            let bytes = &mut entry.response.bytes;
            *bytes = bytes.saturating_add(head_size(trailers));
            entry.response.trailers = Captured::of(trailers, &needs.response_trailers);
        });
    }

    fn end(&mut self, how: End) {
        let Some(open) = self.open.take() else {
            return;
        };
        let messages = self.messages.map_or(0, |messages| messages.count());
        open.record().note(|entry| {
            let Entry { start, .. } = *entry;
            match self.side {
                Side::Request => {
                    entry.request_bytes = self.bytes;
                    entry.request_messages = messages;
                    if how == End::Complete {
                        entry.received = Some(start.elapsed());
                    }
                }
                Side::Response(_) => {
                    entry.response_bytes = self.bytes;
                    entry.response_messages = messages;
                    if how == End::Dropped {
                        entry.flags = entry.flags.and(Flags::CLIENT_GONE);
                    }
                }
            }
        });
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            None => this.end(End::Complete),
            Some(Err(_)) => this.end(End::Failed),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.data(data);
                } else if let Some(trailers) = frame.trailers_ref() {
                    this.trailers(trailers);
                }
                // Nobody asks for more after a body has said that it is at its end.
                if frame.is_trailers() || this.body.is_end_stream() {
                    this.end(End::Complete);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // With a length that was said, nobody waits for the end after the last byte.
        let all = self.bytes > 0 && self.body.size_hint().exact() == Some(0);
        self.end(if all { End::Complete } else { End::Dropped });
    }
}
