//! CONNECT requests that reach a local workload.

mod admit;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use mesh_core::telemetry::{Direction, Event, Telemetry};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tower_service::Service;

use super::authorize::DECISION_TIMEOUT;
use super::carry::{Carrying, carry};
use super::headers::HeaderSource;
use super::session::Session;
use super::{Authorizer, ConnectionFuture, Dial, DialError, Error, Permit, Resolver};
use crate::copy::Plain;
use crate::io::Socket;
use crate::server::{Incoming, Refusal};

/// What an [`Inbound`] service does beside the necessary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundOptions {
    /// Whether the workload sees the IP address of the TCP peer, where the dialer can do that.
    /// Default false. Istio: `ENABLE_ORIG_SRC`.
    pub preserve_source: bool,
    /// Whether answers describe the local workload, and requests' descriptions of their source are
    /// believed for telemetry. Default true. Istio: `ENABLE_RESPONSE_BAGGAGE`.
    pub baggage: bool,
    /// Time that policy may be undecided ([`Verdict::Undecided`](super::Verdict::Undecided)) about
    /// a request before it is denied. Default 10 s; zero denies at once.
    pub decision_timeout: Duration,
}

impl Default for InboundOptions {
    fn default() -> Self {
        Self {
            preserve_source: false,
            baggage: true,
            decision_timeout: DECISION_TIMEOUT,
        }
    }
}

/// Carries CONNECT requests to a local workload: a service of [`Incoming`] requests.
///
/// For each request: parse, resolve ([`Resolver`]), report, authorize ([`Authorizer`]), dial (`D`),
/// answer 200, send the PROXY header where one is wanted, copy.
///
/// | what is wrong | answer |
/// |---|---|
/// | the authority is not a host and a port | 400 |
/// | the local workload is not known | 503 |
/// | the authority is another address, or a service that the workload is no part of | 400 |
/// | the authority is an unknown service or port, or leads to this proxy | 503 |
/// | policy denies it | 401 |
/// | the workload cannot be connected to | 503 |
///
/// A permission that is withdrawn ends the connection; policy that is undecided is waited for. The service is always ready. Its future ends
/// with the connection.
///
/// # Errors
/// [`Error`], after it was reported and answered.
///
/// # Cancellation
/// Dropping the future answers 503 or resets the connection on both sides; it is reported as
/// drained.
#[derive(Clone, Debug)]
pub struct Inbound<R, A, D> {
    resolver: R,
    authorizer: A,
    dialer: D,
    telemetry: Arc<dyn Telemetry>,
    options: InboundOptions,
    headers: HeaderSource,
}

impl<R, A, D> Inbound<R, A, D> {
    /// The service with [`InboundOptions::default`].
    pub fn new(resolver: R, authorizer: A, dialer: D, telemetry: Arc<dyn Telemetry>) -> Self {
        Self {
            resolver,
            authorizer,
            dialer,
            telemetry,
            options: InboundOptions::default(),
            headers: HeaderSource::default(),
        }
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(self, options: InboundOptions) -> Self {
        Self { options, ..self }
    }
}

/// A connection to the local workload, before the request is answered.
struct Admitted<S> {
    session: Session,
    permit: Permit,
    upstream: S,
    /// The PROXY header to begin with.
    prelude: Option<Bytes>,
    /// Headers of the answer.
    answer: HeaderMap,
}

/// How a request ends that is not admitted.
struct Refused {
    refusal: Refusal,
    error: Error,
}

impl<R, A, D> Inbound<R, A, D>
where
    R: Resolver,
    A: Authorizer,
    D: Service<Dial> + Clone + Send + Sync + 'static,
    D::Response: Socket,
    D::Error: Into<DialError>,
    D::Future: Send,
{
    async fn serve(self, mut incoming: Incoming) -> Result<Carrying, Error> {
        match self.admit(&mut incoming, Instant::now()).await {
            Ok(admitted) => admitted.begin(incoming).await,
            Err(Refused { refusal, error }) => {
                incoming.refuse(refusal);
                Err(error)
            }
        }
    }
}

impl<R, A, D> Inbound<R, A, D> {
    /// Reports a request whose two ends never were known.
    fn rejected(&self, incoming: &Incoming, error: &Error) {
        let peer = incoming.peer();
        self.telemetry.record(&Event::Rejected {
            direction: Direction::Inbound,
            source: peer.addr(),
            destination: peer.local_addr(),
            outcome: error.outcome(),
            error,
        });
    }
}

impl<S: Socket> Admitted<S> {
    /// Answers 200, sends the PROXY header and begins to carry.
    async fn begin(mut self, incoming: Incoming) -> Result<Carrying, Error> {
        let opened = match incoming.accept(self.answer) {
            Ok(tunnel) => {
                let prelude = send(&mut self.upstream, self.prelude);
                self.permit.guard(prelude).await.map(|()| tunnel)
            }
            Err(error) => Err(Error::Answer(error)),
        };
        match opened {
            Ok(tunnel) => {
                let server = Plain::new(self.upstream);
                Ok(carry(tunnel, server, self.permit, self.session))
            }
            Err(error) => {
                self.upstream.reset_on_drop();
                self.session.close(Err(&error));
                Err(error)
            }
        }
    }
}

async fn send(upstream: &mut impl Socket, prelude: Option<Bytes>) -> Result<(), Error> {
    match prelude {
        Some(header) => upstream.write_all(&header).await.map_err(Error::Prelude),
        None => Ok(()),
    }
}

impl<R, A, D> Service<Incoming> for Inbound<R, A, D>
where
    R: Resolver,
    A: Authorizer,
    D: Service<Dial> + Clone + Send + Sync + 'static,
    D::Response: Socket,
    D::Error: Into<DialError>,
    D::Future: Send,
{
    type Response = ();
    type Error = Error;
    type Future = ConnectionFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, incoming: Incoming) -> ConnectionFuture {
        ConnectionFuture::new(self.clone().serve(incoming))
    }
}
