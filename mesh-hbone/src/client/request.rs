//! One CONNECT request on one connection.

use std::future::poll_fn;

use http::{StatusCode, Uri};
use tokio::time::timeout;

use super::error::Error;
use super::link::StreamSlot;
use super::settings::Settings;
use super::target::Target;
use crate::http2::Http2Error;
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
    check_authority(target)?;
    let exchange = async {
        let unprocessed = |source| Failed::Unprocessed(Error::Http2 { endpoint, source });
        let handle = link.core().open(&target.authority, &target.headers);
        let mut handle = handle.map_err(unprocessed)?;
        let crowded_out = link.crowded_out(link.begin(), settings.max_streams);
        let answer = tokio::select! {
            biased;
            answer = poll_fn(|cx| handle.poll_answer(cx)) => answer,
            () = crowded_out => return Err(Failed::Crowded(Error::Http2 {
                endpoint,
                source: Http2Error::Closing,
            })),
        };
        match answer {
            Ok(answer) => Ok((answer, handle)),
            Err(source) if source.is_unprocessed() => Err(unprocessed(source)),
            Err(source) => Err(Failed::Final(
                link.verdict().unwrap_or(Error::Http2 { endpoint, source }),
            )),
        }
    };
    let late = |_| Failed::Final(Error::AnswerTimeout { endpoint });
    let (answer, handle) = timeout(settings.answer_timeout, exchange)
        .await
        .map_err(late)??;
    if answer.status != StatusCode::OK {
        return Err(Failed::Final(Error::Refused {
            endpoint,
            status: answer.status,
        }));
    }
    Ok(Tunnel::new(
        handle,
        link.carrier().clone(),
        Some(Box::new(answer.headers)),
        Some(slot.hold()),
    ))
}

/// The `:authority` must be one that HTTP can express, and nothing else.
fn check_authority(target: &Target) -> Result<(), Failed> {
    match Uri::try_from(&*target.authority) {
        Ok(uri) if uri.authority().is_some() && uri.scheme().is_none() && uri.path().is_empty() => {
            Ok(())
        }
        _ => Err(Failed::Final(Error::InvalidAuthority {
            authority: target.authority.clone(),
        })),
    }
}
