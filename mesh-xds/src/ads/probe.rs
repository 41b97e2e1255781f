//! The stream of a probe: one question about resources in doubt.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tracing::debug;

use crate::control::ControlChannel;
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
        metadata: MetadataMap,
        first: DeltaDiscoveryRequest,
    ) -> Self {
        let (requests, outgoing) = mpsc::channel(MESSAGES);
        let (incoming, responses) = mpsc::channel(1);
        // The channel is empty: the first one fits.
        let _ = requests.try_send(first);
        let task = tokio::spawn(async move {
            if let Err(status) = forward(client, metadata, outgoing, incoming).await {
                debug!(%status, "a probe of the control plane failed");
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
    metadata: MetadataMap,
    outgoing: mpsc::Receiver<DeltaDiscoveryRequest>,
    incoming: mpsc::Sender<DeltaDiscoveryResponse>,
) -> Result<(), tonic::Status> {
    let mut request = tonic::Request::new(ReceiverStream::new(outgoing));
    *request.metadata_mut() = metadata;
    let mut stream = client
        .delta_aggregated_resources(request)
        .await?
        .into_inner();
    while let Some(response) = stream.message().await? {
        if incoming.send(response).await.is_err() {
            break;
        }
    }
    Ok(())
}
