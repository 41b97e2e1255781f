//! One request over an HTTP/1 connection.

use http::header::SEC_WEBSOCKET_ACCEPT;
use http::{Request, Response};
use hyper_util::rt::TokioIo;

use super::failure::of_http1;
use super::http1::Outgoing;
use super::pools::Http1Lease;
use super::request::Prepared;
use super::response::{Answer, Held, Upload, clean};
use super::settings::ClientSettings;
use super::unsuccessful::Unsuccessful;
use crate::attempt::AttemptError;
use crate::body::Body;
use crate::hygiene::BadHead;
use crate::wire::{Reading, write_all};

/// Sends a request, and waits for the head of its answer.
pub(super) async fn send<E>(
    mut lease: Http1Lease<E>,
    prepared: Prepared,
    settings: &ClientSettings,
) -> Result<Response<Body>, Unsuccessful>
where
    E: Clone + PartialEq + Send + Sync + 'static,
{
    let Some(connection) = lease.connection() else {
        return Err(Unsuccessful::Ended(AttemptError::ConnectTimeout));
    };
    let reused = connection.usage.is_reused();
    if let Err(error) = connection.sender.ready().await {
        return Err(Unsuccessful::Unsent(prepared, Box::new(error)));
    }
    let repeated = match reused {
        true => prepared.repeated(),
        false => None,
    };
    let Prepared { head, body, switch } = prepared;
    // A switched connection has its bytes after the answer; the request itself has none.
    let (body, to_switched) = match switch {
        Some(_) => (Body::empty(), Some(body)),
        None => (body, None),
    };
    let (outgoing, fate) = Outgoing::new(body);
    let answered = connection.sender.try_send_request(head.map(|()| outgoing));
    lease.sent = true;
    let response = match answered.await {
        Ok(response) => response,
        Err(mut error) => {
            if let Some(request) = error.take_message() {
                let (parts, mut outgoing) = request.into_parts();
                let body = to_switched.unwrap_or_else(|| std::mem::take(&mut outgoing.body));
                let prepared = Prepared {
                    head: Request::from_parts(parts, ()),
                    body,
                    switch,
                };
                return Err(Unsuccessful::Unsent(prepared, Box::new(error.into_error())));
            }
            let failed = fate.is_some_and(|fate| fate.has_failed());
            let error = match (failed, of_http1(error.into_error())) {
                (true, AttemptError::Reset(cause)) => AttemptError::Request(cause),
                (_, error) => error,
            };
            let repeated = repeated.and_then(|repeated| repeated.prepared());
            return Err(match (error, repeated) {
                (AttemptError::Reset(cause), Some(repeated)) => {
                    Unsuccessful::Stale(repeated, cause)
                }
                (error, _) => Unsuccessful::Ended(error),
            });
        }
    };
    let response = clean(response, switch.is_some(), settings).map_err(Unsuccessful::Ended)?;
    let switch = switch.filter(|switch| switch.is_made_by(response.status()));
    match (switch, to_switched) {
        (Some(switch), Some(body)) => {
            if let Some(accept) = switch.accept()
                && response.headers().get(SEC_WEBSOCKET_ACCEPT) != Some(accept)
            {
                let cause = Box::new(BadHead::UnexpectedSwitch);
                return Err(Unsuccessful::Ended(AttemptError::Protocol(cause)));
            }
            let response = tunnel(response, body).await;
            lease.leave();
            response.map_err(|error| Unsuccessful::Ended(of_http1(error)))
        }
        _ => Ok(response.map(|incoming| {
            let body = Body::from(incoming);
            let held = Held::Http1(lease, fate);
            Answer::of(body, held, None)
        })),
    }
}

/// The connection after its switch: the body of the request goes in, the body of the answer comes out.
async fn tunnel(
    mut response: Response<hyper::body::Incoming>,
    body: Body,
) -> Result<Response<Body>, hyper::Error> {
    let upgraded = hyper::upgrade::on(&mut response).await?;
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    let upload = tokio::spawn(async move {
        // A direction that fails ends the connection; the other one tells.
        let _ = write_all(body, writer).await;
    });
    let (parts, _) = response.into_parts();
    let body = Answer::<()>::of(
        Body::new(Reading::of(reader)),
        Held::Nothing,
        Some(Upload::new(&upload)),
    );
    Ok(Response::from_parts(parts, body))
}
