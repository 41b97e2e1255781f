//! What a traffic policy is asked.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::balance::Picked;
use mesh_core::model::{Service, Workload};

/// A connection to a service one of whose endpoints is to be chosen.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ServiceConnection<'a> {
    /// The workload that connects.
    pub local: &'a Arc<Workload>,
    /// The address that it connects from.
    pub source: IpAddr,
    /// The service.
    pub service: &'a Arc<Service>,
    /// The port of the service.
    pub port: u16,
}

/// Decides about connections to services, one at a time, on the data path: it must not block.
///
/// Without one ([`Outbound::with_traffic_policy`](super::super::Outbound::with_traffic_policy)) endpoints are chosen by
/// chance in proportion to their capacity, up to 3 are tried, and nothing is limited.
///
/// # Example
/// At most ten connections at once, to whatever services; the rest as without a policy:
///
/// ```
/// use std::num::NonZeroU8;
/// use mesh_core::balance::{PickMode, Picked, pick};
/// use mesh_core::limits::{Limit, Permit};
/// use mesh_hbone::proxy::{Admission, Attempt, Refusal, ServiceConnection, TrafficPolicy};
///
/// #[derive(Debug)]
/// struct Ten(Limit);
///
/// /// Keeps its place as long as the connection lives.
/// struct OneOfTen(#[expect(dead_code, reason = "held")] Permit);
///
/// impl TrafficPolicy for Ten {
///     fn admit(&self, _: &ServiceConnection<'_>) -> Result<Option<Box<dyn Admission>>, Refusal> {
///         let permit = self.0.acquire().ok_or(Refusal::Overflow)?;
///         Ok(Some(Box::new(OneOfTen(permit))))
///     }
/// }
///
/// impl Admission for OneOfTen {
///     fn attempts(&self) -> NonZeroU8 {
///         NonZeroU8::MIN
///     }
///     fn choose(&mut self) -> Option<Picked<'_>> {
///         None // a real one has endpoints
///     }
///     fn report(&mut self, _: Attempt) {}
/// }
/// ```
pub trait TrafficPolicy: fmt::Debug + Send + Sync + 'static {
    /// Lets a connection in; `None` when the policy says nothing about it: it then goes on as if there were none.
    ///
    /// # Errors
    /// [`Refusal`] when it may not be made now: it is reset, and told by the refusal's response flag.
    fn admit(
        &self,
        connection: &ServiceConnection<'_>,
    ) -> Result<Option<Box<dyn Admission>>, Refusal>;
}

/// One connection that was let in. It is dropped when the connection has ended, or could not be made.
pub trait Admission: Send + Sync + 'static {
    /// How many endpoints are tried at most.
    fn attempts(&self) -> NonZeroU8;

    /// The longest that connecting to one endpoint may take; default as long as the connector takes.
    fn connect_timeout(&self) -> Option<Duration> {
        None
    }

    /// The endpoint to try now, none of those that were tried before; `None` when there is no other.
    fn choose(&mut self) -> Option<Picked<'_>>;

    /// Hears how the attempt at the endpoint that was chosen last ended, unless it says nothing about the
    /// endpoint, as when its client went away or when policy there refuses the client.
    fn report(&mut self, attempt: Attempt);
}

/// How an attempt to connect to an endpoint ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two ends")]
pub enum Attempt {
    /// The connection is there.
    Connected,
    /// There is none, for a reason that another endpoint may not have.
    Failed,
}

/// Why a connection may not be made now.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// There are as many as there may be: response flag `UO`.
    Overflow,
    /// There were too many new ones of late: response flag `RL`.
    RateLimited,
}
