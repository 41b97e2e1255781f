//! Time is paused: it passes only where a test says so. What is expected is Istio's DestinationRule and Envoy's outlier
//! detection, circuit breakers and token buckets, as documented.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::lb::{Algorithm, OutlierDetection, RingSize, SmallFleet, TableSize};
use mesh_core::limits::BucketSettings;
use mesh_core::model::{
    HealthPolicy, LoadBalancing, LoadBalancingMode, Locality, NamespacedHostname, PortMap,
    RoutingScope, ServiceSpec, TunnelProtocol, Workload, WorkloadSpec,
};
use mesh_core::store::MeshStore;
use proptest::prelude::*;
use tokio::time::advance;

use super::{
    Admission, Attempt, HashBy, MeshTraffic, Refusal, ServiceConnection, ServiceSettings,
    TrafficCounts, TrafficPolicy, TrafficSettings,
};

const SECOND: Duration = Duration::from_secs(1);

/// A service `web` with ports 80 and 81, and its endpoints 10.0.1.1, 10.0.1.2 and so on.
struct Bench {
    store: MeshStore,
    traffic: MeshTraffic,
    local: Arc<Workload>,
}

fn key() -> NamespacedHostname {
    NamespacedHostname::new("default", "web")
}

fn settings(change: impl FnOnce(&mut TrafficSettings)) -> ServiceSettings {
    let mut settings = ServiceSettings::new(key());
    change(&mut settings.settings);
    settings
}

fn endpoint(number: u8) -> WorkloadSpec {
    WorkloadSpec {
        uid: format!("web-{number}").into(),
        ips: vec![[10, 0, 1, number].into()],
        tunnel_protocol: TunnelProtocol::Hbone,
        services: vec![(key(), PortMap::default())],
        ..WorkloadSpec::default()
    }
}

fn service() -> ServiceSpec {
    ServiceSpec {
        namespace: "default".into(),
        hostname: "web".into(),
        ports: [(80, 8080), (81, 8081)].into_iter().collect(),
        ..ServiceSpec::default()
    }
}

impl Bench {
    fn new(endpoints: u8, settings: ServiceSettings) -> Self {
        Self::of((1..=endpoints).map(endpoint).collect(), service(), settings)
    }

    fn of(endpoints: Vec<WorkloadSpec>, service: ServiceSpec, settings: ServiceSettings) -> Self {
        let store = MeshStore::new();
        store.replace_all(endpoints, vec![service]);
        let traffic = MeshTraffic::new(store.watch());
        traffic.replace(vec![settings]);
        let local = WorkloadSpec {
            uid: "client".into(),
            locality: locality("r1", "z1"),
            ..WorkloadSpec::default()
        };
        Self {
            store,
            traffic,
            local: Arc::new(Workload::new(local)),
        }
    }

    fn admit_from(&self, source: IpAddr, port: u16) -> Result<Option<Box<dyn Admission>>, Refusal> {
        let snapshot = self.store.snapshot();
        let connection = ServiceConnection {
            local: &self.local,
            source,
            service: snapshot.service("default", "web").unwrap(),
            port,
        };
        self.traffic.admit(&connection)
    }

    fn admit(&self) -> Result<Box<dyn Admission>, Refusal> {
        let admitted = self.admit_from([10, 0, 0, 1].into(), 80);
        admitted.map(|admission| admission.expect("there are settings"))
    }

    /// Connects once; the endpoint's number.
    fn connect(&self) -> (u8, Box<dyn Admission>) {
        let mut admission = self.admit().unwrap();
        let number = choose(&mut *admission).unwrap();
        admission.report(Attempt::Connected);
        (number, admission)
    }

    /// Tries endpoint after endpoint, of which `failing` ones fail; the one that was connected to.
    fn connect_where(&self, failing: &[u8]) -> Option<u8> {
        let mut admission = self.admit().unwrap();
        while let Some(number) = choose(&mut *admission) {
            if !failing.contains(&number) {
                admission.report(Attempt::Connected);
                return Some(number);
            }
            admission.report(Attempt::Failed);
        }
        None
    }

