//! Authentication of requests by their tokens.

use std::fmt;
use std::fmt::Write;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::Scheme;
use http::{Request, Response};
use mesh_core::clock::WallClock;
use mesh_core::watch::Watch;
use tower_layer::Layer;
use tower_service::Service;

use super::counter::{Counter, JwtOutcome};
use super::extensions::set_claims;
use super::future::ResponseFuture;
use super::ready;
use super::refusal::Refusal;
use super::reply::Reply;
use super::sink::Sink;
use crate::jwt::{Authenticated, Authenticator, JwtError};

/// Verifies the tokens of requests. A request with a bad token is answered with 401 (403 when the
/// token is for another audience); one without a token passes, without
/// [claims](super::request_claims).
///
/// The rules are looked up anew for each request, so a new configuration is in force at once.
///
/// **Order:** outside of `AuthzLayer` and of everything that reads headers that rules write, because
/// copies that clients send are removed here; inside of layers that ask external authorizers, as
/// Istio's proxies have it.
#[derive(Clone)]
pub struct AuthnLayer(Arc<Shared>);

struct Shared {
    rules: Watch<Authenticator>,
    clock: Arc<dyn WallClock>,
    scheme: Scheme,
    sink: Arc<dyn Sink>,
}

impl AuthnLayer {
    /// A layer with these rules. `scheme` is that of requests that do not say it, for the realm of
    /// `WWW-Authenticate`.
    #[must_use]
    pub fn new(
        rules: Watch<Authenticator>,
        clock: Arc<dyn WallClock>,
        scheme: Scheme,
        sink: Arc<dyn Sink>,
    ) -> Self {
        let shared = Shared {
            rules,
            clock,
            scheme,
            sink,
        };
        Self(Arc::new(shared))
    }
}

impl<S> Layer<S> for AuthnLayer {
    type Service = Authn<S>;

    fn layer(&self, inner: S) -> Authn<S> {
        Authn {
            shared: self.0.clone(),
            inner,
        }
    }
}

/// The service of [`AuthnLayer`].
#[derive(Clone)]
pub struct Authn<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Authn<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        set_claims(&mut parts.extensions, None);
        match self.shared.check(&mut parts) {
            Ok(authenticated) => {
                set_claims(&mut parts.extensions, authenticated.claims);
                ResponseFuture::inner(self.inner.call(Request::from_parts(parts, body)))
            }
            Err(error) => {
                ready::release(&mut self.inner);
                self.shared.sink.refused(&parts, &Refusal::Token(error));
                let challenge = challenge(&parts, &self.shared.scheme);
                let reply = Reply::new(error.status(), error.to_string());
                ResponseFuture::local(reply.with(WWW_AUTHENTICATE, challenge).to(&parts))
            }
        }
    }
}

impl Shared {
    fn check(&self, parts: &mut Parts) -> Result<Authenticated, JwtError> {
        let result = self.rules.load().check(parts, self.clock.now());
        let outcome = match &result {
            Err(_) => JwtOutcome::Refused,
            Ok(it) if it.preflight => JwtOutcome::Preflight,
            Ok(it) if it.claims.is_some() => JwtOutcome::Verified,
            Ok(_) => JwtOutcome::Missing,
        };
        self.sink.count(&Counter::Jwt(outcome));
        result
    }
}

/// What would satisfy us (RFC 6750 section 3). The realm has no query: a token may be in it.
fn challenge(parts: &Parts, scheme: &Scheme) -> HeaderValue {
    let scheme = parts.uri.scheme().unwrap_or(scheme);
    let host = match parts.uri.authority() {
        // User information is a secret as well.
        Some(authority) => authority
            .as_str()
            .rsplit('@')
            .next()
            .unwrap_or("")
            .as_bytes(),
        None => parts
            .headers
            .get(HOST)
            .map_or(&b""[..], HeaderValue::as_bytes),
    };
    let mut text = format!("Bearer realm=\"{scheme}://");
    quote(&mut text, host);
    quote(&mut text, parts.uri.path().as_bytes());
    text.push_str("\", error=\"invalid_token\"");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// Writes what may stand between quotes; anything else percent-encoded.
fn quote(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | 0..=b' ' | 0x7f.. => write!(text, "%{byte:02X}").unwrap_or(()),
            _ => text.push(char::from(byte)),
        }
    }
}

impl fmt::Debug for AuthnLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthnLayer").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Authn<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authn").finish_non_exhaustive()
    }
}
