//! HBONE inside of HBONE: through the gateway of another network, which chooses an endpoint for each
//! tunnel. Time stands still.
//!
//! Source: Istio's multi-network mode; that connections are pooled and spread is ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mesh_core::identity::SpiffeId;
use mesh_core::outcome::Outcome;
use mesh_hbone::client::{ClientBuilder, Error};
use mesh_hbone::server::{Accepted, Refusal, ServerLayer};
use mesh_hbone::{BoxError, Client, Incoming, Target, Tunnel};
use parking_lot::Mutex;
use support::pipes::{Piped, endpoint, settle};
use support::{Fn_, Mesh, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex};
use tower_layer::Layer;
use tower_service::Service;

const SERVICE: &str = "web.default:80";

/// A gateway before some endpoints that it takes in turn, and what it was asked for.
struct Far {
    client: Client<Piped>,
    dials: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
    /// Whether the gateway refuses everything.
    closed: Arc<Mutex<Option<Refusal>>>,
}

impl Far {
    /// `endpoints` servers behind a gateway.
    fn new(endpoints: usize, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let mesh = Arc::new(Mesh::new());
        for name in ["gateway", "other"] {
            mesh.certs.replace(mesh.ca.issue(&id(name).to_string()));
        }
        let (client, listener) = mesh.piped(change);
        let dials = listener.dials();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let closed = Arc::<Mutex<Option<Refusal>>>::default();
        let (log, refusal, behind) = (asked.clone(), closed.clone(), mesh.clone());
        let gateway = move |incoming: Incoming| {
            let number = {
                let mut log = log.lock();
                log.push(incoming.authority().to_owned());
                log.len() % endpoints
            };
            let (refusal, behind) = (*refusal.lock(), behind.clone());
            async move {
                if let Some(refusal) = refusal {
                    incoming.refuse(refusal);
                    return Ok(());
                }
                let mut endpoint = served(&behind, number);
                let mut outer = incoming.accept(HeaderMap::new())?;
                copy_bidirectional(&mut outer, &mut endpoint).await?;
                Ok::<_, BoxError>(())
            }
        };
        let layer = ServerLayer::builder(id("gateway"), mesh.certs.clone(), mesh.tls.clone());
        drop(listener.serve(layer.build().unwrap().layer(Fn_(gateway))));
        Self {
            client,
            dials,
            asked,
            closed,
        }
    }

    fn targets(&self, source: &str, expected: &str, authority: &str) -> (Target, Target) {
        let target = |expected: SpiffeId| Target::new(endpoint(1), authority, id(source), expected);
        (target(id("gateway")), target(id(expected)))
    }

    async fn connect(&self) -> Result<Tunnel, Error> {
        let (gateway, inner) = self.targets("client", "server", SERVICE);
        self.client.connect_through(gateway, inner).await
    }

    fn asked(&self) -> usize {
        self.asked.lock().len()
    }
}

/// The far end of a connection to an endpoint that tells its number to whoever comes.
fn served(mesh: &Mesh, number: usize) -> DuplexStream {
    let (ours, io) = duplex(64 * 1024);
    let tell = move |incoming: Incoming| async move {
        let mut headers = HeaderMap::new();
        headers.insert("baggage", "k8s.pod.name=far".parse().unwrap());
        let mut tunnel = incoming.accept(headers)?;
        tunnel.write_u8(u8::try_from(number)?).await?;
        let (mut read, mut write) = tokio::io::split(tunnel);
        tokio::io::copy(&mut read, &mut write).await?;
        write.shutdown().await?;
        Ok::<_, BoxError>(())
    };
    let mut server = mesh.server_builder().build().unwrap().layer(Fn_(tell));
    let (peer, local) = (endpoint(2), endpoint(3));
    tokio::spawn(async move {
        let _ = server.call(Accepted { io, peer, local }).await;
    });
    ours
}

/// Which endpoint is there; the tunnel carries bytes both ways.
async fn number(tunnel: &mut Tunnel) -> u8 {
    let number = tunnel.read_u8().await.unwrap();
    tunnel.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    tunnel.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
    number
}

#[tokio::test(start_paused = true)]
async fn inner_connections_are_spread_first_and_shared_then() {
    let far = Far::new(4, |builder| builder.inner_connections(8));
    let mut tunnels = Vec::new();
    let mut seen = [0; 4];
    for opened in 1..=64 {
        let mut tunnel = far.connect().await.unwrap();
        assert_eq!(tunnel.peer().identity(), &id("server"));
        assert_eq!(
            tunnel.response_headers().unwrap()["baggage"],
            "k8s.pod.name=far"
        );
        seen[usize::from(number(&mut tunnel).await)] += 1;
        tunnels.push(tunnel);
        assert_eq!(far.asked(), opened.min(8));
    }
    // The gateway's turns are kept: as many on each endpoint.
    assert_eq!(seen, [16; 4]);
    assert_eq!(far.asked.lock()[..], [SERVICE; 8]);
    assert_eq!(far.dials.load(Ordering::SeqCst), 1, "one outer connection");
    // Eight and the one to the gateway.
    assert_eq!(far.client.connections(), 9);
}

