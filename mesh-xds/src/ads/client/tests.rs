//! Servers that take connections and say nothing, with paused time.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::delta::{Applied, Change, Interest, Resources};
use crate::server::Discovery;
use crate::testing::{Network, Server};
use crate::wire::discovery::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;

struct Nothing;

impl Resources for Nothing {
    fn type_url(&self) -> &str {
        "type.googleapis.com/test.Nothing"
    }
    fn apply(&mut self, _: Change) -> Applied {
        Applied::default()
    }
}

/// When streams ended, and how.
struct Ends(mpsc::UnboundedSender<(Instant, Termination, bool)>);

impl AdsObserver for Ends {
    fn terminated(&self, reason: Termination, error: Option<&AdsError>) {
        let silent = matches!(error, Some(AdsError::Silent));
        let _ = self.0.send((Instant::now(), reason, silent));
    }
}

struct World {
    network: Arc<Network>,
    discovery: Discovery,
    _server: Server,
    ends: mpsc::UnboundedReceiver<(Instant, Termination, bool)>,
    client: tokio::task::JoinHandle<Infallible>,
}

impl World {
    /// A client of a server that answers connections, PINGs and calls, and holds all responses.
    fn new(interest: Interest) -> Self {
        let (network, discovery) = (Network::new(), Discovery::new());
        discovery.faults().hold(true);
        let service = AggregatedDiscoveryServiceServer::new(discovery.clone());
        let server = Server::start(&network, None, service);
        let endpoint = ControlEndpoint::builder("http://localhost:15010");
        let endpoint = endpoint.dialer(network.clone()).build().unwrap();
        let (sender, ends) = mpsc::unbounded_channel();
        let client = AdsClient::builder(endpoint, NodeIdentity::new("ztunnel", "pod", "ns"))
            .subscribe(Subscription::new(Nothing).interest(interest))
            .observer(Ends(sender))
            .random(|| u64::MAX)
            .build();
        Self {
            network,
            discovery,
            _server: server,
            ends,
            client: tokio::spawn(client.run()),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.client.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_after_a_minute_and_dialled_again() {
    let mut world = World::new(Interest::All);
    let start = Instant::now();
    let minute = Duration::from_secs(60);
    for (pause, dialled) in [(0, 1), (20, 2), (40, 3)] {
        let begun = Instant::now() + Duration::from_millis(pause);
        let ended = tokio::time::timeout(5 * minute, world.ends.recv()).await;
        let (at, reason, silent) = ended.unwrap().unwrap();
        assert_eq!((reason, silent), (Termination::ConnectionError, true));
        let late = at.saturating_duration_since(begun + minute);
        assert!(
            at >= begun + minute && late < Duration::from_secs(1),
            "{late:?}"
        );
        assert_eq!(world.network.dialled().len(), dialled);
    }
    assert!(start.elapsed() >= 3 * minute);
    // One that answers at last is kept, silent as it may be from then on.
    world.discovery.faults().hold(false);
    tokio::time::sleep(10 * minute).await;
    assert!(world.ends.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_question_may_stay_silent() {
    let mut world = World::new(Interest::OnDemand);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(world.ends.try_recv().is_err());
    assert_eq!(world.network.dialled().len(), 1);
}
