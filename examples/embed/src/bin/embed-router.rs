//! An HTTP application that routes, tries again and limits, without any proxy.
//!
//! `embed-router [LISTEN [BACKEND...]]` answers `/` itself and forwards what is below `/api` to the
//! backends: any two more tries where one cannot be reached or answers 503, backends that keep failing
//! are left alone for a while, and each client may ask for ten things a second.
//!
//! Everything is a tower service over `http` types, so that each part can be used without the others:
//! under axum, hyper, or any other server.
#![forbid(unsafe_code)]

use std::env::args;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::StatusCode;
use mesh_core::drain;
use mesh_core::lb::{HostSpec, OutlierDetection, SmallFleet};
use mesh_core::limits::BucketSettings;
use mesh_core::watch::{self, Watch};
use mesh_l7::client::{Client, ClientSettings};
use mesh_l7::downstream::Downstream;
use mesh_l7::limit::{Descriptor, Entry, LimitKey, LocalLimit, RateLimitLayer, RateLimits, Wanted};
use mesh_l7::matching::{PathMatch, RequestMatch};
use mesh_l7::route::{
    Action, Backend, BackendTarget, Backends, DirectResponse, HostTable, RetryPolicy, RouteTable,
    Rule, Rules,
};
use mesh_l7::router::{Router, RouterSettings};
use mesh_l7::serve::{Server, ServerSettings};
use mesh_l7::target::ServiceTarget;
use mesh_l7::upstream::{ClusterSettings, Protocol, Upstream, UpstreamTable, maintain};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listen = args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    let backends = args().skip(2).map(|text| text.parse());
    let backends: Vec<SocketAddr> = backends.collect::<std::result::Result<_, _>>()?;

    // What requests are forwarded to, and how its hosts are used.
    let api = ServiceTarget {
        namespace: "example".into(),
        hostname: "api".into(),
        port: 80,
        subset: None,
    };
    let upstreams = UpstreamTable::from_iter([upstream(&api, &backends)]);
    let (_upstreams, upstreams) = watch::channel(upstreams);
    let hosts = upstreams.clone();
    tokio::spawn(maintain(move || {
        hosts.load().iter().cloned().collect::<Vec<_>>()
    }));

    // Publishing another table changes the routes of the next request.
    let (_routes, routes) = watch::channel(routes(&api));
    let client = Client::new(Connector, ClientSettings::default());
    let settings = RouterSettings::default().with_service(api);
    let router = Router::with_settings(routes, upstreams, client, settings);
    let service = RateLimitLayer::new(Watch::fixed(limits()?)).layer(router);

    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let server = Server::new(ServerSettings::default());
    let (_stop, drain) = drain::channel();
    loop {
        let (connection, peer) = listener.accept().await?;
        let here = Arc::new(Downstream::new(peer, connection.local_addr()?));
        let (server, service, drain) = (server.clone(), service.clone(), drain.clone());
        tokio::spawn(async move {
            // Faults of a client have been answered; that its connection ended is nobody's business.
            let _ = server.serve(connection, here, service, drain).await;
        });
    }
}

/// The hosts of the backend: one that fails three times in a row is left alone for 5 s and longer.
fn upstream(target: &ServiceTarget, backends: &[SocketAddr]) -> Upstream<SocketAddr> {
    let hosts = backends
        .iter()
        .map(|address| HostSpec::new(address.to_string(), *address));
    let mut settings = ClusterSettings::default();
    settings.connect_timeout = Some(Duration::from_secs(1));
    let mut outlier = OutlierDetection::default();
    outlier.consecutive_5xx = Some(3);
    outlier.base_ejection = Duration::from_secs(5);
    outlier.small_fleet = SmallFleet::One;
    settings.balancing.outlier = Some(outlier);
    let protocol = Protocol::Http1;
    Upstream::new(
        target.clone(),
        settings,
        protocol,
        hosts.collect(),
        Instant::now(),
    )
}

/// `/` is answered here, what is below `/api` is forwarded, the rest is not found.
fn routes(api: &ServiceTarget) -> RouteTable {
    let mut hello = Rule::new(
        "hello",
        Action::Respond(DirectResponse {
            status: StatusCode::OK,
            body: "hello from the application\n".into(),
        }),
    );
    hello.matches.push(path(PathMatch::Exact("/".into())));
    let backend = Backend::new(BackendTarget::Service(api.clone()));
    let mut forward = Rule::new("api", Action::Forward(Backends::new([backend])));
    forward.matches.push(path(PathMatch::Below("/api".into())));
    forward.timeouts.request = Some(Duration::from_secs(10));
    forward.retry = Some(RetryPolicy {
        statuses: vec![StatusCode::SERVICE_UNAVAILABLE],
        ..RetryPolicy::default()
    });
    let rules = Rules::new([hello, forward]);
    let mut table = RouteTable::default();
    table.insert(api, HostTable::of_any(rules));
    table
}

fn path(path: PathMatch) -> RequestMatch {
    RequestMatch {
        path,
        ..RequestMatch::default()
    }
}

/// Ten requests a second of each client that says who it is in `x-client`, and a thousand of all.
fn limits() -> Result<RateLimits> {
    let second = Duration::from_secs(1);
    let mut limit = LocalLimit::new("clients", BucketSettings::new(1000, 1000, second)?);
    limit.descriptors.push(Descriptor {
        entries: vec![Entry {
            key: LimitKey::Header(http::HeaderName::from_static("x-client")),
            wanted: Wanted::Each,
        }],
        bucket: BucketSettings::new(10, 10, second)?,
        most: 1000,
    });
    Ok(RateLimits::new([limit], Instant::now()))
}

/// Connections to hosts, as TCP. A mesh has tunnels here.
#[derive(Clone)]
struct Connector;

impl Service<SocketAddr> for Connector {
    type Response = TcpStream;
    type Error = std::io::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = std::io::Result<TcpStream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, host: SocketAddr) -> Self::Future {
        Box::pin(TcpStream::connect(host))
    }
}
