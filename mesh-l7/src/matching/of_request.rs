//! What a route is chosen by, of a request.

use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method};

use super::head::{Claims, Head};
use crate::downstream::Downstream;

impl<'a> Head<'a> {
    /// That of a request, with what its extensions say of its connection
    /// ([`Downstream`](crate::downstream::Downstream)) and of a verified token (`Arc<dyn Claims>`).
    #[must_use]
    pub fn of(parts: &'a Parts) -> Self {
        let target = match parts.uri.path_and_query() {
            Some(target) if parts.method != Method::CONNECT => target.as_str(),
            _ => "",
        };
        let method = parts.method.as_str();
        let mut head = Self::new(method, authority(parts), target, &parts.headers);
        if let Some(downstream) = Downstream::of(&parts.extensions) {
            let service = downstream.service.as_ref().map(|service| service.port);
            head.port = service.unwrap_or_else(|| downstream.destination.port());
            let source = downstream.identity.as_ref();
            head.source_namespace = source.map(|identity| identity.namespace().as_str());
            head.source_labels = downstream.labels.as_deref();
        }
        let claims = parts.extensions.get::<Arc<dyn Claims>>();
        head.claims = claims.map(|claims| &**claims as &dyn Claims);
        head
    }
}

/// The host with its port: of the `Host` header, or of the URI where there is none.
fn authority(parts: &Parts) -> &str {
    let host = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    let host = host.and_then(|host| std::str::from_utf8(host).ok());
    host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or_default()
}
