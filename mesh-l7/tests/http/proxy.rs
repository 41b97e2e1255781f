//! A proxy of the two halves: what is served is forwarded to one upstream. Its client and its upstream
//! are plain hyper, in memory.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_core::drain::{self, Drain, Trigger};
use mesh_core::lb::{Balancing, Cluster, Host, HostSpec};
use mesh_core::limits::CircuitBreaker;
use mesh_core::name::Name;
use mesh_l7::attempt::{Attempt, AttemptError};
use mesh_l7::body::Body;
use mesh_l7::client::{Client, ClientSettings};
use mesh_l7::downstream::Downstream;
use mesh_l7::serve::{ServeError, Server, ServerSettings};
use mesh_l7::target::ServiceTarget;
use mesh_l7::upstream::{ClusterSettings, Protocol, Upstream};
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower_service::Service;

/// Bytes that a connection in memory holds.
pub(crate) const PIPE: usize = 64 << 10;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Http {
    One,
    Two,
}

pub(crate) const PAIRS: [(Http, Http); 4] = [
    (Http::One, Http::One),
    (Http::One, Http::Two),
    (Http::Two, Http::One),
    (Http::Two, Http::Two),
];

/// A body of frames that a test sends one by one.
pub(crate) struct Frames(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// A body, and where its frames come from.
pub(crate) fn frames() -> (mpsc::Sender<Frame<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Body::new(Frames(receiver)))
}

/// Makes connections to whoever accepts them.
#[derive(Clone)]
pub(crate) struct Connector {
    accepted: mpsc::UnboundedSender<DuplexStream>,
    dialed: Arc<AtomicUsize>,
}

impl Service<u8> for Connector {
    type Response = DuplexStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u8) -> Self::Future {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        self.dialed.fetch_add(1, Ordering::Relaxed);
        let sent = self.accepted.send(theirs);
        Box::pin(async move {
            sent.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(ours)
        })
    }
}

/// A connector, and the connections that it makes.
fn connector() -> (Connector, mpsc::UnboundedReceiver<DuplexStream>) {
    let (accepted, connections) = mpsc::unbounded_channel();
    let connector = Connector {
        accepted,
        dialed: Arc::default(),
    };
    (connector, connections)
}

/// An upstream of one host.
pub(crate) fn upstream(protocol: Protocol, settings: ClusterSettings) -> Arc<Upstream<u8>> {
    let target = ServiceTarget {
        namespace: Name::from("shop"),
        hostname: Name::from("web.shop.svc.cluster.local"),
        port: 80,
        subset: None,
    };
    let hosts = vec![HostSpec::new("10.0.0.1:8080", 1)];
    Arc::new(Upstream {
        target,
        breaker: CircuitBreaker::new(settings.breaker.clone()),
        settings,
        protocol,
        cluster: Arc::new(Cluster::new(
            Balancing::default(),
            hosts,
            Instant::now(),
            &mut || 0,
        )),
    })
}

/// What the proxy does with a request: it asks the upstream's only host.
#[derive(Clone)]
pub(crate) struct Forward {
    pub(crate) client: Client<u8, Connector>,
    pub(crate) upstream: Arc<Upstream<u8>>,
    pub(crate) failures: Arc<Mutex<Vec<AttemptError>>>,
}

impl Forward {
    pub(crate) fn host(&self) -> Arc<Host<u8>> {
        self.upstream.cluster.hosts().hosts()[0].clone()
    }

    pub(crate) fn attempt(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, AttemptError>> + Send + use<> {
        let attempt = Attempt {
            upstream: self.upstream.clone(),
            host: self.host(),
            request,
        };
        self.client.clone().call(attempt)
    }
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let attempt = self.attempt(request);
        let failures = self.failures.clone();
        Box::pin(async move {
            Ok(attempt.await.unwrap_or_else(|error| {
                let mut response = Response::new(Body::from(Bytes::from(error.to_string())));
                *response.status_mut() = match error {
                    AttemptError::Protocol(_) => StatusCode::BAD_GATEWAY,
                    AttemptError::Request(_) => StatusCode::BAD_REQUEST,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                failures.lock().push(error);
                response
            }))
        })
    }
}

/// A running proxy with its upstream.
pub(crate) struct Proxy {
    pub(crate) forward: Forward,
    pub(crate) server: Server,
    pub(crate) trigger: Trigger,
    pub(crate) drain: Drain,
    /// How often a connection was made.
    pub(crate) dialed: Arc<AtomicUsize>,
}

impl Proxy {
    /// One whose upstream speaks `up` and answers with `service`.
    pub(crate) fn start<F, R>(up: Http, service: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::with(up, ClientSettings::default(), service)
    }

