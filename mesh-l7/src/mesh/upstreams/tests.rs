//! Upstreams of a mesh while it changes.

use std::collections::BTreeMap;

use mesh_core::lb::{Algorithm, Pick};
use mesh_core::model::{
    GatewayAddress, GatewayDestination, LoadBalancing, LoadBalancingMode, Locality,
    NamespacedHostname, NetworkAddress, RoutingScope, ServiceSpec, TunnelProtocol, WorkloadSpec,
    WorkloadStatus,
};
use mesh_core::resolve::{Hop, HopAddress};
use mesh_core::store::{Batch, MeshStore, Update};

use super::*;
use crate::mesh::PortProtocol;
use crate::upstream::{ClusterSettings, Protocol};

#[derive(Debug, Default)]
struct Config {
    requests: Option<u32>,
    algorithm: Option<Algorithm>,
    subset: Option<BTreeMap<String, String>>,
    labels: BTreeMap<String, BTreeMap<String, String>>,
    protocol: PortProtocol,
}

impl UpstreamConfig for Config {
    fn settings(&self, _: &ServiceTarget) -> ClusterSettings {
        let mut settings = ClusterSettings::default();
        settings.breaker.requests = self.requests.unwrap_or(u32::MAX);
        settings.balancing.algorithm = self.algorithm.unwrap_or_default();
        settings
    }

    fn subset(&self, target: &ServiceTarget) -> Option<&BTreeMap<String, String>> {
        self.subset
            .as_ref()
            .filter(|_| target.subset.as_deref() == Some("v1"))
    }

    fn labels(&self, uid: &str) -> Option<&BTreeMap<String, String>> {
        self.labels.get(uid)
    }

    fn protocol(&self, _: &ServiceTarget) -> PortProtocol {
        self.protocol
    }
}

fn pod(name: &str, last: u8) -> WorkloadSpec {
    let key = NamespacedHostname::new("shop", "web.shop.svc");
    WorkloadSpec {
        uid: name.into(),
        namespace: "shop".into(),
        trust_domain: "cluster.local".into(),
        service_account: "web".into(),
        ips: vec![[10, 0, 0, last].into()],
        services: vec![(key, [(80, 8080)].into_iter().collect())],
        ..WorkloadSpec::default()
    }
}

fn web() -> ServiceSpec {
    ServiceSpec {
        namespace: "shop".into(),
        hostname: "web.shop.svc".into(),
        vips: vec![NetworkAddress::new("", [10, 1, 0, 1].into())],
        ports: [(80, 8080)].into_iter().collect(),
        ..ServiceSpec::default()
    }
}

fn target(port: u16, subset: Option<&str>) -> ServiceTarget {
    ServiceTarget {
        namespace: "shop".into(),
        hostname: "web.shop.svc".into(),
        port,
        subset: subset.map(Into::into),
    }
}

fn own() -> Arc<Workload> {
    Arc::new(Workload::new(pod("own", 9)))
}

fn store(pods: Vec<WorkloadSpec>, service: ServiceSpec) -> MeshStore {
    let store = MeshStore::new();
    store.replace_all(pods, vec![service]);
    store
}

fn upstreams(store: &MeshStore, config: Config) -> MeshUpstreams {
    MeshUpstreams::new(store.snapshot(), Arc::new(config), own())
}

/// Keys of an upstream's hosts.
fn keys(upstreams: &MeshUpstreams, target: &ServiceTarget) -> Vec<String> {
    let upstream = upstreams.upstream(target).unwrap();
    let hosts = upstream.cluster.hosts();
    let mut keys: Vec<String> = hosts
        .hosts()
        .iter()
        .map(|host| host.spec().key.to_string())
        .collect();
    keys.sort();
    keys
}

#[test]
fn hosts_are_the_endpoints_that_take_requests() {
    let mut sick = pod("sick", 2);
    sick.status = WorkloadStatus::Unhealthy;
    let mut remote = pod("remote", 3);
    remote.network = "other".into();
    let store = store(vec![pod("one", 1), sick, remote], web());
    let upstreams = upstreams(&store, Config::default());
    assert_eq!(keys(&upstreams, &target(80, None)), ["10.0.0.1:8080"]);
    assert!(upstreams.upstream(&target(81, None)).is_none());
    assert!(upstreams.upstream(&target(80, Some("v1"))).is_none());
}

