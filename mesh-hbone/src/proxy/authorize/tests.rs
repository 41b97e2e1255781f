use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::*;
use crate::proxy::testing::{addr, mesh};

const WITHIN: Duration = Duration::from_secs(7);

/// Asks about a connection from `a` to `web-1`; also how often the engine was asked.
async fn ask(
    answer: impl Fn(usize) -> Verdict + Clone + Send + Sync + 'static,
) -> (Result<Permit, Error>, usize) {
    let store = mesh();
    let snapshot = store.snapshot();
    let workload = snapshot.workload("web-1").unwrap();
    let source: SocketAddr = addr("10.0.0.1:50000");
    let attributes = Attributes {
        source,
        identity: None,
        destination: addr("10.0.1.1:8080"),
        workload,
    };
    let asked = Arc::<AtomicUsize>::default();
    let count = asked.clone();
    let engine = move |_: &Attributes<'_>| answer(count.fetch_add(1, Ordering::SeqCst));
    let permit = decide(&engine, &attributes, WITHIN).await;
    (permit, asked.load(Ordering::SeqCst))
}

fn wait(wait: impl Future<Output = ()> + Send + 'static) -> Verdict {
    Verdict::Undecided {
        wait: Box::pin(wait),
    }
}

fn allow() -> Verdict {
    Verdict::Allow(Permit::lasting())
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_asked_again_until_it_has_decided() {
    let second = Duration::from_secs(1);
    let start = Instant::now();
    let (permit, asked) = ask(move |round| match round {
        0..3 => wait(sleep(second)),
        _ => allow(),
    })
    .await;
    permit.unwrap();
    assert_eq!((asked, start.elapsed().as_secs()), (4, 3));

    let (permit, asked) = ask(move |round| match round {
        0 => wait(sleep(second)),
        _ => Verdict::Deny {
            reason: "policy default/late".into(),
        },
    })
    .await;
    let error = permit.unwrap_err();
    assert!(matches!(&error, Error::Denied { reason } if **reason == *"policy default/late"));
    assert_eq!(asked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_decision_at_once_waits_for_nothing() {
    let (permit, asked) = ask(|_| allow()).now_or_never().unwrap();
    permit.unwrap();
    assert_eq!(asked, 1);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_decides_denies_when_its_time_is_over() {
    type Answer = fn(usize) -> Verdict;
    let cases: [(&str, Answer, usize); 3] = [
        ("one long wait", |_| wait(pending()), 1),
        ("many waits", |_| wait(sleep(Duration::from_secs(2))), 4),
        ("waits that are over at once", |_| wait(async {}), ROUNDS),
    ];
    for (name, answer, rounds) in cases {
        let start = Instant::now();
        let (permit, asked) = ask(answer).await;
        let error = permit.unwrap_err();
        assert_eq!(
            error.to_string(),
            "connection closed due to policy rejection: policy was undecided after 7s",
            "{name}"
        );
        assert!(start.elapsed() <= WITHIN, "{name}: {:?}", start.elapsed());
        assert_eq!(asked, rounds, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_woken_by_what_it_waits_for() {
    let arrived = Arc::new(Notify::new());
    let engine = arrived.clone();
    let asking = tokio::spawn(ask(move |round| match round {
        0 => {
            let arrived = engine.clone();
            wait(async move { arrived.notified().await })
        }
        _ => allow(),
    }));
    sleep(Duration::from_secs(5)).await;
    assert!(!asking.is_finished());
    arrived.notify_one();
    asking.await.unwrap().0.unwrap();
}
