//! The store against a plain model of the rules: any updates, split into batches in any way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_core::model::{
    LoadBalancing, LoadBalancingMode, NamespacedHostname, NetworkAddress, NetworkCidr, NetworkMode,
    PortMap, RoutingScope, ServiceSpec, TunnelProtocol, WorkloadSpec, WorkloadStatus,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::{Batch, MeshStore, Update};
use proptest::prelude::*;

const NETWORKS: [&str; 2] = ["", "remote"];
const NAMESPACES: [&str; 3] = ["a", "b", "c"];
const HOSTS: [&str; 3] = ["one.example", "two.example", "three.example"];
const IPS: [&str; 5] = ["10.0.0.1", "10.0.0.2", "10.0.128.1", "2001:db8::1", "::1"];
const RANGES: [&str; 7] = [
    "10.0.0.0/8",
    "10.0.0.0/16",
    "10.0.128.0/17",
    "10.0.0.1/32",
    "0.0.0.0/0",
    "2001:db8::/32",
    "::/0",
];

#[derive(Clone, Debug)]
enum Edit {
    Workload(Box<WorkloadSpec>),
    Service(Box<ServiceSpec>),
    RemoveWorkload(usize),
    RemoveService(usize, usize),
    /// As a source that does not know the kind of resource says it.
    Remove(String),
}

fn uid(index: usize) -> String {
    let kinds = ["//Pod/a/p", "/networking.istio.io/WorkloadEntry/a/w"];
    format!("cluster{}{index}", kinds[index % 2])
}

fn key(namespace: usize, host: usize) -> NamespacedHostname {
    NamespacedHostname::new(NAMESPACES[namespace], HOSTS[host])
}

fn workload() -> impl Strategy<Value = WorkloadSpec> {
    let services = prop::collection::vec((0..3_usize, 0..3_usize), 0..3);
    let ips = prop::collection::vec(0..IPS.len(), 0..3);
    let flags = (any::<bool>(), prop::bool::weighted(0.1), any::<bool>());
    (
        0..40_usize,
        0..2_usize,
        0..2_usize,
        ips,
        services,
        flags,
        0..3_u32,
    )
        .prop_map(
            |(index, network, namespace, ips, services, (hbone, host, healthy), capacity)| {
                WorkloadSpec {
                    uid: uid(index).into(),
                    name: format!("p{index}").into(),
                    namespace: NAMESPACES[namespace].into(),
                    service_account: "default".into(),
                    network: NETWORKS[network].into(),
                    node: format!("node-{}", index % 3).into(),
                    hostname: if ips.is_empty() { HOSTS[0] } else { "" }.into(),
                    ips: ips.iter().map(|ip| IPS[*ip].parse().unwrap()).collect(),
                    tunnel_protocol: if hbone {
                        TunnelProtocol::Hbone
                    } else {
                        TunnelProtocol::None
                    },
                    network_mode: if host {
                        NetworkMode::HostNetwork
                    } else {
                        NetworkMode::Standard
                    },
                    status: if healthy {
                        WorkloadStatus::Healthy
                    } else {
                        WorkloadStatus::Unhealthy
                    },
                    services: services
                        .iter()
                        .map(|(n, h)| (key(*n, *h), PortMap::default()))
                        .collect(),
                    capacity,
                    ..WorkloadSpec::default()
                }
            },
        )
}

