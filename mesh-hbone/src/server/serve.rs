//! Driving one HTTP/2 connection of a server.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Method;
use mesh_core::credential::Credential;
use mesh_core::drain::Drain;
use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Direction, Event};
use mesh_core::watch::Watch;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tower_service::Service;

use super::error::Error;
use super::handshake::Ready;
use super::incoming::{Incoming, Refusal};
use super::settings::Shared;
use crate::boxed::BoxError;
use crate::carrier::{Carrier, ConnectionLost};
use crate::gate::Gate;
use crate::http2::{Connection, Handle, Http2Error, Reason, Request};
use crate::keepalive::Keepalive;
use crate::parting;
use crate::revocation::Revoked;

/// Requests that one connection may have handlers for, in multiples of its concurrent streams. A
/// stream that its peer resets is not counted by HTTP/2 any more, but its handler may still run.
const HANDLERS_PER_STREAM: usize = 2;

/// Time for the last bytes of a connection that ends.
const PARTING: Duration = Duration::from_secs(1);

/// A request that is not CONNECT.
#[derive(Debug, thiserror::Error)]
#[error("method {0} is not CONNECT")]
struct NotConnect(Method);

/// Serves a connection until it ends.
pub(super) async fn serve<IO, S>(ready: Ready<IO>, service: S, shared: &Shared) -> Result<(), Error>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Incoming, Response = ()> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    let Ready {
        io,
        tls,
        carrier,
        generation,
        renewals,
        revocations,
    } = ready;
    let addr = carrier.peer().addr();
    let streams = shared.http2.max_concurrent_streams();
    let mut connection = Connection::server(io, tls, shared.http2.local(Some(streams)));
    let mut forced = pin!(parting::forced(shared.drain.as_ref()));
    let begun = tokio::select! {
        biased;
        () = forced.as_mut() => Err(Error::Drained { peer: addr }),
        begun = begin(&mut connection, addr, shared.handshake_timeout) => begun,
    };
    if !begun? {
        return Ok(());
    }
    let draining = parting::begun(shared.drain.as_ref());
    let retire = async {
        tokio::select! { () = renewed(renewals, generation) => (), () = draining => () }
    };
    let mut retire = pin!(retire);
    let mut revoked = Revoked::new(revocations);
    let mut keepalive = Keepalive::new(&shared.http2);
    let mut driver = Driver {
        connection,
        service,
        carrier,
        shared,
        retiring: false,
        handlers: Arc::default(),
    };
    // What is rarely ready is looked at when it has something to say, not with each message.
    let mut gate = Gate::default();
    let result = poll_fn(|cx| {
        let end = gate.poll(cx, |cx| {
            if forced.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Error::Drained { peer: addr });
            }
            if !driver.retiring && retire.as_mut().poll(cx).is_ready() {
                driver.retire();
            }
            if revoked
                .poll(cx, driver.connection.peer_certificates())
                .is_ready()
            {
                tracing::info!(peer = %addr, "peer certificate revoked, connection ended");
                driver.give_up(ConnectionLost::Revoked, Reason::INADEQUATE_SECURITY);
                return Poll::Ready(Error::Revoked { peer: addr });
            }
            let heard = driver.connection.heard();
            keepalive
                .poll(cx, heard, driver.connection.core())
                .map(|()| {
                    driver.give_up(ConnectionLost::Silent, Reason::NO_ERROR);
                    Error::Silent { peer: addr }
                })
        });
        match end {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => driver.poll(cx),
        }
    })
    .await;
    let last = poll_fn(|cx| driver.connection.poll_close(cx));
    // Whether the last bytes arrive is the peer's affair.
    let _ = timeout(PARTING, last).await;
    result
}

/// Resolves when the certificate that a connection was accepted with, by the generation of its
/// proof, has been replaced. New revocation lists replace nothing.
async fn renewed(renewals: Option<Watch<Credential>>, generation: u64) {
    // It may have been replaced before the watch began; one that is not renewed any more is no
    // reason to end.
    if let Some(mut renewals) = renewals {
        let mut renewing = true;
        while renewing {
            if renewals.load().proof_generation() != generation {
                return;
            }
            renewing = renewals.changed().await.is_ok();
        }
    }
    std::future::pending().await
}

