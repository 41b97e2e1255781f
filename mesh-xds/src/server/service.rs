//! Sessions over gRPC.

use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::KeyAndValueRef;
use tonic::{Request, Response, Status, Streaming};

use super::discovery::Discovery;
use super::seen::Seen;
use super::session::Session;
use crate::wire::discovery::aggregated_discovery_service_server::AggregatedDiscoveryService;
use crate::wire::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};

/// Responses that a client has not read before the server waits for it.
const RESPONSES: usize = 4;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Discovery {
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let stream = self.next_stream();
        let texts = request.metadata().iter().filter_map(|pair| match pair {
            KeyAndValueRef::Ascii(key, value) => {
                let value = value.to_str().ok()?;
                Some((key.as_str().to_owned(), value.to_owned()))
            }
            KeyAndValueRef::Binary(..) => None,
        });
        let metadata = texts.collect();
        self.saw(&Seen::Opened { stream, metadata });
        let (sender, receiver) = mpsc::channel(RESPONSES);
        tokio::spawn(serve(self.clone(), stream, request.into_inner(), sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

type Sender = mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>;

/// Serves one stream until the client is gone.
async fn serve(
    discovery: Discovery,
    stream: u64,
    mut requests: Streaming<DeltaDiscoveryRequest>,
    sender: Sender,
) {
    let mut session = Session::default();
    let mut changed = discovery.changed();
    loop {
        let split = discovery.faults().current_split();
        let responses = tokio::select! {
            request = requests.message() => match request {
                Ok(Some(request)) => {
                    let seen = Seen::Request { stream, request: Box::new(request.clone()) };
                    discovery.saw(&seen);
                    discovery.read(|state| session.request(request, state, split))
                }
                Ok(None) | Err(_) => break,
            },
            Ok(()) = changed.changed() => discovery.read(|state| session.changes(state, split)),
            () = sender.closed() => break,
        };
        if send(&discovery, &sender, responses).await.is_err() {
            break;
        }
    }
    discovery.saw(&Seen::Closed { stream });
}

async fn send(
    discovery: &Discovery,
    sender: &Sender,
    responses: Vec<DeltaDiscoveryResponse>,
) -> Result<(), ()> {
    for response in responses {
        discovery.faults().pass().await;
        sender.send(Ok(response)).await.map_err(drop)?;
    }
    Ok(())
}
