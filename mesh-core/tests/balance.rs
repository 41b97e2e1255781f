//! Balancing against a plain evaluation of the rules, and in proportion to the capacities.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;

use mesh_core::balance::{self, PickMode, pick};
use mesh_core::model::{
    ApplicationTunnel, GatewayAddress, GatewayDestination, HealthPolicy, LoadBalancing,
    LoadBalancingMode, Locality, NamespacedHostname, NetworkAddress, PortMap, RoutingScope,
    ServiceSpec, Workload, WorkloadSpec, WorkloadStatus,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::{Batch, MeshStore, Update};
use proptest::prelude::*;

use LoadBalancingMode::{Failover, Standard, Strict};
use RoutingScope::{Cluster, Network, Node, Region, Subzone, Zone};

const PORT: u16 = 80;

fn web() -> NamespacedHostname {
    NamespacedHostname::new("default", "web.example")
}

/// An endpoint `region/zone/subzone/node` on the default network.
fn endpoint(uid: &str, place: &str) -> WorkloadSpec {
    let mut place = place.split('/');
    let mut next = || place.next().unwrap_or("").into();
    WorkloadSpec {
        uid: uid.into(),
        locality: Locality {
            region: next(),
            zone: next(),
            subzone: next(),
        },
        node: next(),
        ips: vec!["10.0.0.1".parse().unwrap()],
        services: vec![(web(), PortMap::default())],
        ..WorkloadSpec::default()
    }
}

fn service(balancing: Option<LoadBalancing>) -> ServiceSpec {
    ServiceSpec {
        namespace: web().namespace,
        hostname: web().hostname,
        ports: [(PORT, 8080)].into_iter().collect(),
        load_balancing: balancing,
        ..ServiceSpec::default()
    }
}

fn balancing(mode: LoadBalancingMode, scopes: &[RoutingScope]) -> Option<LoadBalancing> {
    Some(LoadBalancing {
        mode,
        routing_preferences: scopes.to_vec(),
        health_policy: HealthPolicy::OnlyHealthy,
    })
}

fn mesh(endpoints: &[WorkloadSpec], service: &ServiceSpec) -> std::sync::Arc<MeshSnapshot> {
    let store = MeshStore::new();
    store.replace_all(endpoints.to_vec(), vec![service.clone()]);
    store.snapshot()
}

/// Well spread numbers from a fixed seed.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// How often each endpoint was chosen, and by which port.
fn counts(
    mesh: &MeshSnapshot,
    source: &WorkloadSpec,
    mode: PickMode,
    rounds: u64,
) -> BTreeMap<String, (u64, u16)> {
    let service = mesh.service(&web().namespace, &web().hostname).unwrap();
    let source = Workload::new(source.clone());
    let mut random = random(17);
    let mut counts = BTreeMap::new();
    for _ in 0..rounds {
        let set = mesh.endpoints(service);
        if let Some(picked) = pick(service, set, &source, PORT, mode, &mut random) {
            let uid = picked.workload.uid().to_owned();
            counts.entry(uid).or_insert((0, picked.port)).0 += 1;
        }
    }
    counts
}

/// The candidates with their weights and target ports, straight from the rules.
fn candidates(
    endpoints: &[WorkloadSpec],
    service: &ServiceSpec,
    source: &WorkloadSpec,
    mode: PickMode,
) -> BTreeMap<String, (u64, u16)> {
    let balancing = service.load_balancing.clone().unwrap_or_default();
    let scope = |w: &WorkloadSpec, scope| match scope {
        Region => w.locality.region.clone(),
        Zone => w.locality.zone.clone(),
        Subzone => w.locality.subzone.clone(),
        Node => w.node.clone(),
        Cluster => w.cluster_id.clone(),
        _ => w.network.clone(),
    };
    let mut eligible = Vec::new();
    for w in endpoints {
        let has_address = !w.ips.is_empty() || !w.hostname.is_empty();
        let through_gateway = w.network != source.network && w.network_gateway.is_some();
        if !has_address && !through_gateway {
            continue;
        }
        if balancing.health_policy == HealthPolicy::OnlyHealthy
            && w.status == WorkloadStatus::Unhealthy
        {
            continue;
        }
        let Some((_, own)) = w.services.iter().find(|(key, _)| *key == web()) else {
            continue;
        };
        let own = own.target(PORT).flatten();
        let of_service = service.ports.target(PORT);
        let dropped = match mode {
            PickMode::Standard => match of_service {
                None => true,
                Some(None) => own.is_none(),
                Some(_) => false,
            },
            _ => of_service.is_none() && w.application_tunnel.is_none(),
        };
        let tunnel = w
            .application_tunnel
            .is_some_and(|tunnel| tunnel.port.is_some());
        let port = own.or(of_service.flatten()).map(|port| port.get());
        let port = port.or(tunnel.then_some(PORT));
        let (false, Some(port)) = (dropped, port) else {
            continue;
        };
        let preferences = &balancing.routing_preferences;
        let same: Vec<bool> = preferences
            .iter()
            .map(|p| scope(w, *p) == scope(source, *p))
            .collect();
        let rank = match balancing.mode {
            Strict if same.contains(&false) => continue,
            Failover if preferences.first() == Some(&Network) => {
                let rest = same[1..].iter().take_while(|same| **same).count();
                rest + if same[0] { preferences.len() } else { 0 }
            }
            Failover => same.iter().take_while(|same| **same).count(),
            _ => 0,
        };
        if w.capacity > 0 {
            eligible.push((rank, w.uid.to_string(), u64::from(w.capacity), port));
        }
    }
    let best = eligible.iter().map(|(rank, ..)| *rank).max();
    let best = eligible
        .into_iter()
        .filter(|(rank, ..)| Some(*rank) == best);
    best.map(|(_, uid, weight, port)| (uid, (weight, port)))
        .collect()
}

fn arbitrary_endpoint() -> impl Strategy<Value = WorkloadSpec> {
    let place = (0..3_u8, 0..2_u8, 0..2_u8, 0..3_u8, 0..2_u8, 0..2_u8);
    let flags = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.5),
    );
    let ports = prop_oneof![
        Just(vec![]),
        Just(vec![(PORT, 9090)]),
        Just(vec![(81, 9091)]),
        Just(vec![(PORT, 0)])
    ];
    let tunnel = prop_oneof![Just(None), Just(Some(0)), Just(Some(15008_u16))];
    (place, flags, ports, tunnel, 0..4_u32).prop_map(
        |((region, zone, subzone, node, cluster, network), flags, ports, tunnel, capacity)| {
            let (healthy, address, gateway) = flags;
            let place = format!("r{region}/z{zone}/s{subzone}/n{node}");
            WorkloadSpec {
                cluster_id: format!("c{cluster}").into(),
                network: if network == 0 { "" } else { "remote" }.into(),
                status: if healthy {
                    WorkloadStatus::Healthy
                } else {
                    WorkloadStatus::Unhealthy
                },
                ips: address
                    .then(|| "10.0.0.1".parse().unwrap())
                    .into_iter()
                    .collect(),
                network_gateway: gateway.then(|| GatewayAddress {
                    destination: GatewayDestination::Address(NetworkAddress::new(
                        "remote",
                        "10.9.9.9".parse().unwrap(),
                    )),
                    hbone_mtls_port: 15008,
                }),
                services: vec![(web(), ports.into_iter().collect())],
                application_tunnel: tunnel.map(|port| ApplicationTunnel {
                    port: port.try_into().ok(),
                    ..ApplicationTunnel::default()
                }),
                capacity,
                ..endpoint("", &place)
            }
        },
    )
}

