//! The client: one stream after the other.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tracing::{debug, info, warn};

use super::backoff::{Backoff, termination};
use super::clock::now;
use super::demand::{ASKS, Ask, Demand};
use super::driver::{Driver, Outgoing};
use super::node::NodeIdentity;
use super::observer::{AdsError, AdsObserver, Termination};
use super::probe::{Client, MESSAGES};
use super::progress::{Noted, Progress};
use crate::control::ControlEndpoint;
use crate::delta::{Delta, DeltaConfig, Received, Subscription};
use crate::wire::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;

/// The longest response that is read, in bytes: 200 MiB. Source: Istio.
const RESPONSE: usize = 200 * 1024 * 1024;

/// How a stream ended, and how long after its first response, if there was one.
type Ended = (Termination, Option<Duration>, Option<AdsError>);

/// Sets up an [`AdsClient`].
#[must_use]
pub struct AdsClientBuilder {
    endpoint: ControlEndpoint,
    node: NodeIdentity,
    config: DeltaConfig,
    subscriptions: Vec<Subscription>,
    observer: Arc<dyn AdsObserver>,
    longest_response: usize,
    random: Box<dyn FnMut() -> u64 + Send>,
}

/// A client of a control plane. It does nothing until it is [run](Self::run).
#[must_use]
pub struct AdsClient {
    endpoint: Arc<ControlEndpoint>,
    observer: Arc<dyn AdsObserver>,
    driver: Driver,
    asks: mpsc::Sender<Ask>,
    longest_response: usize,
    random: Box<dyn FnMut() -> u64 + Send>,
    synced: bool,
}

impl AdsClient {
    /// A client of the control plane at an endpoint.
    pub fn builder(endpoint: ControlEndpoint, node: NodeIdentity) -> AdsClientBuilder {
        AdsClientBuilder {
            endpoint,
            node,
            config: DeltaConfig::default(),
            subscriptions: Vec::new(),
            observer: Arc::new(()),
            longest_response: RESPONSE,
            random: Box::new(seeded()),
        }
    }

    /// Fetches single resources of a type with the interest
    /// [`OnDemand`](crate::delta::Interest::OnDemand).
    #[must_use]
    pub fn demand(&self, type_url: &str) -> Demand {
        Demand {
            type_url: type_url.into(),
            asks: self.asks.clone(),
        }
    }

    /// Fills the sinks and keeps them up to date, for ever.
    ///
    /// # Cancellation
    /// Dropping the future closes the stream. The sinks keep what they have.
    pub async fn run(mut self) -> Infallible {
        // Only others are to keep the channel of demands open.
        drop(std::mem::replace(&mut self.asks, mpsc::channel(1).0));
        let mut backoff = Backoff::new();
        loop {
            let (end, brought, error) = self.connection().await;
            self.driver.delta.closed();
            let wait = backoff.after(end, brought, &mut self.random);
            self.ended(end, error.as_ref(), wait);
            self.driver.attend(tokio::time::sleep(wait)).await;
        }
    }

    fn ended(&self, end: Termination, error: Option<&AdsError>, wait: Duration) {
        self.observer.terminated(end, error);
        let error = error.map(|error| error as &dyn std::error::Error);
        let (address, reason) = (self.endpoint.address(), end.as_str());
        match end {
            Termination::ConnectionError | Termination::Error => {
                warn!(address, reason, error, ?wait, "the control plane is away");
            }
            Termination::Reconnect | Termination::Complete => {
                debug!(address, reason, error, ?wait, "the stream has ended");
            }
        }
    }