#[tokio::test(start_paused = true)]
async fn short_connections_one_after_the_other_reach_every_endpoint() {
    let far = Far::new(4, |builder| builder.inner_connections(4));
    let mut seen = [0; 4];
    for _ in 0..40 {
        let mut tunnel = far.connect().await.unwrap();
        seen[usize::from(number(&mut tunnel).await)] += 1;
        tunnel.shutdown().await.unwrap();
        assert_eq!(tunnel.read(&mut [0]).await.unwrap(), 0);
        drop(tunnel);
        settle().await;
    }
    assert_eq!(seen, [10; 4]);
    assert_eq!(far.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_share_the_dials_there_may_be() {
    let far = Arc::new(Far::new(2, |builder| builder.inner_connections(2)));
    let all = (0..20).map(|_| {
        let far = far.clone();
        tokio::spawn(async move { far.connect().await.unwrap() })
    });
    let mut seen = [0; 2];
    for tunnel in all.collect::<Vec<_>>() {
        let mut tunnel = tunnel.await.unwrap();
        seen[usize::from(number(&mut tunnel).await)] += 1;
    }
    assert_eq!(far.asked(), 2);
    assert!(seen.iter().all(|n| *n >= 5), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shared_where_that_is_wanted() {
    let far = Far::new(1, |builder| builder.inner_connections(0));
    let mut tunnels = Vec::new();
    for _ in 0..12 {
        let mut tunnel = far.connect().await.unwrap();
        number(&mut tunnel).await;
        tunnels.push(tunnel);
    }
    assert_eq!(far.asked(), 12);
    tunnels.clear();
    settle().await;
    assert_eq!(far.client.connections(), 1, "only the one to the gateway");
}

#[tokio::test(start_paused = true)]
async fn a_connection_takes_no_new_streams_when_it_is_old() {
    let lifetime = Duration::from_secs(60);
    let far = Far::new(1, |builder| builder.inner_connections(1));
    let mut old = far.connect().await.unwrap();
    number(&mut old).await;
    tokio::time::sleep(lifetime - Duration::from_secs(1)).await;
    number(&mut far.connect().await.unwrap()).await;
    assert_eq!(far.asked(), 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    number(&mut far.connect().await.unwrap()).await;
    assert_eq!(far.asked(), 2);
    // What runs on it goes on.
    old.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    old.read_exact(&mut answer).await.unwrap();
    drop(old);
    settle().await;
    assert_eq!(far.client.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_what_identity_and_authority_allow_is_shared() {
    let far = Far::new(1, |builder| builder.inner_connections(1));
    number(&mut far.connect().await.unwrap()).await;
    let mut asked = 1;
    for (name, source, authority) in [
        ("another source", "other", SERVICE),
        ("another service", "client", "db.default:5432"),
    ] {
        for _ in 0..2 {
            let (gateway, inner) = far.targets(source, "server", authority);
            let tunnel = far.client.connect_through(gateway, inner).await;
            number(&mut tunnel.unwrap()).await;
        }
        asked += 1;
        assert_eq!(far.asked(), asked, "{name}");
    }
    // Whoever else is expected is not there.
    let (gateway, inner) = far.targets("client", "other", SERVICE);
    let error = far.client.connect_through(gateway, inner).await;
    assert_eq!(error.unwrap_err().outcome(), Outcome::TlsFailure);
    assert_eq!(far.asked(), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_gateway_says_is_told() {
    for (refusal, status) in [
        (Refusal::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
        (Refusal::Unauthorized, StatusCode::UNAUTHORIZED),
    ] {
        let far = Far::new(1, |builder| builder);
        *far.closed.lock() = Some(refusal);
        let error = far.connect().await.unwrap_err();
        assert_eq!(error.refused_with(), Some(status));
        assert_eq!(error.outcome(), Outcome::Refused);
        // The next one asks again.
        *far.closed.lock() = None;
        number(&mut far.connect().await.unwrap()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_shares_what_there_is() {
    // The connection to the gateway and one inside of it.
    let far = Far::new(1, |builder| builder.max_connections(2));
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        let mut tunnel = far.connect().await.unwrap();
        number(&mut tunnel).await;
        tunnels.push(tunnel);
    }
    assert_eq!(far.asked(), 1);
}