fn arbitrary_balancing() -> impl Strategy<Value = Option<LoadBalancing>> {
    let mode = prop_oneof![Just(Standard), Just(Strict), Just(Failover)];
    let scopes = [Network, Region, Zone, Subzone, Node, Cluster];
    let scopes = prop::sample::subsequence(scopes.to_vec(), 0..=4).prop_shuffle();
    prop::option::of(
        (mode, scopes, any::<bool>()).prop_map(|(mode, scopes, all)| LoadBalancing {
            mode,
            routing_preferences: scopes,
            health_policy: if all {
                HealthPolicy::AllowAll
            } else {
                HealthPolicy::OnlyHealthy
            },
        }),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn exactly_the_candidates_of_the_rules_are_chosen(
        mut endpoints in prop::collection::vec(arbitrary_endpoint(), 0..60),
        source in arbitrary_endpoint(),
        balancing in arbitrary_balancing(),
        before in arbitrary_balancing(),
        port in prop_oneof![Just(None), Just(Some(0)), Just(Some(8080_u16))],
        waypoint in any::<bool>(),
    ) {
        for (index, endpoint) in endpoints.iter_mut().enumerate() {
            endpoint.uid = format!("cluster//Pod/default/web-{index}").into();
        }
        let mode = if waypoint { PickMode::Waypoint } else { PickMode::Standard };
        let mut spec = service(balancing);
        spec.ports = port.map(|target| (PORT, target)).into_iter().collect();
        // The endpoints are grouped for another way of balancing first.
        let store = MeshStore::new();
        store.replace_all(endpoints.clone(), vec![service(before)]);
        store.replace_all(endpoints.clone(), vec![spec.clone()]);
        let mesh = store.snapshot();
        let expected = candidates(&endpoints, &spec, &source, mode);
        let total: u64 = expected.values().map(|(weight, _)| weight).sum();
        let counts = counts(&mesh, &source, mode, 40 * total.max(1));
        let ports = |of: &BTreeMap<String, (u64, u16)>| {
            of.iter().map(|(uid, (_, port))| (uid.clone(), *port)).collect::<Vec<_>>()
        };
        prop_assert_eq!(ports(&counts), ports(&expected));
        // What is said about the endpoints agrees with what is chosen.
        let service = mesh.service(&spec.namespace, &spec.hostname).unwrap();
        let source = Workload::new(source);
        let told = balance::candidates(service, mesh.endpoints(service), &source, PORT, mode);
        let told: Vec<_> = told
            .iter()
            .filter_map(|one| Some((one.rank, one.workload.uid().to_owned(), one.port.ok()?.get())))
            .collect();
        let best = told.iter().map(|(rank, ..)| *rank).max();
        let mut told: Vec<_> = told
            .into_iter()
            .filter_map(|(rank, uid, port)| (Some(rank) == best).then_some((uid, port)))
            .collect();
        told.sort();
        prop_assert_eq!(told, ports(&expected));
        for (uid, (count, _)) in &counts {
            // Binomial with mean 40 per unit of weight: seven standard deviations.
            let mean = 40.0 * expected[uid].0 as f64;
            let deviation = (*count as f64 - mean).abs();
            prop_assert!(deviation <= 7.0 * mean.sqrt() + 1.0, "{}: {} for {}", uid, count, mean);
        }
    }
}

/// A case: what is asked of the balancer, the endpoints, and how often each shall be chosen.
struct Case {
    name: &'static str,
    balancing: Option<LoadBalancing>,
    endpoints: Vec<WorkloadSpec>,
    shares: &'static [(&'static str, f64)],
}

