//! What differs between HTTP/1 and HTTP/2.

use http::header::{CONNECTION, COOKIE, HOST, TE, UPGRADE};
use http::{HeaderMap, HeaderValue};

use super::admit::Admitted;

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Makes the headers of an admitted request those of an HTTP/1.1 connection to a server.
///
/// Several lines of `Cookie`, which HTTP/2 may send, become one (RFC 9113 §8.2.3).
pub fn for_http1(headers: &mut HeaderMap, admitted: &Admitted) {
    if headers.get_all(COOKIE).iter().count() > 1 {
        let lines: Vec<&[u8]> = headers
            .get_all(COOKIE)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
            headers.insert(COOKIE, joined);
        }
    }
    let options = match (&admitted.upgrade, admitted.accepts_trailers) {
        (Some(_), true) => "upgrade, te",
        (Some(_), false) => "upgrade",
        (None, true) => "te",
        (None, false) => return,
    };
    headers.insert(CONNECTION, HeaderValue::from_static(options));
    if let Some(protocol) = &admitted.upgrade {
        headers.insert(UPGRADE, protocol.clone());
    }
    if admitted.accepts_trailers {
        headers.insert(TE, TRAILERS);
    }
}

/// Makes the headers of an admitted request those of an HTTP/2 stream to a server.
///
/// The host becomes `:authority`, which is part of the URI and returned here.
#[must_use = "it is the :authority"]
pub fn for_http2(headers: &mut HeaderMap, admitted: &Admitted) -> Option<HeaderValue> {
    if admitted.accepts_trailers {
        headers.insert(TE, TRAILERS);
    }
    headers.remove(HOST)
}
