//! What a traffic policy makes of connections. Flags are Envoy's.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::lb::OutlierDetection;
use mesh_core::limits::BucketSettings;
use mesh_core::model::NamespacedHostname;
use mesh_core::outcome::Outcome;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::{Bench, TestConnector, TestLookup, refused, unreachable};
use crate::proxy::testing::{Recorder, Seen, addr, mesh, resolver_in, socket};
use crate::proxy::{MeshTraffic, Outbound, ServiceSettings};

const WEB: &str = "10.96.0.1:80";
const SECOND: Duration = Duration::from_secs(1);

/// A bench whose service `web` has settings.
fn governed(
    answers: impl IntoIterator<Item = super::Answer>,
    change: impl FnOnce(&mut ServiceSettings),
) -> (Bench, Arc<MeshTraffic>) {
    let store = mesh();
    let traffic = Arc::new(MeshTraffic::new(store.watch()));
    let mut web = ServiceSettings::new(NamespacedHostname::new("default", "web"));
    change(&mut web);
    traffic.replace(vec![web]);
    let connector = TestConnector::default();
    connector.answers.lock().extend(answers);
    let recorder = Arc::<Recorder>::default();
    let outbound = Outbound::new(
        resolver_in(&store, "a"),
        connector.clone(),
        TestLookup,
        recorder.clone(),
    );
    let bench = Bench {
        outbound: outbound.with_traffic_policy(traffic.clone()),
        connector,
        recorder,
    };
    (bench, traffic)
}

fn last(bench: &Bench) -> Seen {
    bench.recorder.seen().pop().unwrap()
}

#[tokio::test]
async fn a_connection_counts_until_it_has_ended_and_one_too_many_is_reset() {
    let (upstream, server, _) = socket();
    let (mut bench, traffic) = governed([Ok(upstream)], |web| web.settings.max_connections = 1);
    let (serving, mut app, _) = bench.open(WEB);
    let serving = tokio::spawn(serving);
    app.write_all(b"x").await.unwrap();
    while bench.recorder.traffic.received() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(traffic.counts()[0].connections, 1);

    let (second, _app, watch) = bench.open(WEB);
    assert_eq!(second.await.unwrap_err().outcome(), Outcome::Overflow);
    assert!(watch.was_reset());
    let Seen::Closed {
        destination,
        outcome,
        error,
        ..
    } = last(&bench)
    else {
        panic!("{:?}", bench.recorder.seen());
    };
    assert_eq!((destination, outcome), (addr(WEB), Outcome::Overflow));
    assert_eq!(outcome.response_flags(), "UO");
    assert_eq!(
        error.unwrap(),
        "connection closed due to the limit of connections to default/web:80"
    );
    let record = bench.recorder.last();
    assert_eq!(record.service.unwrap().spec().hostname, "web");
    assert!(record.destination.is_none(), "no endpoint was chosen");

    drop((app, server));
    serving.await.unwrap().unwrap();
    assert_eq!(traffic.counts()[0].connections, 0);
    assert_eq!(bench.legs().len(), 1);
}

#[tokio::test]
async fn too_many_new_connections_are_reset() {
    let rate = BucketSettings::new(1, 1, Duration::from_hours(1)).unwrap();
    let (upstream, _, _) = socket();
    let (mut bench, _) = governed([Ok(upstream)], |web| web.connection_rate = Some(rate));
    let (first, app, _) = bench.open(WEB);
    drop(app);
    let _ = first.await;
    let (second, _app, watch) = bench.open(WEB);
    let outcome = second.await.unwrap_err().outcome();
    assert_eq!(
        (outcome, outcome.response_flags()),
        (Outcome::RateLimited, "RL")
    );
    assert!(watch.was_reset());
    assert!(matches!(
        last(&bench),
        Seen::Closed {
            outcome: Outcome::RateLimited,
            ..
        }
    ));
}