#[test]
fn scopes_weights_and_ranks() {
    let near = |uid| endpoint(uid, "r/z/s/n");
    let weighted = |uid, capacity| WorkloadSpec {
        capacity,
        ..near(uid)
    };
    let remote = |uid, place| WorkloadSpec {
        network: "remote".into(),
        ..endpoint(uid, place)
    };
    let cases = [
        Case {
            name: "no preferences: all equal, wherever they are",
            balancing: None,
            endpoints: vec![near("a"), endpoint("b", "x"), remote("c", "y")],
            shares: &[("a", 1.0), ("b", 1.0), ("c", 1.0)],
        },
        Case {
            name: "strict: all scopes must match",
            balancing: balancing(Strict, &[Region, Zone]),
            endpoints: vec![near("a"), endpoint("b", "r/x"), endpoint("c", "r/z/x")],
            shares: &[("a", 1.0), ("c", 1.0)],
        },
        Case {
            name: "strict: nothing matches, nothing is chosen",
            balancing: balancing(Strict, &[Node]),
            endpoints: vec![endpoint("a", "r/z/s/x")],
            shares: &[],
        },
        Case {
            name: "strict: an unset property equals an unset one only",
            balancing: balancing(Strict, &[Cluster, Node]),
            endpoints: vec![near("a"), endpoint("b", "r/z/s")],
            shares: &[("a", 1.0)],
        },
        Case {
            name: "failover: the longest match wins",
            balancing: balancing(Failover, &[Region, Zone, Subzone]),
            endpoints: vec![
                endpoint("a", "r"),
                endpoint("b", "r/z"),
                endpoint("c", "x/z/s"),
            ],
            shares: &[("b", 1.0)],
        },
        Case {
            name: "failover: no match at all is a rank too",
            balancing: balancing(Failover, &[Region]),
            endpoints: vec![endpoint("a", "x"), endpoint("b", "y")],
            shares: &[("a", 1.0), ("b", 1.0)],
        },
        Case {
            name: "failover: the best rank has capacity 0 only",
            balancing: balancing(Failover, &[Region]),
            endpoints: vec![weighted("a", 0), endpoint("b", "y")],
            shares: &[("b", 1.0)],
        },
        Case {
            name: "network first: any of the same network before all remote ones",
            balancing: balancing(Failover, &[Network, Region, Zone]),
            endpoints: vec![endpoint("a", "x"), remote("b", "r/z")],
            shares: &[("a", 1.0)],
        },
        Case {
            name: "network first: remote ones are still ordered by locality",
            balancing: balancing(Failover, &[Network, Region, Zone]),
            endpoints: vec![remote("a", "x"), remote("b", "r/z"), remote("c", "r/y")],
            shares: &[("b", 1.0)],
        },
        Case {
            name: "network later: it stops the comparison like any other",
            balancing: balancing(Failover, &[Region, Network, Zone]),
            endpoints: vec![remote("a", "r/z"), remote("b", "r/y")],
            shares: &[("a", 1.0), ("b", 1.0)],
        },
        Case {
            name: "weights",
            balancing: None,
            endpoints: vec![weighted("a", 1), weighted("b", 9), weighted("c", 0)],
            shares: &[("a", 1.0), ("b", 9.0)],
        },
        Case {
            name: "all weights zero: nothing is chosen",
            balancing: None,
            endpoints: vec![weighted("a", 0), weighted("b", 0)],
            shares: &[],
        },
        Case {
            name: "the largest weights do not overflow",
            balancing: None,
            endpoints: vec![weighted("a", u32::MAX), weighted("b", u32::MAX)],
            shares: &[("a", 1.0), ("b", 1.0)],
        },
    ];
    for case in cases {
        let mesh = mesh(&case.endpoints, &service(case.balancing));
        let rounds = 20_000;
        let counts = counts(&mesh, &near("source"), PickMode::Standard, rounds);
        let all: f64 = case.shares.iter().map(|(_, share)| share).sum();
        let expected: Vec<_> = case.shares.iter().map(|(uid, _)| *uid).collect();
        assert_eq!(counts.keys().collect::<Vec<_>>(), expected, "{}", case.name);
        let chi_square: f64 = case
            .shares
            .iter()
            .map(|(uid, share)| {
                let mean = rounds as f64 * share / all;
                (counts[*uid].0 as f64 - mean).powi(2) / mean
            })
            .sum();
        // Two degrees of freedom at most: beyond 20 with a chance of 1 in 20,000.
        assert!(chi_square < 20.0, "{}: {chi_square}", case.name);
    }
}