#[test]
fn hosts_are_reached_by_hbone_where_they_speak_it() {
    let mut tunnelled = pod("one", 1);
    tunnelled.tunnel_protocol = TunnelProtocol::Hbone;
    let store = store(vec![tunnelled, pod("two", 2)], web());
    let upstream = upstreams(&store, Config::default())
        .upstream(&target(80, None))
        .unwrap();
    for host in upstream.cluster.hosts().hosts() {
        let hop = &host.target().hop;
        match host.spec().key.as_str() {
            "10.0.0.1:8080" => assert!(matches!(hop, Hop::Hbone { to, .. } if to.port() == 15008)),
            _ => assert!(matches!(hop, Hop::Tcp { to } if to.port() == 8080)),
        }
    }
}

#[test]
fn a_subset_has_the_endpoints_with_its_labels() {
    let store = store(vec![pod("one", 1), pod("two", 2), pod("three", 3)], web());
    let labels = |text: &str| BTreeMap::from([("version".to_owned(), text.to_owned())]);
    let config = Config {
        subset: Some(labels("v1")),
        labels: BTreeMap::from([
            ("one".to_owned(), labels("v1")),
            ("two".to_owned(), labels("v2")),
        ]),
        ..Config::default()
    };
    let upstreams = upstreams(&store, config);
    assert_eq!(keys(&upstreams, &target(80, Some("v1"))), ["10.0.0.1:8080"]);
    assert_eq!(keys(&upstreams, &target(80, None)).len(), 3);
    assert!(upstreams.upstream(&target(80, Some("v2"))).is_none());
}

#[test]
fn routing_preferences_are_priorities() {
    let at = |name, last, zone: &str| WorkloadSpec {
        locality: Locality {
            region: "r".into(),
            zone: zone.into(),
            ..Locality::default()
        },
        ..pod(name, last)
    };
    let service = ServiceSpec {
        load_balancing: Some(LoadBalancing {
            routing_preferences: vec![RoutingScope::Region, RoutingScope::Zone],
            mode: LoadBalancingMode::Failover,
            ..LoadBalancing::default()
        }),
        ..web()
    };
    let store = store(vec![at("near", 1, "a"), at("far", 2, "b")], service);
    let own = Arc::new(Workload::new(at("own", 9, "a")));
    let upstreams = MeshUpstreams::new(store.snapshot(), Arc::new(()), own);
    let upstream = upstreams.upstream(&target(80, None)).unwrap();
    for host in upstream.cluster.hosts().hosts() {
        let (priority, locality) = match host.spec().key.as_str() {
            "10.0.0.1:8080" => (0, "r/a"),
            _ => (1, "r/b"),
        };
        assert_eq!(host.spec().priority, priority);
        assert_eq!(host.spec().locality, locality);
    }
}

#[test]
fn what_is_seen_of_hosts_stays_when_others_come_and_go() {
    let store = store(vec![pod("one", 1), pod("two", 2)], web());
    let upstreams = upstreams(&store, Config::default());
    let target = target(80, None);
    let before = upstreams.upstream(&target).unwrap();
    let hosts = before.cluster.hosts();
    let one = hosts
        .hosts()
        .iter()
        .find(|host| host.spec().key == "10.0.0.1:8080");
    let _request = one.unwrap().begin();

    let mut batch = Batch::default();
    batch.workloads.push(Update::Remove("two".into()));
    batch.workloads.push(Update::Upsert(pod("three", 3)));
    store.apply(batch);
    upstreams.update(store.snapshot(), Arc::new(Config::default()), own());
    assert_eq!(
        keys(&upstreams, &target),
        ["10.0.0.1:8080", "10.0.0.3:8080"]
    );
    let after = upstreams.upstream(&target).unwrap();
    assert!(Arc::ptr_eq(&before, &after), "its settings are the same");
    let active =
        |host: &mesh_core::lb::Host<Endpoint>| (host.spec().key.to_string(), host.active());
    let mut active: Vec<_> = after
        .cluster
        .hosts()
        .hosts()
        .iter()
        .map(|one| active(one))
        .collect();
    active.sort();
    assert_eq!(
        active,
        [
            ("10.0.0.1:8080".to_owned(), 1),
            ("10.0.0.3:8080".to_owned(), 0)
        ]
    );
}

