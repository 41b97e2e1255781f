//! A request that waits for external authorizers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::super::future::ResponseFuture;
use super::super::reply::Reply;

/// What external authorizers said about a request.
pub(super) struct Asked {
    pub(super) parts: Parts,
    /// The answer to the client, when one denied.
    pub(super) denied: Option<Reply>,
}

type Ask = Pin<Box<dyn Future<Output = Asked> + Send>>;

pin_project! {
    /// The future of a request that external authorizers may be asked about. `F` is that of the inner
    /// service `S`.
    ///
    /// Dropping it gives up the question, or cancels the request as far as the inner service's
    /// future does.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct CustomFuture<S, B, F, R> {
        #[pin]
        state: State<S, B, F, R>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, F, R> {
        Asking { ask: Ask, rest: Option<(S, B)> },
        Done { #[pin] future: ResponseFuture<F, R> },
    }
}

impl<S, B, F, R> CustomFuture<S, B, F, R> {
    pub(super) fn done(future: ResponseFuture<F, R>) -> Self {
        Self {
            state: State::Done { future },
        }
    }

    /// `inner` is ready, and is called with `body` when all allow.
    pub(super) fn asking(ask: Ask, inner: S, body: B) -> Self {
        let rest = Some((inner, body));
        Self {
            state: State::Asking { ask, rest },
        }
    }
}

impl<S, B, R> Future for CustomFuture<S, B, S::Future, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future = match state.as_mut().project() {
                Projected::Done { future } => return future.poll(cx),
                Projected::Asking { ask, rest } => {
                    let Asked { parts, denied } = ready!(ask.as_mut().poll(cx));
                    match (denied, rest.take()) {
                        (Some(reply), _) => ResponseFuture::local(reply.to(&parts)),
                        (None, Some((mut inner, body))) => {
                            ResponseFuture::inner(inner.call(Request::from_parts(parts, body)))
                        }
                        // It is taken once, before the state changes.
                        (None, None) => return Poll::Pending,
                    }
                }
            };
            state.set(State::Done { future });
        }
    }
}

impl<S, B, F, R> fmt::Debug for CustomFuture<S, B, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomFuture").finish_non_exhaustive()
    }
}
