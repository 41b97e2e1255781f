//! Calls of gRPC through the waypoint.

use std::net::IpAddr;

use crate::calls::{Callee, begin, call, message};
use crate::objects::{pod, policy, routes};
use crate::world::World;

const CALLS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 96, 1, 1));

/// The service `calls` with one pod, and more.
fn objects(more: &str) -> String {
    let service = "
---
apiVersion: v1
kind: Service
metadata: {name: calls, namespace: shop}
spec: {clusterIP: 10.96.1.1, selector: {app: calls}, ports: [{name: grpc, port: 80, targetPort: 8080}]}
";
    pod("calls", "calls", 4, "") + service + more
}

async fn start(more: &str) -> (World, Callee) {
    let world = World::start(&objects(more)).await;
    let callee = Callee::start(world.at(4)).await;
    (world, callee)
}

#[tokio::test]
async fn calls_of_all_kinds_have_their_messages_and_trailers() {
    let (world, callee) = start("").await;
    let sender = world.client.http2(CALLS).await;
    let unary = call(&sender, "Unary", &["hello"]).await;
    assert_eq!(unary.messages, ["hello"]);
    assert_eq!(
        (unary.status.as_deref(), unary.words.as_deref()),
        (Some("0"), Some("done"))
    );
    let collect = call(&sender, "Collect", &["a", "b", "c"]).await;
    assert_eq!(collect.messages, ["a,b,c"]);
    let list = call(&sender, "List", &["x"]).await;
    assert_eq!(
        list.messages,
        ["1 of x", "2 of x", "3 of x", "4 of x", "5 of x"]
    );

    // Each message waits for the answer to the one before.
    let mut chat = begin(&sender, "Chat", &[]).await;
    let mut answers = chat.response.await.unwrap().into_body();
    for at in 0..20 {
        let said = message(&format!("number {at}"));
        chat.sending.send_data(said.clone(), false).unwrap();
        assert_eq!(answers.data().await.unwrap().unwrap(), said);
        answers.flow_control().release_capacity(said.len()).unwrap();
    }
    chat.sending.send_data(bytes::Bytes::new(), true).unwrap();
    assert!(answers.data().await.is_none());
    let trailers = answers.trailers().await.unwrap().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["grpc-message"]),
        (&"0".parse().unwrap(), &"bye".parse().unwrap())
    );

    let fail = call(&sender, "Fail", &["x"]).await;
    assert_eq!(
        (fail.messages.len(), fail.status.as_deref()),
        (0, Some("5"))
    );
    let broken = call(&sender, "Break", &["x"]).await;
    assert_eq!(
        (&*broken.messages, broken.status.as_deref()),
        (&["some".to_owned()][..], Some("13"))
    );
    assert_eq!(callee.calls(), 6);
    assert_eq!(callee.head("Unary").unwrap()["te"], "trailers");

    let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
    let sum = |name: &str, label: &str| -> u64 {
        let lines = page
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")));
        let lines = lines
            .filter(|line| line.contains("request_protocol=\"grpc\"") || !label.contains("status"));
        let lines = lines.filter(|line| line.contains(label));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    for (status, count) in [("0", 4), ("5", 1), ("13", 1)] {
        let label = format!("grpc_response_status=\"{status}\"");
        assert_eq!(sum("istio_requests_total", &label), count, "{page}");
    }
    let service = "destination_service=\"calls.shop.svc.cluster.local\"";
    assert_eq!(
        sum("istio_request_messages_total", service),
        1 + 3 + 1 + 20 + 1 + 1
    );
    assert_eq!(
        sum("istio_response_messages_total", service),
        1 + 1 + 5 + 20 + 1
    );
}