#[test]
fn new_settings_hold_at_once_and_keep_what_is_in_flight() {
    let store = store(vec![pod("one", 1)], web());
    let upstreams = upstreams(&store, Config::default());
    let target = target(80, None);
    let before = upstreams.upstream(&target).unwrap();
    assert_eq!(before.protocol, Protocol::Client);
    let _in_flight = before.breaker.request().unwrap();
    let config = Config {
        requests: Some(1),
        algorithm: Some(Algorithm::RoundRobin),
        protocol: PortProtocol::Http2,
        ..Config::default()
    };
    upstreams.update(store.snapshot(), Arc::new(config), own());
    let after = upstreams.upstream(&target).unwrap();
    assert!(after.breaker.request().is_none());
    assert_eq!(after.protocol, Protocol::Http2);
    let picked = after
        .cluster
        .pick(&Pick::default(), Instant::now(), &mut || 0);
    assert!(picked.is_some());
}

#[test]
fn an_upstream_whose_service_is_gone_is_gone() {
    let store = store(vec![pod("one", 1)], web());
    let upstreams = upstreams(&store, Config::default());
    let target = target(80, None);
    assert!(upstreams.upstream(&target).is_some());
    store.replace_all(vec![pod("one", 1)], Vec::new());
    upstreams.update(store.snapshot(), Arc::new(Config::default()), own());
    assert!(upstreams.upstream(&target).is_none());
    assert!(upstreams.known().is_empty());
}

/// node-proxy.md 1.11: HBONE inside of HBONE, asked for by the service's name and port.
#[test]
fn an_endpoint_of_another_network_is_reached_by_its_gateway() {
    let mut gateway = pod("gateway", 7);
    (gateway.network, gateway.services) = ("other".into(), Vec::new());
    let reference = |last: u8| GatewayAddress {
        destination: GatewayDestination::Address(NetworkAddress::new(
            "other",
            [10, 0, 0, last].into(),
        )),
        hbone_mtls_port: 15008,
    };
    let remote = |name: &str, last: u8, via: Option<u8>| {
        let mut spec = pod(name, last);
        spec.network = "other".into();
        spec.network_gateway = via.map(reference);
        spec.capacity = 3;
        spec
    };
    let mut service = web();
    service.subject_alt_names = vec!["spiffe://cluster.local/ns/shop/sa/web".parse().unwrap()];
    let pods = vec![
        pod("one", 1),
        gateway,
        remote("there", 1, Some(7)),
        remote("no way", 2, None),
        remote("no gateway", 3, Some(8)),
    ];
    let upstreams_of = |service| upstreams(&store(pods.clone(), service), Config::default());
    let all = upstreams_of(service);
    assert_eq!(keys(&all, &target(80, None)), ["10.0.0.1:8080", "there:80"]);
    let upstream = all.upstream(&target(80, None)).unwrap();
    let hosts = upstream.cluster.hosts();
    let there = hosts
        .hosts()
        .iter()
        .find(|host| &*host.spec().key == "there:80");
    let there = there.unwrap().spec();
    assert_eq!(there.weight, 3);
    let Hop::DoubleHbone {
        gateway,
        authority,
        expected,
        ..
    } = &there.target.hop
    else {
        panic!("{:?}", there.target.hop);
    };
    assert_eq!(*gateway, HopAddress::Ip(([10, 0, 0, 7], 15008).into()));
    assert_eq!(authority.to_string(), "web.shop.svc:80");
    assert!(expected.contains(&"spiffe://cluster.local/ns/shop/sa/web".parse().unwrap()));
    // Nothing says who is behind the gateway.
    assert_eq!(
        keys(&upstreams_of(web()), &target(80, None)),
        ["10.0.0.1:8080"]
    );
}

#[test]
fn a_workload_that_is_addressed_itself_is_one_host_and_few_are_remembered() {
    let mut sick = pod("sick", 2);
    sick.status = WorkloadStatus::Unhealthy;
    let store = store(vec![pod("one", 1), sick], web());
    let upstreams = upstreams(&store, Config::default());
    let at = |last: u8, port| ServiceTarget::of_workload(([10, 0, 0, last], port).into());
    assert_eq!(keys(&upstreams, &at(1, 9000)), ["10.0.0.1:9000"]);
    assert_eq!(keys(&upstreams, &at(2, 9000)), ["10.0.0.2:9000"]);
    assert!(
        upstreams.upstream(&at(3, 9000)).is_none(),
        "nobody is there"
    );
    assert!(upstreams.upstream(&at(1, 0)).is_none());
    let service = upstreams.upstream(&target(80, None)).unwrap();
    for port in 1..=5000 {
        assert!(upstreams.upstream(&at(1, port)).is_some());
        assert!(upstreams.known().len() <= MOST_WORKLOADS + 1);
    }
    let same = upstreams.upstream(&target(80, None)).unwrap();
    assert!(
        Arc::ptr_eq(&service, &same),
        "services are not forgotten for it"
    );
}
