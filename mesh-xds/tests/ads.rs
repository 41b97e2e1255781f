//! A client of a control plane against the server of this crate, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use mesh_authz::store::PolicyStore;
use mesh_core::model::{ServiceSpec, WorkloadSpec};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::MeshStore;
use mesh_xds::ads::{AdsClient, AdsError, AdsObserver, Demand, NodeIdentity, Termination};
use mesh_xds::control::{ControlEndpoint, ControlEndpointBuilder};
use mesh_xds::convert::{ADDRESS, Addresses, Policies};
use mesh_xds::delta::{DeltaConfig, Interest, Received, Subscription};
use mesh_xds::server::{ControlServer, Discovery};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

#[path = "ads/demand.rs"]
mod demand;
#[path = "ads/faults.rs"]
mod faults;
#[path = "ads/sync.rs"]
mod sync;

/// Longer than anything here takes; what takes longer hangs.
const HANG: Duration = Duration::from_secs(30);

async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(HANG, what).await.expect("it hangs")
}

/// What an observer heard.
#[derive(Debug)]
enum Heard {
    Connected,
    Received(Received),
    Synced,
    Terminated(Termination),
}

struct Ears(mpsc::UnboundedSender<Heard>);

impl Ears {
    fn tell(&self, heard: Heard) {
        let _ = self.0.send(heard);
    }
}

impl AdsObserver for Ears {
    fn connected(&self) {
        self.tell(Heard::Connected);
    }
    fn received(&self, received: &Received, bytes: usize) {
        assert!(bytes > 0);
        self.tell(Heard::Received(received.clone()));
    }
    fn synced(&self) {
        self.tell(Heard::Synced);
    }
    fn terminated(&self, reason: Termination, _: Option<&AdsError>) {
        self.tell(Heard::Terminated(reason));
    }
}

/// A control plane and a client of it.
struct World {
    discovery: Discovery,
    server: Option<ControlServer>,
    address: std::net::SocketAddr,
    mesh: Arc<MeshStore>,
    policies: Arc<PolicyStore>,
    heard: mpsc::UnboundedReceiver<Heard>,
    demand: Demand,
    task: JoinHandle<()>,
}

/// How the client of a test differs from the usual one.
#[derive(Default)]
struct Client {
    interest: Interest,
    config: DeltaConfig,
    endpoint: Option<fn(ControlEndpointBuilder) -> ControlEndpointBuilder>,
}

impl World {
    async fn new() -> Self {
        Self::with(Discovery::new(), Client::default()).await
    }

    async fn with(discovery: Discovery, client: Client) -> Self {
        let server = ControlServer::builder(discovery.clone());
        let server = server.start("127.0.0.1:0").await.unwrap();
        let address = server.address();
        let mut endpoint = ControlEndpoint::builder(format!("http://{address}"));
        if let Some(edit) = client.endpoint {
            endpoint = edit(endpoint);
        }
        let (mesh, policies) = (Arc::new(MeshStore::new()), Arc::new(PolicyStore::new()));
        let (ears, heard) = mpsc::unbounded_channel();
        let addresses = Subscription::new(Addresses::new(mesh.clone()));
        let node = NodeIdentity::new("ztunnel", "pod", "istio-system");
        let client = AdsClient::builder(endpoint.build().unwrap(), node)
            .subscribe(addresses.interest(client.interest))
            .subscribe(Subscription::new(Policies::new(policies.clone())))
            .config(client.config)
            .observer(Ears(ears))
            .build();
        let demand = client.demand(ADDRESS);
        let task = tokio::spawn(async move {
            client.run().await;
        });
        Self {
            discovery,
            server: Some(server),
            address,
            mesh,
            policies,
            heard,
            demand,
            task,
        }
    }

    async fn kill_server(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    async fn restart_server(&mut self) {
        let started = async {
            loop {
                match server_at(&self.discovery, self.address).await {
                    Ok(server) => return server,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        self.server = Some(soon(started).await);
    }

    /// Waits until the mesh is as it should be.
    async fn mesh_is(&self, right: impl Fn(&MeshSnapshot) -> bool) {
        let mut watch = self.mesh.watch();
        soon(async {
            while !right(&watch.load()) {
                watch.changed().await.unwrap();
            }
        })
        .await;
    }

    async fn hear<T>(&mut self, mut pick: impl FnMut(Heard) -> Option<T>) -> T {
        soon(async {
            loop {
                let heard = self.heard.recv().await.unwrap();
                if let Some(picked) = pick(heard) {
                    return picked;
                }
            }
        })
        .await
    }

    async fn synced(&mut self) {
        self.hear(|heard| matches!(heard, Heard::Synced).then_some(()))
            .await;
    }

    /// The next response about addresses.
    async fn received(&mut self) -> Received {
        self.hear(|heard| match heard {
            Heard::Received(received) if received.type_url == ADDRESS => Some(received),
            _ => None,
        })
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn server_at(
    discovery: &Discovery,
    address: std::net::SocketAddr,
) -> std::io::Result<ControlServer> {
    ControlServer::builder(discovery.clone())
        .start(address)
        .await
}

fn workload(index: u32) -> WorkloadSpec {
    let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + index);
    WorkloadSpec {
        uid: format!("Kubernetes//Pod/ns/web-{index}").into(),
        name: format!("web-{index}").into(),
        namespace: "ns".into(),
        service_account: "web".into(),
        ips: vec![ip.into()],
        ..WorkloadSpec::default()
    }
}

fn service() -> ServiceSpec {
    ServiceSpec {
        name: "web".into(),
        namespace: "ns".into(),
        hostname: "web.ns.svc.cluster.local".into(),
        ports: [(80, 8080)].into_iter().collect(),
        ..ServiceSpec::default()
    }
}

fn uid(index: u32) -> String {
    format!("Kubernetes//Pod/ns/web-{index}")
}
