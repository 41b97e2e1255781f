//! Instances that fail are taken out and come back.

use crate::application::Application;
use crate::objects::{annotated, pod, policy, routes, service, virtual_service};
use crate::world::{WEB, World};

/// Routes everything to `web` without retries, with this outlier detection.
fn detecting(settings: &str) -> String {
    let policy = format!("{{loadBalancer: {{simple: ROUND_ROBIN}}, outlierDetection: {settings}}}");
    virtual_service(
        "[{retries: {attempts: 0}, route: [{destination: {host: web}}]}]",
        &policy,
    )
}

#[tokio::test]
async fn an_instance_that_fails_gets_nothing_until_its_time_is_over() {
    let world = World::start(&detecting(
        "{consecutive5xxErrors: 3, interval: 100ms, baseEjectionTime: 3s, maxEjectionPercent: 50}",
    ))
    .await;
    world.v1.fail(true);
    let mut connection = world.client.connection(WEB).await;
    let mut failed = 0;
    while failed < 3 {
        let answer = connection.send("GET", "/", "").await.unwrap();
        failed += u64::from(answer.status == 503);
    }
    assert_eq!(world.v1.requests(), 3);
    let before = world.v2.requests();
    for _ in 0..20 {
        let answer = connection.send("GET", "/out", "").await.unwrap();
        assert_eq!((answer.status, &*answer.headers["x-app"]), (200, "v2"));
    }
    assert_eq!((world.v1.requests(), world.v2.requests()), (3, before + 20));
    let dump = world.fetch(15000, "/config_dump").await.unwrap();
    assert_eq!(dump.matches("\"ejected\": true").count(), 1, "{dump}");

    world.v1.fail(false);
    let back = async || {
        world.client.get(WEB, "/back").await;
        !world.v1.seen("/back").is_empty()
    };
    world.until("it is back", back).await;
    assert!(!world.log().contains("panic"));
}

#[tokio::test]
async fn when_all_are_out_there_is_no_healthy_upstream() {
    let world = World::start(&detecting(
        "{consecutive5xxErrors: 1, interval: 100ms, baseEjectionTime: 30s, maxEjectionPercent: 100}",
    ))
    .await;
    world.v1.fail(true);
    world.v2.fail(true);
    for _ in 0..2 {
        assert_eq!(world.client.get(WEB, "/").await.status, 503);
    }
    let none = world.client.get(WEB, "/none").await;
    assert_eq!((none.status, &*none.body), (503, "no healthy upstream"));
    assert_eq!((world.v1.requests(), world.v2.requests()), (1, 1));
    let logged = async || world.lines(&["\"GET /none HTTP/1.1\" 503 UH no_healthy_upstream"]) == 1;
    world.until("a line of the access log", logged).await;
}

/// l7.md 2.5: with Istio's 10 percent and few instances nothing is ever taken out.
#[tokio::test]
async fn a_tenth_of_two_instances_is_none() {
    let world = World::start(&detecting("{consecutive5xxErrors: 1, interval: 100ms}")).await;
    world.v1.fail(true);
    for _ in 0..20 {
        world.client.get(WEB, "/").await;
    }
    assert_eq!((world.v1.requests(), world.v2.requests()), (10, 10));
}

#[tokio::test]
async fn one_of_two_instances_is_taken_out_where_the_service_says_so() {
    let objects = annotated(
        "pair",
        "10.96.1.1",
        "web",
        "outlier.waypoint/small-fleet: one",
    ) + &routes(
        "pair",
        "[{retries: {attempts: 0}, route: [{destination: {host: pair}}]}]",
    ) + &policy(
        "pair",
        "{loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 1, interval: 100ms, baseEjectionTime: 60s}}",
    );
    let world = World::start(&objects).await;
    world.v1.fail(true);
    world.v2.fail(true);
    for _ in 0..20 {
        let answer = world.client.get("10.96.1.1".parse().unwrap(), "/").await;
        assert_eq!(answer.status, 503);
    }
    let mut requests = [world.v1.requests(), world.v2.requests()];
    requests.sort_unstable();
    assert_eq!(requests, [1, 19], "one is out, and not both");
}

#[tokio::test]
async fn an_instance_that_is_not_reached_is_taken_out() {
    let objects = pod("there", "pair", 4, "")
        + &pod("gone", "pair", 5, "")
        + &service("pair", "10.96.1.1", "pair", "")
        + &policy(
            "pair",
            "{outlierDetection: {consecutive5xxErrors: 2, interval: 10s, baseEjectionTime: 60s, maxEjectionPercent: 50}}",
        );
    let world = World::start(&objects).await;
    let there = Application::start("there", world.at(4)).await;
    let pair = "10.96.1.1".parse().unwrap();
    // Istio's retries, which every service has, hide connections that are refused.
    for _ in 0..60 {
        assert_eq!(world.client.get(pair, "/").await.status, 200);
    }
    let out = async || {
        let dump = world.fetch(15000, "/config_dump").await.unwrap();
        dump.matches("\"ejected\": true").count() == 1
    };
    world.until("it is out", out).await;
    assert_eq!(there.requests(), 60);
    for request in there.seen("/").iter().skip(50) {
        assert_eq!(request.attempt(), 1);
    }
}
