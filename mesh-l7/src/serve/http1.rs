//! HTTP/1 on one connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::SEC_WEBSOCKET_KEY;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use mesh_core::drain::Drain;
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf};
use tokio::sync::oneshot;
use tower_service::Service;

use super::arrival::Arrival;
use super::call::Call;
use super::checked::Checked;
use super::error::ServeError;
use super::life;
use super::refusal;
use super::response::{Asked, for_http1};
use super::switched::{Connection, Switched};
use super::turn::Turn;
use crate::body::{Body, BodyError};
use crate::hygiene::DEFAULT_LINES;
use crate::wire::Reading;

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
    let turn = Arc::new(Turn::default());
    let settings = arrival.settings.clone();
    let io = TokioIo::new(Checked::new(io, arrival.clone(), turn.clone()));
    let requests = Requests {
        service,
        arrival,
        turn: turn.clone(),
    };
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .max_buf_size(settings.rules.head_bytes.max(8 << 10).saturating_mul(2))
        .max_header_size(settings.rules.head_bytes);
    // Room for a number of lines that is set is cleared for each head, room for the default is not.
    if settings.rules.lines != DEFAULT_LINES {
        builder.max_headers(settings.rules.lines);
    }
    let connection = builder.serve_connection(io, requests).with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = &mut connection => return end(ended, &turn, &drain).await,
        () = drain.draining() => connection.as_mut().graceful_shutdown(),
        () = life::over(settings.max_connection_duration) => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        biased;
        ended = &mut connection => end(ended, &turn, &drain).await,
        () = drain.forced() => Err(ServeError::Forced),
    }
}

async fn end(ended: hyper::Result<()>, turn: &Turn, drain: &Drain) -> Result<(), ServeError> {
    ended.map_err(ServeError::Http1)?;
    let Some(switched) = turn.take_tunnel() else {
        return Ok(());
    };
    tokio::select! {
        biased;
        ended = switched.run() => ended,
        () = drain.forced() => Err(ServeError::Forced),
    }
}

/// The requests of one connection, for hyper.
struct Requests<S> {
    service: S,
    arrival: Arc<Arrival>,
    turn: Arc<Turn>,
}

impl<S> hyper::service::Service<Request<Incoming>> for Requests<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Exchange<S>;

    fn call(&self, mut request: Request<Incoming>) -> Exchange<S> {
        self.turn.begin();
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let (mut parts, incoming) = request.into_parts();
        let entered = self.arrival.enter(&mut parts, None);
        let mut asked = Asked {
            method: parts.method.clone(),
            version: parts.version,
            admitted: Default::default(),
            key: None,
        };
        let mut switch = None;
        let call = match entered {
            Err(refused) => Call::answered(refusal::answer(&self.arrival, &parts, &refused)),
            Ok(admitted) => {
                let tunnel = admitted.upgrade.is_some() || parts.method == Method::CONNECT;
                asked.admitted = admitted;
                let body = match on_upgrade {
                    Some(on_upgrade) if tunnel && incoming.is_end_stream() => {
                        asked.key = parts.headers.get(SEC_WEBSOCKET_KEY).cloned();
                        let (reader, body) = oneshot::channel();
                        switch = Some((on_upgrade, reader));
                        Body::new(Reading::after(body))
                    }
                    _ => Body::from(incoming),
                };
                Call::new(self.service.clone(), Request::from_parts(parts, body))
            }
        };
        Exchange {
            call,
            asked,
            switch,
            arrival: self.arrival.clone(),
            turn: self.turn.clone(),
        }
    }
}

pin_project_lite::pin_project! {
    /// One request on its way to its answer.
    struct Exchange<S: Service<Request<Body>>> {
        #[pin]
        call: Call<S>,
        asked: Asked,
        switch: Option<(OnUpgrade, oneshot::Sender<ReadHalf<Connection>>)>,
        arrival: Arc<Arrival>,
        turn: Arc<Turn>,
    }
}

impl<S> Future for Exchange<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Output = Result<Response<Reply>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.call.poll(cx));
        let (mut parts, mut body) = response.into_parts();
        let mut faulty = false;
        if let Some(fault) = this.turn.take_body_fault() {
            // Whatever came of half a request: its sender is told what is wrong with it.
            parts = Response::new(()).into_parts().0;
            parts.status = fault.status();
            faulty = true;
            body = Body::from(Bytes::from(fault.to_string()));
        }
        let can_switch = this.switch.is_some();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS && !can_switch {
            parts.status = StatusCode::BAD_GATEWAY;
        }
        for_http1(&mut parts, &mut body, this.asked, &this.arrival.settings);
        if faulty {
            let close = HeaderValue::from_static("close");
            parts.headers.insert(header::CONNECTION, close);
        }
        let switched = match this.switch.take() {
            Some((connection, reader)) if this.asked.switches(parts.status) => Some(Switched {
                connection,
                reader,
                body: std::mem::take(&mut body),
            }),
            _ => None,
        };
        // The reader waits for this after every request that asked to switch.
        this.turn.answered(switched);
        let reply = Reply {
            body,
            _turn: Answering(this.turn.clone()),
        };
        Poll::Ready(Ok(Response::from_parts(parts, reply)))
    }
}

/// The body of an answer. With its end, the next request may end the connection.
struct Reply {
    body: Body,
    _turn: Answering,
}

struct Answering(Arc<Turn>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
