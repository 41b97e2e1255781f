//! One CONNECT request on one connection.

use http::{Method, Request, StatusCode, Uri};
use tokio::time::timeout;

use super::error::Error;
use super::link::StreamSlot;
use super::settings::Settings;
use super::target::Target;
use crate::tunnel::Tunnel;

/// A failed request: whether the peer may have acted on it.
pub(super) enum Failed {
    Unprocessed(Error),
    /// There are more requests on the connection than the peer turned out to allow.
    Crowded(Error),
    Final(Error),
}

impl Failed {
    pub(super) fn into_error(self) -> Error {
        let (Self::Unprocessed(error) | Self::Crowded(error) | Self::Final(error)) = self;
        error
    }
}

/// Sends the CONNECT request and waits for its answer.
pub(super) async fn request(
    slot: &StreamSlot,
    settings: &Settings,
    target: &Target,
) -> Result<Tunnel, Failed> {
    let link = slot.link();
    let endpoint = target.endpoint;
    let uri = authority(target)?;
    let mut head = Request::new(());
    *head.method_mut() = Method::CONNECT;
    *head.uri_mut() = uri;
    *head.headers_mut() = target.headers.clone();
    let exchange = async {
        let unprocessed = |source| Failed::Unprocessed(Error::Http2 { endpoint, source });
        let gone = || {
            Failed::Unprocessed(Error::Http2 {
                endpoint,
                source: GONE.into(),
            })
        };
        let sender = link.sender().ok_or_else(gone)?;
        let mut ready = sender.ready().await.map_err(unprocessed)?;
        let crowded_out = link.crowded_out(link.begin(), settings.max_streams);
        let (answer, send) = ready.send_request(head, false).map_err(|source| {
            // What the library refuses to send says nothing about the connection.
            if source.is_io() || source.is_go_away() {
                unprocessed(source)
            } else {
                Failed::Final(Error::Http2 { endpoint, source })
            }
        })?;
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = crowded_out => return Err(Failed::Crowded(Error::Http2 {
                endpoint,
                source: GONE.into(),
            })),
        };
        match answer {
            Ok(answer) => Ok((answer, send)),
            Err(source) if is_unprocessed(&source) => Err(unprocessed(source)),
            Err(source) => Err(Failed::Final(
                link.verdict().unwrap_or(Error::Http2 { endpoint, source }),
            )),
        }
    };
    let late = |_| Failed::Final(Error::AnswerTimeout { endpoint });
    let (answer, send) = timeout(settings.answer_timeout, exchange)
        .await
        .map_err(late)??;
    if answer.status() != StatusCode::OK {
        return Err(Failed::Final(Error::Refused {
            endpoint,
            status: answer.status(),
        }));
    }
    let (head, body) = answer.into_parts();
    let headers = Some(Box::new(head.headers));
    Ok(Tunnel::new(
        send,
        body,
        link.carrier().clone(),
        headers,
        Some(slot.hold()),
    ))
}

/// What a connection that is taking leave says to new requests.
const GONE: h2::Reason = h2::Reason::REFUSED_STREAM;

/// The `:authority` in the form of a URI, which must be nothing else.
fn authority(target: &Target) -> Result<Uri, Failed> {
    match Uri::try_from(&*target.authority) {
        Ok(uri) if uri.authority().is_some() && uri.scheme().is_none() && uri.path().is_empty() => {
            Ok(uri)
        }
        _ => Err(Failed::Final(Error::InvalidAuthority {
            authority: target.authority.clone(),
        })),
    }
}

/// Whether the peer says that it did nothing for the request (RFC 9113 §8.7): it refused the
/// stream, or went away with a last stream before it, which is when the library ends a stream with
/// the GOAWAY of the peer.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.reason() == Some(h2::Reason::REFUSED_STREAM) || error.is_go_away() && error.is_remote()
}
