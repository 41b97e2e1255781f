//! Responses of an upstream on their way back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::task::{AbortHandle, JoinHandle};

use super::http1::Fate;
use super::pools::{Http1Lease, Http2Lease};
use super::settings::ClientSettings;
use crate::attempt::AttemptError;
use crate::body::{Body, BodyError};
use crate::hygiene::clean_response;

/// Checks the head of a response and removes what belongs to its connection.
pub(super) fn clean<B>(
    response: Response<B>,
    asked_switch: bool,
    settings: &ClientSettings,
) -> Result<Response<B>, AttemptError> {
    let (mut parts, body) = response.into_parts();
    match clean_response(&mut parts, asked_switch, &settings.rules) {
        Ok(_) => Ok(Response::from_parts(parts, body)),
        Err(fault) => Err(AttemptError::Protocol(Box::new(fault))),
    }
}

/// What a response holds until its end.
pub(super) enum Held<E> {
    Nothing,
    Http1(Http1Lease<E>, Option<Arc<Fate>>),
    Http2(#[expect(dead_code, reason = "held, and counted until it is dropped")] Http2Lease<E>),
}

/// The rest of a request that is still being sent; stopped when it is dropped.
pub(super) struct Upload(AbortHandle);

impl Upload {
    pub(super) fn new(task: &JoinHandle<()>) -> Self {
        Self(task.abort_handle())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a response. With its end the connection can be used again; without it, the connection or
/// stream ends.
pub(super) struct Answer<E> {
    body: Body,
    held: Held<E>,
    upload: Option<Upload>,
}

impl<E: Clone + PartialEq + Send + Sync + 'static> Answer<E> {
    pub(super) fn of(body: Body, held: Held<E>, upload: Option<Upload>) -> Body {
        let mut answer = Self { body, held, upload };
        if answer.body.is_end_stream() {
            answer.end();
            return Body::empty();
        }
        Body::new(answer)
    }

    /// The answer is complete. What is left of the request is not wanted any more.
    fn end(&mut self) {
        self.upload = None;
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Http1(lease, fate) => {
                if fate.is_none_or(|fate| fate.has_ended()) {
                    lease.done();
                }
            }
            Held::Http2(_) | Held::Nothing => {}
        }
    }
}

impl<E: Clone + PartialEq + Send + Sync + 'static> http_body::Body for Answer<E> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let ended = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || self.body.is_end_stream(),
            _ => false,
        };
        if ended {
            self.end();
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

impl<E> Unpin for Answer<E> {}
