//! Tests without a control plane: a client that does not run never answers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::model::{
    GatewayAddress, GatewayDestination, NamespacedHostname, NetworkCidr, ServiceSpec, Workload,
    WorkloadSpec,
};
use mesh_core::outcome::Outcome;
use mesh_core::resolve::{HostnameTarget, IpFamily, OutboundRequest, ResolveConfig, ResolveError};
use mesh_core::store::MeshStore;
use mesh_hbone::proxy::{LocalWorkload, MeshResolver, Resolver};
use mesh_xds::ads::{AdsClient, NodeIdentity};
use mesh_xds::control::ControlEndpoint;
use mesh_xds::convert::{ADDRESS, Addresses};
use mesh_xds::delta::{Interest, Subscription};
use tokio::time::Instant;

use super::{OnDemandResolver, TIME};
use crate::config::{Env, Settings};

struct Away {
    resolver: OnDemandResolver,
    local: Arc<Workload>,
    /// While it is there, demands wait for it.
    client: Option<AdsClient>,
}

fn workload(name: &str, ip: [u8; 4]) -> WorkloadSpec {
    WorkloadSpec {
        uid: name.into(),
        name: name.into(),
        namespace: "ns".into(),
        service_account: "sa".into(),
        ips: vec![ip.into()],
        ..WorkloadSpec::default()
    }
}

async fn away() -> Away {
    let store = Arc::new(MeshStore::new());
    let ranged = ServiceSpec {
        name: "range".into(),
        namespace: "ns".into(),
        hostname: "range.example.org".into(),
        cidr_vips: vec![NetworkCidr {
            network: "".into(),
            cidr: "10.7.0.0/16".parse().unwrap(),
        }],
        ..ServiceSpec::default()
    };
    let behind = WorkloadSpec {
        waypoint: Some(GatewayAddress {
            destination: GatewayDestination::Hostname(NamespacedHostname::new("ns", "wp")),
            hbone_mtls_port: 15008,
        }),
        ..workload("behind", [10, 0, 0, 3])
    };
    let all = vec![
        workload("client", [10, 0, 0, 1]),
        workload("plain", [10, 0, 0, 2]),
        behind,
    ];
    store.replace_all(all, vec![ranged]);
    let endpoint = ControlEndpoint::builder("http://127.0.0.1:1")
        .build()
        .unwrap();
    let addresses = Subscription::new(Addresses::new(store.clone()));
    let client = AdsClient::builder(endpoint, NodeIdentity::new("ztunnel", "client", "ns"))
        .subscribe(addresses.interest(Interest::OnDemand))
        .build();
    let vars = [
        ("PROXY_MODE", "dedicated"),
        ("PROXY_WORKLOAD_INFO", "ns/client/sa"),
        ("FAKE_CA", "true"),
        // Nothing is opened here.
        ("MESH_DEV_CA_DIR", "dev-ca"),
        ("LOCAL_XDS", "{}"),
    ];
    let settings = Settings::from_env(&Env::of(&vars), NonZeroUsize::MIN).unwrap();
    let own = LocalWorkload::Uid("client".into());
    let resolver = MeshResolver::new(store.watch(), ResolveConfig::new(), own);
    let demand = Some(client.demand(ADDRESS));
    let resolver = OnDemandResolver::new(resolver, store.watch(), demand, Arc::new(settings));
    let local = resolver.local().await.unwrap();
    Away {
        resolver,
        local,
        client: Some(client),
    }
}

impl Away {
    async fn outbound(&self, ip: [u8; 4]) -> Result<(), ResolveError> {
        let request = OutboundRequest::new([10, 0, 0, 1].into(), (ip, 80).into());
        let route = self.resolver.outbound(&self.local, &request).await;
        route.map(|_| ())
    }
}

fn unanswered(reference: &str) -> Result<(), ResolveError> {
    Err(ResolveError::Unanswered {
        reference: reference.into(),
    })
}

#[tokio::test(start_paused = true)]
async fn what_the_control_plane_does_not_answer_for_is_not_taken_for_outside_the_mesh() {
    let away = away().await;
    for (ip, reference) in [
        ([10, 9, 9, 9], "/10.9.9.9"),
        // What is known of a range is not known of the address.
        ([10, 7, 0, 1], "/10.7.0.1"),
        // One question in vain is enough, whoever is referred to.
        ([10, 0, 0, 3], "ns/wp"),
    ] {
        let begun = Instant::now();
        let route = away.outbound(ip).await;
        assert_eq!(route, unanswered(reference));
        assert!(begun.elapsed() <= TIME + Duration::from_millis(1));
        let error = route.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unresolved);
        assert!(error.to_string().contains("control plane"), "{error}");
    }
    let (name, v4) = ("web.ns.svc.cluster.local", IpFamily::V4);
    let target = away.resolver.hostname(&away.local, name, 80, v4).await;
    assert_eq!(target, HostnameTarget::Unanswered);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_ended_answers_nothing() {
    let mut away = away().await;
    away.client = None;
    assert_eq!(away.outbound([10, 9, 9, 9]).await, unanswered("/10.9.9.9"));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_not_waited_for() {
    let away = away().await;
    let begun = Instant::now();
    assert_eq!(away.outbound([10, 0, 0, 2]).await, Ok(()));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
