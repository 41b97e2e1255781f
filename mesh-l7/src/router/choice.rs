//! Which rule a request meets.

use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method};

use crate::downstream::Downstream;
use crate::matching::{Claims, Head, PathMatch};
use crate::route::{HostTable, Rule};

/// A rule that a request meets, and by which of its alternatives.
pub(super) struct Choice {
    pub(super) rule: Arc<Rule>,
    alternative: usize,
}

impl Choice {
    /// The rule of a request; `None` when it meets none.
    pub(super) fn of(routes: &HostTable, parts: &Parts) -> Option<Self> {
        let matched = routes.select(&head(parts))?;
        Some(Self {
            rule: matched.rule.clone(),
            alternative: matched.alternative,
        })
    }

    /// The condition on the path that was met.
    pub(super) fn path(&self) -> Option<&PathMatch> {
        let alternative = self.rule.matches.get(self.alternative);
        alternative.map(|matches| &matches.path)
    }
}

/// What a route is chosen by.
pub(super) fn head(parts: &Parts) -> Head<'_> {
    let target = match parts.uri.path_and_query() {
        Some(target) if parts.method != Method::CONNECT => target.as_str(),
        _ => "",
    };
    let mut head = Head::new(
        parts.method.as_str(),
        authority(parts),
        target,
        &parts.headers,
    );
    let downstream = Downstream::of(&parts.extensions);
    if let Some(downstream) = downstream {
        let service = downstream.service.as_ref().map(|service| service.port);
        head.port = service.unwrap_or_else(|| downstream.destination.port());
        let source = downstream.identity.as_ref();
        head.source_namespace = source.map(|identity| identity.namespace().as_str());
    }
    let claims = parts.extensions.get::<Arc<dyn Claims>>();
    head.claims = claims.map(|claims| &**claims);
    head
}

/// The host with its port: of the `Host` header, or of the URI where there is none.
pub(super) fn authority(parts: &Parts) -> &str {
    let host = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    let host = host.and_then(|host| std::str::from_utf8(host).ok());
    host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or_default()
}
