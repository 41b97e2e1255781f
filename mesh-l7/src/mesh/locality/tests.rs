//! Tables from Istio's documentation of locality load balancing (failover, failoverPriority, weighted distribution) and
//! from what its control plane sends: l7.md 1.14.

use std::sync::Arc;

use mesh_core::model::WorkloadSpec;
use mesh_core::resolve::{Hop, HopAddress};

use super::*;

#[derive(Debug)]
struct Labels(BTreeMap<String, BTreeMap<String, String>>);

impl Labelled for Labels {
    fn labels(&self, uid: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(uid)
    }
}

fn workload(uid: &str, place: &str) -> WorkloadSpec {
    let mut parts = place.split('/').map(Name::from);
    let mut part = || parts.next().unwrap_or_default();
    WorkloadSpec {
        uid: uid.into(),
        locality: Locality {
            region: part(),
            zone: part(),
            subzone: part(),
        },
        ..WorkloadSpec::default()
    }
}

/// A host of a weight, named by its place.
fn host(spec: WorkloadSpec, place: &str, weight: u32) -> HostSpec<Endpoint> {
    let hop = Hop::Tcp {
        to: HopAddress::Ip(([10, 0, 0, 1], 80).into()),
    };
    let endpoint = Endpoint::new(Arc::new(Workload::new(spec)), None, hop);
    HostSpec {
        weight,
        locality: place.into(),
        ..HostSpec::new(place, endpoint)
    }
}

fn hosts(places: &[&str]) -> Vec<Ranked> {
    let hosts = places.iter();
    hosts
        .map(|place| (0, host(workload(place, place), place, 1)))
        .collect()
}

/// Priorities by key, seen from a place.
fn priorities(own: &str, places: &[&str], preference: &LocalityPreference) -> Vec<(String, u32)> {
    let said = Said {
        preference,
        mesh: &LocalityPreference::Unsaid,
        service: false,
        outlier: true,
    };
    let place = Workload::new(workload("own", own));
    let here = Here {
        place: &place,
        labels: &Labels(BTreeMap::new()),
    };
    let (hosts, shares) = arrange(hosts(places), said, here);
    assert_eq!(shares, None);
    let hosts = hosts.iter();
    hosts
        .map(|host| (host.key.to_string(), host.priority))
        .collect()
}

const PLACES: [&str; 6] = [
    "eu/1/a", "eu/1/b", "eu/2/a", "us/1/a", "asia/1/a", "asia/2/a",
];

#[test]
fn the_nearest_hosts_come_first_and_numbers_have_no_gaps() {
    let failover = |regions: &[(&str, &str)]| {
        let regions = regions.iter();
        LocalityPreference::Failover(LocalityFailover {
            regions: regions
                .map(|(from, to)| ((*from).into(), (*to).into()))
                .collect(),
            labels: Vec::new(),
        })
    };
    // The own place, the setting, and priorities of the places above in their order.
    let cases: [(&str, &str, LocalityPreference, [u32; 6]); 8] = [
        (
            "by default",
            "eu/1/a",
            LocalityPreference::Unsaid,
            [0, 1, 2, 3, 3, 3],
        ),
        ("by distance", "eu/1/a", failover(&[]), [0, 1, 2, 3, 3, 3]),
        (
            "no subzone of the own",
            "eu/1/c",
            failover(&[]),
            [0, 0, 1, 2, 2, 2],
        ),
        (
            "no zone of the own",
            "eu/3",
            failover(&[]),
            [0, 0, 0, 1, 1, 1],
        ),
        (
            "a region takes over",
            "eu/1/a",
            failover(&[("eu", "us")]),
            [0, 1, 2, 3, 4, 4],
        ),
        (
            "another region's rule",
            "eu/1/a",
            failover(&[("us", "asia")]),
            [0, 1, 2, 3, 3, 3],
        ),
        ("nowhere", "", failover(&[]), [0; 6]),
        ("not wanted", "eu/1/a", LocalityPreference::Ignored, [0; 6]),
    ];
    for (name, own, preference, expected) in cases {
        let mut expected: Vec<(String, u32)> = PLACES
            .iter()
            .zip(expected)
            .map(|(place, priority)| ((*place).to_owned(), priority))
            .collect();
        expected.sort();
        assert_eq!(priorities(own, &PLACES, &preference), expected, "{name}");
    }
}

