//! Connections of bytes: l7.md 2.17.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::lb::{Algorithm, Event, HostSpec, OutlierDetection, RingSize, SmallFleet};
use mesh_core::outcome::Outcome;
use mesh_core::random::ThreadRandom;
use tokio::time::{Instant, sleep};
use tower_service::Service;

use super::{ConnectSettings, Connected, NotConnected, Reason, connect};
use crate::record::Flags;
use crate::route::HashInput;
use crate::target::ServiceTarget;
use crate::upstream::{ClusterSettings, Protocol, Upstream};

/// Hosts that cannot be connected to begin with `bad`, those that do not answer with `slow`.
#[derive(Clone, Default)]
struct Dialer(Arc<AtomicU32>);

impl Service<&'static str> for Dialer {
    type Response = &'static str;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<&'static str>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, host: &'static str) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if host.starts_with("slow") {
                sleep(Duration::from_hours(1)).await;
            }
            match host.starts_with("bad") {
                true => Err(io::ErrorKind::ConnectionRefused.into()),
                false => Ok(host),
            }
        })
    }
}

fn upstream(hosts: &[&'static str], settings: ClusterSettings) -> Upstream<&'static str> {
    let target = ServiceTarget {
        namespace: "shop".into(),
        hostname: "db".into(),
        port: 5432,
        subset: None,
    };
    let hosts = hosts.iter().map(|host| HostSpec::new(*host, *host));
    let now = Instant::now().into_std();
    Upstream::new(target, settings, Protocol::Client, hosts.collect(), now)
}

async fn dial(
    upstream: &Upstream<&'static str>,
    source: &str,
) -> Result<Connected<&'static str, &'static str>, NotConnected<&'static str>> {
    let source: IpAddr = source.parse().unwrap();
    let settings = ConnectSettings::default();
    connect(
        Dialer::default(),
        upstream,
        source,
        &settings,
        &mut ThreadRandom,
    )
    .await
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_is_given_up_for_another_one() {
    let upstream = upstream(&["bad", "good"], ClusterSettings::default());
    for _ in 0..20 {
        let connected = dial(&upstream, "10.0.0.1").await.unwrap();
        assert_eq!(connected.io, "good");
        assert!(connected.attempts <= 3);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_more_than_three_times() {
    let cases = [
        ("refused", "bad", Outcome::ConnectFailure),
        ("silent", "slow", Outcome::ConnectTimeout),
    ];
    for (name, host, outcome) in cases {
        let upstream = upstream(&[host], ClusterSettings::default());
        let began = Instant::now();
        let failed = dial(&upstream, "10.0.0.1").await.unwrap_err();
        assert_eq!(failed.attempts, 3, "{name}");
        assert_eq!(failed.reason.outcome(), outcome, "{name}");
        assert_eq!(failed.reason.flags(), Flags::UPSTREAM_CONNECT, "{name}");
        assert_eq!(failed.host.unwrap().spec().key.as_str(), host, "{name}");
        if host == "slow" {
            // The mesh's default for one attempt is 10 s; pauses are up to 25 and 75 ms.
            let took = began.elapsed().as_millis();
            assert!((30_000..=30_100).contains(&took), "{took}");
        }
        // Nothing is held any more.
        assert_eq!(upstream.cluster.hosts().hosts()[0].active(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_may_give_less_time() {
    let settings = ClusterSettings {
        connect_timeout: Some(Duration::from_secs(1)),
        ..ClusterSettings::default()
    };
    let upstream = upstream(&["slow"], settings);
    let began = Instant::now();
    let failed = dial(&upstream, "10.0.0.1").await.unwrap_err();
    assert!(matches!(failed.reason, Reason::Timeout));
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted_while_they_are_there() {
    let mut settings = ClusterSettings::default();
    settings.breaker.connections = 1;
    let upstream = upstream(&["good"], settings);
    let first = dial(&upstream, "10.0.0.1").await.unwrap();
    assert_eq!(first.host.active(), 1);
    let refused = dial(&upstream, "10.0.0.1").await.unwrap_err();
    assert_eq!(refused.reason.flags(), Flags::OVERFLOW);
    assert_eq!(
        (refused.reason.outcome(), refused.attempts),
        (Outcome::Overflow, 0)
    );
    drop(first);
    assert!(dial(&upstream, "10.0.0.1").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_upstream_without_hosts_is_said_to_have_none() {
    let upstream = upstream(&[], ClusterSettings::default());
    let failed = dial(&upstream, "10.0.0.1").await.unwrap_err();
    assert_eq!(failed.reason.flags(), Flags::NO_HOST);
    assert_eq!(failed.reason.outcome(), Outcome::NoEndpoint);
}

#[tokio::test(start_paused = true)]
async fn hosts_that_refuse_are_taken_out() {
    let mut settings = ClusterSettings::default();
    let mut outlier = OutlierDetection::default();
    outlier.consecutive_5xx = Some(2);
    outlier.small_fleet = SmallFleet::One;
    settings.balancing.outlier = Some(outlier);
    let upstream = upstream(&["bad", "good"], settings);
    for _ in 0..50 {
        let connected = dial(&upstream, "10.0.0.1").await.unwrap();
        assert_eq!(connected.io, "good");
    }
    let hosts = upstream.cluster.hosts();
    let ejected: Vec<bool> = hosts.hosts().iter().map(|host| host.is_ejected()).collect();
    assert_eq!(ejected, [true, false]);
    let good = &hosts.hosts()[1];
    assert_eq!(
        upstream
            .cluster
            .report(good, Event::Success, Instant::now().into_std(), &mut || 0),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn clients_stay_with_their_host_where_they_are_placed_by_address() {
    let mut settings = ClusterSettings::default();
    settings.balancing.algorithm = Algorithm::RingHash(RingSize::default());
    settings.hashing.inputs = vec![HashInput::SourceAddress];
    let upstream = upstream(&["a", "b", "c"], settings);
    let mut used = BTreeSet::new();
    for client in 0..30 {
        let client = format!("10.0.0.{client}");
        let first = dial(&upstream, &client).await.unwrap().io;
        for _ in 0..5 {
            assert_eq!(dial(&upstream, &client).await.unwrap().io, first);
        }
        used.insert(first);
    }
    assert_eq!(used.len(), 3);
}
