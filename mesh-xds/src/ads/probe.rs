//! The stream of a probe: one question about resources in doubt.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tracing::debug;

use super::observer::AdsError;
use crate::control::{ControlChannel, ControlEndpoint};
use crate::wire::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use crate::wire::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};

/// What opens streams.
pub(super) type Client = AggregatedDiscoveryServiceClient<ControlChannel>;

/// Requests between the machine and HTTP/2; further ones wait in the machine.
pub(super) const MESSAGES: usize = 8;

/// A stream beside the client's own, which ends when this is dropped.
pub(super) struct ProbeStream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: mpsc::Receiver<DeltaDiscoveryResponse>,
    task: JoinHandle<()>,
}

impl ProbeStream {
    pub(super) fn open(
        client: Client,
        endpoint: Arc<ControlEndpoint>,
        first: DeltaDiscoveryRequest,
    ) -> Self {
        let (requests, outgoing) = mpsc::channel(MESSAGES);
        let (incoming, responses) = mpsc::channel(1);
        // The channel is empty: the first one fits.
        let _ = requests.try_send(first);
        let task = tokio::spawn(async move {
            if let Err(error) = forward(client, &endpoint, outgoing, incoming).await {
                let error = &error as &dyn std::error::Error;
                debug!(error, "a probe of the control plane failed");
            }
        });
        Self {
            requests,
            responses,
            task,
        }
    }

    /// The next response; `None` once the stream has ended.
    pub(super) async fn next(&mut self) -> Option<DeltaDiscoveryResponse> {
        self.responses.recv().await
    }

    /// Acknowledges a response. A server that reads so little is not waited for.
    pub(super) fn acknowledge(&self, request: DeltaDiscoveryRequest) {
        let _ = self.requests.try_send(request);
    }
}

impl Drop for ProbeStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(
    mut client: Client,
    endpoint: &ControlEndpoint,
    outgoing: mpsc::Receiver<DeltaDiscoveryRequest>,
    incoming: mpsc::Sender<DeltaDiscoveryResponse>,
) -> Result<(), AdsError> {
    let failed = |status: tonic::Status| AdsError::from(&status);
    // The token may have changed since the client's own stream was opened.
    let request = endpoint.request(ReceiverStream::new(outgoing)).await?;
    let opened = client.delta_aggregated_resources(request).await;
    let mut stream = opened.map_err(failed)?.into_inner();
    while let Some(response) = stream.message().await.map_err(failed)? {
        if incoming.send(response).await.is_err() {
            break;
        }
    }
    Ok(())
}
