//! What is done to every response before it is written.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, SEC_WEBSOCKET_ACCEPT, SERVER, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, response};
use http_body::Body as _;

use super::settings::ServerSettings;
use crate::body::Body;
use crate::hygiene::Admitted;
use crate::wire::{accept_value, http_date};

/// What is remembered of a request until its answer is there.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) admitted: Admitted,
    /// The key of a WebSocket handshake, where the client sent one.
    pub(super) key: Option<HeaderValue>,
}

impl Asked {
    /// Whether an answer switches protocols: the bodies are the directions of a tunnel from then on.
    pub(super) fn switches(&self, status: StatusCode) -> bool {
        match self.admitted.upgrade {
            Some(_) => status == StatusCode::SWITCHING_PROTOCOLS,
            None => self.method == Method::CONNECT && status.is_success(),
        }
    }

    /// Whether an answer has no body, whatever the service gives (RFC 9110 §6.4.1).
    fn without_body(&self, status: StatusCode) -> bool {
        self.method == Method::HEAD
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
    }
}

/// Makes a response ready for a client of HTTP/1.
pub(super) fn for_http1(
    parts: &mut response::Parts,
    body: &mut Body,
    asked: &Asked,
    settings: &ServerSettings,
) {
    let switches = asked.switches(parts.status);
    finish(parts, body, asked, settings, switches);
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    if let (true, Some(protocol)) = (switches, &asked.admitted.upgrade) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
        if let Some(key) = &asked.key
            && !headers.contains_key(SEC_WEBSOCKET_ACCEPT)
            && let Some(accept) = accept_value(key.as_bytes())
        {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        return;
    }
    if asked.version == Version::HTTP_10 {
        // What keep-alive means in HTTP/1.0 depends on who is asked. Said in a version of its own,
        // so that the connection is not kept for a client that asks for it.
        parts.version = Version::HTTP_10;
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // Trailers of HTTP/1 are announced; those of gRPC are known beforehand.
    let announce = asked.admitted.accepts_trailers && !headers.contains_key(TRAILER);
    if announce && is_grpc(headers) && !body.is_end_stream() {
        let names = "grpc-status, grpc-message, grpc-status-details-bin";
        headers.insert(TRAILER, HeaderValue::from_static(names));
    }
}

/// Makes a response ready for a client of HTTP/2.
pub(super) fn for_http2(
    parts: &mut response::Parts,
    body: &mut Body,
    asked: &Asked,
    settings: &ServerSettings,
) {
    let switches = asked.switches(parts.status);
    finish(parts, body, asked, settings, switches);
    parts.version = Version::HTTP_2;
    let headers = &mut parts.headers;
    if switches {
        // RFC 8441 §5.
        parts.status = StatusCode::OK;
        headers.remove(SEC_WEBSOCKET_ACCEPT);
    }
    if !headers.contains_key(DATE)
        && let Some(date) = http_date()
    {
        headers.insert(DATE, date);
    }
    let length = body.size_hint().exact();
    if let Some(length) = length
        && !switches
        && !asked.without_body(parts.status)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn finish(
    parts: &mut response::Parts,
    body: &mut Body,
    asked: &Asked,
    settings: &ServerSettings,
    switches: bool,
) {
    // A service may have answered with a status that is none of its own.
    if parts.status.is_informational() && !switches {
        parts.status = StatusCode::BAD_GATEWAY;
        *body = Body::empty();
    }
    let headers = &mut parts.headers;
    if headers
        .keys()
        .any(|name| CONNECTION_SPECIFIC.contains(name))
    {
        for name in CONNECTION_SPECIFIC {
            headers.remove(name);
        }
    }
    if switches {
        headers.remove(CONTENT_LENGTH);
    } else if asked.without_body(parts.status) {
        *body = Body::empty();
    } else if let (Some(exact), Some(said)) =
        (body.size_hint().exact(), headers.get(CONTENT_LENGTH))
        && said.to_str().ok().and_then(|said| said.parse().ok()) != Some(exact)
    {
        // What is sent counts.
        headers.remove(CONTENT_LENGTH);
    }
    if let Some(server) = &settings.server {
        headers.insert(SERVER, server.clone());
    }
}

const CONNECTION_SPECIFIC: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
