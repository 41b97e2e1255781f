//! Clients that are gone: what was held is free, and the record says so.

use std::sync::Arc;

use http::Response;
use mesh_core::lb::{OutlierDetection, SmallFleet};
use mesh_l7::attempt::AttemptError;
use mesh_l7::body::Body;
use mesh_l7::filter::{Delay, Fault, Percent};
use mesh_l7::route::{RetryOn, RetryPolicy};
use mesh_l7::upstream::Upstream;
use tower_service::Service as _;

use crate::harness::{Client, Drip, Mesh, forward, get, io, millis, recorded};

fn in_use(upstream: &Arc<Upstream<()>>) -> (u32, u32) {
    let permits = upstream
        .breaker
        .limits()
        .map(|(_, limit)| limit.in_use())
        .sum();
    let hosts = upstream.cluster.hosts();
    (
        permits,
        hosts.hosts().iter().map(|host| host.active()).sum(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_frees_what_it_held_wherever_it_is() {
    let delayed = || {
        let mut rule = forward();
        rule.fault = Some(Box::new(Fault {
            delay: Some(Delay {
                time: millis(5_000),
                share: Percent::ALL,
            }),
            abort: None,
        }));
        rule
    };
    let pausing = || {
        let mut rule = forward();
        rule.retry = Some(RetryPolicy {
            retries: 2,
            on: RetryOn::RESET,
            backoff: mesh_core::limits::Backoff::default().at_least(millis(5_000)),
            ..RetryPolicy::default()
        });
        rule
    };
    let cases = [
        ("in an attempt", forward(), (1, 1), "DC"),
        (
            "in a delay",
            delayed(),
            (0, 0),
            "FI is not told, DI and DC are",
        ),
        ("between attempts", pausing(), (1, 0), "DC"),
    ];
    for (name, rule, held, flags) in cases {
        let between = name == "between attempts";
        let client = Client::new(move |_, _| async move {
            match between {
                true => Err(AttemptError::Reset(io("eof"))),
                false => std::future::pending().await,
            }
        });
        let mut mesh = Mesh::new(rule);
        let mut outlier = OutlierDetection::default();
        outlier.consecutive_5xx = Some(2);
        outlier.small_fleet = SmallFleet::One;
        mesh.settings.balancing.outlier = Some(outlier);
        let upstream = mesh.upstream();
        let mut router = mesh.router_over(std::slice::from_ref(&upstream), &client);
        let (request, record) = recorded(get());
        {
            let mut call = tokio_test::task::spawn(router.call(request));
            assert!(call.poll().is_pending(), "{name}");
            assert_eq!(in_use(&upstream), held, "{name}");
        }
        assert_eq!(in_use(&upstream), (0, 0), "{name}");
        let (noted, detail) = record.note(|entry| (entry.flags.to_string(), entry.detail));
        assert!(
            flags.contains("DI") == noted.contains("DI"),
            "{name}: {noted}"
        );
        assert!(noted.contains("DC"), "{name}: {noted}");
        assert_eq!(detail, "downstream_remote_disconnect", "{name}");
        assert!(
            !upstream
                .cluster
                .hosts()
                .hosts()
                .iter()
                .any(|host| host.is_ejected())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_dropped_frees_what_it_held() {
    let client = Client::new(|_, _| async { Ok(Response::new(Body::new(Drip::new([0, 1_000])))) });
    let mesh = Mesh::new(forward());
    let upstream = mesh.upstream();
    let mut router = mesh.router_over(std::slice::from_ref(&upstream), &client);
    let (request, record) = recorded(get());
    let Ok(response) = router.call(request).await;
    assert_eq!(in_use(&upstream), (1, 1));
    drop(response);
    assert_eq!(in_use(&upstream), (0, 0));
    assert_eq!(record.note(|entry| entry.flags.to_string()), "DC");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_was_read_is_not_taken_for_one_that_was_dropped() {
    for pieces in [vec![], vec![0], vec![0, 10]] {
        let client = Client::new(move |_, _| {
            let pieces = pieces.clone();
            async move { Ok(Response::new(Body::new(Drip::new(pieces)))) }
        });
        let mesh = Mesh::new(forward());
        let upstream = mesh.upstream();
        let mut router = mesh.router_over(std::slice::from_ref(&upstream), &client);
        let (request, record) = recorded(get());
        let Ok(response) = router.call(request).await;
        crate::harness::bytes(response.into_body()).await.unwrap();
        assert_eq!(in_use(&upstream), (0, 0));
        assert_eq!(record.note(|entry| entry.flags.to_string()), "-");
    }
}