#[tokio::test]
async fn as_many_endpoints_are_tried_as_the_settings_say() {
    for (attempts, tries) in [(1, 1), (2, 2), (3, 3), (9, 3)] {
        let (mut bench, traffic) = governed((0..9).map(|_| Err(unreachable())), |web| {
            web.settings.attempts = attempts.try_into().unwrap();
        });
        let (serving, _app, watch) = bench.open(WEB);
        let error = serving.await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::ConnectFailure, "{attempts}");
        let mut legs = bench.legs();
        legs.sort();
        legs.dedup();
        assert_eq!(
            legs.len(),
            tries,
            "{attempts}: each of three endpoints once"
        );
        assert!(watch.was_reset());
        let counts = &traffic.counts()[0];
        assert_eq!(counts.retries, tries as u64 - 1, "{attempts}");
        assert_eq!((counts.failures, counts.connections), (tries as u64, 0));
    }
}

#[tokio::test]
async fn what_policy_refuses_is_not_tried_again_nor_held_against_the_endpoint() {
    let (mut bench, traffic) = governed([Err(refused(401))], |_| {});
    let (serving, _app, _) = bench.open(WEB);
    assert_eq!(serving.await.unwrap_err().outcome(), Outcome::Refused);
    assert_eq!(bench.legs().len(), 1);
    assert_eq!(traffic.counts()[0].failures, 0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_takes_too_long_is_given_up_for_another() {
    // Nothing ever answers.
    let (mut bench, traffic) = governed([], |web| {
        web.settings.connect_timeout = Some(2 * SECOND);
        web.settings.attempts = 2.try_into().unwrap();
    });
    let began = Instant::now();
    let (serving, _app, watch) = bench.open(WEB);
    let outcome = serving.await.unwrap_err().outcome();
    assert_eq!(
        (outcome, outcome.response_flags()),
        (Outcome::UpstreamTimeout, "UF")
    );
    assert_eq!(began.elapsed(), 4 * SECOND);
    assert_eq!(bench.legs().len(), 2);
    assert!(watch.was_reset());
    assert_eq!(traffic.counts()[0].failures, 2);
}

#[tokio::test]
async fn a_connection_without_an_endpoint_that_is_in_is_reset() {
    let mut outlier = OutlierDetection::default();
    (outlier.consecutive_5xx, outlier.max_percent) = (Some(1), 100);
    let (mut bench, _) = governed((0..9).map(|_| Err(unreachable())), |web| {
        web.settings.balancing.outlier = Some(outlier);
    });
    let (first, _app, _) = bench.open(WEB);
    assert_eq!(first.await.unwrap_err().outcome(), Outcome::ConnectFailure);
    let (second, _app, watch) = bench.open(WEB);
    let outcome = second.await.unwrap_err().outcome();
    assert_eq!(
        (outcome, outcome.response_flags()),
        (Outcome::NoEndpoint, "UH")
    );
    assert_eq!(bench.legs().len(), 3, "nothing more was tried");
    assert!(watch.was_reset());
    assert!(matches!(
        last(&bench),
        Seen::Closed {
            outcome: Outcome::NoEndpoint,
            ..
        }
    ));
}

#[tokio::test]
async fn what_is_not_a_service_is_of_no_concern_to_the_policy() {
    for destination in ["10.0.1.1:8080", "10.0.0.9:80", "198.51.100.7:443"] {
        let (upstream, _, _) = socket();
        let (mut bench, _) = governed([Ok(upstream)], |web| web.settings.max_connections = 0);
        let (serving, app, _) = bench.open(destination);
        drop(app);
        let _ = serving.await;
        assert_eq!(bench.legs().len(), 1, "{destination}");
    }
}

#[tokio::test]
async fn an_application_that_goes_away_gives_its_place_back() {
    let (mut bench, traffic) = governed([], |_| {});
    let (serving, _app, watch) = bench.open(WEB);
    let serving = tokio::spawn(serving);
    while bench.connector.legs.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(traffic.counts()[0].connections, 1);
    watch.go();
    assert_eq!(
        serving.await.unwrap().unwrap_err().outcome(),
        Outcome::Reset
    );
    let counts = &traffic.counts()[0];
    assert_eq!((counts.connections, counts.failures), (0, 0));
}
