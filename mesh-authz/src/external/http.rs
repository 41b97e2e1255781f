//! Authorizers that are asked by HTTP: Istio's `envoyExtAuthzHttp`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, LOCATION, TE, TRANSFER_ENCODING, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::ask::{Ask, Asked};
use super::authorizer::{ExternalAnswer, ExternalAuthorizer, ExternalDenial, ExternalError};
use super::changes::HeaderChanges;
use super::names::HeaderNames;
use crate::connection::Connection;
use crate::request::Request;

const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// What an authorizer is asked, and what is taken over from its answers.
///
/// Source: Istio's `MeshConfig.ExtensionProvider.EnvoyExternalAuthorizationHttpProvider`.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct HttpCheck {
    /// What the path begins with, before that of the request: `pathPrefix`.
    pub path_prefix: String,
    /// Headers of the request that it is told, beside `authorization`: `includeRequestHeadersInCheck`.
    pub include: HeaderNames,
    /// Headers that it is told in any case: `includeAdditionalHeadersInCheck`. They take the place of the request's.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Headers of an answer that allows, which the request gets: `headersToUpstreamOnAllow`.
    pub upstream_on_allow: HeaderNames,
    /// Headers of an answer that denies, which the client gets: `headersToDownstreamOnDeny`. All of them where
    /// there is no list; `location` and `www-authenticate` always.
    pub downstream_on_deny: Option<HeaderNames>,
}

/// An [`ExternalAuthorizer`] that is asked by HTTP.
///
/// It gets the method, the host and the path of the request, and no body. 200 allows; 5xx is a failure; any
/// other answer goes to the client.
#[derive(Clone, Debug)]
pub struct HttpAuthorizer {
    check: HttpCheck,
    ask: Arc<dyn Ask>,
}

impl HttpAuthorizer {
    /// An authorizer that is reached by `ask`.
    #[must_use]
    pub fn new(check: HttpCheck, ask: Arc<dyn Ask>) -> Self {
        Self { check, ask }
    }

    fn question(&self, request: &Request<'_>) -> Option<http::Request<Bytes>> {
        let check = &self.check;
        let target = request.target.map_or("/", |target| match target.as_str() {
            "*" => "/",
            path => path,
        });
        let uri: Uri = format!("{}{target}", check.path_prefix).parse().ok()?;
        let mut asked = http::Request::new(Bytes::new());
        *asked.method_mut() = Method::from_bytes(request.method.as_bytes()).ok()?;
        *asked.uri_mut() = uri;
        let headers = asked.headers_mut();
        headers.insert(HOST, HeaderValue::try_from(request.host).ok()?);
        let told = |name: &HeaderName| *name == AUTHORIZATION || check.include.contains(name);
        let forwarded = request
            .headers
            .iter()
            .filter(|(name, _)| told(name) && !is_framing(name));
        for (name, value) in forwarded.filter(|(name, _)| **name != HOST) {
            headers.append(name.clone(), value.clone());
        }
        for (name, value) in &check.add {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Some(asked)
    }

    fn understand(&self, answer: Asked) -> Result<ExternalAnswer, ExternalError> {
        let check = &self.check;
        if answer.status == StatusCode::OK {
            let mut changes = HeaderChanges::default();
            for line in answer.headers.get_all(REMOVE) {
                let line = line.to_str().map_err(|_| ExternalError::BadAnswer)?;
                for name in line
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                {
                    let name = name.parse().map_err(|_| ExternalError::BadAnswer)?;
                    changes.remove.push(name);
                }
            }
            let taken = answer.headers.iter();
            let taken = taken.filter(|(name, _)| check.upstream_on_allow.contains(name));
            let taken = taken.map(|(name, value)| (name.clone(), value.clone()));
            changes.set.extend(taken);
            return Ok(match changes.is_empty() {
                true => ExternalAnswer::Allow,
                false => ExternalAnswer::Change(changes),
            });
        }
        if answer.status.is_server_error() || answer.status.is_informational() {
            return Err(ExternalError::Unavailable);
        }
        let passed = |name: &HeaderName| {
            let listed = check.downstream_on_deny.as_ref();
            let listed = listed.is_none_or(|names| names.contains(name));
            !is_framing(name) && (listed || *name == LOCATION || *name == WWW_AUTHENTICATE)
        };
        let mut headers = HeaderMap::new();
        for (name, value) in answer.headers.iter().filter(|(name, _)| passed(name)) {
            headers.append(name.clone(), value.clone());
        }
        Ok(ExternalAnswer::Deny(ExternalDenial {
            status: answer.status,
            headers,
            body: answer.body.into(),
        }))
    }
}

fn is_framing(name: &HeaderName) -> bool {
    [CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE].contains(name)
}

#[async_trait]
impl ExternalAuthorizer for HttpAuthorizer {
    async fn check(
        &self,
        _: &str,
        _: &Connection<'_>,
        request: &Request<'_>,
    ) -> Result<ExternalAnswer, ExternalError> {
        let question = self.question(request).ok_or(ExternalError::Unavailable)?;
        let answer = self.ask.ask(question).await?;
        self.understand(answer)
    }
}