#[test]
fn nothing_fails_over_without_outlier_detection_unless_the_service_wants_it() {
    let place = Workload::new(workload("own", "eu/1/a"));
    let labels = Labels(BTreeMap::new());
    let failover = LocalityPreference::Failover(LocalityFailover::default());
    // The setting, whether the service has preferences, outlier detection, and priorities of the two hosts, of which
    // the service likes the far one better.
    let cases = [
        ("plain", &LocalityPreference::Unsaid, false, false, [0, 0]),
        ("outliers", &LocalityPreference::Unsaid, false, true, [0, 1]),
        (
            "the service",
            &LocalityPreference::Unsaid,
            true,
            false,
            [1, 0],
        ),
        (
            "the service first",
            &LocalityPreference::Unsaid,
            true,
            true,
            [1, 0],
        ),
        ("a rule goes before", &failover, true, true, [0, 1]),
        ("a rule without outliers", &failover, true, false, [0, 0]),
        ("off", &LocalityPreference::Ignored, true, true, [0, 0]),
    ];
    for (name, preference, service, outlier, expected) in cases {
        let ranked =
            [("eu/1/a", 1), ("us/1/a", 2)].map(|(at, rank)| (rank, host(workload(at, at), at, 1)));
        let said = Said {
            preference,
            mesh: &LocalityPreference::Unsaid,
            service,
            outlier,
        };
        let here = Here {
            place: &place,
            labels: &labels,
        };
        let (hosts, _) = arrange(ranked.into(), said, here);
        let priorities: Vec<u32> = hosts.iter().map(|host| host.priority).collect();
        assert_eq!(priorities, expected, "{name}");
    }
}

#[test]
fn the_mesh_has_a_say_where_nothing_else_has() {
    let place = Workload::new(workload("own", "eu/1/a"));
    let labels = Labels(BTreeMap::new());
    let failover = LocalityPreference::Failover(LocalityFailover {
        regions: vec![("eu".into(), "asia".into())],
        ..LocalityFailover::default()
    });
    let unsaid = &LocalityPreference::Unsaid;
    // The rule's setting, the mesh's, whether the service has preferences, outlier detection, and priorities of hosts
    // here, in the United States, and in Asia; the service likes the last one best.
    let cases = [
        ("the mesh", unsaid, &failover, false, true, [0, 2, 1]),
        ("without outliers", unsaid, &failover, false, false, [0; 3]),
        (
            "off",
            unsaid,
            &LocalityPreference::Ignored,
            false,
            true,
            [0; 3],
        ),
        (
            "the service first",
            unsaid,
            &failover,
            true,
            true,
            [2, 1, 0],
        ),
        (
            "the rule first",
            &LocalityPreference::Ignored,
            &failover,
            false,
            true,
            [0; 3],
        ),
        ("nobody", unsaid, unsaid, false, true, [0, 1, 1]),
    ];
    for (name, preference, mesh, service, outlier, expected) in cases {
        let ranked = [("eu/1/a", 1), ("us/1/a", 2), ("asia/1/a", 3)]
            .map(|(at, rank)| (rank, host(workload(at, at), at, 1)));
        let said = Said {
            preference,
            mesh,
            service,
            outlier,
        };
        let here = Here {
            place: &place,
            labels: &labels,
        };
        let (hosts, _) = arrange(ranked.into(), said, here);
        let of = |key: &str| {
            let mut hosts = hosts.iter();
            hosts.find(|host| &*host.key == key).unwrap().priority
        };
        assert_eq!(["eu/1/a", "us/1/a", "asia/1/a"].map(of), expected, "{name}");
    }
}

