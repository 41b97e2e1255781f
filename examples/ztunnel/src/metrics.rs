//! The metrics server.

use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::{Method, Request, StatusCode};

use crate::http::{self, Answer};
use crate::telemetry::{Exposition, Metrics};

/// Answers `GET /metrics` and `GET /stats/prometheus`.
pub(crate) fn answer(metrics: &Metrics, request: &Request<Incoming>) -> Answer {
    if !matches!(request.uri().path(), "/metrics" | "/stats/prometheus") {
        return http::not_found();
    }
    if request.method() != Method::GET {
        return http::method_not_allowed();
    }
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    let format = Exposition::for_accept(accept);
    http::with_type(StatusCode::OK, format.content_type(), metrics.write(format))
}
