//! One connection of the client: its streams, and the task that drives it.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::credential::Credential;
use mesh_core::drain::Drain;
use mesh_core::telemetry::{ConnectionPhase, Telemetry};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::dial::Dialed;
use super::error::Error;
use super::settings::{Settings, report_revoked};
use crate::carrier::{Carrier, ConnectionLost};
use crate::gate::Gate;
use crate::http2::{Connection, Core, Http2Error};
use crate::keepalive::Keepalive;
use crate::parting;
use crate::revocation::Revoked;

/// Time for the last bytes of a connection that ends.
const PARTING: Duration = Duration::from_secs(1);

/// Time without a stream after which a connection closes while a drain is under way: long enough
/// for whoever has just dialled it.
const DRAINING_IDLE: Duration = Duration::from_millis(100);

/// One connection, as those see it who open streams on it.
pub(super) struct Link {
    endpoint: SocketAddr,
    core: Arc<Core>,
    carrier: Arc<Carrier>,
    proof: Proof,
    born: Instant,
    live: AtomicUsize,
    retired: AtomicBool,
    /// Requests that were ever begun.
    begun: AtomicUsize,
    /// Whether the peer has said how many streams it allows.
    settled: AtomicBool,
    /// Tells requests that it has.
    settling: Notify,
    /// Why the connection ended.
    end: Mutex<Option<End>>,
    /// Tells the driver that streams ended or that the link was retired.
    changed: Notify,
}

/// What a connection was dialled with, by generation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proof {
    /// New revocation lists are looked at while the connection lives.
    Watched(u64),
    /// They are not: a credential with new lists is another one.
    Unwatched(u64),
}

impl Proof {
    pub(super) fn new(credential: &Credential, watched: bool) -> Self {
        if watched {
            Self::Watched(credential.proof_generation())
        } else {
            Self::Unwatched(credential.generation())
        }
    }

    /// Generations only grow: one that somebody else has renewed meanwhile is as good.
    fn is_outdated_by(self, credential: &Credential) -> bool {
        match self {
            Self::Watched(generation) => generation < credential.proof_generation(),
            Self::Unwatched(generation) => generation < credential.generation(),
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug)]
enum End {
    Lost(ConnectionLost),
    NoHttp2,
    Failed(Http2Error),
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            endpoint,
            proof,
            live,
            retired,
            ..
        } = self;
        f.debug_struct("Link")
            .field("endpoint", endpoint)
            .field("proof", proof)
            .field("live", live)
            .field("retired", retired)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn carrier(&self) -> &Arc<Carrier> {
        &self.carrier
    }

    /// Whether a newer credential asks for another connection.
    pub(super) fn is_outdated_by(&self, credential: &Credential) -> bool {
        self.proof.is_outdated_by(credential)
    }

    /// Where requests are sent.
    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Time since its handshake.
    pub(super) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Streams that are open or about to be.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// Streams that may be open at once, as the peer says now.
    pub(super) fn limit(&self, configured: usize) -> usize {
        // A peer that allows none for the moment is waited for on the connection.
        let allowed = self.core.allowed();
        configured.min(allowed).max(1)
    }

    /// The same, for a connection whose peer has not said anything yet: as `assumed`.
    pub(super) fn room(&self, configured: usize, assumed: usize) -> usize {
        if self.is_settled() {
            self.limit(configured)
        } else {
            self.limit(configured).min(assumed)
        }
    }