    /// As [`start`](Self::start), with settings.
    pub(crate) fn with<F, R>(up: Http, settings: ClientSettings, service: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let (proxy, mut connections) = Self::bare(up, settings);
        tokio::spawn(async move {
            while let Some(io) = connections.recv().await {
                tokio::spawn(serve_upstream(up, io, service.clone()));
            }
        });
        proxy
    }

    /// One whose upstream is what the test makes of its connections.
    pub(crate) fn bare(
        up: Http,
        settings: ClientSettings,
    ) -> (Self, mpsc::UnboundedReceiver<DuplexStream>) {
        let protocol = match up {
            Http::One => Protocol::Http1,
            Http::Two => Protocol::Http2,
        };
        let (connector, connections) = connector();
        let (trigger, drain) = drain::channel();
        let dialed = connector.dialed.clone();
        let proxy = Self {
            dialed,
            forward: Forward {
                client: Client::new(connector, settings),
                upstream: upstream(protocol, ClusterSettings::default()),
                failures: Arc::default(),
            },
            server: Server::new(ServerSettings::default()),
            trigger,
            drain,
        };
        (proxy, connections)
    }

    /// A connection of a client.
    pub(crate) fn accept(&self) -> (DuplexStream, JoinHandle<Result<(), ServeError>>) {
        let (client, io) = tokio::io::duplex(PIPE);
        let (server, forward) = (self.server.clone(), self.forward.clone());
        let (downstream, drain) = (downstream(), self.drain.clone());
        let served =
            tokio::spawn(async move { server.serve(io, downstream, forward, drain).await });
        (client, served)
    }

    /// A connection of a client that speaks `down`.
    pub(crate) async fn client(&self, down: Http) -> Sender {
        Sender::new(down, self.accept().0).await
    }
}

pub(crate) fn downstream() -> Arc<Downstream> {
    Arc::new(Downstream::new(
        "10.0.0.9:4711".parse().unwrap(),
        "10.96.0.1:80".parse().unwrap(),
    ))
}

/// An upstream of plain hyper.
pub(crate) async fn serve_upstream<F, R>(up: Http, io: DuplexStream, service: F)
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let service = hyper::service::service_fn(move |request| {
        let answered = service(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let io = TokioIo::new(io);
    match up {
        Http::One => {
            let served = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
            let _ = served.with_upgrades().await;
        }
        Http::Two => {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.enable_connect_protocol();
            let _ = builder.serve_connection(io, service).await;
        }
    }
}

/// A client of plain hyper, on one connection.
pub(crate) enum Sender {
    One(hyper::client::conn::http1::SendRequest<Body>),
    Two(hyper::client::conn::http2::SendRequest<Body>),
}

impl Sender {
    pub(crate) async fn new(down: Http, io: DuplexStream) -> Self {
        let io = TokioIo::new(io);
        match down {
            Http::One => {
                let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
                tokio::spawn(connection.with_upgrades());
                Self::One(sender)
            }
            Http::Two => {
                let (sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                        .await
                        .unwrap();
                tokio::spawn(connection);
                Self::Two(sender)
            }
        }
    }

    pub(crate) async fn send(
        &mut self,
        mut request: Request<Body>,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                if !request.headers().contains_key("host") {
                    request
                        .headers_mut()
                        .insert("host", "web.shop".parse().unwrap());
                }
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                let uri = format!("http://web.shop{}", request.uri());
                *request.uri_mut() = uri.parse().unwrap();
                *request.version_mut() = http::Version::HTTP_2;
                sender.send_request(request).await
            }
        }
    }
}