    /// One connection with one stream: how it ended, and how long after its first response, if there
    /// was one.
    async fn connection(&mut self) -> Ended {
        let Self {
            endpoint, driver, ..
        } = self;
        let prepared = async {
            let metadata = endpoint.metadata().await?;
            Ok((metadata, endpoint.connect().await?))
        };
        let (metadata, channel) = match driver.attend(prepared).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let error = AdsError::Control(error);
                return (Termination::ConnectionError, None, Some(error));
            }
        };
        let progress = Progress::new();
        let noted = Noted {
            channel: channel.clone(),
            progress: progress.clone(),
        };
        let client = AggregatedDiscoveryServiceClient::new(noted)
            .max_decoding_message_size(self.longest_response);
        let (sender, receiver) = mpsc::channel(MESSAGES);
        let probes = Client::new(channel).max_decoding_message_size(self.longest_response);
        let mut out = Outgoing::new(sender, probes, endpoint.clone(), progress);
        let mut request = tonic::Request::new(ReceiverStream::new(receiver));
        *request.metadata_mut() = metadata;
        self.stream(client, request, &mut out).await
    }

    async fn stream(
        &mut self,
        mut client: AggregatedDiscoveryServiceClient<Noted>,
        request: tonic::Request<ReceiverStream<crate::wire::discovery::DeltaDiscoveryRequest>>,
        out: &mut Outgoing,
    ) -> Ended {
        // Servers answer the call with their first response: requests are sent before that.
        self.driver.delta.opened(now());
        let call = client.delta_aggregated_resources(request);
        let mut responses = match self.driver.drive_in_time(out, call).await {
            Some(Ok(response)) => response.into_inner(),
            Some(Err(status)) => {
                let error = AdsError::from(&status);
                return (Termination::ConnectionError, None, Some(error));
            }
            None => return (Termination::ConnectionError, None, Some(AdsError::Silent)),
        };
        info!(
            address = self.endpoint.address(),
            "connected to the control plane"
        );
        self.observer.connected();
        let mut first: Option<Instant> = None;
        loop {
            let message = self.driver.drive_in_time(out, responses.message()).await;
            let brought = first.map(|first| now().saturating_duration_since(first));
            let response = match message {
                Some(Ok(Some(response))) => response,
                Some(Ok(None)) => return (Termination::Complete, brought, None),
                Some(Err(status)) => {
                    return (termination(&status), brought, Some(AdsError::from(&status)));
                }
                None => return (Termination::ConnectionError, None, Some(AdsError::Silent)),
            };
            first.get_or_insert_with(now);
            let bytes = response.encoded_len();
            let received = self.driver.delta.receive(response, now());
            self.report(&received, bytes);
        }
    }

    fn report(&mut self, received: &Received, bytes: usize) {
        let type_url = &received.type_url;
        if !received.is_known {
            warn!(
                type_url,
                "the control plane sent a type that was not asked for"
            );
        }
        for rejection in &received.rejected {
            let name = &*rejection.name;
            warn!(
                type_url,
                name,
                reason = rejection.reason,
                "resource rejected"
            );
        }
        if received.ignored > 0 {
            debug!(
                type_url,
                fields = received.ignored,
                "values of a newer version ignored"
            );
        }
        self.observer.received(received, bytes);
        if !self.synced && self.driver.delta.is_synced() {
            self.synced = true;
            self.observer.synced();
        }
    }
}

impl AdsClientBuilder {
    /// Adds a type of resources. The types are subscribed in the order in which they are added;
    /// addresses belong before policies.
    pub fn subscribe(mut self, subscription: Subscription) -> Self {
        self.subscriptions.push(subscription);
        self
    }

    /// Limits and times; the node in it is replaced.
    pub fn config(self, config: DeltaConfig) -> Self {
        Self { config, ..self }
    }

    /// Who hears what the client does; default nobody.
    pub fn observer(self, observer: impl AdsObserver) -> Self {
        let observer = Arc::new(observer);
        Self { observer, ..self }
    }

    /// The longest response that is read, in bytes; default 200 MiB. A longer one ends the stream.
    pub fn longest_response(self, longest_response: usize) -> Self {
        Self {
            longest_response,
            ..self
        }
    }

    /// Where the random part of pauses comes from; default a generator with a seed of its own.
    pub fn random(self, random: impl FnMut() -> u64 + Send + 'static) -> Self {
        let random = Box::new(random);
        Self { random, ..self }
    }

    /// The client.
    pub fn build(self) -> AdsClient {
        let config = DeltaConfig {
            node: self.node.encode(),
            ..self.config
        };
        let (asks, receiver) = mpsc::channel(ASKS);
        AdsClient {
            endpoint: Arc::new(self.endpoint),
            observer: self.observer,
            driver: Driver::new(Delta::new(config, self.subscriptions), receiver),
            asks,
            longest_response: self.longest_response,
            random: self.random,
            synced: false,
        }
    }
}

/// Numbers that differ from process to process, which is all that pauses need.
fn seeded() -> impl FnMut() -> u64 + Send {
    use std::hash::{BuildHasher, RandomState};
    let state = RandomState::new();
    let mut count = 0_u64;
    move || {
        count = count.wrapping_add(1);
        state.hash_one(count)
    }
}

impl fmt::Debug for AdsClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdsClientBuilder")
            .field("endpoint", &self.endpoint)
            .field("subscriptions", &self.subscriptions)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AdsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdsClient")
            .field("endpoint", &self.endpoint)
            .field("delta", &self.driver.delta)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