    /// Whether the peer has said how many streams it allows.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    fn settle(&self) {
        self.settled.store(true, Ordering::Release);
        self.settling.notify_waiters();
    }

    /// Counts a request that begins now; its number, from zero, when the peer has not said yet how many
    /// streams it allows.
    pub(super) fn begin(&self) -> Option<usize> {
        let number = self.begun.fetch_add(1, Ordering::AcqRel);
        (!self.is_settled()).then_some(number)
    }

    /// Resolves when the request with that number turns out to be beyond what the peer allows.
    ///
    /// Streams are opened in the order of their requests. So it waits unsent, for as long as those
    /// before it last, or it was sent and the peer refuses it (RFC 9113 §5.1.2).
    pub(super) async fn crowded_out(&self, number: Option<usize>, configured: usize) {
        if let Some(number) = number {
            let settling = self.settling.notified();
            if !self.is_settled() {
                settling.await;
            }
            if number >= self.limit(configured) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Whether the peer takes no new streams, having said so with a GOAWAY, or the connection has
    /// failed.
    pub(super) fn is_closing(&self) -> bool {
        self.core.is_closing()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// No new streams; the connection closes when the last one ends.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    fn note(&self, end: End) {
        self.end.lock().get_or_insert(end);
    }

    pub(super) fn take_slot(self: &Arc<Self>) -> StreamSlot {
        self.live.fetch_add(1, Ordering::AcqRel);
        StreamSlot(Arc::new(SlotGuard(self.clone())))
    }

    /// Why the connection ended, for those whose streams ended with it.
    pub(super) fn verdict(&self) -> Option<Error> {
        let endpoint = self.endpoint;
        self.end.lock().clone().map(|end| match end {
            End::Lost(ConnectionLost::Silent) => Error::Silent { endpoint },
            End::Lost(ConnectionLost::Revoked) => Error::Revoked { endpoint },
            End::NoHttp2 => Error::Http2Timeout { endpoint },
            End::Failed(source) => Error::Lost { endpoint, source },
        })
    }
}

/// A stream's place on its link, freed with the last clone.
#[derive(Debug)]
pub(super) struct StreamSlot(Arc<SlotGuard>);

#[derive(Debug)]
struct SlotGuard(Arc<Link>);

impl StreamSlot {
    pub(super) fn link(&self) -> &Arc<Link> {
        &self.0.0
    }

    /// What a tunnel holds to keep its place.
    pub(super) fn hold(&self) -> Arc<dyn Any + Send + Sync> {
        self.0.clone()
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        if self.0.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_one();
        }
    }
}

/// Who decides whether an idle link may close: its pool, or nobody.
pub(super) trait Owner: Send + Sync + 'static {
    /// Gives the link up if it has no streams; `false` when it got one meanwhile.
    fn release(&self, link: &Arc<Link>) -> bool;
    /// Forgets a link that has ended.
    fn forget(&self, link: &Arc<Link>);
}

impl Owner for () {
    fn release(&self, link: &Arc<Link>) -> bool {
        link.live() == 0
    }

    fn forget(&self, _: &Arc<Link>) {}
}

impl<IO> Dialed<IO>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    /// Starts the driver of a connection that belongs to no pool.
    pub(super) fn drive_alone(self, settings: &Settings) -> Arc<Link> {
        self.drive(settings, ())
    }

    /// Starts the driver.
    pub(super) fn drive(self, settings: &Settings, owner: impl Owner) -> Arc<Link> {
        let Self {
            endpoint,
            connection,
            carrier,
            credential,
            revocations,
        } = self;
        let proof = Proof::new(&credential, revocations.is_some());
        let link = Arc::new(Link {
            endpoint,
            core: connection.core().clone(),
            carrier,
            proof,
            born: Instant::now(),
            live: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            settled: AtomicBool::new(false),
            settling: Notify::new(),
            end: Mutex::new(None),
            changed: Notify::new(),
        });
        let driver = Driver {
            link: link.clone(),
            connection,
            gate: Gate::default(),
            slow: Slow {
                link: link.clone(),
                telemetry: settings.telemetry.clone(),
                revoked: Revoked::new(revocations),
                keepalive: Keepalive::new(&settings.http2),
                first_frame: Some(Box::pin(sleep(settings.http2_timeout))),
                idle: Some(Box::pin(sleep(settings.idle_release))),
            },
            idle_release: settings.idle_release,
        };
        let drain = settings.drain.clone();
        tokio::spawn(async move {
            let mut forced = pin!(parting::forced(drain.as_ref()));
            let mut run = pin!(driver.run(owner, drain.clone()));
            let mut gate = Gate::default();
            poll_fn(|cx| match gate.poll(cx, |cx| forced.as_mut().poll(cx)) {
                Poll::Pending => run.as_mut().poll(cx),
                ready => ready,
            })
            .await;
        });
        link
    }
}

struct Driver<IO> {
    link: Arc<Link>,
    connection: Connection<IO>,
    gate: Gate,
    slow: Slow,
    idle_release: Duration,
}

/// What a connection waits for besides bytes: looked at when it has something to say, not with each message.
struct Slow {
    link: Arc<Link>,
    telemetry: Arc<dyn Telemetry>,
    revoked: Revoked,
    keepalive: Keepalive,
    /// Runs until the peer's first frame.
    first_frame: Option<Pin<Box<Sleep>>>,
    /// Runs while there are no streams.
    idle: Option<Pin<Box<Sleep>>>,
}