#[test]
fn many_endpoints_of_many_weights_are_chosen_in_proportion() {
    let endpoints: Vec<_> = (0..500_u32)
        .map(|index| WorkloadSpec {
            capacity: 1 + index % 3,
            // A third has no address and is never eligible.
            ips: if index % 3 == 2 {
                vec![]
            } else {
                vec!["10.0.0.1".parse().unwrap()]
            },
            ..endpoint(&format!("web-{index}"), &format!("r/z{}", index % 7))
        })
        .collect();
    for balancing in [
        None,
        balancing(Failover, &[Region]),
        balancing(Failover, &[Region, Node]),
    ] {
        let spec = service(balancing);
        let source = endpoint("source", "r/elsewhere");
        let expected = candidates(&endpoints, &spec, &source, PickMode::Standard);
        let total: u64 = expected.values().map(|(weight, _)| weight).sum();
        let counts = counts(
            &mesh(&endpoints, &spec),
            &source,
            PickMode::Standard,
            100 * total,
        );
        let chi_square: f64 = expected
            .iter()
            .map(|(uid, (weight, _))| {
                let mean = 100.0 * *weight as f64;
                (counts[uid].0 as f64 - mean).powi(2) / mean
            })
            .sum();
        // Degrees of freedom: 333; the mean of the statistic, with a deviation of 26.
        assert_eq!(expected.len(), 334);
        assert!((220.0..450.0).contains(&chi_square), "{chi_square}");
    }
}