    fn counts(&self) -> TrafficCounts {
        self.traffic.counts().pop().unwrap()
    }

    /// How often each endpoint is chosen by connections that end at once.
    fn spread(&self, connections: usize) -> BTreeMap<u8, usize> {
        let mut counts = BTreeMap::new();
        for _ in 0..connections {
            *counts.entry(self.connect().0).or_default() += 1;
        }
        counts
    }
}

fn choose(admission: &mut dyn Admission) -> Option<u8> {
    let picked = admission.choose()?;
    let IpAddr::V4(ip) = picked.workload.ips()[0] else {
        panic!("{picked:?}");
    };
    assert_eq!(picked.port, 8080);
    Some(ip.octets()[3])
}

fn locality(region: &str, zone: &str) -> Locality {
    Locality {
        region: region.into(),
        zone: zone.into(),
        subzone: "".into(),
    }
}

fn by_source(algorithm: Algorithm) -> ServiceSettings {
    settings(|settings| {
        settings.balancing.algorithm = algorithm;
        settings.hash_by = HashBy::SourceAddress;
    })
}

/// Takes an endpoint out after two failures in a row, one of three at most.
fn outlier() -> OutlierDetection {
    let mut outlier = OutlierDetection::default();
    outlier.consecutive_5xx = Some(2);
    outlier.max_percent = 34;
    outlier
}

fn with_outlier(outlier: OutlierDetection) -> ServiceSettings {
    settings(|settings| settings.balancing.outlier = Some(outlier))
}

#[tokio::test]
async fn only_services_and_ports_with_settings_are_of_any_concern() {
    let mut other = ServiceSettings::new(NamespacedHostname::new("elsewhere", "web"));
    other.settings.max_connections = 0;
    let bench = Bench::new(3, other);
    let source = [10, 0, 0, 1].into();
    assert!(bench.admit_from(source, 80).unwrap().is_none());
    assert!(bench.traffic.counts().is_empty());

    let mut web = settings(|_| {});
    let closed = TrafficSettings {
        max_connections: 0,
        ..TrafficSettings::default()
    };
    web.ports.insert(81, closed);
    bench.traffic.replace(vec![web]);
    assert!(bench.admit_from(source, 80).unwrap().is_some());
    assert_eq!(bench.admit_from(source, 81).err(), Some(Refusal::Overflow));
    bench.traffic.replace(Vec::new());
    assert!(bench.admit_from(source, 81).unwrap().is_none());
}

#[tokio::test]
async fn connections_are_spread_as_the_algorithm_says() {
    let even = |algorithm| {
        let settings = settings(|settings| settings.balancing.algorithm = algorithm);
        Bench::new(3, settings).spread(3_000)
    };
    let turns: Vec<_> = even(Algorithm::RoundRobin).into_values().collect();
    assert_eq!(turns, [1_000; 3]);
    for algorithm in [Algorithm::Random, Algorithm::LeastRequest { choices: 2 }] {
        let chance = even(algorithm);
        assert_eq!(chance.len(), 3);
        // Five standard deviations of a binomial distribution of 3000 with 1/3: 129.
        for (endpoint, count) in chance {
            assert!(
                count.abs_diff(1_000) < 130,
                "{algorithm:?} {endpoint}: {count}"
            );
        }
    }
}

#[tokio::test]
async fn the_endpoint_with_fewer_connections_is_preferred_while_they_last() {
    let algorithm = Algorithm::LeastRequest { choices: 2 };
    let bench = Bench::new(
        3,
        settings(|settings| settings.balancing.algorithm = algorithm),
    );
    let mut held: BTreeMap<u8, Vec<_>> = BTreeMap::new();
    for _ in 0..300 {
        let (number, admission) = bench.connect();
        held.entry(number).or_default().push(admission);
    }
    for (endpoint, connections) in &held {
        // The better of two keeps them within a few of each other; chance alone would not.
        let count = connections.len();
        assert!((95..=105).contains(&count), "{endpoint}: {count}");
    }
    assert_eq!(bench.counts().connections, 300);
    // The one that has none gets whatever draws it at all: 5 of 9 of the next ones, 500 of 900, where chance alone
    // would give it 300. Five standard deviations of either are 75.
    held.remove(&2);
    let spread = bench.spread(900);
    assert!(spread[&2].abs_diff(500) < 75, "{spread:?}");
    drop(held);
    assert_eq!(bench.counts().connections, 0);
}