#[test]
fn labels_count_up_to_the_first_that_differs() {
    let mut own = workload("own", "eu/1/a");
    (own.network, own.cluster_id, own.node) = ("n1".into(), "c1".into(), "node-1".into());
    let place = Workload::new(own.clone());
    let pod = |name: &str, change: &dyn Fn(&mut WorkloadSpec)| {
        let mut spec = own.clone();
        spec.uid = name.into();
        change(&mut spec);
        (0, host(spec, name, 1))
    };
    let ranked = vec![
        pod("all", &|_| {}),
        pod("node", &|spec| spec.node = "node-2".into()),
        pod("zone", &|spec| spec.locality.zone = "2".into()),
        pod("region", &|spec| spec.locality.region = "us".into()),
        pod("network", &|spec| spec.network = "n2".into()),
    ];
    let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let labels = Labels(BTreeMap::from([
        ("own".to_owned(), of(&[("version", "v1")])),
        ("all".to_owned(), of(&[("version", "v2")])),
        ("zone".to_owned(), of(&[("version", "v1")])),
    ]));
    let topology = "topology.istio.io/network topology.kubernetes.io/region topology.kubernetes.io/zone kubernetes.io/hostname";
    // Labels; what comes first, then the next ones.
    let cases: [(&str, &str, &str, &[&[&str]]); 5] = [
        (
            "topology",
            topology,
            "",
            &[&["all"], &["node"], &["zone"], &["region"], &["network"]],
        ),
        (
            "own label",
            "version",
            "",
            &[&["zone"], &["all", "network", "node", "region"]],
        ),
        (
            "a value in place of the own",
            "version=v2",
            "",
            &[&["all"], &["network", "node", "region", "zone"]],
        ),
        (
            "none has it",
            "nothing",
            "",
            &[&["all", "network", "node", "region", "zone"]],
        ),
        (
            "regions break ties",
            "topology.istio.io/network",
            "asia",
            &[&["all", "node"], &["zone"], &["region"], &["network"]],
        ),
    ];
    for (name, wanted, region, expected) in cases {
        let wanted = wanted.split(' ').map(|label| match label.split_once('=') {
            Some((name, value)) => LabelPreference {
                name: name.into(),
                value: Some(value.into()),
            },
            None => LabelPreference {
                name: label.into(),
                value: None,
            },
        });
        let regions = [("eu".into(), region.into())];
        let preference = LocalityPreference::Failover(LocalityFailover {
            regions: regions.into_iter().filter(|_| !region.is_empty()).collect(),
            labels: wanted.collect(),
        });
        let said = Said {
            preference: &preference,
            mesh: &LocalityPreference::Unsaid,
            service: false,
            outlier: true,
        };
        let here = Here {
            place: &place,
            labels: &labels,
        };
        let (hosts, _) = arrange(ranked.clone(), said, here);
        let mut got: Vec<Vec<&str>> = vec![Vec::new(); expected.len()];
        for host in &hosts {
            got[host.priority as usize].push(host.key.as_str());
        }
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn shares_are_those_of_the_first_entry_for_the_own_place() {
    let pattern = |text: &str| LocalityPattern::parse(text).unwrap();
    let entry = |from: &str, to: &[(&str, u32)]| LocalityShares {
        from: pattern(from),
        to: to.iter().map(|(to, share)| (pattern(to), *share)).collect(),
    };
    let preference = LocalityPreference::Shares(vec![
        entry("eu/1/*", &[("eu/1/*", 80), ("eu/2/*", 20)]),
        entry("eu", &[("*", 100)]),
        entry("us/*", &[("us", 70), ("asia/1", 30)]),
    ]);
    // Hosts with weights; a locality that no entry names, and one that has a host of weight 0, which counts as 1.
    let ranked: Vec<Ranked> = [
        ("eu/1/a", 1),
        ("eu/1/b", 2),
        ("eu/2/a", 1),
        ("us/1/a", 0),
        ("us/2/a", 3),
        ("asia/2/a", 1),
    ]
    .map(|(place, weight)| (0, host(workload(place, place), place, weight)))
    .into();
    type Expected = Option<&'static [(&'static str, u32)]>;
    let cases: [(&str, Expected); 5] = [
        // 80 * 1 / 3 and 80 * 2 / 3, rounded up.
        (
            "eu/1/z",
            Some(&[("eu/1/a", 27), ("eu/1/b", 54), ("eu/2/a", 20)]),
        ),
        (
            "eu/7",
            Some(&[
                ("asia/2/a", 12),
                ("eu/1/a", 12),
                ("eu/1/b", 23),
                ("eu/2/a", 12),
                ("us/1/a", 12),
                ("us/2/a", 34),
            ]),
        ),
        ("us/1/a", Some(&[("us/1/a", 18), ("us/2/a", 53)])),
        ("asia/1/a", None),
        ("", None),
    ];
    for (own, expected) in cases {
        let said = Said {
            preference: &preference,
            mesh: &LocalityPreference::Unsaid,
            service: true,
            outlier: true,
        };
        let place = Workload::new(workload("own", own));
        let here = Here {
            place: &place,
            labels: &Labels(BTreeMap::new()),
        };
        let (hosts, shares) = arrange(ranked.clone(), said, here);
        assert!(hosts.iter().all(|host| host.priority == 0), "{own}");
        let shares = shares.map(|shares| {
            let mut shares: Vec<(String, u32)> = shares
                .iter()
                .map(|(name, share)| (name.to_string(), *share))
                .collect();
            shares.sort();
            shares
        });
        let expected = expected.map(|shares| {
            let shares = shares.iter();
            shares
                .map(|(name, share)| ((*name).to_owned(), *share))
                .collect::<Vec<_>>()
        });
        assert_eq!(shares, expected, "{own}");
    }
}
