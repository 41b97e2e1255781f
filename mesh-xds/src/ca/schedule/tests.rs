//! Oracle: Istio's rules for the order of fetches, renewals and retries (spec/node-proxy.md 4.4,
//! with the jitter of 11.6 #65).

use std::time::UNIX_EPOCH;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn id(name: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/a/sa/{name}")
        .parse()
        .unwrap()
}

fn now() -> Now {
    Now {
        wall: UNIX_EPOCH + 1_000_000 * SECOND,
        monotonic: Instant::now(),
    }
}

impl Now {
    fn plus(self, time: Duration) -> Self {
        Self {
            wall: self.wall + time,
            monotonic: self.monotonic + time,
        }
    }
}

fn schedule(concurrency: usize) -> Schedule {
    Schedule::new(concurrency, Box::new(|| u64::MAX / 2))
}

fn start(schedule: &mut Schedule, now: Now) -> Option<String> {
    let id = schedule.start(now)?;
    Some(id.service_account().to_string())
}

#[test]
fn what_traffic_waits_for_comes_first_then_who_asked_first() {
    let (mut schedule, now) = (schedule(1), now());
    for name in ["renewed", "first"] {
        schedule.want(&id(name), Priority::Background, false);
        schedule.start(now).unwrap();
        schedule.succeeded(&id(name), now.wall + SECOND, now);
    }
    let now = now.plus(2 * SECOND);
    for (name, priority) in [
        ("soon", Priority::Warmup),
        ("later", Priority::Warmup),
        ("waited for", Priority::Traffic),
        ("waited for, too", Priority::Traffic),
        ("later", Priority::Traffic),
        ("later", Priority::Background),
    ] {
        schedule.want(&id(&name.replace([' ', ','], "-")), priority, false);
    }
    let mut order = Vec::new();
    while let Some(name) = start(&mut schedule, now) {
        assert_eq!(schedule.start(now), None, "one at a time");
        schedule.succeeded(&id(&name), now.wall + HOUR, now);
        order.push(name);
    }
    let expected = [
        "waited-for",
        "waited-for--too",
        "later",
        "soon",
        "renewed",
        "first",
    ];
    assert_eq!(order, expected);
}

#[test]
fn no_more_than_so_many_are_fetched_at_a_time_and_none_twice() {
    let (mut schedule, now) = (schedule(8), now());
    for number in 0..20 {
        schedule.want(&id(&number.to_string()), Priority::Traffic, false);
        schedule.want(&id(&number.to_string()), Priority::Traffic, false);
    }
    let mut started: Vec<_> = std::iter::from_fn(|| schedule.start(now)).collect();
    assert_eq!(started.len(), 8);
    assert_eq!(schedule.wait(now), None);
    schedule.failed(&started[0], None, now);
    schedule.forget(&started[1]);
    started.extend(std::iter::from_fn(|| schedule.start(now)));
    assert_eq!(started.len(), 10);
    started.sort();
    started.dedup();
    assert_eq!(started.len(), 10);
}

#[test]
fn failures_wait_twice_as_long_each_time_up_to_150_seconds() {
    // Seconds, without jitter.
    let expected = [1, 2, 4, 8, 16, 32, 64, 128, 150, 150];
    for (random, factor) in [(0, 0.8), (u64::MAX / 2, 1.0), (u64::MAX, 1.2)] {
        let (mut schedule, mut now) = (Schedule::new(1, Box::new(move || random)), now());
        schedule.want(&id("a"), Priority::Traffic, false);
        for seconds in expected {
            schedule.start(now).unwrap();
            schedule.failed(&id("a"), None, now);
            let wait = schedule.wait(now).unwrap();
            let ideal = (SECOND * seconds).mul_f64(factor).min(150 * SECOND);
            let off = wait.abs_diff(ideal);
            assert!(
                off < Duration::from_millis(200),
                "{seconds} s x {factor}: {wait:?}"
            );
            assert_eq!(
                schedule.start(now.plus(wait - Duration::from_millis(1))),
                None
            );
            now = now.plus(wait);
        }
        // Success forgets the failures.
        schedule.start(now).unwrap();
        schedule.succeeded(&id("a"), now.wall + HOUR, now);
        now = now.plus(HOUR);
        schedule.start(now).unwrap();
        schedule.failed(&id("a"), None, now);
        assert!(schedule.wait(now).unwrap() <= SECOND.mul_f64(1.2));
    }
}