fn service() -> impl Strategy<Value = ServiceSpec> {
    let vips = prop::collection::vec((0..2_usize, 0..IPS.len()), 0..3);
    let ranges = prop::collection::vec((0..2_usize, 0..RANGES.len()), 0..3);
    (0..3_usize, 0..3_usize, vips, ranges, 0..3_u8).prop_map(
        |(namespace, host, vips, ranges, balancing)| ServiceSpec {
            namespace: NAMESPACES[namespace].into(),
            hostname: HOSTS[host].into(),
            vips: vips
                .iter()
                .map(|(n, ip)| NetworkAddress::new(NETWORKS[*n], IPS[*ip].parse().unwrap()))
                .collect(),
            cidr_vips: ranges
                .iter()
                .map(|(n, range)| NetworkCidr {
                    network: NETWORKS[*n].into(),
                    cidr: RANGES[*range].parse().unwrap(),
                })
                .collect(),
            load_balancing: (balancing > 0).then(|| LoadBalancing {
                mode: LoadBalancingMode::Failover,
                routing_preferences: [RoutingScope::Network, RoutingScope::Node]
                    .into_iter()
                    .take(balancing.into())
                    .collect(),
                ..LoadBalancing::default()
            }),
            ..ServiceSpec::default()
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => workload().prop_map(|spec| Edit::Workload(spec.into())),
        4 => service().prop_map(|spec| Edit::Service(spec.into())),
        3 => (0..40_usize).prop_map(Edit::RemoveWorkload),
        2 => (0..3_usize, 0..3_usize).prop_map(|(n, h)| Edit::RemoveService(n, h)),
        1 => (0..40_usize).prop_map(|index| Edit::Remove(uid(index))),
        1 => (0..3_usize, 0..3_usize).prop_map(|(n, h)| Edit::Remove(key(n, h).to_string())),
        1 => Just(Edit::Remove("nobody/knows/this".into())),
    ]
}

/// The rules, as plainly as possible.
#[derive(Clone, Default)]
struct Model {
    clock: u64,
    /// With the time of the last change.
    workloads: BTreeMap<String, (u64, WorkloadSpec)>,
    /// With the time of the first insertion.
    services: BTreeMap<NamespacedHostname, (u64, ServiceSpec)>,
}

impl Model {
    fn apply(&mut self, edit: &Edit) {
        self.clock += 1;
        match edit {
            Edit::Workload(spec) => {
                let known = self.workloads.get(spec.uid.as_str());
                if known.is_none_or(|(_, known)| known != &**spec) {
                    let value = (self.clock, (**spec).clone());
                    self.workloads.insert(spec.uid.to_string(), value);
                }
            }
            Edit::Service(spec) => {
                let key = NamespacedHostname::new(spec.namespace.clone(), spec.hostname.clone());
                let first = self
                    .services
                    .get(&key)
                    .map_or(self.clock, |(first, _)| *first);
                self.services.insert(key, (first, (**spec).clone()));
            }
            Edit::RemoveWorkload(index) => drop(self.workloads.remove(&uid(*index))),
            Edit::RemoveService(n, h) => drop(self.services.remove(&key(*n, *h))),
            Edit::Remove(name) => {
                self.workloads.remove(name);
                self.services.retain(|key, _| key.to_string() != *name);
            }
        }
    }

    fn services(&self) -> Vec<&ServiceSpec> {
        let mut all: Vec<_> = self.services.values().collect();
        all.sort_by_key(|(first, _)| *first);
        all.into_iter().map(|(_, spec)| spec).collect()
    }

    fn workload_at(&self, network: &str, ip: IpAddr) -> Option<String> {
        let rank = |spec: &WorkloadSpec| {
            let pod = spec.uid.contains("//Pod/");
            match (pod, spec.tunnel_protocol == TunnelProtocol::Hbone) {
                (true, true) => 3,
                (true, false) => 2,
                (false, true) => 1,
                (false, false) => 0,
            }
        };
        let candidates = self.workloads.values().filter(|(_, spec)| {
            spec.network == network
                && spec.ips.contains(&ip)
                && spec.network_mode == NetworkMode::Standard
        });
        let best = candidates.max_by_key(|(time, spec)| (rank(spec), *time));
        best.map(|(_, spec)| spec.uid.to_string())
    }

    fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        digest.put("counts", (self.workloads.len(), self.services.len()));
        let services = self.services();
        for network in NETWORKS {
            for ip in IPS.map(|ip| ip.parse::<IpAddr>().unwrap()) {
                digest.put(("workload at", network, ip), self.workload_at(network, ip));
                let vip = NetworkAddress::new(network, ip);
                let at: Vec<_> = services.iter().filter(|s| s.vips.contains(&vip)).collect();
                let newest = |i: &usize| {
                    !at.iter()
                        .skip(i + 1)
                        .any(|other| other.namespace == at[*i].namespace)
                };
                let shown = (0..at.len()).filter(newest).map(|i| name(at[i]));
                digest.put(("services at", network, ip), shown.collect::<Vec<_>>());
                let mut ranges = Vec::new();
                for service in &services {
                    let mut own = service.cidr_vips.clone();
                    own.sort();
                    own.dedup();
                    own.retain(|range| range.network == network && range.cidr.contains(&ip));
                    ranges.extend(own.iter().map(|r| (r.cidr.prefix_len(), name(service))));
                }
                ranges.sort_by_key(|(len, _)| *len);
                digest.put(("ranges", network, ip), ranges);
            }
        }
        for host in HOSTS {
            let named = services.iter().filter(|service| service.hostname == host);
            digest.put(("named", host), named.map(|s| name(s)).collect::<Vec<_>>());
        }
        for namespace in NAMESPACES {
            let by_host = self
                .workloads
                .values()
                .filter(|(_, spec)| spec.hostname == HOSTS[0] && spec.namespace == namespace);
            let last = by_host.max_by_key(|(time, _)| *time);
            let last = last.map(|(_, spec)| spec.uid.to_string());
            digest.put(("workload by hostname", namespace), last);
        }
        for (key, (_, spec)) in &self.services {
            let members = self.workloads.values().filter(|(_, workload)| {
                workload.services.iter().any(|(service, _)| service == key)
            });
            let mut members: Vec<_> = members.map(|(_, w)| w.uid.to_string()).collect();
            members.sort();
            digest.put(("endpoints", name(spec)), members);
        }
        for (uid, (_, spec)) in &self.workloads {
            digest.put(
                ("workload", uid),
                (&spec.ips, spec.capacity, &spec.namespace),
            );
        }
        digest
    }
}

