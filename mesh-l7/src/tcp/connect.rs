//! A connection to a host of an upstream.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_core::lb::{Active, Event, Host, Pick, RequestHash};
use mesh_core::limits::Permit;
use mesh_core::random::Random;
use tokio::time::{Instant, sleep, timeout};
use tower_service::Service;

use super::failure::{NotConnected, Reason};
use super::settings::ConnectSettings;
use crate::route::HashInput;
use crate::upstream::Upstream;

/// A connection to a host. While this is there, it counts in the circuit breaker and as one that the host
/// has.
#[non_exhaustive]
pub struct Connected<E, IO> {
    /// The connection.
    pub io: IO,
    /// The host.
    pub host: Arc<Host<E>>,
    /// How many connections were tried, this one included.
    pub attempts: u32,
    /// What it holds: to be kept for as long as the connection is there.
    pub held: Held,
}

/// The place of a connection in the circuit breaker and at its host, until it is dropped.
#[derive(Debug)]
#[must_use = "the connection is not counted any more when it is dropped"]
pub struct Held {
    _connection: Permit,
    _active: Active,
}

/// Connects a client at `source` to a host of an upstream.
///
/// - Limits: one connection of [`breaker`](Upstream::breaker), from the first attempt on, and one of those
///   that wait until one succeeds. What is over a limit fails at once.
/// - Hosts are chosen as for requests; a hash takes the client's address, the only one of its inputs that bytes
///   have.
/// - An attempt that fails is reported as [`Event::NoAnswer`]; the next one goes to a host that was not
///   tried, where there is one, after a pause.
///
/// # Errors
/// [`NotConnected`] after the last attempt, or where there is nothing to try.
///
/// # Cancellation
/// Dropping the future gives up the attempt, and what it held.
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Instant;
/// use mesh_core::lb::HostSpec;
/// use mesh_l7::target::ServiceTarget;
/// use mesh_l7::tcp::{ConnectSettings, connect};
/// use mesh_l7::upstream::{ClusterSettings, Protocol, Upstream};
///
/// #[derive(Clone)]
/// struct Echo;
/// impl tower_service::Service<&'static str> for Echo {
///     type Response = &'static str;
///     type Error = Infallible;
///     type Future = std::future::Ready<Result<&'static str, Infallible>>;
///     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
///         std::task::Poll::Ready(Ok(()))
///     }
///     fn call(&mut self, host: &'static str) -> Self::Future {
///         std::future::ready(Ok(host))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let target = ServiceTarget { namespace: "shop".into(), hostname: "db".into(), port: 5432, subset: None };
/// let hosts = vec![HostSpec::new("10.0.0.1:5432", "first")];
/// let upstream = Upstream::new(target, ClusterSettings::default(), Protocol::Client, hosts, Instant::now());
/// let source = "10.0.0.9".parse()?;
/// let connected = connect(Echo, &upstream, source, &ConnectSettings::default(), &mut || 0).await?;
/// assert_eq!((connected.io, connected.attempts), ("first", 1));
/// # Ok(())
/// # }
/// ```
pub async fn connect<E, C>(
    mut connector: C,
    upstream: &Upstream<E>,
    source: IpAddr,
    settings: &ConnectSettings,
    random: &mut impl Random,
) -> Result<Connected<E, C::Response>, NotConnected<E>>
where
    E: Clone,
    C: Service<E>,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let failed = |reason, tried: Vec<Arc<Host<E>>>, attempts| NotConnected {
        reason,
        host: tried.last().cloned(),
        attempts,
    };
    let breaker = &upstream.breaker;
    let (Some(connection), Some(_pending)) = (breaker.connection(), breaker.pending()) else {
        return Err(failed(Reason::Overflow, Vec::new(), 0));
    };
    let limit = upstream.settings.connect_timeout;
    let limit = limit.unwrap_or(settings.timeout);
    let mut tried = Vec::new();
    let mut attempts = 0_u32;
    loop {
        let mut pick = Pick::default();
        pick.hash = placement(upstream, source);
        pick.tried = &tried;
        let now = Instant::now().into_std();
        let Some(host) = upstream.cluster.pick(&pick, now, random) else {
            return Err(failed(Reason::NoHost, tried, attempts));
        };
        attempts = attempts.saturating_add(1);
        let active = host.begin();
        let attempt = async {
            poll_fn(|cx| connector.poll_ready(cx)).await?;
            connector.call(host.target().clone()).await
        };
        let reason = match timeout(limit, attempt).await {
            Ok(Ok(io)) => {
                report(upstream, &host, Event::Success, random);
                return Ok(Connected {
                    io,
                    host,
                    attempts,
                    held: Held {
                        _connection: connection,
                        _active: active,
                    },
                });
            }
            Ok(Err(error)) => Reason::Connect(error.into()),
            Err(_) => Reason::Timeout,
        };
        report(upstream, &host, Event::NoAnswer, random);
        drop(active);
        tried.push(host);
        if attempts >= settings.attempts.get() {
            return Err(failed(reason, tried, attempts));
        }
        sleep(settings.backoff.pause(attempts, random)).await;
    }
}

/// What a connection is placed by.
fn placement<E>(upstream: &Upstream<E>, source: IpAddr) -> Option<u64> {
    let inputs = &upstream.settings.hashing.inputs;
    let mut hash = RequestHash::default();
    if inputs.contains(&HashInput::SourceAddress) {
        hash.add_address(source);
    }
    hash.value()
}

fn report<E>(upstream: &Upstream<E>, host: &Host<E>, event: Event, random: &mut impl Random) {
    let now = Instant::now().into_std();
    upstream.cluster.report(host, event, now, random);
}

impl<E, IO> fmt::Debug for Connected<E, IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("host", &self.host)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
