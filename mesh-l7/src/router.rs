//! What becomes of a request: the rule that it meets, and the attempts to have it answered.
//!
//! [`Router`] is a tower service over requests and responses. For each request, in this order:
//!
//! 1. The rule is chosen, from one snapshot of the [`RouteTable`].
//! 2. Questions of browsers ([`Cors`](crate::filter::Cors)) are answered.
//! 3. Faults are made: a delay, then an error.
//! 4. Redirects and direct responses are answered.
//! 5. One of the rule's backends is drawn, once, unless the request's session is with a host of one; headers and target are changed, once; copies for
//!    mirrors are begun, once.
//! 6. Attempts are made until one is answered, or may not be repeated: a permit of the circuit breaker,
//!    a host, the [`Attempt`] itself, what came of it to the outlier detection, a pause.
//! 7. The response's headers are changed. Its body keeps permits and time limits until its end.
//!
//! Every failure is answered here, with the statuses, texts, response flags and details of Envoy; they are
//! noted in the request's [`Record`](crate::record::Record). Nothing is queued: what is too much is refused at once.
//!
//! An application that has no proxy uses it like this; a client that makes connections takes the place of
//! the one here, which answers by itself:
//!
//! ```
//! use std::future::{Ready, ready};
//! use std::task::{Context, Poll};
//! use std::time::Instant;
//!
//! use http::{Request, Response, StatusCode};
//! use mesh_core::lb::{Algorithm, HostSpec};
//! use mesh_core::watch::Watch;
//! use mesh_l7::attempt::{Attempt, AttemptError};
//! use mesh_l7::body::Body;
//! use mesh_l7::route::{Action, Backend, BackendTarget, Backends, HostTable, RetryOn, RetryPolicy, RouteTable, Rule, Rules};
//! use mesh_l7::router::{Router, RouterSettings};
//! use mesh_l7::target::ServiceTarget;
//! use mesh_l7::upstream::{ClusterSettings, Protocol, Upstream, UpstreamTable};
//! use tower_service::Service;
//!
//! /// One of the two hosts is not there.
//! #[derive(Clone)]
//! struct Client;
//! impl Service<Attempt<&'static str>> for Client {
//!     type Response = Response<Body>;
//!     type Error = AttemptError;
//!     type Future = Ready<Result<Response<Body>, AttemptError>>;
//!     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
//!         Poll::Ready(Ok(()))
//!     }
//!     fn call(&mut self, attempt: Attempt<&'static str>) -> Self::Future {
//!         ready(match *attempt.host.target() {
//!             "10.0.0.1:80" => Err(AttemptError::Connect("refused".into())),
//!             _ => Ok(Response::new("hello".into())),
//!         })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), http::Error> {
//! let web = ServiceTarget { namespace: "shop".into(), hostname: "web".into(), port: 80, subset: None };
//! let hosts = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| HostSpec::new(address, address));
//! let mut settings = ClusterSettings::default();
//! settings.balancing.algorithm = Algorithm::RoundRobin;
//! let upstream = Upstream::new(web.clone(), settings, Protocol::Http1, hosts.into(), Instant::now());
//!
//! let backend = Backend::new(BackendTarget::Service(web.clone()));
//! let mut rule = Rule::new("all", Action::Forward(Backends::new([backend])));
//! rule.retry = Some(RetryPolicy { retries: 2, ..RetryPolicy::default() });
//! let mut routes = RouteTable::default();
//! routes.insert(&web, HostTable::of_any(Rules::new([rule])));
//!
//! let upstreams = UpstreamTable::from_iter([upstream]);
//! let settings = RouterSettings::default().with_service(web);
//! let mut router = Router::with_settings(Watch::fixed(routes), upstreams, Client, settings);
//! for _ in 0..10 {
//!     let Ok(response) = router.call(Request::get("http://web/").body(Body::empty())?).await;
//!     assert_eq!(response.status(), StatusCode::OK);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`RetryLayer`] and [`TimeoutLayer`] do that part of it alone, around any service.
//!
//! **Order:** inside of authentication, authorization and rate limits, because their answers are not tried
//! again; outside of the client, which makes one attempt.

mod attempt_loop;
mod chance;
mod choice;
mod commit;
mod counters;
mod decide;
mod failure;
mod forward;
mod grpc_timeout;
mod hash;
mod hedge;
mod limits;
mod mirror;
mod number;
mod outgoing;
mod penalty;
mod replay;
mod retry_after;
mod retry_layer;
mod session;
mod session_key;
mod settings;
mod shared;
mod tee;
mod timeout_layer;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use mesh_core::watch::Watch;
use tower_service::Service;

use crate::attempt::{Attempt, AttemptError};
use crate::body::Body;
use crate::route::RouteTable;
use crate::upstream::Upstreams;

pub use chance::Chance;
pub use counters::Counters;
pub use grpc_timeout::{GRPC_TIMEOUT, grpc_timeout};
pub use hedge::{Hedge, HedgeFuture};
pub use retry_layer::{Failures, Retry, RetryLayer};
pub use session_key::SessionKey;
pub use settings::{OriginalTarget, RouterSettings};
use shared::Shared;
pub use timeout_layer::{Timeout, TimeoutFuture, TimeoutLayer};

/// Routes requests, and has each of them answered by a host of its upstream, in as many attempts as its
/// rule allows.
///
/// - `E` is what the client needs to reach a host.
/// - `U` is where upstreams are looked up.
/// - `A` is the client: a service from [`Attempt`] to a response or an [`AttemptError`].
///
/// It is always ready: what is too much is answered with 503. Routes are looked up by the service that the
/// connection goes to ([`Downstream`](crate::downstream::Downstream)), or by
/// [`RouterSettings::service`] where there is none.
///
/// # Cancellation
/// Dropping the future or the response's body gives back permits, drops the attempt, and notes that the
/// client is gone.
pub struct Router<E, U, A> {
    shared: Arc<Shared<U>>,
    client: A,
    hosts: PhantomData<fn() -> E>,
}

/// A response of [`Router`] on its way.
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Response<Body>> + Send>>);

impl<E, U, A> Router<E, U, A> {
    /// A router with default settings.
    #[must_use]
    pub fn new(routes: Watch<RouteTable>, upstreams: U, client: A) -> Self {
        Self::with_settings(routes, upstreams, client, RouterSettings::default())
    }

    /// A router.
    #[must_use]
    pub fn with_settings(
        routes: Watch<RouteTable>,
        upstreams: U,
        client: A,
        settings: RouterSettings,
    ) -> Self {
        Self {
            shared: Arc::new(Shared::new(routes, upstreams, settings)),
            client,
            hosts: PhantomData,
        }
    }

    /// What happens beside requests; clones count together.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}

impl<E, U, A> Service<Request<Body>> for Router<E, U, A>
where
    E: Send + Sync + 'static,
    U: Upstreams<E> + 'static,
    A: Service<Attempt<E>, Response = Response<Body>, Error = AttemptError>,
    A: Clone + Send + 'static,
    A::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        let (shared, client) = (self.shared.clone(), self.client.clone());
        ResponseFuture(Box::pin(forward::respond(shared, client, request)))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl<E, U, A: Clone> Clone for Router<E, U, A> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            client: self.client.clone(),
            hosts: PhantomData,
        }
    }
}

impl<E, U, A> fmt::Debug for Router<E, U, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