#[test]
fn a_changed_health_policy_brings_unhealthy_endpoints_back() {
    let sick = WorkloadSpec {
        status: WorkloadStatus::Unhealthy,
        ..endpoint("sick", "")
    };
    let source = endpoint("source", "");
    let store = MeshStore::new();
    let put = |spec: ServiceSpec| {
        let mut batch = Batch::default();
        batch.services.push(Update::Upsert(spec));
        store.apply(batch);
    };
    let chosen = || counts(&store.snapshot(), &source, PickMode::Standard, 20).into_keys();
    let mut all = service(balancing(Standard, &[]));
    all.load_balancing.as_mut().unwrap().health_policy = HealthPolicy::AllowAll;
    // The endpoints are there before their service is.
    store.replace_all(vec![sick.clone(), endpoint("well", "")], vec![]);
    put(service(None));
    assert_eq!(chosen().collect::<Vec<_>>(), ["well"]);
    put(all.clone());
    assert_eq!(chosen().collect::<Vec<_>>(), ["sick", "well"]);
    put(service(None));
    assert_eq!(chosen().collect::<Vec<_>>(), ["well"]);
    // It falls ill and recovers.
    let mut batch = Batch::default();
    let ill = WorkloadSpec {
        uid: "well".into(),
        ..sick.clone()
    };
    let recovered = endpoint("sick", "");
    batch.workloads = [ill, recovered].map(Update::Upsert).into();
    store.apply(batch);
    assert_eq!(chosen().collect::<Vec<_>>(), ["sick"]);
}

#[test]
fn the_port_of_the_endpoint_wins_over_that_of_the_service() {
    let mapped = |ports: &[(u16, u16)]| WorkloadSpec {
        services: vec![(web(), ports.iter().copied().collect())],
        ..endpoint("a", "")
    };
    let tunnel = |port: u16, ports: &[(u16, u16)]| WorkloadSpec {
        application_tunnel: Some(ApplicationTunnel {
            port: port.try_into().ok(),
            ..ApplicationTunnel::default()
        }),
        ..mapped(ports)
    };
    use PickMode::{Standard, Waypoint};
    let cases = [
        (
            "endpoint's own",
            mapped(&[(PORT, 9090)]),
            Some(8080),
            Standard,
            Some(9090),
        ),
        ("service's", mapped(&[]), Some(8080), Standard, Some(8080)),
        (
            "named, endpoint's own",
            mapped(&[(PORT, 9090)]),
            Some(0),
            Standard,
            Some(9090),
        ),
        ("named, no mapping", mapped(&[]), Some(0), Standard, None),
        (
            "named, no mapping, tunnel",
            tunnel(15088, &[]),
            Some(0),
            Standard,
            None,
        ),
        (
            "no such port",
            mapped(&[(PORT, 9090)]),
            None,
            Standard,
            None,
        ),
        (
            "waypoint: service's",
            mapped(&[]),
            Some(15008),
            Waypoint,
            Some(15008),
        ),
        (
            "waypoint: no port, tunnel with port",
            tunnel(15088, &[]),
            None,
            Waypoint,
            Some(PORT),
        ),
        (
            "waypoint: no port, tunnel without",
            tunnel(0, &[]),
            None,
            Waypoint,
            None,
        ),
        (
            "waypoint: no port, no tunnel",
            mapped(&[(PORT, 9090)]),
            None,
            Waypoint,
            None,
        ),
        (
            "waypoint: own mapping and tunnel",
            tunnel(0, &[(PORT, 9090)]),
            None,
            Waypoint,
            Some(9090),
        ),
        (
            "waypoint: named, tunnel with port",
            tunnel(15088, &[]),
            Some(0),
            Waypoint,
            Some(PORT),
        ),
    ];
    for (name, endpoint, target, mode, expected) in cases {
        let mut spec = service(None);
        spec.ports = target.map(|target| (PORT, target)).into_iter().collect();
        let mesh = mesh(&[endpoint], &spec);
        let counts = counts(&mesh, &WorkloadSpec::default(), mode, 3);
        let port = counts.into_values().map(|(_, port)| port).next();
        assert_eq!(port, expected, "{name}");
    }
}
