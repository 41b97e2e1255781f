//! Time is paused: it passes only where a test says so.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use tokio::time::advance;

use super::Addresses;
use super::cache::Cache;

const KEPT: Duration = Duration::from_secs(10);
const FAILURE_KEPT: Duration = Duration::from_secs(2);

fn found() -> Addresses {
    [[10, 0, 0, 1].into()].into()
}

#[tokio::test(start_paused = true)]
async fn answers_are_kept_for_their_time_and_failures_for_a_shorter_one() {
    for (name, answer, kept) in [
        ("found", Some(found()), KEPT),
        ("not found", None, FAILURE_KEPT),
    ] {
        let cache = Cache::new(4, KEPT, FAILURE_KEPT);
        let asked = Cell::new(0);
        let ask = || async {
            asked.set(asked.get() + 1);
            answer.clone().ok_or(io::ErrorKind::NotFound.into())
        };
        for (after, expected) in [
            (Duration::ZERO, 1),
            (kept - Duration::from_millis(1), 1),
            (Duration::from_millis(1), 2),
        ] {
            advance(after).await;
            let got = cache.get("a", ask).await;
            assert_eq!(got.ok(), answer, "{name}");
            assert_eq!(asked.get(), expected, "{name} after {after:?} more");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_its_kind() {
    let cache = Cache::new(4, KEPT, FAILURE_KEPT);
    for _ in 0..2 {
        let failed = cache.get("a", || async { Err(io::ErrorKind::TimedOut.into()) });
        assert_eq!(failed.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_want_the_same_name_share_one_lookup() {
    let cache = Cache::new(4, KEPT, FAILURE_KEPT);
    let asked = Cell::new(0);
    let ask = || async {
        asked.set(asked.get() + 1);
        tokio::task::yield_now().await;
        Ok(found())
    };
    let (a, b) = tokio::join!(cache.get("a", ask), cache.get("a", ask));
    assert_eq!(a.unwrap(), b.unwrap());
    assert_eq!(asked.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_is_given_up_is_taken_over() {
    let cache = Cache::new(4, KEPT, FAILURE_KEPT);
    let never = cache.get("a", std::future::pending);
    assert!(futures_util::FutureExt::now_or_never(never).is_none());
    let answer = cache.get("a", || async { Ok(found()) }).await;
    assert_eq!(answer.unwrap(), found());
}

#[tokio::test(start_paused = true)]
async fn the_cache_never_grows_beyond_its_capacity() {
    let cache = Cache::new(4, KEPT, FAILURE_KEPT);
    for number in 0..100 {
        let name = format!("host-{number}");
        cache.get(&name, || async { Ok(found()) }).await.unwrap();
        assert!(cache.len() <= 4);
    }
}
