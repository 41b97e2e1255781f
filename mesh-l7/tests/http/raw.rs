//! Bytes sent to a served connection, what is answered, and what the service behind has seen.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use mesh_core::drain;
use mesh_l7::body::Body;
use mesh_l7::serve::{ClientEnd, Server, ServerSettings};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service;

use crate::proxy::downstream;

/// A request as the service behind sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    /// `None` when it ended early.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) trailers: Option<HeaderMap>,
}

/// Notes requests with their bodies, and answers 200 with `ok`.
#[derive(Clone, Default)]
pub(crate) struct Recorder(pub(crate) Arc<Mutex<Vec<Seen>>>);

impl Service<Request<Body>> for Recorder {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let seen = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let collected = body.collect().await.ok();
            let trailers = collected.as_ref().and_then(|body| body.trailers().cloned());
            seen.lock().push(Seen {
                line: format!("{} {}", parts.method, parts.uri),
                headers: parts.headers,
                body: collected.map(|body| body.to_bytes().to_vec()),
                trailers,
            });
            Ok(Response::new(Body::from("ok")))
        })
    }
}

/// What came of some bytes.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Statuses of the answers, in order.
    pub(crate) statuses: Vec<u16>,
    pub(crate) answer: String,
    pub(crate) seen: Vec<Seen>,
}

impl Outcome {
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.seen.iter().map(|seen| seen.line.as_str()).collect()
    }
}

/// Settings under which a client may end its direction and read on.
pub(crate) fn patient() -> ServerSettings {
    let mut settings = ServerSettings::default();
    settings.client_end = ClientEnd::HalfClosed;
    settings
}

/// Sends bytes, in pieces of `cut`, and reads all answers until the connection is closed.
pub(crate) async fn send(bytes: &[u8], cut: usize, settings: ServerSettings) -> Outcome {
    let recorder = Recorder::default();
    let (io, served) = tokio::io::duplex(1 << 20);
    let (_trigger, drain) = drain::channel();
    let server = Server::new(settings);
    let service = recorder.clone();
    let serving =
        tokio::spawn(async move { server.serve(served, downstream(), service, drain).await });
    let (mut reader, mut writer) = tokio::io::split(io);
    let bytes = bytes.to_vec();
    let sending = tokio::spawn(async move {
        for piece in bytes.chunks(cut.max(1)) {
            if writer.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        let _ = writer.shutdown().await;
    });
    let mut answer = Vec::new();
    let _ = reader.read_to_end(&mut answer).await;
    sending.await.unwrap();
    let _ = serving.await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let statuses = answer
        .split("HTTP/1.")
        .skip(1)
        .filter_map(|rest| rest.get(2..5)?.parse().ok())
        .collect();
    let seen = recorder.0.lock().clone();
    Outcome {
        statuses,
        answer,
        seen,
    }
}
