//! The body of a response, with what is held until its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::super::commit::Held;
use crate::body::{Body, BodyError};

struct Holding {
    body: Body,
    held: Option<Held>,
}

/// A body that holds these places until its end.
pub(super) fn holding(body: Body, held: Held) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let held = Some(held);
    Body::new(Holding { body, held })
}

impl http_body::Body for Holding {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.held = None;
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
