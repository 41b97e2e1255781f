//! Servers that take connections and say nothing, with paused time.

use std::collections::VecDeque;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tower_service::Service;

use super::*;
use crate::delta::{Applied, Change, Interest, Resources};
use crate::server::Discovery;
use crate::testing::{Network, Server};
use crate::wire::discovery::DeltaDiscoveryResponse;
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
        Self::of(network, discovery, server, interest)
    }

    fn of(network: Arc<Network>, discovery: Discovery, server: Server, interest: Interest) -> Self {
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

/// A body whose parts come one by one, and which then stays open.
struct Trickle {
    parts: VecDeque<Bytes>,
    pause: Duration,
    next: Pin<Box<Sleep>>,
}

impl HttpBody for Trickle {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::ready!(self.next.as_mut().poll(context));
        let Some(part) = self.parts.pop_front() else {
            return Poll::Pending;
        };
        let pause = self.pause;
        self.next.as_mut().reset(Instant::now() + pause);
        Poll::Ready(Some(Ok(Frame::data(part))))
    }
}

/// A server that answers every call with the first parts of a response in five.
#[derive(Clone)]
struct Slow {
    pause: Duration,
    parts: usize,
}

impl Service<http::Request<Incoming>> for Slow {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Incoming>) -> Self::Future {
        let response = DeltaDiscoveryResponse {
            type_url: Nothing.type_url().to_owned(),
            nonce: "n".repeat(1000),
            ..DeltaDiscoveryResponse::default()
        };
        // A message of gRPC: not compressed, length, content.
        let mut message = vec![0];
        let length = u32::try_from(response.encoded_len()).unwrap();
        message.extend(length.to_be_bytes());
        message.extend(response.encode_to_vec());
        let parts = message.chunks(message.len().div_ceil(5)).take(self.parts);
        let body = Trickle {
            parts: parts.map(Bytes::copy_from_slice).collect(),
            pause: self.pause,
            next: Box::pin(tokio::time::sleep(self.pause)),
        };
        let response = http::Response::builder().header("content-type", "application/grpc");
        ready(Ok(response.body(Body::new(body)).unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_response_may_take_its_time_as_long_as_it_goes_on() {
    let second = Duration::from_secs(1);
    // Pause, parts of five, when the stream is given up.
    let cases = [
        ("slow and whole", 50, 5, None),
        ("stops in the middle", 50, 3, Some(150 + 60)),
        ("too slow", 61, 5, Some(60)),
        ("nothing", 1, 0, Some(60)),
    ];
    for (name, pause, parts, given_up) in cases {
        let network = Network::new();
        let pause = pause * second;
        let server = Server::start(&network, None, Slow { pause, parts });
        let mut world = World::of(network, Discovery::new(), server, Interest::All);
        let start = Instant::now();
        let ended = tokio::time::timeout(3600 * second, world.ends.recv()).await;
        match given_up {
            None => assert!(ended.is_err(), "{name}: {ended:?}"),
            Some(after) => {
                let (at, reason, silent) = ended.expect(name).unwrap();
                assert_eq!(
                    (reason, silent),
                    (Termination::ConnectionError, true),
                    "{name}"
                );
                assert_eq!((at - start).as_secs(), after, "{name}");
            }
        }
    }
}