fn name(spec: &ServiceSpec) -> String {
    format!("{}/{}", spec.namespace, spec.hostname)
}

/// Every answer that a snapshot can give about the universe of this test.
#[derive(Clone, Debug, Default, PartialEq)]
struct Digest(BTreeMap<String, String>);

impl Digest {
    fn put(&mut self, question: impl std::fmt::Debug, answer: impl std::fmt::Debug) {
        self.0
            .insert(format!("{question:?}"), format!("{answer:?}"));
    }
}

fn digest(mesh: &MeshSnapshot) -> Digest {
    let mut digest = Digest::default();
    digest.put("counts", (mesh.workload_count(), mesh.service_count()));
    assert_eq!(mesh.workloads().count(), mesh.workload_count());
    assert_eq!(mesh.services().count(), mesh.service_count());
    for network in NETWORKS {
        for ip in IPS.map(|ip| ip.parse::<IpAddr>().unwrap()) {
            let found = mesh.workload_at(network, ip).map(|w| w.uid().to_owned());
            digest.put(("workload at", network, ip), found);
            let found = mesh.services_at(network, ip).iter().map(|s| name(s.spec()));
            digest.put(("services at", network, ip), found.collect::<Vec<_>>());
            let found = mesh.cidr_services_at(network, ip);
            let found = found.map(|(len, service)| (len, name(service.spec())));
            digest.put(("ranges", network, ip), found.collect::<Vec<_>>());
        }
    }
    for host in HOSTS {
        let found = mesh.services_named(host).iter().map(|s| name(s.spec()));
        digest.put(("named", host), found.collect::<Vec<_>>());
    }
    for namespace in NAMESPACES {
        let found = mesh.workload_by_hostname(&NamespacedHostname::new(namespace, HOSTS[0]));
        let found = found.map(|w| w.uid().to_owned());
        digest.put(("workload by hostname", namespace), found);
    }
    for service in mesh.services() {
        let spec = service.spec();
        assert!(mesh.service(&spec.namespace, &spec.hostname).is_some());
        let set = mesh.endpoints(service);
        let mut members: Vec<_> = set.iter().map(|e| e.workload().uid().to_owned()).collect();
        members.sort();
        assert_eq!(members.len(), set.len());
        digest.put(("endpoints", name(spec)), members);
    }
    for w in mesh.workloads() {
        assert_eq!(mesh.workload(w.uid()).unwrap().uid(), w.uid());
        let account = w.service_account();
        let local = mesh.local_workload(w.namespace(), w.name(), account, Some(w.node()));
        assert_eq!(local.unwrap().name(), w.name());
        digest.put(
            ("workload", w.uid()),
            (w.ips(), w.capacity(), w.namespace()),
        );
    }
    digest
}

