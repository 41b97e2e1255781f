//! Two networks with a control plane each and a gateway between them: HBONE inside of HBONE.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::HeaderMap;
use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
use mesh_core::model::{
    GatewayAddress, GatewayDestination, NamespacedHostname, NetworkAddress, ServiceSpec,
    WorkloadSpec,
};
use mesh_core::tls::TlsContext;
use mesh_hbone::server::{Accepted, ServerLayer};
use mesh_hbone::{BoxError, BoxFuture, Incoming};
use mesh_xds::ca::CaSource;
use mesh_xds::control::{ControlEndpoint, ControlRoots, ControlToken};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

use super::plane::{AUTHORIZATION, Plane, workload};
use crate::harness::{APP, Proxy, echo, finish, ping};

const HBONE: u16 = 15008;

/// What a gateway was asked for, and by whom.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Forwards the bytes of tunnels, whatever they are, to the proxy of the one workload behind it.
#[derive(Clone)]
struct Gateway {
    to: SocketAddr,
    asked: Asked,
}

impl Service<Incoming> for Gateway {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, incoming: Incoming) -> Self::Future {
        let (authority, peer) = (incoming.authority(), incoming.peer().identity());
        let asked = (authority.to_owned(), peer.to_string());
        self.asked.lock().unwrap().push(asked);
        let to = self.to;
        Box::pin(async move {
            let mut behind = TcpStream::connect(to).await?;
            let mut tunnel = incoming.accept(HeaderMap::new())?;
            tokio::io::copy_bidirectional(&mut tunnel, &mut behind).await?;
            Ok(())
        })
    }
}

/// Starts the gateway at an address, with a certificate from the plane's authority.
fn gateway(plane: &Plane, at: Ipv4Addr, behind: Ipv4Addr) -> Asked {
    let environment = plane.environment(at);
    let of = |name: &str| {
        environment
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
            .clone()
    };
    let endpoint = ControlEndpoint::builder(of("CA_ADDRESS"))
        .roots(ControlRoots::File(of("CA_ROOT_CA").into()))
        .token(ControlToken::File(of("AUTH_TOKEN").into()))
        .build()
        .unwrap();
    let (certificates, worker) = CaSource::builder(endpoint).build().unwrap();
    let me = "spiffe://cluster.local/ns/ns/sa/gateway".parse().unwrap();
    let tls = Arc::new(TlsContext::with_default_provider().unwrap());
    let layer = ServerLayer::builder(me, Arc::new(certificates), tls)
        .build()
        .unwrap();
    let asked = Asked::default();
    let server = layer.layer(Gateway {
        to: (behind, HBONE).into(),
        asked: asked.clone(),
    });
    let listener = plane.wait(TcpListener::bind((at, HBONE))).unwrap();
    plane.spawn(async move {
        tokio::spawn(async move { worker.run().await });
        let serving: io::Result<()> = async {
            loop {
                let (io, peer) = listener.accept().await?;
                let local = io.local_addr()?;
                let mut server = server.clone();
                tokio::spawn(async move {
                    // How a connection ends is the business of the proxies.
                    let _ = server.call(Accepted { io, peer, local }).await;
                });
            }
        }
        .await;
        serving.unwrap();
    });
    asked
}

/// A client in network `a`, a server in network `b`, and what is between them.
struct Networks {
    b: Plane,
    _a: Plane,
    client: Proxy,
    server: Proxy,
    asked: Asked,
    vip: Ipv4Addr,
}

fn networks() -> Networks {
    let a = Plane::empty();
    let b = a.neighbour();
    let vip = a.mesh.vip;
    let gateway_address = b.mesh.plain;
    echo(b.mesh.server);
    let service = |network: &str, address: Ipv4Addr| ServiceSpec {
        vips: vec![NetworkAddress::new(network, address.into())],
        // As Istio fills it in for more than one network: everybody who may be behind the name.
        subject_alt_names: vec!["spiffe://cluster.local/ns/ns/sa/server".parse().unwrap()],
        ..a.service()
    };
    let behind = |spec: WorkloadSpec| WorkloadSpec {
        network: "b".into(),
        ..spec
    };
    let of_service = vec![(
        NamespacedHostname::new("ns", super::plane::SERVICE),
        [(80, APP)].into_iter().collect(),
    )];
    a.discovery.edit(|edit| {
        edit.put_workload(&WorkloadSpec {
            network: "a".into(),
            ..a.client()
        });
        edit.put_workload(&behind(workload("gateway", gateway_address)));
        edit.put_workload(&behind(WorkloadSpec {
            services: of_service.clone(),
            network_gateway: Some(GatewayAddress {
                destination: GatewayDestination::Address(NetworkAddress::new(
                    "b",
                    gateway_address.into(),
                )),
                hbone_mtls_port: HBONE,
            }),
            // Nothing is known of a pod in another network but that there is one.
            ips: Vec::new(),
            ..workload("remote", Ipv4Addr::UNSPECIFIED)
        }));
        edit.put_service(&service("a", vip));
    });
    b.discovery.edit(|edit| {
        edit.put_workload(&behind(WorkloadSpec {
            services: of_service,
            ..workload("server", b.mesh.server)
        }));
        edit.put_service(&service("b", b.mesh.vip));
    });
    let asked = gateway(&b, gateway_address, b.mesh.server);
    let server = b.proxy(b.mesh.server, &[("NETWORK", "b")]);
    let client = a.proxy(a.mesh.client, &[("NETWORK", "a")]);
    Networks {
        b,
        _a: a,
        client,
        server,
        asked,
        vip,
    }
}

fn reaches(networks: &Networks) -> bool {
    let address = [&[1][..], &networks.vip.octets()].concat();
    let (reply, mut stream) = networks.client.socks5(&address, 80);
    reply == 0 && ping(&mut stream, b"hello").is_ok()
}

#[test]
fn a_service_behind_the_gateway_of_another_network_is_reached() {
    let networks = networks();
    let mut stream = networks.client.connect(networks.vip, 80);
    ping(&mut stream, &vec![7; 1_000_000]).unwrap();
    finish(stream);
    let asked = networks.asked.lock().unwrap().clone();
    let client = "spiffe://cluster.local/ns/ns/sa/client".to_owned();
    assert_eq!(
        asked,
        [(format!("{}:80", super::plane::SERVICE), client.clone())]
    );
    let inbound = networks.server.log_line("connection complete", |_| true);
    assert_eq!(inbound["src.identity"], client.as_str());
    assert_eq!(inbound["src.workload"], "client");
    assert_eq!(inbound["dst.service"], super::plane::SERVICE);
    let outbound = networks.client.log_line("connection complete", |_| true);
    assert_eq!(
        outbound["dst.identity"],
        "spiffe://cluster.local/ns/ns/sa/server"
    );
}

#[test]
fn the_other_network_authorizes_the_identity_of_the_client() {
    let networks = networks();
    let mut requests = networks.b.discovery.requests();
    for (principal, allowed) in [("client", true), ("gateway", false)] {
        let mut policy = PolicySpec::new("ns", "only", Scope::Namespace, Action::Allow);
        policy.rules.push(RuleSpec::of(MatchSpec {
            principals: vec![
                StringMatch::exact(format!("cluster.local/ns/ns/sa/{principal}")).unwrap(),
            ],
            ..MatchSpec::default()
        }));
        networks.b.discovery.put_policy(&policy);
        let against = networks.b.acknowledged(&mut requests, AUTHORIZATION, 1);
        assert_eq!(against, Vec::<String>::new());
        assert_eq!(reaches(&networks), allowed, "{principal}");
    }
}