/// What the driver has to look at.
enum Turn {
    Ended,
    Draining,
    Changed,
    IdleElapsed,
}

impl<IO> Driver<IO>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    async fn run(mut self, owner: impl Owner, drain: Option<Drain>) {
        let link = self.link.clone();
        let mut draining = pin!(parting::begun(drain.as_ref()));
        let mut hurried = false;
        loop {
            let turn = {
                let mut changed = pin!(link.changed.notified());
                self.gate.open();
                poll_fn(|cx| {
                    self.poll(cx, |cx| {
                        if !hurried && draining.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(Turn::Draining);
                        }
                        changed.as_mut().poll(cx).map(|()| Turn::Changed)
                    })
                })
                .await
            };
            match turn {
                Turn::Ended => break,
                Turn::Draining => {
                    hurried = true;
                    self.idle_release = self.idle_release.min(DRAINING_IDLE);
                    self.arm();
                }
                Turn::Changed => {
                    if link.is_retired() && owner.release(&link) {
                        self.take_leave().await;
                        break;
                    }
                    self.arm();
                }
                Turn::IdleElapsed => {
                    if owner.release(&link) {
                        self.take_leave().await;
                        break;
                    }
                    // A stream came; its end is a change.
                    self.slow.idle = None;
                }
            }
        }
        link.retire();
        owner.forget(&link);
        self.connection.end();
        // Whether the last bytes arrive is the peer's affair.
        let _ = timeout(PARTING, poll_fn(|cx| self.connection.poll_close(cx))).await;
    }

    /// The time without streams begins, or there are some.
    fn arm(&mut self) {
        let idle = self.link.live() == 0;
        self.slow.idle = idle.then(|| Box::pin(sleep(self.idle_release)));
    }

    /// Without tunnels there may still be bytes of theirs to send. Goes on until they are sent and
    /// the connection has ended by itself, as long as the peer lives.
    async fn take_leave(&mut self) {
        let link = self.link.clone();
        link.retire();
        link.core.leave();
        self.slow.idle = None;
        self.gate.open();
        while !matches!(
            poll_fn(|cx| self.poll(cx, |_| Poll::Pending)).await,
            Turn::Ended
        ) {}
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        asked: impl FnOnce(&mut Context<'_>) -> Poll<Turn>,
    ) -> Poll<Turn> {
        let Self {
            link,
            connection,
            gate,
            slow,
            ..
        } = self;
        if let Poll::Ready(result) = connection.poll(cx) {
            if let Err(error) = result {
                tracing::debug!(error = &error as &dyn std::error::Error, "connection ended");
                link.note(End::Failed(error));
            }
            return Poll::Ready(Turn::Ended);
        }
        if slow.first_frame.is_some() && connection.is_settled() {
            slow.first_frame = None;
            // The first frame of a server is its SETTINGS (RFC 9113 §3.4).
            link.settle();
        }
        // What this asks of the connection, such as a PING, is sent in its next turn: it calls this task.
        gate.poll(cx, |cx| match slow.poll(cx, connection) {
            Poll::Pending => asked(cx),
            turn => turn,
        })
    }
}

impl Slow {
    fn poll<IO>(&mut self, cx: &mut Context<'_>, connection: &Connection<IO>) -> Poll<Turn> {
        if self
            .revoked
            .poll(cx, connection.peer_certificates())
            .is_ready()
        {
            let endpoint = self.link.endpoint;
            tracing::info!(peer = %endpoint, "peer certificate revoked, connection ended");
            report_revoked(&*self.telemetry, endpoint, ConnectionPhase::Open);
            return Poll::Ready(self.lose(ConnectionLost::Revoked));
        }
        let heard = connection.heard();
        if self.keepalive.poll(cx, heard, connection.core()).is_ready() {
            return Poll::Ready(self.lose(ConnectionLost::Silent));
        }
        if let Some(first_frame) = &mut self.first_frame
            && first_frame.as_mut().poll(cx).is_ready()
        {
            self.link.note(End::NoHttp2);
            return Poll::Ready(Turn::Ended);
        }
        match &mut self.idle {
            Some(idle) => idle.as_mut().poll(cx).map(|()| Turn::IdleElapsed),
            None => Poll::Pending,
        }
    }

    /// Tunnels see their end when the connection ends; they are to know why.
    fn lose(&self, lost: ConnectionLost) -> Turn {
        self.link.carrier.lose(lost);
        self.link.note(End::Lost(lost));
        Turn::Ended
    }
}
