//! Clusters as a whole: settings, hosts, events and time in, choices out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;

/// SplitMix64: reproducible, evenly distributed.
fn random(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn host(key: &str) -> HostSpec<()> {
    HostSpec::new(key, ())
}

fn weighted(key: &str, weight: u32) -> HostSpec<()> {
    HostSpec {
        weight,
        ..host(key)
    }
}

fn balancing(algorithm: Algorithm) -> Balancing {
    Balancing {
        algorithm,
        ..Balancing::default()
    }
}

struct Scene {
    cluster: Cluster<()>,
    start: Instant,
}

impl Scene {
    fn new(balancing: Balancing, hosts: Vec<HostSpec<()>>) -> Self {
        let start = Instant::now();
        Self {
            cluster: Cluster::new(balancing, hosts, start, &mut || 0),
            start,
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    /// Choices by key, at a time.
    fn shares(&self, picks: usize, now: Instant) -> BTreeMap<String, usize> {
        let mut random = random(7);
        let mut counts = BTreeMap::new();
        for _ in 0..picks {
            if let Some(host) = self.cluster.pick(&Pick::default(), now, &mut random) {
                *counts.entry(host.spec().key.to_string()).or_default() += 1;
            }
        }
        counts
    }

    fn named(&self, key: &str) -> Arc<Host<()>> {
        let set = self.cluster.hosts();
        let host = set.hosts().iter().find(|host| host.spec().key == *key);
        host.unwrap().clone()
    }

    fn fail(&self, key: &str, times: u32, now: Instant) -> Option<Duration> {
        let host = self.named(key);
        let report = |_| self.cluster.report(&host, Event::NoAnswer, now, &mut || 0);
        (0..times).filter_map(report).last()
    }
}

#[test]
fn every_algorithm_gives_hosts_their_shares() {
    let algorithms = [
        Algorithm::RoundRobin,
        Algorithm::Random,
        Algorithm::LeastRequest { choices: 2 },
        Algorithm::PeakEwma,
        Algorithm::RingHash(RingSize {
            min: 65_536,
            ..RingSize::default()
        }),
        Algorithm::Maglev(TableSize::default()),
    ];
    for algorithm in algorithms {
        let hosts = vec![weighted("a:1", 1), weighted("b:1", 2), weighted("c:1", 5)];
        let scene = Scene::new(balancing(algorithm), hosts);
        let shares = scene.shares(80_000, scene.start);
        for (key, share) in [("a:1", 10_000), ("b:1", 20_000), ("c:1", 50_000)] {
            assert!(
                shares[key].abs_diff(share) < 1_000,
                "{algorithm:?}: {shares:?}"
            );
        }
    }
}

#[test]
fn a_busy_host_gets_less_in_relation_to_its_weight() {
    let scene = Scene::new(
        Balancing::default(),
        vec![weighted("a:1", 1), weighted("b:1", 3)],
    );
    let _busy: Vec<_> = (0..2).map(|_| scene.named("a:1").begin()).collect();
    let _also: Vec<_> = (0..3).map(|_| scene.named("b:1").begin()).collect();
    let shares = scene.shares(10_000, scene.start);
    // Drawn twice by weight, it is chosen only when it is drawn both times.
    assert!(shares["a:1"].abs_diff(625) < 100, "{shares:?}");
    assert_eq!(scene.named("a:1").active(), 2);
}

#[test]
fn a_slow_host_gets_less_with_peak_ewma() {
    let scene = Scene::new(
        balancing(Algorithm::PeakEwma),
        vec![host("a:1"), host("b:1")],
    );
    let slow = scene.named("a:1");
    scene
        .cluster
        .observe(&slow, Duration::from_secs(2), scene.start);
    let shares = scene.shares(10_000, scene.start);
    // Drawn in half of the cases, and then four times in a row: 1/32.
    assert!(shares["a:1"].abs_diff(312) < 80, "{shares:?}");
}

#[test]
fn a_key_stays_with_its_host_while_others_come_and_go() {
    // A ring of a least size gives each of the others more places when a host goes, so a few more move.
    let algorithms = [
        (Algorithm::RingHash(RingSize::default()), 200),
        (Algorithm::Maglev(TableSize::default()), 60),
    ];
    for (algorithm, most) in algorithms {
        let keys = ["a:1", "b:1", "c:1", "d:1"];
        let scene = Scene::new(balancing(algorithm), keys.map(host).into());
        let place = |key: u64| {
            let mut hash = RequestHash::default();
            hash.add(&key.to_le_bytes());
            let pick = Pick {
                hash: hash.value(),
                ..Pick::default()
            };
            scene.cluster.pick(&pick, scene.start, &mut || 0).unwrap()
        };
        let before: Vec<_> = (0..1_000).map(place).collect();
        scene
            .cluster
            .update(keys[..3].iter().map(|key| host(key)).collect(), scene.start);
        let moved = (0..1_000).zip(&before).filter(|(key, before)| {
            let stays = before.spec().key != *"d:1";
            stays && !place(*key).is(before)
        });
        let moved = moved.count();
        assert!(
            moved < most,
            "{algorithm:?}: {moved} of 1000 moved without need"
        );
    }
}

#[test]
fn a_retry_goes_elsewhere_while_there_is_an_elsewhere() {
    let algorithms = [
        Algorithm::RoundRobin,
        Algorithm::LeastRequest { choices: 2 },
        Algorithm::RingHash(RingSize::default()),
        Algorithm::Maglev(TableSize::default()),
    ];
    for algorithm in algorithms {
        let scene = Scene::new(balancing(algorithm), vec![host("a:1"), host("b:1")]);
        let mut random = random(3);
        let tried = [scene.named("a:1")];
        let elsewhere = (0..1_000_u64).filter(|hash| {
            let pick = Pick {
                hash: Some(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                tried: &tried,
                reselections: 5,
            };
            let host = scene.cluster.pick(&pick, scene.start, &mut random).unwrap();
            !host.is(&tried[0])
        });
        let elsewhere = elsewhere.count();
        assert!(elsewhere > 950, "{algorithm:?}: {elsewhere}");
        let alone = Scene::new(balancing(algorithm), vec![host("a:1")]);
        let tried = [alone.named("a:1")];
        let pick = Pick {
            tried: &tried,
            ..Pick::default()
        };
        assert!(
            alone
                .cluster
                .pick(&pick, alone.start, &mut random)
                .is_some(),
            "better than none"
        );
    }
}

#[test]
fn bounded_load_passes_over_a_host_that_has_too_much() {
    let mut settings = balancing(Algorithm::RingHash(RingSize::default()));
    settings.bounded_load = Some(150);
    let scene = Scene::new(settings, vec![host("a:1"), host("b:1"), host("c:1")]);
    let pick = Pick {
        hash: Some(42),
        ..Pick::default()
    };
    let mut held = Vec::new();
    for _ in 0..30 {
        let host = scene.cluster.pick(&pick, scene.start, &mut || 0).unwrap();
        held.push(host.begin());
    }
    let most = scene
        .cluster
        .hosts()
        .hosts()
        .iter()
        .map(|host| host.active())
        .max();
    assert_eq!(most, Some(15), "half more than a third of 30");
}

#[test]
fn the_second_priority_takes_what_the_first_cannot() {
    let first = |key, health| HostSpec {
        health,
        ..host(key)
    };
    let second = HostSpec {
        priority: 1,
        ..host("z:1")
    };
    let hosts = |healthy: usize| {
        let keys = ["a:1", "b:1", "c:1", "d:1", "e:1"];
        let health = |at| {
            if at < healthy {
                Health::Healthy
            } else {
                Health::Unhealthy
            }
        };
        let hosts = keys
            .into_iter()
            .enumerate()
            .map(|(at, key)| first(key, health(at)));
        hosts.chain([second.clone()]).collect::<Vec<_>>()
    };
    let scene = Scene::new(Balancing::default(), hosts(5));
    for (healthy, share) in [(5, 0), (4, 0), (3, 1_600), (1, 7_200), (0, 10_000)] {
        scene.cluster.update(hosts(healthy), scene.start);
        let shares = scene.shares(10_000, scene.start);
        let got = shares.get("z:1").copied().unwrap_or(0);
        assert!(got.abs_diff(share) < 200, "{healthy} healthy: {shares:?}");
    }
}

#[test]
fn unhealthy_and_draining_hosts_get_nothing_but_in_panic() {
    let with = |health| {
        vec![
            host("a:1"),
            HostSpec {
                health,
                ..host("b:1")
            },
        ]
    };
    for health in [Health::Unhealthy, Health::Draining] {
        let scene = Scene::new(Balancing::default(), with(health));
        assert_eq!(scene.shares(100, scene.start)["a:1"], 100, "{health:?}");
    }
    let all_out = vec![HostSpec {
        health: Health::Unhealthy,
        ..host("a:1")
    }];
    let scene = Scene::new(Balancing::default(), all_out.clone());
    assert!(!scene.cluster.hosts().is_available());
    assert!(
        scene
            .cluster
            .pick(&Pick::default(), scene.start, &mut || 0)
            .is_none()
    );
    let settings = Balancing {
        panic_percent: 50,
        ..Balancing::default()
    };
    let scene = Scene::new(settings, all_out);
    assert_eq!(scene.shares(100, scene.start)["a:1"], 100);
}

#[test]
fn degraded_hosts_are_a_second_choice() {
    let degraded = HostSpec {
        health: Health::Degraded,
        ..host("b:1")
    };
    let scene = Scene::new(Balancing::default(), vec![host("a:1"), degraded]);
    let shares = scene.shares(10_000, scene.start);
    assert!(
        shares["b:1"].abs_diff(3_000) < 200,
        "half healthy is 70 percent: {shares:?}"
    );
}

#[test]
fn localities_have_the_shares_that_are_given() {
    let at = |key, locality: &str| HostSpec {
        locality: locality.into(),
        ..host(key)
    };
    let hosts = vec![
        at("a:1", "near"),
        at("b:1", "near"),
        at("c:1", "far"),
        at("d:1", "else"),
    ];
    let settings = Balancing {
        localities: Some(vec![
            ("near".into(), 80),
            ("far".into(), 20),
            ("empty".into(), 0),
        ]),
        ..Balancing::default()
    };
    let scene = Scene::new(settings, hosts);
    let shares = scene.shares(10_000, scene.start);
    for (key, share) in [("a:1", 4_000), ("b:1", 4_000), ("c:1", 2_000)] {
        assert!(shares[key].abs_diff(share) < 250, "{shares:?}");
    }
    assert!(!shares.contains_key("d:1"), "a locality that is not named");
}

#[test]
fn a_host_that_fails_is_out_and_comes_back() {
    let settings = Balancing {
        outlier: Some(OutlierDetection {
            max_percent: 50,
            ..OutlierDetection::default()
        }),
        ..Balancing::default()
    };
    let scene = Scene::new(settings, vec![host("a:1"), host("b:1")]);
    assert_eq!(scene.fail("a:1", 4, scene.start), None);
    assert_eq!(
        scene.fail("a:1", 1, scene.start),
        Some(Duration::from_secs(30))
    );
    assert_eq!(scene.shares(100, scene.start)["b:1"], 100);
    assert_eq!(
        scene.fail("b:1", 20, scene.start),
        None,
        "half of the hosts are out already"
    );
    let mut next = scene.start;
    for seconds in [10, 20] {
        next = scene
            .cluster
            .maintain(scene.at(seconds), &mut || 0)
            .unwrap();
        assert!(scene.named("a:1").is_ejected(), "after {seconds} s");
    }
    assert_eq!(next, scene.at(30));
    let _ = scene.cluster.maintain(next, &mut || 0);
    assert!(!scene.named("a:1").is_ejected());
    assert!(scene.shares(100, scene.start)["a:1"] > 20);
}

#[test]
fn what_was_seen_of_a_host_survives_updates_and_not_its_end() {
    let settings = Balancing {
        outlier: Some(OutlierDetection {
            max_percent: 100,
            ..OutlierDetection::default()
        }),
        ..Balancing::default()
    };
    let hosts = || vec![host("a:1"), host("b:1")];
    let scene = Scene::new(settings, hosts());
    let active = scene.named("a:1").begin();
    assert!(scene.fail("a:1", 5, scene.start).is_some());
    scene.cluster.update(hosts(), scene.at(1));
    assert!(scene.named("a:1").is_ejected());
    assert_eq!(scene.named("a:1").active(), 1);
    drop(active);
    assert_eq!(scene.named("a:1").active(), 0);
    let old = scene.named("a:1");
    scene.cluster.update(vec![host("b:1")], scene.at(2));
    let late = scene
        .cluster
        .report(&old, Event::NoAnswer, scene.at(2), &mut || 0);
    assert_eq!(late, None, "a host that is gone is not taken out");
    scene.cluster.update(hosts(), scene.at(3));
    assert!(
        !scene.named("a:1").is_ejected(),
        "a new one with an old name"
    );
}

#[test]
fn without_outlier_detection_all_are_in_again() {
    let outlier = |outlier| Balancing {
        outlier,
        ..Balancing::default()
    };
    let on = OutlierDetection {
        max_percent: 100,
        ..OutlierDetection::default()
    };
    let scene = Scene::new(outlier(Some(on)), vec![host("a:1")]);
    assert!(scene.fail("a:1", 5, scene.start).is_some());
    assert!(
        scene.shares(10, scene.start).is_empty(),
        "every host may be out"
    );
    scene.cluster.set_balancing(outlier(None), scene.at(1));
    assert_eq!(scene.shares(10, scene.start)["a:1"], 10);
    assert_eq!(scene.cluster.maintain(scene.at(2), &mut || 0), None);
}

#[test]
fn a_new_host_begins_with_little() {
    let settings = Balancing {
        algorithm: Algorithm::RoundRobin,
        slow_start: Some(SlowStart::within(Duration::from_secs(100))),
        ..Balancing::default()
    };
    let scene = Scene::new(settings, vec![host("a:1")]);
    let _ = scene.cluster.maintain(scene.at(200), &mut || 0);
    scene
        .cluster
        .update(vec![host("a:1"), host("b:1")], scene.at(200));
    let share = |seconds: u64| {
        let _ = scene.cluster.maintain(scene.at(seconds), &mut || 0);
        let shares = scene.shares(11_000, scene.at(seconds));
        shares["b:1"] as f64 / shares["a:1"] as f64
    };
    for (seconds, ratio) in [(200, 0.1), (250, 0.5), (300, 1.0)] {
        assert!((share(seconds) - ratio).abs() < 0.02, "after {seconds} s");
    }
    assert_eq!(
        scene.cluster.maintain(scene.at(301), &mut || 0),
        None,
        "nothing grows any more"
    );
}

#[test]
fn of_two_hosts_with_one_key_the_last_counts() {
    let scene = Scene::new(
        Balancing::default(),
        vec![weighted("a:1", 1), weighted("a:1", 9)],
    );
    let set = scene.cluster.hosts();
    let weights: Vec<_> = set.hosts().iter().map(|host| host.spec().weight).collect();
    assert_eq!(weights, [9]);
}
