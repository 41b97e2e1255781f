//! HTTP/2 on one connection.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use mesh_core::drain::Drain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep_until, timeout};
use tower_service::Service;

use super::arrival::Arrival;
use super::call::Call;
use super::error::ServeError;
use super::life;
use super::refusal;
use super::response::{Asked, for_http2};
use super::settings::ServerSettings;
use crate::body::Body;
use crate::wire::SendBody;

pub(super) async fn serve<IO, S>(
    io: IO,
    arrival: Arc<Arrival>,
    service: S,
    drain: Drain,
) -> Result<(), ServeError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let settings = arrival.settings.clone();
    let handshake = builder(&settings).handshake::<IO, Bytes>(io);
    let connection = tokio::select! {
        biased;
        () = drain.forced() => return Err(ServeError::Forced),
        connection = timeout(settings.head_timeout, handshake) => connection,
    };
    let Ok(connection) = connection else {
        return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    };
    let mut connection = connection.map_err(ServeError::Http2)?;
    let mut idle = pin!(sleep_until(life::far(settings.idle_timeout)));
    let mut over = pin!(life::over(settings.max_connection_duration));
    let mut old = false;
    let mut draining = false;
    // The client was told that the connection ends because nothing happens on it.
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                None => return Ok(()),
                // A client that is gone with nothing to wait for has ended the connection in its way.
                Some(Err(error)) if error.is_io() && !connection.has_streams() => return Ok(()),
                Some(Err(error)) => return Err(ServeError::Http2(error)),
                Some(Ok((request, respond))) => {
                    told = false;
                    idle.as_mut().reset(life::far(settings.idle_timeout));
                    tokio::spawn(answer(request, respond, service.clone(), arrival.clone()));
                }
            },
            () = drain.draining(), if !draining => {
                draining = true;
                connection.graceful_shutdown();
            }
            () = drain.forced(), if draining => return Err(ServeError::Forced),
            () = &mut over, if !old => {
                (old, told) = (true, true);
                connection.graceful_shutdown();
                idle.as_mut().reset(life::far(settings.head_timeout));
            }
            // The timer runs from the last request on, so that a long one may still be there when it ends.
            () = &mut idle, if !draining => {
                let next = match (connection.has_streams(), told) {
                    (true, _) => settings.idle_timeout,
                    (false, false) => {
                        told = true;
                        connection.graceful_shutdown();
                        settings.head_timeout
                    }
                    // A client that does not even answer that is not waited for.
                    (false, true) => return Ok(()),
                };
                idle.as_mut().reset(life::far(next));
            }
        }
    }
}

fn builder(settings: &ServerSettings) -> h2::server::Builder {
    let http2 = &settings.http2;
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window)
        .max_concurrent_streams(http2.streams)
        .max_frame_size(http2.frame)
        .max_header_list_size(u32::try_from(settings.rules.head_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(http2.send_buffer)
        .max_pending_accept_reset_streams(http2.pending_resets)
        .max_local_error_reset_streams(Some(http2.error_resets))
        .enable_connect_protocol();
    builder
}

/// One request and its answer. It ends with the stream: a client that resets it, or the connection,
/// drops what was asked of the service.
async fn answer<S>(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    service: S,
    arrival: Arc<Arrival>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let (mut parts, stream) = request.into_parts();
    let protocol = parts.extensions.remove::<Protocol>();
    if protocol.is_some() {
        parts.method = Method::GET;
    }
    let entered = arrival.enter(&mut parts, protocol.as_ref().map(Protocol::as_str));
    let mut asked = Asked {
        method: parts.method.clone(),
        version: parts.version,
        admitted: Default::default(),
        key: None,
    };
    let call = match entered {
        Err(refused) => Call::answered(refusal::answer(&arrival, &parts, &refused)),
        Ok(admitted) => {
            if admitted.expects_continue {
                let mut go_on = Response::new(());
                *go_on.status_mut() = StatusCode::CONTINUE;
                // A stream that is gone is noticed below.
                let _ = respond.send_informational(go_on);
            }
            asked.admitted = admitted;
            Call::new(service, Request::from_parts(parts, Body::from(stream)))
        }
    };
    let Some(response) = until_reset(call, &mut respond).await else {
        return;
    };
    let (mut parts, mut body) = response.into_parts();
    for_http2(&mut parts, &mut body, &asked, &arrival.settings);
    let ends = body.is_end_stream();
    let head = Response::from_parts(parts, ());
    if let Ok(stream) = respond.send_response(head, ends)
        && !ends
    {
        // The stream was reset, or the body failed and reset it: there is nobody to tell.
        let _ = SendBody::new(stream, body).await;
    }
}

/// The output of a future, or `None` once the stream has been reset.
async fn until_reset<F: Future>(future: F, respond: &mut SendResponse<Bytes>) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        respond.poll_reset(cx).map(|_| None)
    })
    .await
}
