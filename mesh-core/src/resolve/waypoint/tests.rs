//! What a waypoint serves, and what it refuses.

use super::*;
use crate::authority::ConnectAuthority;
use crate::model::{
    GatewayAddress, GatewayDestination, NamespacedHostname, NetworkAddress, ServiceSpec,
    WorkloadSpec,
};
use crate::store::MeshStore;

fn by_name() -> GatewayAddress {
    let name = NamespacedHostname::new("shop", "wp.shop.svc.cluster.local");
    GatewayAddress {
        destination: GatewayDestination::Hostname(name),
        hbone_mtls_port: 15008,
    }
}

fn service(name: &str, vip: &str, waypoint: Option<GatewayAddress>) -> ServiceSpec {
    ServiceSpec {
        name: name.into(),
        namespace: "shop".into(),
        hostname: format!("{name}.shop.svc.cluster.local").into(),
        vips: vec![NetworkAddress::new("", vip.parse().unwrap())],
        ports: [(80, 8080)].into_iter().collect(),
        waypoint,
        ..ServiceSpec::default()
    }
}

fn pod(name: &str, ip: &str, waypoint: Option<GatewayAddress>) -> WorkloadSpec {
    WorkloadSpec {
        uid: name.into(),
        namespace: "shop".into(),
        ips: vec![ip.parse().unwrap()],
        waypoint,
        ..WorkloadSpec::default()
    }
}

/// The waypoint `wp` at 10.0.0.9; `web` and the pod at 10.0.0.1 are behind it, `api` and the pod at
/// 10.0.0.2 are not.
fn mesh() -> MeshStore {
    let store = MeshStore::new();
    let mut own = pod("wp-1", "10.0.0.9", None);
    let key = NamespacedHostname::new("shop", "wp.shop.svc.cluster.local");
    own.services = vec![(key, [(15008, 15008)].into_iter().collect())];
    let address = GatewayAddress {
        destination: GatewayDestination::Address(NetworkAddress::new(
            "",
            "10.0.0.9".parse().unwrap(),
        )),
        hbone_mtls_port: 15008,
    };
    let workloads = vec![
        own,
        pod("one", "10.0.0.1", Some(address)),
        pod("two", "10.0.0.2", None),
    ];
    let services = vec![
        service("wp", "10.1.0.9", None),
        service("web", "10.1.0.1", Some(by_name())),
        service("api", "10.1.0.2", None),
    ];
    store.replace_all(workloads, services);
    store
}

fn ask(authority: &str) -> Result<String, u16> {
    let snapshot = mesh().snapshot();
    let local = snapshot.workload("wp-1").unwrap();
    let authority: ConnectAuthority = authority.parse().unwrap();
    let [peer, own] = ["10.0.0.7:4711", "10.0.0.9:15008"].map(|text| text.parse().unwrap());
    let request = InboundRequest::new(peer, own, &authority);
    let route = waypoint(&snapshot, local, &request).map_err(|error| error.status())?;
    Ok(match route {
        WaypointRoute::Service { service, port } => format!("{}:{port}", service.spec().name),
        WaypointRoute::Workload { workload, port } => format!("{}:{port}", workload.uid()),
    })
}

/// Source: what Istio's node proxies answer; 400 for an address that is not served here.
#[test]
fn a_waypoint_serves_what_refers_to_it_and_nothing_else() {
    let cases = [
        ("10.1.0.1:80", Ok("web:80")),
        ("web.shop.svc.cluster.local:80", Ok("web:80")),
        ("10.0.0.1:9999", Ok("one:9999")),
        ("10.1.0.1:81", Err(503)),
        ("10.1.0.2:80", Err(400)),
        ("api.shop.svc.cluster.local:80", Err(400)),
        ("10.0.0.2:8080", Err(400)),
        ("10.0.0.9:15008", Err(400)),
        ("10.1.0.9:15008", Err(400)),
        ("1.1.1.1:443", Err(400)),
        ("127.0.0.1:80", Err(400)),
        ("none.shop.svc.cluster.local:80", Err(503)),
    ];
    for (authority, expected) in cases {
        let expected = expected.map(str::to_owned);
        assert_eq!(ask(authority), expected, "{authority}");
    }
}
