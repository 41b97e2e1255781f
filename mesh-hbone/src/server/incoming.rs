//! An unanswered CONNECT request.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, StatusCode};
use tower_service::Service;

use super::error::Error;
use crate::boxed::{BoxError, BoxFuture};
use crate::carrier::{Carrier, ConnectionLost};
use crate::http2::{Handle, Http2Error, Reason, Request};
use crate::peer::Peer;
use crate::tunnel::Tunnel;

/// A CONNECT request that has not been answered.
///
/// [`Incoming::accept`] answers 200 and gives the byte stream; [`Incoming::refuse`] answers
/// otherwise. Dropping it unanswered answers 503, so a service that fails or is cancelled never
/// leaves its peer waiting.
#[derive(Debug)]
#[must_use = "dropping it answers 503"]
pub struct Incoming {
    authority: Box<str>,
    headers: HeaderMap,
    carrier: Arc<Carrier>,
    /// Present until answered.
    pending: Option<Handle>,
}

/// Why a CONNECT request is refused: the statuses that node proxies use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: the request is malformed or asks for an address that is not served here.
    BadRequest,
    /// 401: policy denies it.
    Unauthorized,
    /// 503: what stands behind it cannot be reached.
    Unavailable,
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Incoming {
    pub(super) fn new(request: Request, handle: Handle, carrier: Arc<Carrier>) -> Self {
        Self {
            authority: request.authority,
            headers: request.headers,
            carrier,
            pending: Some(handle),
        }
    }

    /// The `:authority` of the request as it came: what to connect to. Not yet validated.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The headers of the request.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The peer.
    #[must_use]
    pub fn peer(&self) -> &Arc<Peer> {
        self.carrier.peer()
    }

    /// Why its connection was given up, when it was.
    pub(crate) fn lost(&self) -> Option<ConnectionLost> {
        self.carrier.lost()
    }

    /// Answers 200 with these headers and gives the byte stream.
    ///
    /// # Errors
    /// [`Error::Gone`] when the peer has reset the request or gone meanwhile.
    pub fn accept(mut self, headers: HeaderMap) -> Result<Tunnel, Error> {
        // Present until answered, and answering takes `self`.
        let Some(mut handle) = self.pending.take() else {
            let source = Http2Error::Closing;
            return Err(Error::Gone { source });
        };
        let answered = handle.respond(StatusCode::OK, &headers, false);
        answered.map_err(|source| Error::Gone { source })?;
        Ok(Tunnel::new(handle, self.carrier.clone(), None, None))
    }

    /// Answers with the status of the refusal.
    pub fn refuse(mut self, refusal: Refusal) {
        self.answer(refusal.status());
    }

    /// Resets the stream in a way that tells the peer that nothing was done (RFC 9113 §8.7): it may
    /// ask again.
    pub(super) fn turn_away(mut self) {
        if let Some(mut handle) = self.pending.take() {
            handle.reset(Reason::REFUSED_STREAM);
        }
    }

    /// Resolves when the peer has reset the request or gone: whatever is done for it can stop.
    ///
    /// # Cancellation
    /// Safe: nothing is lost.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.pending {
            Some(handle) => handle.poll_reset(cx).map(drop),
            None => Poll::Ready(()),
        }
    }

    fn answer(&mut self, status: StatusCode) {
        if let Some(mut handle) = self.pending.take() {
            // Fails only when the peer has gone.
            let _ = handle.respond(status, &HeaderMap::new(), true);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.answer(StatusCode::SERVICE_UNAVAILABLE);
    }
}

/// Makes a service of [`Incoming`]s out of one of byte streams: accepts every CONNECT.
///
/// The inner service learns who called from [`Tunnel::peer`].
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper")]
pub struct AcceptAll<S>(
    /// The service of byte streams.
    pub S,
);

impl<S> Service<Incoming> for AcceptAll<S>
where
    S: Service<Tunnel, Response = ()> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, incoming: Incoming) -> Self::Future {
        let clone = self.0.clone();
        let mut ready = std::mem::replace(&mut self.0, clone);
        Box::pin(async move {
            let tunnel = incoming.accept(HeaderMap::new())?;
            ready.call(tunnel).await.map_err(Into::into)
        })
    }
}