#[tokio::test]
async fn a_deadline_holds_at_the_waypoint_and_is_told_to_the_upstream() {
    let (world, callee) = start("").await;
    let sender = world.client.http2(CALLS).await;
    let waiting = begin(&sender, "Wait", &[("grpc-timeout", "300m")]).await;
    let outcome = waiting.outcome(&["x"]).await;
    // DEADLINE_EXCEEDED
    assert_eq!(outcome.status.as_deref(), Some("4"), "{outcome:?}");
    world
        .until("the upstream is told", async || callee.abandoned() == 1)
        .await;
    let told = callee.head("Wait").unwrap();
    let told = told["grpc-timeout"].to_str().unwrap();
    let (number, unit) = told.split_at(told.len() - 1);
    // Sources: gRPC over HTTP/2, "Timeout"; l7.md 2.9: what has passed is taken off.
    let left = number.parse::<u64>().unwrap()
        * match unit {
            "n" => 1,
            "u" => 1_000,
            "m" => 1_000_000,
            other => panic!("{other}"),
        };
    assert!(left <= 300_000_000, "{told}");
    // There was time enough for this one.
    let unary = begin(&sender, "Unary", &[("grpc-timeout", "1M")]).await;
    assert_eq!(unary.outcome(&["x"]).await.status.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_caller_that_vanishes_frees_the_upstream_and_its_place() {
    let (world, callee) = start(&policy(
        "calls",
        "{connectionPool: {http: {http2MaxRequests: 1}}}",
    ))
    .await;
    let sender = world.client.http2(CALLS).await;
    for round in 1..=3 {
        let waiting = begin(&sender, "Wait", &[]).await;
        world
            .until("the call arrives", async || callee.calls() == round)
            .await;
        let refused = begin(&sender, "Unary", &[]).await.outcome(&["x"]).await;
        assert_eq!(refused.status.as_deref(), Some("14"), "{refused:?}");
        drop(waiting);
        world
            .until("the upstream is free", async || callee.abandoned() == round)
            .await;
    }
    // The whole connection goes.
    let other = world.client.http2(CALLS).await;
    let waiting = begin(&other, "Wait", &[]).await;
    world
        .until("the call arrives", async || callee.calls() == 4)
        .await;
    drop((waiting, other));
    world
        .until("the upstream is free", async || callee.abandoned() == 4)
        .await;
    let free = async || call(&sender, "Unary", &["x"]).await.status.as_deref() == Some("0");
    world.until("there is a place again", free).await;
}

#[tokio::test]
async fn what_is_answered_here_is_a_status_of_grpc() {
    let none = routes(
        "calls",
        "[{match: [{uri: {prefix: /other}}], route: [{destination: {host: calls}}]},
          {match: [{uri: {exact: /test.Echo/Unary}}], fault: {abort: {grpcStatus: RESOURCE_EXHAUSTED, percentage: {value: 100}}}, route: [{destination: {host: calls}}]}]",
    );
    let (world, callee) = start(&none).await;
    let sender = world.client.http2(CALLS).await;
    // UNIMPLEMENTED
    assert_eq!(
        call(&sender, "Chat", &["x"]).await.status.as_deref(),
        Some("12")
    );
    let aborted = call(&sender, "Unary", &["x"]).await;
    assert_eq!(
        (aborted.status.as_deref(), aborted.words.as_deref()),
        (Some("8"), Some("fault filter abort"))
    );
    assert_eq!(callee.calls(), 0);
}

/// RFC 9113 §6.8.
#[tokio::test]
async fn an_upstream_that_says_goodbye_loses_no_call() {
    let (world, callee) = start("").await;
    let sender = world.client.http2(CALLS).await;
    for at in 0..20 {
        let outcome = call(&sender, "Bye", &["x"]).await;
        assert_eq!(outcome.status.as_deref(), Some("0"), "{at}");
    }
    let mut calls = Vec::new();
    for _ in 0..40 {
        calls.push(begin(&sender, "Bye", &[]).await);
    }
    for call in calls {
        assert_eq!(call.outcome(&["x"]).await.status.as_deref(), Some("0"));
    }
    assert!(callee.connections() > 20, "{}", callee.connections());
    assert_eq!(callee.calls(), 60);
}
