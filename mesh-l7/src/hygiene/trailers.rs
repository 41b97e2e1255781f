//! Trailers.

use http::{HeaderMap, HeaderName};

/// Names that no trailer has: those that frame, route, authenticate or describe a message, and have
/// to be known before its body (RFC 9110 §6.5.1).
const FORBIDDEN: [&str; 31] = [
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "warning",
    "www-authenticate",
];

/// Removes trailers that a message must not have. Those of gRPC and checksums stay.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    let removed: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            FORBIDDEN.binary_search(&name).is_ok()
                || name.starts_with("if-")
                || name.starts_with("x-forwarded-")
        })
        .cloned()
        .collect();
    for name in removed {
        trailers.remove(name);
    }
}