/// A batch does removals, services and workloads in this order, so an edit that would overtake an
/// earlier one begins a new batch.
fn batches(edits: &[Edit], cuts: &[bool]) -> Vec<(usize, Batch)> {
    let mut all = vec![(0, Batch::default())];
    let mut stage = 0;
    for (index, edit) in edits.iter().enumerate() {
        let next = match edit {
            Edit::Remove(_) => 0,
            Edit::Service(_) | Edit::RemoveService(..) => 1,
            Edit::Workload(_) | Edit::RemoveWorkload(_) => 2,
        };
        if next < stage || cuts[index % cuts.len()] {
            all.push((index, Batch::default()));
        }
        stage = next;
        let (done, batch) = all.last_mut().unwrap();
        *done = index + 1;
        match edit.clone() {
            Edit::Remove(name) => batch.removals.push(name.into()),
            Edit::Service(spec) => batch.services.push(Update::Upsert(*spec)),
            Edit::RemoveService(n, h) => {
                batch
                    .services
                    .push(Update::Remove(key(n, h).to_string().into()));
            }
            Edit::Workload(spec) => batch.workloads.push(Update::Upsert(*spec)),
            Edit::RemoveWorkload(index) => {
                batch.workloads.push(Update::Remove(uid(index).into()));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_updates_in_any_batches_give_what_the_model_has(
        edits in prop::collection::vec(edit(), 0..60),
        cuts in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let (store, mut model) = (MeshStore::new(), Model::default());
        let mut past = Vec::new();
        let mut begun = 0;
        for (end, batch) in batches(&edits, &cuts) {
            store.apply(batch);
            edits[begun..end].iter().for_each(|edit| model.apply(edit));
            begun = end;
            let expected = model.digest();
            prop_assert_eq!(&digest(&store.snapshot()), &expected);
            past.push((store.snapshot(), expected));
        }
        // Later updates changed no earlier snapshot.
        for (snapshot, expected) in &past {
            prop_assert_eq!(&digest(snapshot), expected);
        }
    }

    #[test]
    fn replacing_all_gives_what_a_new_store_has(
        edits in prop::collection::vec(edit(), 0..30),
        workloads in prop::collection::vec(workload(), 0..20),
        services in prop::collection::vec(service(), 0..6),
    ) {
        let (store, fresh) = (MeshStore::new(), MeshStore::new());
        for (_, batch) in batches(&edits, &[false]) {
            store.apply(batch);
        }
        store.replace_all(workloads.clone(), services.clone());
        fresh.replace_all(workloads.clone(), services.clone());
        // One by one, and in one batch, is the same.
        let single = MeshStore::new();
        for spec in &services {
            let mut batch = Batch::default();
            batch.services.push(Update::Upsert(spec.clone()));
            single.apply(batch);
        }
        for spec in &workloads {
            let mut batch = Batch::default();
            batch.workloads.push(Update::Upsert(spec.clone()));
            single.apply(batch);
        }
        prop_assert_eq!(digest(&single.snapshot()), digest(&fresh.snapshot()));
        let keys = |mesh: &MeshSnapshot| {
            let mut uids: Vec<_> = mesh.workloads().map(|w| w.uid().to_owned()).collect();
            uids.extend(mesh.services().map(|s| name(s.spec())));
            uids.sort();
            uids
        };
        prop_assert_eq!(keys(&store.snapshot()), keys(&fresh.snapshot()));
        // The same again changes nothing and publishes nothing, unless a key stands there twice
        // with different content.
        let distinct = |n: usize, mut keys: Vec<String>| { keys.sort(); keys.dedup(); keys.len() == n };
        if distinct(workloads.len(), workloads.iter().map(|w| w.uid.to_string()).collect())
            && distinct(services.len(), services.iter().map(name).collect())
        {
            let before = store.snapshot();
            let applied = store.replace_all(workloads, services);
            prop_assert_eq!((applied.upserted, applied.removed), (0, 0));
            prop_assert!(std::sync::Arc::ptr_eq(&before, &store.snapshot()));
        }
    }
}
