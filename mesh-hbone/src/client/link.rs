//! One connection of the client: its streams, and the task that drives it.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use mesh_core::credential::Credential;
use mesh_core::drain::Drain;
use mesh_core::telemetry::ConnectionPhase;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::dial::Dialed;
use super::error::Error;
use super::settings::{Settings, report_revoked};
use crate::boxed::BoxFuture;
use crate::carrier::{Carrier, ConnectionLost};
use crate::keepalive::Keepalive;
use crate::records::{Flusher, Records};
use crate::revocation::revoked;

/// Time for the last bytes of a connection that ends.
const PARTING: Duration = Duration::from_secs(1);

/// Time without a stream after which a connection closes while a drain is under way: long enough
/// for whoever has just dialled it.
const DRAINING_IDLE: Duration = Duration::from_millis(100);

/// One connection, as those see it who open streams on it.
pub(super) struct Link {
    endpoint: SocketAddr,
    /// Gone when the connection takes leave: as long as one is there, it does not end by itself.
    send: Mutex<Option<SendRequest<Bytes>>>,
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
    Failed(Arc<h2::Error>),
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

    /// For one request; `None` when the connection is taking leave.
    pub(super) fn sender(&self) -> Option<SendRequest<Bytes>> {
        self.send.lock().clone()
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
        let allowed = self
            .send
            .lock()
            .as_ref()
            .map_or(0, SendRequest::current_max_send_streams);
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
        let mut cx = Context::from_waker(Waker::noop());
        match self.sender() {
            Some(mut sender) => matches!(sender.poll_ready(&mut cx), Poll::Ready(Err(_))),
            None => true,
        }
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// No new streams; the connection closes when the last one ends.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.changed.notify_one();
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
            send,
            mut connection,
            flusher,
            carrier,
            credential,
            revocations,
        } = self;
        let proof = Proof::new(&credential, revocations.is_some());
        let link = Arc::new(Link {
            endpoint,
            send: Mutex::new(Some(send)),
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
        let telemetry = settings.telemetry.clone();
        let revoked = revoked(revocations, flusher.clone());
        let revoked = async move {
            revoked.await;
            tracing::info!(peer = %endpoint, "peer certificate revoked, connection ended");
            report_revoked(&*telemetry, endpoint, ConnectionPhase::Open);
        };
        let driver = Driver {
            link: link.clone(),
            revoked: Box::pin(revoked),
            keepalive: Keepalive::new(&settings.http2, connection.ping_pong()),
            connection,
            flusher,
            first_frame: Some(Box::pin(sleep(settings.http2_timeout))),
            idle: Some(Box::pin(sleep(settings.idle_release))),
            idle_release: settings.idle_release,
        };
        let drain = settings.drain.clone();
        tokio::spawn(async move {
            let deadline = drain.clone();
            let forced = async {
                match &deadline {
                    Some(drain) => drain.forced().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = driver.run(owner, drain) => (), () = forced => () }
        });
        link
    }
}

struct Driver<IO> {
    link: Arc<Link>,
    connection: Connection<Records<IO>, Bytes>,
    flusher: Flusher<IO>,
    keepalive: Keepalive,
    /// Resolves when the peer's certificate is revoked.
    revoked: BoxFuture<'static, ()>,
    /// Runs until the peer's first bytes of HTTP/2.
    first_frame: Option<Pin<Box<Sleep>>>,
    /// Runs while there are no streams.
    idle: Option<Pin<Box<Sleep>>>,
    idle_release: Duration,
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
        let mut draining = pin!(async {
            match &drain {
                Some(drain) => drain.draining().await,
                None => std::future::pending().await,
            }
        });
        let mut hurried = false;
        loop {
            let turn = {
                let mut changed = pin!(link.changed.notified());
                poll_fn(|cx| {
                    if !hurried && draining.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Turn::Draining);
                    }
                    self.poll(cx, changed.as_mut())
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
                    self.idle = None;
                }
            }
        }
        link.retire();
        owner.forget(&link);
        link.send.lock().take();
        let Self {
            connection,
            flusher,
            ..
        } = self;
        drop(connection);
        // Whether the last bytes arrive is the peer's affair.
        let _ = timeout(PARTING, poll_fn(|cx| flusher.poll_close(cx))).await;
    }

    /// The time without streams begins, or there are some.
    fn arm(&mut self) {
        let idle = self.link.live() == 0;
        self.idle = idle.then(|| Box::pin(sleep(self.idle_release)));
    }

    /// Without tunnels there may still be bytes of theirs to send. Goes on until they are sent and
    /// the connection has ended by itself, as long as the peer lives.
    async fn take_leave(&mut self) {
        let link = self.link.clone();
        link.retire();
        link.send.lock().take();
        self.idle = None;
        loop {
            let mut changed = pin!(link.changed.notified());
            if let Turn::Ended = poll_fn(|cx| self.poll(cx, changed.as_mut())).await {
                return;
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, changed: Pin<&mut Notified<'_>>) -> Poll<Turn> {
        if let Poll::Ready(result) = Pin::new(&mut self.connection).poll(cx) {
            if let Err(error) = result {
                tracing::debug!(error = &error as &dyn std::error::Error, "connection ended");
                self.note(End::Failed(Arc::new(error)));
            }
            return Poll::Ready(Turn::Ended);
        }
        if self.revoked.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.lose(ConnectionLost::Revoked));
        }
        let received = self.flusher.received();
        if self.keepalive.poll(cx, received).is_ready() {
            return Poll::Ready(self.lose(ConnectionLost::Silent));
        }
        if let Some(first_frame) = &mut self.first_frame {
            if self.flusher.has_delivered() {
                self.first_frame = None;
                // The first frame of a server is its SETTINGS (RFC 9113 §3.4).
                self.link.settle();
            } else if first_frame.as_mut().poll(cx).is_ready() {
                return Poll::Ready(self.give_up(End::NoHttp2));
            }
        }
        if let Poll::Ready(Err(_)) = self.flusher.poll_flush(cx) {
            return Poll::Ready(Turn::Ended);
        }
        if changed.poll(cx).is_ready() {
            return Poll::Ready(Turn::Changed);
        }
        match &mut self.idle {
            Some(idle) => idle.as_mut().poll(cx).map(|()| Turn::IdleElapsed),
            None => Poll::Pending,
        }
    }

    /// Tunnels see their end when the connection is dropped; they are to know why.
    fn lose(&self, lost: ConnectionLost) -> Turn {
        self.link.carrier.lose(lost);
        self.give_up(End::Lost(lost))
    }

    fn give_up(&self, end: End) -> Turn {
        self.note(end);
        Turn::Ended
    }

    fn note(&self, end: End) {
        self.link.end.lock().get_or_insert(end);
    }
}
