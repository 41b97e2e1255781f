//! What is known of a control plane before connecting.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::clock::{SystemClock, WallClock};
use mesh_core::tls::default_provider;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::ServerName;
use tracing::warn;

use super::address::Address;
use super::channel::KeepAlive;
use super::dial::Tcp;
use super::tls::{Oldest, Rules};
use super::{ControlDialer, ControlEndpoint, ControlError, ControlRoots, ControlToken};

/// Source: Istio.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Source: Istio.
const KEEP_ALIVE: KeepAlive = KeepAlive {
    interval: Duration::from_secs(30),
    timeout: Duration::from_secs(10),
};

/// Headers that HTTP/2 (RFC 9113 section 8.2.2) or gRPC itself sets.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Sets up a [`ControlEndpoint`].
#[derive(Debug)]
#[must_use]
pub struct ControlEndpointBuilder {
    address: String,
    roots: ControlRoots,
    alternative_name: Option<String>,
    token: ControlToken,
    cluster_id: Option<String>,
    headers: Vec<(String, String)>,
    connect_timeout: Duration,
    keep_alive: KeepAlive,
    oldest: Oldest,
    provider: Option<CryptoProvider>,
    clock: Arc<dyn WallClock>,
    dialer: Option<Arc<dyn ControlDialer>>,
}

impl ControlEndpoint {
    /// An endpoint at an address such as `https://istiod.istio-system.svc:15012`.
    ///
    /// Without a scheme it is `https`, without a port 443. `http` (port 80) must be written out:
    /// it has neither secrecy nor proof of the server, for tests and single hosts.
    pub fn builder(address: impl Into<String>) -> ControlEndpointBuilder {
        ControlEndpointBuilder::new(address.into())
    }
}

impl ControlEndpointBuilder {
    fn new(address: String) -> Self {
        Self {
            address,
            roots: ControlRoots::default(),
            alternative_name: None,
            token: ControlToken::None,
            cluster_id: None,
            headers: Vec::new(),
            connect_timeout: CONNECT_TIMEOUT,
            keep_alive: KEEP_ALIVE,
            oldest: Oldest::Tls13,
            provider: None,
            clock: Arc::new(SystemClock),
            dialer: None,
        }
    }

    /// The roots that vouch for the server; default: those of the operating system. Not used with
    /// an `http` address.
    pub fn roots(self, roots: ControlRoots) -> Self {
        Self { roots, ..self }
    }

    /// A second name that the server's certificate may be for, besides the host of the address.
    /// Source: Istio's `ALT_XDS_HOSTNAME` and `ALT_CA_HOSTNAME`.
    pub fn alternative_name(self, name: impl Into<String>) -> Self {
        let alternative_name = Some(name.into());
        Self {
            alternative_name,
            ..self
        }
    }

    /// The token that is shown on each call; default: none.
    ///
    /// Over `http` it is sent to `localhost` and loopback addresses only: elsewhere anyone on the
    /// way could read it.
    pub fn token(self, token: ControlToken) -> Self {
        Self { token, ..self }
    }

    /// The cluster that we are in, sent as the header `clusterid`; default: none.
    pub fn cluster_id(self, cluster: impl Into<String>) -> Self {
        let cluster_id = Some(cluster.into());
        Self { cluster_id, ..self }
    }

    /// A further header for each call. One of the same name is replaced, and `authorization` and
    /// `clusterid` give way to the token and the cluster.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long name lookup, TCP, TLS and HTTP/2 may take in all; default 5 s.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// After how much silence the server is asked whether it is there, and how long it may take
    /// to answer; default 30 s and 10 s.
    pub fn keep_alive(self, interval: Duration, timeout: Duration) -> Self {
        let keep_alive = KeepAlive { interval, timeout };
        Self { keep_alive, ..self }
    }

    /// Lets the server choose TLS 1.2; default: TLS 1.3 only. Source: Istio's `TLS12_ENABLED`.
    pub fn allow_tls12(self) -> Self {
        let oldest = Oldest::Tls12;
        Self { oldest, ..self }
    }

    /// The cryptography; default: what `mesh-core` was built with.
    pub fn provider(self, provider: CryptoProvider) -> Self {
        let provider = Some(provider);
        Self { provider, ..self }
    }

    /// The clock that the server's certificate is checked by; default: the operating system's.
    pub fn clock(self, clock: Arc<dyn WallClock>) -> Self {
        Self { clock, ..self }
    }

    /// Who opens the byte streams; default: TCP.
    pub fn dialer(self, dialer: Arc<dyn ControlDialer>) -> Self {
        let dialer = Some(dialer);
        Self { dialer, ..self }
    }

    /// The endpoint. Nothing is read or connected yet.
    ///
    /// # Errors
    /// [`ControlError`] when the address, the alternative name or a header cannot be used, or when
    /// there is no cryptography.
    pub fn build(self) -> Result<ControlEndpoint, ControlError> {
        let address = Address::parse(&self.address)?;
        let headers = headers(&self.headers, self.cluster_id.as_deref())?;
        let rules = if address.is_plain() {
            None
        } else {
            let provider = self.provider.map_or_else(default_provider, Ok);
            let provider = provider.map_err(ControlError::Cryptography)?;
            let alternative = alternative(self.alternative_name)?;
            Some(Rules::new(provider, self.clock, self.oldest, alternative)?)
        };
        let exposed = address.is_plain() && !address.is_loopback();
        let token = if exposed && self.token != ControlToken::None {
            warn!(%address, "the token is not sent: the connection is not encrypted");
            ControlToken::None
        } else {
            self.token
        };
        let timeout = self.connect_timeout;
        Ok(ControlEndpoint {
            address,
            roots: self.roots,
            rules,
            token,
            headers,
            connect_timeout: timeout,
            keep_alive: self.keep_alive,
            dialer: self.dialer.unwrap_or_else(|| Arc::new(Tcp { timeout })),
        })
    }
}

fn alternative(name: Option<String>) -> Result<Option<ServerName<'static>>, ControlError> {
    name.map(|name| {
        ServerName::try_from(name.clone()).map_err(|_| ControlError::AlternativeName { name })
    })
    .transpose()
}

fn headers(extra: &[(String, String)], cluster: Option<&str>) -> Result<HeaderMap, ControlError> {
    let mut headers = HeaderMap::new();
    let cluster = cluster.map(|cluster| ("clusterid", cluster));
    let extra = extra.iter().map(|(name, value)| (&**name, &**value));
    for (name, value) in extra.chain(cluster) {
        let refuse = |reason| ControlError::Header {
            name: name.to_owned(),
            reason,
        };
        let key: HeaderName = name
            .parse()
            .map_err(|_| refuse("it is not a header name"))?;
        if RESERVED.contains(&key.as_str()) || key.as_str().starts_with("grpc-") {
            return Err(refuse("HTTP/2 and gRPC set it themselves"));
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| refuse("its value has characters that no header has"))?;
        value.set_sensitive(key == http::header::AUTHORIZATION);
        headers.insert(key, value);
    }
    Ok(headers)
}