#[tokio::test]
async fn a_client_stays_with_its_endpoint_where_its_address_decides() {
    let tables = [
        Algorithm::RingHash(RingSize::default()),
        Algorithm::Maglev(TableSize::default()),
    ];
    for algorithm in tables {
        let bench = Bench::new(5, by_source(algorithm));
        let of = |source: u8| {
            let admitted = bench.admit_from([10, 9, 0, source].into(), 80);
            choose(&mut *admitted.unwrap().unwrap()).unwrap()
        };
        let before: Vec<u8> = (0..=255).map(of).collect();
        assert_eq!(
            before,
            (0..=255).map(of).collect::<Vec<_>>(),
            "{algorithm:?}"
        );
        let used: std::collections::BTreeSet<_> = before.iter().collect();
        assert_eq!(used.len(), 5, "{algorithm:?}");
        // One endpoint fewer moves its own clients, and few of the others: a ring gives each that is left a larger
        // share of its entries, by which 15 percent are expected to move. With a modulus it would be 75.
        let left = (1..=4).map(endpoint).collect();
        bench.store.replace_all(left, vec![service()]);
        let moved = (0..=255).zip(&before);
        let moved = moved.filter(|(source, before)| **before != 5 && of(*source) != **before);
        let moved = moved.count();
        assert!(moved <= 60, "{algorithm:?}: {moved}");
    }
}

#[tokio::test]
async fn shares_go_by_capacity_and_nothing_goes_to_capacity_0() {
    let capacities = [(1, 1), (2, 3), (3, 0)];
    let endpoints = capacities.map(|(number, capacity)| WorkloadSpec {
        capacity,
        ..endpoint(number)
    });
    for (algorithm, slack) in [(Algorithm::Random, 140), (Algorithm::RoundRobin, 0)] {
        let settings = settings(|settings| settings.balancing.algorithm = algorithm);
        let spread = Bench::of(endpoints.to_vec(), service(), settings).spread(4_000);
        assert_eq!(spread.len(), 2, "{spread:?}");
        assert!(spread[&1].abs_diff(1_000) <= slack, "{spread:?}");
    }
}

#[tokio::test]
async fn no_more_connections_than_may_be_and_one_that_ends_makes_room() {
    let limited = |most| settings(|settings| settings.max_connections = most);
    let bench = Bench::new(3, limited(2));
    let (first, second) = (bench.connect(), bench.connect());
    assert_eq!(bench.admit().err(), Some(Refusal::Overflow));
    assert_eq!(bench.admit().err(), Some(Refusal::Overflow));
    drop(first);
    let third = bench.connect();
    let counts = bench.counts();
    assert_eq!((counts.connections, counts.overflows), (2, 2));
    // An edit counts what is there.
    bench.traffic.replace(vec![limited(1)]);
    drop(third);
    assert_eq!(bench.admit().err(), Some(Refusal::Overflow));
    drop(second);
    assert!(bench.admit().is_ok());
    assert_eq!(bench.counts().overflows, 3);
}

