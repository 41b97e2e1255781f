//! Driving one HTTP/2 connection of a server.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
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
use crate::config::{self, Http2Config};
use crate::keepalive::Keepalive;
use crate::records::{self, Flusher, Records};
use crate::revocation::revoked;

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
    let (records, flusher) = records::split(io, tls);
    let forced = async {
        match &shared.drain {
            Some(drain) => drain.forced().await,
            None => std::future::pending().await,
        }
    };
    let mut forced = pin!(forced);
    let preface = handshake(records, &flusher, &shared.http2);
    let connection = tokio::select! {
        biased;
        () = forced.as_mut() => return Err(Error::Drained { peer: addr }),
        preface = timeout(shared.handshake_timeout, preface) => preface
            .map_err(|_| Error::HandshakeTimeout { peer: addr })?
            .map_err(|source| Error::Http2 { peer: addr, source })?,
    };
    let draining = async {
        match &shared.drain {
            Some(drain) => drain.draining().await,
            None => std::future::pending().await,
        }
    };
    let retire = async {
        tokio::select! { () = renewed(renewals, generation) => (), () = draining => () }
    };
    let mut retire = pin!(retire);
    let mut revoked = pin!(revoked(revocations, flusher.clone()));
    let mut driver = Driver {
        keepalive: Keepalive::new(&shared.http2, None),
        connection,
        flusher,
        service,
        carrier,
        shared,
        retiring: false,
        handlers: Arc::default(),
    };
    driver.keepalive = Keepalive::new(&shared.http2, driver.connection.ping_pong());
    let result = poll_fn(|cx| {
        if forced.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Error::Drained { peer: addr }));
        }
        if !driver.retiring && retire.as_mut().poll(cx).is_ready() {
            driver.retire();
        }
        if revoked.as_mut().poll(cx).is_ready() {
            tracing::info!(peer = %addr, "peer certificate revoked, connection ended");
            driver.give_up(cx, ConnectionLost::Revoked, h2::Reason::INADEQUATE_SECURITY);
            return Poll::Ready(Err(Error::Revoked { peer: addr }));
        }
        driver.poll(cx)
    })
    .await;
    let last = poll_fn(|cx| driver.flusher.poll_flush(cx));
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

/// Waits for the client's preface, flushing our settings meanwhile.
async fn handshake<IO: AsyncRead + AsyncWrite + Unpin>(
    records: Records<IO>,
    flusher: &Flusher<IO>,
    config: &Http2Config,
) -> Result<Connection<Records<IO>, Bytes>, h2::Error> {
    let streams = usize::try_from(config.max_concurrent_streams()).unwrap_or(usize::MAX);
    let mut handshake = pin!(
        h2::server::Builder::new()
            .initial_window_size(config.stream_window())
            .initial_connection_window_size(config::MAX_WINDOW)
            .max_frame_size(config.frame_size())
            // Headers of tunnels hardly repeat: a table would only hold the last ones in memory.
            .header_table_size(0)
            .max_header_list_size(config.max_header_list_size())
            .max_concurrent_streams(config.max_concurrent_streams())
            .max_send_buffer_size(config::SEND_BUFFER)
            .data_frame_budget(config::SMALL_FRAME_BUDGET)
            .max_pending_accept_reset_streams(20)
            .max_concurrent_reset_streams(streams.min(50))
            .max_local_error_reset_streams(Some(1024))
            .handshake(records)
    );
    poll_fn(|cx| {
        let result = handshake.as_mut().poll(cx);
        // A socket that fails shows in the handshake as well.
        let _ = flusher.poll_flush(cx);
        result
    })
    .await
}

struct Driver<'a, IO, S> {
    connection: Connection<Records<IO>, Bytes>,
    flusher: Flusher<IO>,
    keepalive: Keepalive,
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
        self.connection.graceful_shutdown();
    }

    /// Says good-bye; the streams end when the connection is dropped.
    fn give_up(&mut self, cx: &mut Context<'_>, lost: ConnectionLost, reason: h2::Reason) {
        self.carrier.lose(lost);
        self.connection.abrupt_shutdown(reason);
        // Writes the GOAWAY; what else there is to say matters no more.
        let _ = self.connection.poll_closed(cx);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let peer = self.carrier.peer().addr();
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.admit(cx, request, respond),
                Poll::Ready(Some(Err(source))) => return Poll::Ready(ended(peer, source)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        if self.keepalive.poll(cx, self.flusher.received()).is_ready() {
            self.give_up(cx, ConnectionLost::Silent, h2::Reason::NO_ERROR);
            return Poll::Ready(Err(Error::Silent { peer }));
        }
        match self.flusher.poll_flush(cx) {
            Poll::Ready(Err(source)) => Poll::Ready(Err(Error::Io { peer, source })),
            _ => Poll::Pending,
        }
    }

    fn admit(
        &self,
        cx: &mut Context<'_>,
        request: http::Request<h2::RecvStream>,
        respond: SendResponse<Bytes>,
    ) {
        let method = request.method().clone();
        let incoming = Incoming::new(request, respond, self.carrier.clone());
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
    let deadline = async move {
        match drain {
            Some(drain) => drain.forced().await,
            None => std::future::pending().await,
        }
    };
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
fn ended(peer: SocketAddr, source: h2::Error) -> Result<(), Error> {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    match source.get_io().map(io::Error::kind) {
        // Peers close without ceremony; what their streams lose is reported by the streams.
        Some(BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof) => Ok(()),
        _ if source.reason() == Some(h2::Reason::NO_ERROR) => Ok(()),
        _ => Err(Error::Http2 { peer, source }),
    }
}
