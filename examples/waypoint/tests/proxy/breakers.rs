//! What is too much for a service is refused at once, with what upstreams received as evidence.

use crate::objects::{policy, routes, virtual_service};
use crate::world::{API, WEB, World};

const ONE_WORKER: &[(&str, &str)] = &[("WAYPOINT_WORKER_THREADS", "1")];

/// Sends a request that is answered later.
fn begin(world: &World, path: &'static str) -> tokio::task::JoinHandle<u16> {
    let client = world.client.clone();
    tokio::spawn(async move { client.get(API, path).await.status })
}

#[tokio::test]
async fn connections_and_those_that_wait_for_one_are_limited() {
    let settings =
        "{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}";
    let world = World::with(&policy("api", settings), ONE_WORKER).await;
    let first = begin(&world, "/hold/1");
    world
        .until("the first is held", async || world.api.requests() == 1)
        .await;
    // Of these two one waits for the connection and the other is too much: which is not said.
    let others = [begin(&world, "/hold/2"), begin(&world, "/hold/2")];
    let refused = async || others.iter().any(|one| one.is_finished());
    world.until("one is refused", refused).await;
    let third = world.client.get(API, "/third").await;
    assert_eq!(third.status, 503, "{third:?}");
    assert_eq!(third.headers["x-envoy-overloaded"], "true");
    assert!(third.body.ends_with("reset reason: overflow"), "{third:?}");
    assert_eq!(world.api.requests(), 1);
    world.api.release();
    assert_eq!(first.await.unwrap(), 200);
    let mut statuses = Vec::new();
    for other in others {
        statuses.push(other.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    assert_eq!((world.api.requests(), world.api.connections()), (2, 1));
    let logged = async || world.lines(&["\"GET /third HTTP/1.1\" 503 UO"]) == 1;
    world.until("a line of the access log", logged).await;
    // What was waited for is given back.
    for _ in 0..5 {
        assert_eq!(world.client.get(API, "/").await.status, 200);
    }
}

#[tokio::test]
async fn requests_are_limited_and_those_that_end_make_room() {
    let world = World::start(&policy(
        "api",
        "{connectionPool: {http: {http2MaxRequests: 2}}}",
    ))
    .await;
    let held = [begin(&world, "/hold"), begin(&world, "/hold")];
    world
        .until("two are held", async || world.api.requests() == 2)
        .await;
    for _ in 0..3 {
        let refused = world.client.get(API, "/more").await;
        assert_eq!(
            (refused.status, &*refused.headers["x-envoy-overloaded"]),
            (503, "true")
        );
    }
    assert_eq!(world.api.requests(), 2);
    let logged = async || world.lines(&["\"GET /more HTTP/1.1\" 503 UO"]) == 3;
    world.until("lines of the access log", logged).await;
    world.api.release();
    for held in held {
        assert_eq!(held.await.unwrap(), 200);
    }
    assert_eq!(world.client.get(API, "/more").await.status, 200);
}

/// What is retried of `api`.
fn retried() -> String {
    routes(
        "api",
        "[{retries: {attempts: 3, retryOn: '503', backoff: 1ms}, route: [{destination: {host: api}}]}]",
    )
}

#[tokio::test]
async fn retries_at_once_are_limited() {
    let limit = policy("api", "{connectionPool: {http: {maxRetries: 1}}}");
    let world = World::start(&(retried() + &limit)).await;
    let first = begin(&world, "/again/1");
    world
        .until("a retry is held", async || world.api.requests() == 2)
        .await;
    assert_eq!(world.client.get(API, "/again/2").await.status, 503);
    assert_eq!(world.api.seen("/again/2").len(), 1, "there was no retry");
    let logged = async || world.lines(&["\"GET /again/2 HTTP/1.1\" 503 UO"]) == 1;
    world.until("a line of the access log", logged).await;
    world.api.release();
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(world.client.get(API, "/again/3").await.status, 200);
    assert_eq!(world.api.seen("/again/3").len(), 2);
}

#[tokio::test]
async fn a_budget_of_nothing_allows_no_retry_and_its_minimum_some() {
    let budget = |least| {
        let budget =
            format!("{{retryBudget: {{percent: {{value: 0}}, minRetryConcurrency: {least}}}}}");
        retried() + &policy("api", &budget)
    };
    let world = World::start(&budget(0)).await;
    assert_eq!(world.client.get(API, "/status/503?1").await.status, 503);
    assert_eq!(world.api.requests(), 1);
    world.write(&budget(3));
    let retried = async || {
        let before = world.api.requests();
        world.client.get(API, "/status/503?2").await;
        world.api.requests() == before + 4
    };
    world.until("the budget allows retries", retried).await;
}

/// A service that has a breaker takes nothing from one that has none.
#[tokio::test]
async fn a_breaker_counts_for_its_own_service() {
    let objects = policy("api", "{connectionPool: {http: {http2MaxRequests: 1}}}")
        + &virtual_service("[{route: [{destination: {host: web}}]}]", "{}");
    let world = World::start(&objects).await;
    let held = begin(&world, "/hold");
    world
        .until("one is held", async || world.api.requests() == 1)
        .await;
    assert_eq!(world.client.get(API, "/").await.status, 503);
    for _ in 0..5 {
        assert_eq!(world.client.get(WEB, "/").await.status, 200);
    }
    world.api.release();
    assert_eq!(held.await.unwrap(), 200);
}