#[tokio::test(start_paused = true)]
async fn new_connections_come_at_the_rate_of_the_service() {
    let rate = |most| {
        let mut web = settings(|_| {});
        web.connection_rate = Some(BucketSettings::new(most, most, SECOND).unwrap());
        web
    };
    let bench = Bench::new(3, rate(3));
    let source = [10, 0, 0, 1].into();
    let admitted = |port| bench.admit_from(source, port).is_ok();
    // All ports share it.
    assert!(admitted(80) && admitted(81) && admitted(80));
    assert_eq!(
        bench.admit_from(source, 81).err(),
        Some(Refusal::RateLimited)
    );
    // The same settings once more do not fill it.
    bench.traffic.replace(vec![rate(3)]);
    assert!(!admitted(80));
    advance(SECOND).await;
    assert!(admitted(80));
    // Another rate is another bucket, and a full one.
    bench.traffic.replace(vec![rate(1)]);
    assert!(admitted(80) && !admitted(80));
    let limited: u64 = bench
        .traffic
        .counts()
        .iter()
        .map(|port| port.rate_limited)
        .sum();
    assert_eq!(limited, 3);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_left_out_until_its_time_is_over() {
    // Base 30 s, sweeps every 10 s.
    let bench = Bench::new(3, with_outlier(outlier()));
    for _ in 0..40 {
        assert_ne!(bench.connect_where(&[1]), Some(1));
    }
    let counts = bench.counts();
    assert_eq!(
        (counts.ejections, counts.ejected, counts.endpoints),
        (1, 1, 3)
    );
    // Two that failed, each followed by a retry, and none since it is out.
    assert_eq!((counts.failures, counts.retries), (2, 2));
    assert!(!bench.spread(200).contains_key(&1));
    advance(29 * SECOND).await;
    assert!(!bench.spread(200).contains_key(&1));
    advance(2 * SECOND).await;
    assert!(bench.spread(200).contains_key(&1), "it is back");
    assert_eq!(bench.counts().ejected, 0);
    // The second time is twice as long.
    for _ in 0..40 {
        bench.connect_where(&[1]);
    }
    assert_eq!(bench.counts().ejections, 2);
    advance(59 * SECOND).await;
    assert!(!bench.spread(200).contains_key(&1));
    advance(11 * SECOND).await;
    assert!(bench.spread(200).contains_key(&1));
    // Intervals without failures are made up for when nobody has asked meanwhile.
    advance(200 * SECOND).await;
    for _ in 0..40 {
        bench.connect_where(&[1]);
    }
    advance(41 * SECOND).await;
    assert!(bench.spread(200).contains_key(&1), "30 s again");
}

#[tokio::test(start_paused = true)]
async fn as_many_endpoints_are_out_as_may_be() {
    let all = OutlierDetection::default();
    // Envoy 1.40: with 10 percent of three none, with 34 one, with 100 all.
    let cases = [
        ("10 percent of three", 10, SmallFleet::Never, 0),
        ("10 percent of three, small fleet", 10, SmallFleet::One, 1),
        ("34 percent of three", 34, SmallFleet::Never, 1),
        ("67 percent of three", 67, SmallFleet::Never, 2),
        ("100 percent", 100, SmallFleet::Never, 3),
    ];
    for (name, percent, small_fleet, out) in cases {
        let mut outlier = all.clone();
        (outlier.max_percent, outlier.small_fleet) = (percent, small_fleet);
        let bench = Bench::new(3, with_outlier(outlier));
        for _ in 0..60 {
            bench.connect_where(&[1, 2, 3]);
        }
        let counts = bench.counts();
        assert_eq!(counts.ejected, out, "{name}");
        let found = bench.connect_where(&[]);
        assert_eq!(found.is_none(), out == 3, "{name}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_between_failures_keeps_an_endpoint_in() {
    let mut all = outlier();
    all.max_percent = 100;
    let bench = Bench::new(1, with_outlier(all));
    for _ in 0..20 {
        bench.connect_where(&[1]);
        bench.connect_where(&[]);
    }
    assert_eq!(bench.counts().ejections, 0);
}

#[tokio::test(start_paused = true)]
async fn taking_the_detection_away_brings_all_endpoints_back() {
    let bench = Bench::new(3, with_outlier(outlier()));
    for _ in 0..40 {
        bench.connect_where(&[2]);
    }
    assert_eq!(bench.counts().ejected, 1);
    bench.traffic.replace(vec![settings(|_| {})]);
    assert_eq!(bench.counts().ejected, 0);
    assert!(bench.spread(200).contains_key(&2));
}

#[tokio::test]
async fn endpoints_that_come_and_go_are_seen_at_once_and_others_keep_what_was_seen_of_them() {
    let bench = Bench::new(2, with_outlier(outlier().clone()));
    let (_, held) = bench.connect();
    bench
        .store
        .replace_all((1..=4).map(endpoint).collect(), vec![service()]);
    assert_eq!(bench.spread(400).len(), 4);
    for _ in 0..60 {
        bench.connect_where(&[3]);
    }
    bench
        .store
        .replace_all((2..=4).map(endpoint).collect(), vec![service()]);
    let spread = bench.spread(400);
    assert_eq!(
        spread.keys().collect::<Vec<_>>(),
        [&2, &4],
        "3 is still out"
    );
    assert_eq!(bench.counts().connections, 1);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn other_zones_take_over_when_the_own_one_is_out() {
    let zones = [(1, "z1"), (2, "z2"), (3, "z2")];
    let endpoints = zones.map(|(number, zone)| WorkloadSpec {
        locality: locality("r1", zone),
        ..endpoint(number)
    });
    let near = ServiceSpec {
        load_balancing: Some(LoadBalancing {
            routing_preferences: vec![RoutingScope::Region, RoutingScope::Zone],
            mode: LoadBalancingMode::Failover,
            health_policy: HealthPolicy::OnlyHealthy,
        }),
        ..service()
    };
    let bench = Bench::of(endpoints.to_vec(), near, with_outlier(outlier()));
    assert_eq!(bench.spread(200).keys().collect::<Vec<_>>(), [&1]);
    for _ in 0..2 {
        bench.connect_where(&[1]);
    }
    assert_eq!(bench.spread(200).keys().collect::<Vec<_>>(), [&2, &3]);
    advance(31 * SECOND).await;
    assert_eq!(bench.spread(200).keys().collect::<Vec<_>>(), [&1]);
}

#[tokio::test]
async fn settings_that_change_take_effect_for_the_next_connection() {
    let bench = Bench::new(3, settings(|_| {}));
    assert_eq!(bench.admit().unwrap().attempts().get(), 3);
    assert_eq!(bench.admit().unwrap().connect_timeout(), None);
    bench.traffic.replace(vec![settings(|settings| {
        settings.attempts = 5.try_into().unwrap();
        settings.connect_timeout = Some(SECOND);
        settings.balancing.algorithm = Algorithm::RoundRobin;
    })]);
    let admission = bench.admit().unwrap();
    assert_eq!(
        (admission.attempts().get(), admission.connect_timeout()),
        (5, Some(SECOND))
    );
    let turns: Vec<_> = bench.spread(300).into_values().collect();
    assert_eq!(turns, [100; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever fails, each endpoint is tried once at most and all that are in are tried in the end.
    #[test]
    fn no_endpoint_is_tried_twice(
        endpoints in 1_u8..8,
        algorithm in 0_usize..5,
        failing in prop::collection::vec(prop::collection::vec(1_u8..8, 0..8), 1..12),
    ) {
        let algorithm = [
            Algorithm::Random,
            Algorithm::RoundRobin,
            Algorithm::LeastRequest { choices: 2 },
            Algorithm::RingHash(RingSize::default()),
            Algorithm::Maglev(TableSize::default()),
        ][algorithm];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut web = by_source(algorithm);
            web.settings.balancing.outlier = Some(outlier());
            let bench = Bench::new(endpoints, web);
            for failing in failing {
                let mut admission = bench.admit().unwrap();
                let mut tried = Vec::new();
                while let Some(number) = choose(&mut *admission) {
                    assert!(!tried.contains(&number));
                    tried.push(number);
                    if !failing.contains(&number) {
                        admission.report(Attempt::Connected);
                        break;
                    }
                    admission.report(Attempt::Failed);
                }
                assert!(!tried.is_empty() || bench.counts().ejected == usize::from(endpoints));
            }
            assert_eq!(bench.counts().connections, 0);
        });
    }
}
