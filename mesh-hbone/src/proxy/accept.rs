//! From a listener to a service.

mod backoff;
mod source;
mod tcp;
#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::drain::Drain;
use mesh_core::telemetry::{Direction, Event, Telemetry};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

use crate::server::Accepted;
use backoff::Backoff;
pub use source::Accept;
pub use tcp::TcpAcceptor;

/// How connections are accepted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AcceptOptions {
    /// The most connections at once; at the limit, further ones wait in the kernel's backlog.
    /// Default 65,536.
    pub connections: usize,
    /// The direction to report sockets under.
    pub direction: Direction,
    /// Where sockets are reported.
    pub telemetry: Arc<dyn Telemetry>,
}

impl AcceptOptions {
    /// The defaults for sockets of a direction.
    pub fn new(direction: Direction, telemetry: Arc<dyn Telemetry>) -> Self {
        Self {
            connections: 65_536,
            direction,
            telemetry,
        }
    }
}

/// Serves every connection of a listener in a task of its own, until the drain begins.
///
/// When accepting fails for want of descriptors or memory, it is tried again after a pause of 10 ms
/// that doubles up to 1 s, so that an exhausted process is not kept busy by its listeners.
///
/// When the drain begins, the listener is closed, and connections go on until they end or the
/// drain's deadline drops them. This function returns when the listener is closed; whoever began the
/// drain waits for its participants. A service that is not ready holds accepting up; one that fails to
/// become ready closes the listener.
///
/// Must be called in a tokio runtime.
///
/// # Cancellation
/// Dropping the future closes the listener; connections go on.
pub async fn serve<A, S>(mut listener: A, mut service: S, options: AcceptOptions, drain: Drain)
where
    A: Accept,
    S: Service<Accepted<A::Io>, Response = ()> + Clone + Send + 'static,
    S::Error: std::error::Error + Send + 'static,
    S::Future: Send + 'static,
{
    let room = Arc::new(Semaphore::new(
        options.connections.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let mut backoff = Backoff::default();
    loop {
        let next = async {
            backoff.pause().await;
            // Fails only when the semaphore is closed, which nobody does.
            let place = room.clone().acquire_owned().await.ok();
            poll_fn(|cx| service.poll_ready(cx)).await?;
            Ok::<_, S::Error>((place, listener.accept().await))
        };
        let next = tokio::select! {
            // The end first: a busy listener must not put it off.
            biased;
            () = drain.draining() => return,
            next = next => next,
        };
        match next {
            Ok((place, Ok(accepted))) => {
                backoff.reset();
                let socket = OpenSocket::new(&options, place);
                // The one that was polled is called; its clone takes its place.
                let clone = service.clone();
                let life = std::mem::replace(&mut service, clone).call(accepted);
                let drain = drain.clone();
                let deadline = async move { drain.forced().await };
                tokio::spawn(Run {
                    life,
                    deadline,
                    socket,
                });
            }
            Ok((_, Err(error))) => backoff.failed(&error),
            Err(error) => return failed(&error),
        }
    }
}

fn failed<E: std::error::Error + 'static>(error: &E) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "the service of a listener failed, closing it"
    );
}

pin_project! {
    /// One connection, until it ends or the drain's deadline. Written by hand: an `async fn` would
    /// keep its arguments twice, for as long as the connection lives.
    struct Run<F, D> {
        #[pin]
        life: F,
        #[pin]
        deadline: D,
        // Dropped last.
        socket: OpenSocket,
    }
}

impl<F, E, D> Future for Run<F, D>
where
    F: Future<Output = Result<(), E>>,
    E: std::error::Error + 'static,
    D: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // The deadline first: what it breaks must not pass for the peer's doing.
        if this.deadline.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        this.life.poll(cx).map(|ended| {
            if let Err(error) = ended {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "connection failed");
            }
        })
    }
}

/// Counts a socket as open as long as it lives, and holds its place.
struct OpenSocket {
    direction: Direction,
    telemetry: Arc<dyn Telemetry>,
    _place: Option<OwnedSemaphorePermit>,
}

impl OpenSocket {
    fn new(options: &AcceptOptions, place: Option<OwnedSemaphorePermit>) -> Self {
        let AcceptOptions {
            direction,
            telemetry,
            ..
        } = options.clone();
        telemetry.record(&Event::SocketOpened(direction));
        Self {
            direction,
            telemetry,
            _place: place,
        }
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.telemetry.record(&Event::SocketClosed(self.direction));
    }
}
