//! The metrics server.

use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, VARY,
};
use hyper::{Method, Request, StatusCode};

use crate::telemetry::{Exposition, Metrics};
use process::compression::{accepts_gzip, gzip};
use process::http::{self, Answer};

/// Answers `GET /metrics` and `GET /stats/prometheus`.
pub(crate) fn answer(metrics: &Metrics, request: &Request<Incoming>) -> Answer {
    if !matches!(request.uri().path(), "/metrics" | "/stats/prometheus") {
        return http::not_found();
    }
    if request.method() != Method::GET {
        return http::method_not_allowed();
    }
    let format = Exposition::for_accept(header(request.headers(), &ACCEPT));
    let page = metrics.write(format);
    let wanted = accepts_gzip(header(request.headers(), &ACCEPT_ENCODING));
    let packed = wanted.then(|| gzip(page.as_bytes()).ok()).flatten();
    let compressed = packed.is_some();
    let body = packed.unwrap_or_else(|| page.into());
    let mut answer = http::with_type(StatusCode::OK, format.content_type(), body);
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or("")
}
