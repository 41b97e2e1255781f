//! The hook by which policy decides about connections.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;
use tokio::time::timeout;

use super::Error;
use crate::BoxFuture;

/// Times that an engine is asked about one connection, so that a wait that is always over cannot
/// keep a connection's task busy.
const ROUNDS: usize = 1000;

/// The time that an engine has to decide when nothing else is said.
pub(super) const DECISION_TIMEOUT: Duration = Duration::from_secs(10);

/// What policy may know about a connection that arrived at a local workload.
///
/// Nothing of it comes from a header: the identity is verified, the addresses are those of TCP and
/// of resolution.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Attributes<'a> {
    /// Address of the TCP peer: of the client, or of the waypoint or gateway before it.
    pub source: SocketAddr,
    /// Verified identity of that peer; `None` without mutual TLS.
    pub identity: Option<&'a SpiffeId>,
    /// The address that is about to be connected to, with the final port.
    pub destination: SocketAddr,
    /// The local workload.
    pub workload: &'a Arc<Workload>,
}

/// What policy says about a connection.
#[expect(clippy::exhaustive_enums, reason = "there are three answers")]
pub enum Verdict {
    /// It may go on, as long as the permit holds.
    Allow(Permit),
    /// It may not.
    Deny {
        /// Which policy says so, or that none allows it: for the local log, never for the peer.
        reason: Box<str>,
    },
    /// It is not known yet, such as before a policy that the workload refers to has arrived. The
    /// engine is asked again when the future resolves.
    ///
    /// Nothing is dialled or answered meanwhile, and the connection still ends when its client goes
    /// away or its proxy drains. Who does not decide within the time that the service allows
    /// ([`InboundOptions::decision_timeout`](super::InboundOptions::decision_timeout)), or in 1000
    /// rounds, denies.
    Undecided {
        /// Until there may be an answer. It may resolve too early; it is dropped with the
        /// connection.
        wait: BoxFuture<'static, ()>,
    },
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow(permit) => f.debug_tuple("Allow").field(permit).finish(),
            Self::Deny { reason } => f.debug_struct("Deny").field("reason", reason).finish(),
            Self::Undecided { .. } => f.debug_struct("Undecided").finish_non_exhaustive(),
        }
    }
}

/// The permission for one live connection, which may be withdrawn.
pub struct Permit {
    revoked: Option<Revocation>,
}

type Revocation = Pin<Box<dyn Future<Output = Box<str>> + Send>>;

impl Permit {
    /// A permission that holds as long as the connection lives.
    #[must_use]
    pub fn lasting() -> Self {
        Self { revoked: None }
    }

    /// A permission that holds until the future resolves; its value is the reason.
    ///
    /// The future is polled by the connection's task and dropped with it, so it can also keep a
    /// list of live connections up to date. It must not resolve when its source is merely gone: a
    /// policy engine that ends revokes nothing.
    #[must_use]
    pub fn until(revoked: impl Future<Output = Box<str>> + Send + 'static) -> Self {
        Self {
            revoked: Some(Box::pin(revoked)),
        }
    }

    /// Ready with the reason when the permission is withdrawn. Not to be polled again then.
    pub(super) fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<Box<str>> {
        match &mut self.revoked {
            Some(revoked) => revoked.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Does something as long as it is permitted.
    pub(super) async fn guard<T>(
        &mut self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            // The permit first: nothing more is done once it is withdrawn.
            biased;
            reason = poll_fn(|cx| self.poll_revoked(cx)) => Err(Error::Revoked { reason }),
            result = work => result,
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("revocable", &self.revoked.is_some())
            .finish()
    }
}

/// Decides whether a connection that arrived may go on to the local workload.
///
/// Implemented by every closure of that shape.
///
/// # Example
/// ```
/// use mesh_hbone::proxy::{Attributes, Authorizer, Permit, Verdict};
///
/// fn from_mesh_only() -> impl Authorizer {
///     |attributes: &Attributes<'_>| match attributes.identity {
///         Some(_) => Verdict::Allow(Permit::lasting()),
///         None => Verdict::Deny { reason: "no identity".into() },
///     }
/// }
/// # from_mesh_only();
/// ```
pub trait Authorizer: Clone + Send + Sync + 'static {
    /// The decision. Called once for each connection, and again after each
    /// [`Verdict::Undecided`], on the data path: it must not block.
    ///
    /// An implementation that revokes must begin to watch before it decides, so that no change
    /// falls between.
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict;
}

impl<F> Authorizer for F
where
    F: Fn(&Attributes<'_>) -> Verdict + Clone + Send + Sync + 'static,
{
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        self(attributes)
    }
}

/// Allows every connection for as long as it lives.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "no state")]
pub struct AllowAll;

impl Authorizer for AllowAll {
    fn authorize(&self, _: &Attributes<'_>) -> Verdict {
        Verdict::Allow(Permit::lasting())
    }
}

/// Asks until there is an answer, for at most `within`.
///
/// # Errors
/// [`Error::Denied`], also when the engine does not decide in time.
pub(super) async fn decide(
    authorizer: &impl Authorizer,
    attributes: &Attributes<'_>,
    within: Duration,
) -> Result<Permit, Error> {
    let rounds = async {
        for _ in 0..ROUNDS {
            match authorizer.authorize(attributes) {
                Verdict::Allow(permit) => return Some(Ok(permit)),
                Verdict::Deny { reason } => return Some(Err(Error::Denied { reason })),
                Verdict::Undecided { wait } => wait.await,
            }
            // A wait that is over at once must not starve the task's neighbours.
            tokio::task::yield_now().await;
        }
        None
    };
    match timeout(within, rounds).await {
        Ok(Some(decision)) => decision,
        Ok(None) | Err(_) => Err(Error::Denied {
            reason: format!("policy was undecided after {within:?}").into(),
        }),
    }
}

#[cfg(test)]
mod tests;
