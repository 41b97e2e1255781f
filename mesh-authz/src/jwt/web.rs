//! Fetching over HTTP/1.1, with or without TLS (feature `jwks-http`).

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, HOST, LOCATION};
use http::{Request, Response, StatusCode, Uri};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::AddressGuard;
use super::fetch::{Document, FetchError, JwksFetcher};
use super::freshness::max_age;

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 3;
/// The largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// Fetches over HTTP/1.1 and TLS 1.2 or 1.3, one connection for each document.
///
/// A host is resolved once; when the [`AddressGuard`] permits its addresses, one of exactly these is
/// connected to. Redirects are followed within scheme, host and port only, three of them at most.
pub struct HttpFetcher {
    guard: AddressGuard,
    tls: Option<TlsConnector>,
}

impl HttpFetcher {
    /// A fetcher that trusts servers with certificates of these roots. The cryptography is that of
    /// the feature `aws-lc-rs`, or else `ring`; with neither, `https` is unreachable. Roots that
    /// cannot be read are left out.
    #[must_use]
    pub fn new(
        guard: AddressGuard,
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        Self {
            guard,
            tls: connector(store),
        }
    }

    async fn once(&self, uri: &Uri, limit: usize) -> Result<Answer, FetchError> {
        let host = uri.host().ok_or(FetchError::Unresolved)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = self.connect(host, port).await?;
        if !is_tls {
            return exchange(stream, uri, limit).await;
        }
        let tls = self.tls.as_ref().ok_or(FetchError::Unreachable)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Unresolved)?;
        let stream = tls
            .connect(name, stream)
            .await
            .map_err(|_| FetchError::Unreachable)?;
        exchange(stream, uri, limit).await
    }

    /// Connects to an address of `host`, if all of them are permitted.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        let found = tokio::net::lookup_host((host, port)).await;
        let found: Vec<SocketAddr> = found.map_err(|_| FetchError::Unresolved)?.collect();
        if found.is_empty() {
            return Err(FetchError::Unresolved);
        }
        let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
        if !self.guard.permits(&addresses) {
            return Err(FetchError::Blocked);
        }
        TcpStream::connect(&*found)
            .await
            .map_err(|_| FetchError::Unreachable)
    }
}

#[async_trait]
impl JwksFetcher for HttpFetcher {
    async fn get(&self, uri: &Uri, limit: usize) -> Result<Document, FetchError> {
        let mut uri = uri.clone();
        for _ in 0..=MOST_REDIRECTS {
            match self.once(&uri, limit).await? {
                Answer::Document(document) => return Ok(document),
                Answer::Redirect(location) => uri = redirected(&uri, &location)?,
            }
        }
        Err(FetchError::Redirect)
    }
}

impl fmt::Debug for HttpFetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFetcher")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

fn connector(roots: RootCertStore) -> Option<TlsConnector> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = Some(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    let provider = Some(rustls::crypto::ring::default_provider());
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    let provider: Option<rustls::crypto::CryptoProvider> = None;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider?));
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    Some(TlsConnector::from(Arc::new(config)))
}

enum Answer {
    Document(Document),
    Redirect(String),
}

/// One request on a fresh connection. Nothing goes on when the future is dropped.
async fn exchange<S>(stream: S, uri: &Uri, limit: usize) -> Result<Answer, FetchError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LARGEST_HEAD);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| FetchError::Malformed)?;
    let request = request(uri)?;
    let answer = async move {
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| FetchError::Malformed)?;
        read(response, limit).await
    };
    driven(connection, answer).await
}

/// What `answer` gives, while `connection` is driven.
async fn driven<T>(connection: impl Future, answer: impl Future<Output = T>) -> T {
    let (mut connection, mut answer) = (pin!(connection), pin!(answer));
    let mut ended = false;
    poll_fn(move |cx: &mut Context<'_>| {
        if !ended {
            ended = connection.as_mut().poll(cx).is_ready();
        }
        // After the connection: what it has read is here then.
        answer.as_mut().poll(cx)
    })
    .await
}

fn request(uri: &Uri) -> Result<Request<String>, FetchError> {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    Request::get(target)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .body(String::new())
        .map_err(|_| FetchError::Malformed)
}

async fn read(response: Response<Incoming>, limit: usize) -> Result<Answer, FetchError> {
    let (parts, mut body) = response.into_parts();
    let text = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if parts.status.is_redirection() && parts.status != StatusCode::NOT_MODIFIED {
        let location = text(LOCATION).ok_or(FetchError::Redirect)?;
        return Ok(Answer::Redirect(location.to_owned()));
    }
    if parts.status != StatusCode::OK {
        return Err(FetchError::Status(parts.status.as_u16()));
    }
    let announced = text(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if announced.is_some_and(|announced: usize| announced > limit) {
        return Err(FetchError::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = next_frame(&mut body).await {
        let frame = frame.map_err(|_| FetchError::Malformed)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - bytes.len() {
            return Err(FetchError::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    let lines = parts.headers.get_all(CACHE_CONTROL).iter();
    let age = max_age(lines.filter_map(|line| line.to_str().ok()));
    Ok(Answer::Document(Document::new(bytes, age)))
}

async fn next_frame(
    body: &mut Incoming,
) -> Option<Result<hyper::body::Frame<<Incoming as Body>::Data>, hyper::Error>> {
    poll_fn(|cx| -> Poll<_> { Pin::new(&mut *body).poll_frame(cx) }).await
}

/// Where a redirect leads, when that is the same scheme, host and port.
fn redirected(from: &Uri, location: &str) -> Result<Uri, FetchError> {
    let mut parts = from.clone().into_parts();
    let to: Uri = location.parse().map_err(|_| FetchError::Redirect)?;
    let same_host = to
        .authority()
        .is_none_or(|authority| Some(authority) == from.authority());
    let same_scheme = to
        .scheme()
        .is_none_or(|scheme| Some(scheme) == from.scheme());
    // `//host/path` is a path here, and would be a host to others.
    if !same_host || !same_scheme || location.starts_with("//") {
        return Err(FetchError::Redirect);
    }
    parts.path_and_query = to.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(|_| FetchError::Redirect)
}
