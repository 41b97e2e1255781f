//! Answers in place of the inner service.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Version};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// An answer: a status, a body, and headers beside those that follow from them.
///
/// ```
/// use mesh_authz::layer::Reply;
///
/// let request = http::Request::get("/").header("content-type", "application/grpc").body(())?;
/// let response: http::Response<bytes::Bytes> = Reply::denied().to(&request.into_parts().0);
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["grpc-status"], "7");
/// assert_eq!(response.headers()["grpc-message"], "RBAC: access denied");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    status: StatusCode,
    body: Bytes,
    headers: HeaderMap,
}

impl Reply {
    /// An answer with this status and body.
    #[must_use]
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: HeaderMap::new(),
        }
    }

    /// The answer to what policies deny: 403, `RBAC: access denied`. It never names the policy.
    #[must_use]
    pub fn denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "RBAC: access denied")
    }

    /// With another header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With these headers alone, beside those that follow from the status and the body. A
    /// `content-type` among them is that of the body.
    #[must_use]
    pub(super) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The answer in the form that this request wants.
    ///
    /// | request | form |
    /// |---|---|
    /// | gRPC | 200 without body; `grpc-status` by the status, `grpc-message` the body, percent-encoded |
    /// | HEAD | the status and the headers of the body, without it |
    /// | any other | the status, the body, as `text/plain` when nothing else is said, its `content-length` |
    ///
    /// An HTTP/1 request whose body may still be arriving closes its connection.
    #[must_use]
    pub fn to<B: From<Bytes>>(self, request: &Parts) -> Response<B> {
        let closes = request.version < Version::HTTP_2 && has_body(&request.headers);
        let mut response = if is_grpc(&request.headers) {
            self.grpc()
        } else {
            self.plain(request.method == Method::HEAD)
        };
        if closes {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }

    fn plain<B: From<Bytes>>(self, is_head: bool) -> Response<B> {
        let length = self.body.len();
        let body = if is_head { Bytes::new() } else { self.body };
        let mut response = Response::new(B::from(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if length > 0 && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        response
    }

    fn grpc<B: From<Bytes>>(self) -> Response<B> {
        let mut response = Response::new(B::from(Bytes::new()));
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS, HeaderValue::from(grpc_status(self.status)));
        if let Ok(message) = HeaderValue::from_str(&percent_encoded(&self.body)) {
            headers.insert(GRPC_MESSAGE, message);
        }
        response
    }
}

/// Whether a request is gRPC, by its content type.
fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH);
    headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}

/// gRPC, `http-grpc-status-mapping.md`.
fn grpc_status(status: StatusCode) -> u16 {
    match status {
        StatusCode::BAD_REQUEST => 13,
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::NOT_FOUND => 12,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => 14,
        _ => 2,
    }
}

/// gRPC, `PROTOCOL-HTTP2.md`: everything but visible ASCII, spaces, and `%` itself.
fn percent_encoded(text: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => write!(encoded, "%{byte:02X}").unwrap_or(()),
        }
    }
    encoded
}
