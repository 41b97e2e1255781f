//! One request over an HTTP/2 connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use h2::client::ResponseFuture;
use http::{Response, StatusCode};
use http_body::Body as _;

use super::failure::{of_http2, of_request};
use super::pools::Http2Lease;
use super::request::{Prepared, Switch};
use super::response::{Answer, Held, Upload, clean};
use super::settings::ClientSettings;
use super::unsuccessful::Unsuccessful;
use crate::attempt::AttemptError;
use crate::body::Body;
use crate::hygiene::BadHead;
use crate::wire::{SendBody, SendError};

/// Sends a request, and waits for the head of its answer.
pub(super) async fn send<E>(
    mut lease: Http2Lease<E>,
    prepared: Prepared,
    settings: &ClientSettings,
) -> Result<Response<Body>, Unsuccessful>
where
    E: Clone + PartialEq + Send + Sync + 'static,
{
    let sender = &mut lease.connection.sender;
    if let Err(error) = poll_fn(|cx| sender.poll_ready(cx)).await {
        return Err(Unsuccessful::Unsent(prepared, Box::new(error)));
    }
    let Prepared { head, body, switch } = prepared;
    let ends = body.is_end_stream() && switch.is_none();
    let (answer, stream) = match sender.send_request(head, ends) {
        Ok(sent) => sent,
        Err(error) if error.is_go_away() => {
            return Err(Unsuccessful::Ended(AttemptError::Refused(Box::new(error))));
        }
        Err(error) => {
            let cause = Box::new(error);
            return Err(Unsuccessful::Ended(AttemptError::BeforeRequest(cause)));
        }
    };
    let mut upload = (!ends).then(|| SendBody::new(stream, body));
    let response = answered(answer, &mut upload)
        .await
        .map_err(Unsuccessful::Ended)?;
    let (mut parts, stream) = response.into_parts();
    let mut switches = false;
    match &switch {
        Some(Switch::Upgrade { .. }) if parts.status.is_success() => {
            // RFC 8441 §5; `101` is what it is called in this family.
            parts.status = StatusCode::SWITCHING_PROTOCOLS;
            switches = true;
        }
        _ if parts.status == StatusCode::SWITCHING_PROTOCOLS => {
            let cause = Box::new(BadHead::UnexpectedSwitch);
            return Err(Unsuccessful::Ended(AttemptError::Protocol(cause)));
        }
        _ => {}
    }
    let response = Response::from_parts(parts, stream);
    let response = clean(response, switches, settings).map_err(Unsuccessful::Ended)?;
    // The rest of the request goes on while the answer comes. A task of its own, so that neither
    // waits for whoever reads the answer; it ends with the answer.
    let upload = upload.map(|upload| {
        Upload::new(&tokio::spawn(async move {
            let _ = upload.await;
        }))
    });
    Ok(response.map(|stream| Answer::of(Body::from(stream), Held::Http2(lease), upload)))
}

/// Sends the body until the head of the answer is there; what is left of it stays in `upload`.
async fn answered(
    mut answer: ResponseFuture,
    upload: &mut Option<SendBody>,
) -> Result<Response<h2::RecvStream>, AttemptError> {
    poll_fn(|cx| {
        if let Some(sending) = upload
            && let Poll::Ready(sent) = Pin::new(sending).poll(cx)
        {
            *upload = None;
            // Where the stream ended, its answer says why.
            if let Err(SendError::Body(error)) = sent {
                return Poll::Ready(Err(of_request(error)));
            }
        }
        Pin::new(&mut answer).poll(cx).map_err(of_http2)
    })
    .await
}
