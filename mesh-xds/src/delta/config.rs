//! What a client subscribes to, and its limits.

use std::fmt;
use std::time::Duration;

use mesh_core::name::Name;

use super::Resources;
use crate::wire::discovery::Node;

/// Settings of [`Delta`](super::Delta).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeltaConfig {
    /// Who the client is; sent with the first request of each type.
    pub node: Node,
    /// The longest request, in bytes; default 4 MiB less 64 KiB, as gRPC servers accept 4 MiB.
    pub request_bytes: usize,
    /// The longest explanation of a rejection, in bytes; default 4096. What does not fit is counted.
    pub rejection_bytes: usize,
    /// How long a demand may take; default 5 s.
    pub demand_timeout: Duration,
    /// How many names may be demanded at once; default 16,384. Demands of more time out at once.
    pub demands: usize,
    /// How many demands of a type may wait at once, those of one name included; default 65,536.
    /// Further ones time out at once.
    pub waiting: usize,
    /// How long the server has to say nothing about a type before resources in doubt are probed for
    /// the first time on a stream; default 5 s. A server that is never quiet for so long does not
    /// prevent it: they are probed when [`first_response`](Self::first_response) has passed since
    /// its first response of the type.
    pub quiet: Duration,
    /// How long the server may take for its first response of a type before resources in doubt are
    /// probed, and how long its further responses may postpone that; default 60 s. The
    /// client of `ads` gives up a stream on which no byte of the first response has come for so
    /// long. A response of which bytes keep coming may take any time.
    pub first_response: Duration,
    /// How long a probe may take, and the least pause before the next when it failed; default
    /// 30 s. The pause doubles from failure to failure, up to 16 times this.
    pub probe_timeout: Duration,
}

impl Default for DeltaConfig {
    fn default() -> Self {
        Self {
            node: Node::default(),
            request_bytes: 4 * 1024 * 1024 - 64 * 1024,
            rejection_bytes: 4096,
            demand_timeout: Duration::from_secs(5),
            demands: 16_384,
            waiting: 65_536,
            quiet: Duration::from_secs(5),
            first_response: Duration::from_secs(60),
            probe_timeout: Duration::from_secs(30),
        }
    }
}

/// Which resources of a type a client wants.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Interest {
    /// All that the server has for this client: a wildcard subscription.
    #[default]
    All,
    /// Those with these names. The set may change later, and may be empty.
    ///
    /// Give names, not aliases: a resource that an alias brings is applied, but goes by its name from
    /// then on. It stays when the alias leaves the set, and its removal is lost that happens between
    /// two streams. [`OnDemand`](Self::OnDemand) goes by aliases as well.
    Named(Vec<Name>),
    /// Those that are [demanded](super::Delta::demand), from then on.
    OnDemand,
}

/// A type of resources and which of them are wanted.
pub struct Subscription {
    pub(super) resources: Box<dyn Resources>,
    pub(super) interest: Interest,
}

impl Subscription {
    /// A subscription to all resources of a type.
    #[must_use]
    pub fn new(resources: impl Resources + 'static) -> Self {
        Self {
            resources: Box::new(resources),
            interest: Interest::All,
        }
    }

    /// Which resources are wanted; default all.
    #[must_use]
    pub fn interest(self, interest: Interest) -> Self {
        Self { interest, ..self }
    }

    /// The type URL.
    #[must_use]
    pub fn type_url(&self) -> &str {
        self.resources.type_url()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("type_url", &self.type_url())
            .field("interest", &self.interest)
            .finish_non_exhaustive()
    }
}