/// Waits until the client has begun to speak HTTP/2, sending our settings meanwhile. `false` when it has gone
/// instead.
async fn begin<IO>(
    connection: &mut Connection<IO>,
    peer: SocketAddr,
    limit: Duration,
) -> Result<bool, Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let begun = poll_fn(|cx| match connection.poll(cx) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|()| false)),
        Poll::Pending if connection.is_settled() => Poll::Ready(Ok(true)),
        Poll::Pending => Poll::Pending,
    });
    match timeout(limit, begun).await {
        Ok(Ok(begun)) => Ok(begun),
        Ok(Err(source)) => {
            let last = poll_fn(|cx| connection.poll_last(cx));
            let _ = timeout(PARTING, last).await;
            Err(Error::Http2 { peer, source })
        }
        Err(_) => Err(Error::HandshakeTimeout { peer }),
    }
}

struct Driver<'a, IO, S> {
    connection: Connection<IO>,
    service: S,
    carrier: Arc<Carrier>,
    shared: &'a Shared,
    retiring: bool,
    /// Every running handler holds one.
    handlers: Arc<()>,
}

impl<IO, S> Driver<'_, IO, S>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Incoming, Response = ()> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    /// No new streams: the peer opens another connection for them.
    fn retire(&mut self) {
        self.retiring = true;
        self.connection.core().leave();
    }

    /// Says good-bye, and ends the streams.
    fn give_up(&mut self, lost: ConnectionLost, reason: Reason) {
        self.carrier.lose(lost);
        self.connection.abort(reason);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let peer = self.carrier.peer().addr();
        let polled = self.connection.poll(cx);
        while let Some((request, handle)) = self.connection.take_request() {
            self.admit(cx, request, handle);
        }
        polled.map(|result| result.or_else(|source| ended(peer, source)))
    }

    fn admit(&self, cx: &mut Context<'_>, request: Request, handle: Handle) {
        let method = request.method.clone();
        let incoming = Incoming::new(request, handle, self.carrier.clone());
        if method != Method::CONNECT {
            self.shared.telemetry.record(&Event::Rejected {
                direction: Direction::Inbound,
                source: self.carrier.peer().addr(),
                destination: self.carrier.peer().local_addr(),
                outcome: Outcome::BadRequest,
                error: &NotConnect(method),
            });
            return incoming.refuse(Refusal::BadRequest);
        }
        let streams = self.shared.http2.max_concurrent_streams();
        let limit = usize::try_from(streams).unwrap_or(usize::MAX);
        if Arc::strong_count(&self.handlers) > limit.saturating_mul(HANDLERS_PER_STREAM) {
            return incoming.turn_away();
        }
        let mut service = self.service.clone();
        let counted = self.handlers.clone();
        let drain = self.shared.drain.clone();
        // The usual case keeps neither the service nor the request in the task: one task for each
        // stream, for as long as the stream lives.
        match service.poll_ready(cx) {
            Poll::Ready(Ok(())) => {
                drop(tokio::spawn(handler(
                    service.call(incoming),
                    drain,
                    counted,
                )));
            }
            Poll::Ready(Err(error)) => failed(&*error.into()),
            Poll::Pending => {
                let work = async move {
                    poll_fn(|cx| service.poll_ready(cx)).await?;
                    service.call(incoming).await
                };
                drop(tokio::spawn(handler(work, drain, counted)));
            }
        }
    }
}

pin_project! {
    /// The work for one stream, until it ends or the drain's deadline.
    ///
    /// It is a participant of the drain by itself: its stream may have ended on both sides, and its
    /// connection with it, while it still has bytes to deliver.
    struct Handler<F, D> {
        #[pin]
        work: F,
        #[pin]
        deadline: D,
        counted: Arc<()>,
    }
}

fn handler<F, E>(
    work: F,
    drain: Option<Drain>,
    counted: Arc<()>,
) -> Handler<F, impl Future<Output = ()> + Send>
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    let deadline = async move { parting::forced(drain.as_ref()).await };
    Handler {
        work,
        deadline,
        counted,
    }
}

impl<F, E, D> Future for Handler<F, D>
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
    D: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // The deadline first: what it breaks must not pass for the peer's doing.
        if this.deadline.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        this.work.poll(cx).map(|result| {
            if let Err(error) = result {
                failed(&*error.into());
            }
        })
    }
}

fn failed(error: &(dyn std::error::Error + Send + Sync + 'static)) {
    tracing::debug!(error = error as &dyn std::error::Error, "stream failed");
}

/// The end of a connection as the peer's doing or a failure.
fn ended(peer: SocketAddr, source: Http2Error) -> Result<(), Error> {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    match source.io_kind() {
        // Peers close without ceremony; what their streams lose is reported by the streams.
        Some(BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof) => Ok(()),
        _ => Err(Error::Http2 { peer, source }),
    }
}
