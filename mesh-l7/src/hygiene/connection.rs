//! Headers that belong to one connection.

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::syntax;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Headers that HTTP/2 does not have (RFC 9113 §8.2.2).
pub(super) const CONNECTION_SPECIFIC: [HeaderName; 5] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Whether a header belongs to one connection, so that [`remove`] removes it. What `Connection` names does as well,
/// and is there only where that is.
pub(super) fn is_of_connection(name: &[u8]) -> bool {
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 => is(b"te"),
        7 => is(b"upgrade"),
        10 => is(b"connection") || is(b"keep-alive"),
        14 => is(b"http2-settings"),
        16 => is(b"proxy-connection"),
        17 => is(b"transfer-encoding"),
        _ => false,
    }
}

/// Removes what belongs to the connection that a message came on: what `Connection` names, and what
/// RFC 9110 §7.6.1 lists. Whether it may name them has been checked.
pub(super) fn remove(headers: &mut HeaderMap) {
    let options: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    for option in options
        .iter()
        .flat_map(|value| syntax::list(value.as_bytes()))
    {
        if let Ok(name) = HeaderName::from_bytes(option) {
            headers.remove(name);
        }
    }
    for name in CONNECTION_SPECIFIC {
        headers.remove(name);
    }
    headers.remove(TE);
    headers.remove(HTTP2_SETTINGS);
}

/// Whether a message says that its sender reads trailers.
pub(super) fn accepts_trailers(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(TE).iter();
    values.any(|value| {
        syntax::list(value.as_bytes()).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    })
}
