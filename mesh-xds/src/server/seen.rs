//! What clients asked for, for tests to wait on.

use tokio::sync::mpsc;

use crate::wire::discovery::DeltaDiscoveryRequest;

/// Something that a client did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Seen {
    /// It opened a stream.
    Opened {
        /// The number of the stream, counted from 0 since the [`Discovery`](super::Discovery) was
        /// made.
        stream: u64,
        /// The metadata of the call that is text.
        metadata: Vec<(String, String)>,
    },
    /// It sent a request: a subscription, an acknowledgement or a rejection.
    Request {
        /// The stream.
        stream: u64,
        /// The request.
        request: Box<DeltaDiscoveryRequest>,
    },
    /// The stream is over.
    Closed {
        /// The stream.
        stream: u64,
    },
}

/// What clients do, from when it was [asked for](super::Discovery::requests) on.
#[derive(Debug)]
pub struct Requests(pub(super) mpsc::UnboundedReceiver<Seen>);

impl Requests {
    /// The next event; `None` when the server and its state are gone.
    ///
    /// # Cancellation
    /// No event is lost.
    pub async fn next(&mut self) -> Option<Seen> {
        self.0.recv().await
    }

    /// Skips events until there is one of which `pick` makes something; `None` as for
    /// [`next`](Self::next).
    pub async fn find<T>(&mut self, mut pick: impl FnMut(&Seen) -> Option<T>) -> Option<T> {
        while let Some(seen) = self.next().await {
            if let Some(picked) = pick(&seen) {
                return Some(picked);
            }
        }
        None
    }

    /// Skips events until a response of the type has been acknowledged, or rejected: then with the
    /// explanation.
    pub async fn acknowledged(&mut self, type_url: &str) -> Option<Result<(), String>> {
        self.find(|seen| match seen {
            Seen::Request { request, .. }
                if request.type_url == type_url && !request.response_nonce.is_empty() =>
            {
                let error = request.error_detail.as_ref();
                Some(error.map_or(Ok(()), |error| Err(error.message.clone())))
            }
            _ => None,
        })
        .await
    }
}