#[test]
fn a_retry_does_not_wait_beyond_the_expiry_of_what_is_still_good() {
    let (mut schedule, mut now) = (schedule(1), now());
    schedule.want(&id("a"), Priority::Traffic, false);
    for _ in 0..8 {
        schedule.start(now).unwrap();
        schedule.failed(&id("a"), None, now);
        now = now.plus(schedule.wait(now).unwrap());
    }
    schedule.start(now).unwrap();
    schedule.failed(&id("a"), Some(now.wall + 10 * SECOND), now);
    assert_eq!(schedule.wait(now), Some(10 * SECOND));
    // At the expiry itself, the wait is that of the failures.
    let now = now.plus(10 * SECOND);
    schedule.start(now).unwrap();
    schedule.failed(&id("a"), Some(now.wall), now);
    assert!(schedule.wait(now).unwrap() > 100 * SECOND);
}

#[test]
fn a_renewal_comes_by_whichever_clock_is_first() {
    let (mut schedule, now) = (schedule(1), now());
    schedule.want(&id("a"), Priority::Traffic, false);
    schedule.start(now).unwrap();
    schedule.succeeded(&id("a"), now.wall + HOUR, now);
    assert_eq!(schedule.wait(now), Some(HOUR));
    let suspended = Now {
        wall: now.wall + 2 * HOUR,
        monotonic: now.monotonic + SECOND,
    };
    let set_back = Now {
        wall: now.wall - 48 * HOUR,
        monotonic: now.monotonic + HOUR,
    };
    for (case, then) in [("suspended", suspended), ("set back", set_back)] {
        assert_eq!(schedule.wait(then), Some(Duration::ZERO), "{case}");
    }
    assert_eq!(start(&mut schedule, set_back).as_deref(), Some("a"));
}

#[test]
fn changed_roots_renew_what_is_good_within_the_spread() {
    let (mut schedule, now) = (schedule(8), now());
    for (name, due) in [("late", HOUR), ("soon", SECOND)] {
        schedule.want(&id(name), Priority::Traffic, false);
        schedule.start(now).unwrap();
        schedule.succeeded(&id(name), now.wall + due, now);
    }
    schedule.renew_within(100 * SECOND, now);
    assert_eq!(schedule.wait(now), Some(SECOND), "not later than before");
    assert_eq!(
        start(&mut schedule, now.plus(SECOND)).as_deref(),
        Some("soon")
    );
    let wait = schedule.wait(now).unwrap();
    assert!(wait > 40 * SECOND && wait < 60 * SECOND, "{wait:?}");
}

#[test]
fn who_asks_with_an_expired_certificate_is_next() {
    let (mut schedule, now) = (schedule(8), now());
    schedule.want(&id("a"), Priority::Traffic, false);
    schedule.start(now).unwrap();
    schedule.succeeded(&id("a"), now.wall + HOUR, now);
    schedule.want(&id("a"), Priority::Traffic, true);
    assert_eq!(schedule.start(now), None);
    schedule.want(&id("a"), Priority::Traffic, false);
    assert_eq!(start(&mut schedule, now).as_deref(), Some("a"));
}

#[test]
fn forgotten_identities_are_not_renewed() {
    let (mut schedule, now) = (schedule(1), now());
    schedule.want(&id("a"), Priority::Traffic, false);
    schedule.start(now).unwrap();
    schedule.forget(&id("a"));
    schedule.succeeded(&id("a"), now.wall, now);
    schedule.failed(&id("a"), None, now);
    assert_eq!(schedule.wait(now), None);
    schedule.want(&id("b"), Priority::Traffic, false);
    assert_eq!(
        start(&mut schedule, now).as_deref(),
        Some("b"),
        "its place is free"
    );
}
