//! Answers that are made here, in the form that the client expects.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::record::{Flags, Record};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// An answer that is made here: every one of them is one of these.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use mesh_l7::record::{Flags, Record};
/// use mesh_l7::reply::{Form, Reply};
///
/// let reply = Reply::new(StatusCode::SERVICE_UNAVAILABLE, "no_healthy_upstream")
///     .with_body("no healthy upstream")
///     .with_flags(Flags::NO_HOST);
/// let record = Record::new(std::time::Instant::now());
///
/// let (parts, ()) = Request::get("/").body(())?.into_parts();
/// let response: Response<Bytes> = reply.clone().answer(Form::of(&parts), &record);
/// assert_eq!(response.status(), 503);
/// assert_eq!(response.headers()["content-type"], "text/plain");
/// assert_eq!(record.note(|entry| entry.flags.to_string()), "UH");
///
/// let (parts, ()) = Request::post("/").header("content-type", "application/grpc").body(())?.into_parts();
/// let response: Response<Bytes> = reply.answer(Form::of(&parts), &record);
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["grpc-status"], "14");
/// assert_eq!(response.headers()["grpc-message"], "no healthy upstream");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    body: Bytes,
    /// Apart, because most have none.
    headers: Option<Box<HeaderMap>>,
    flags: Flags,
    detail: &'static str,
    grpc: Option<u8>,
}

/// The form in which a client expects an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum Form {
    /// Status, headers and body.
    Http,
    /// The same without the body: the request was a HEAD.
    Head,
    /// Status 200 and `grpc-status`: a response of gRPC that is headers alone.
    Grpc,
}

impl Form {
    /// The form for a request: gRPC when its `content-type` says so. gRPC-Web is HTTP.
    #[must_use]
    pub fn of(request: &Parts) -> Self {
        if is_grpc(&request.headers) {
            return Self::Grpc;
        }
        match request.method {
            Method::HEAD => Self::Head,
            _ => Self::Http,
        }
    }
}

/// Whether a message is one of gRPC: `application/grpc`, or that with `+` or `;` and more.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some(value) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else {
        return false;
    };
    let is = value
        .get(..GRPC.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(GRPC));
    is && matches!(value.get(GRPC.len()), None | Some(b'+' | b';' | b' '))
}

impl Reply {
    /// An answer with this status and an empty body. `detail` says what it came of, as Envoy's
    /// `RESPONSE_CODE_DETAILS` do.
    #[must_use]
    pub fn new(status: StatusCode, detail: &'static str) -> Self {
        Self {
            status,
            body: Bytes::new(),
            headers: None,
            flags: Flags::NONE,
            detail,
            grpc: None,
        }
    }

    /// With a body: `text/plain` unless a header says otherwise; the `grpc-message` for gRPC.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With what went wrong.
    #[must_use]
    pub fn with_flags(mut self, flags: Flags) -> Self {
        self.flags = self.flags.and(flags);
        self
    }

    /// With another header, in place of one of its name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// With these headers, in place of those that it had.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = Some(Box::new(headers));
        self
    }

    /// With a status for gRPC other than the one that follows from the HTTP status.
    #[must_use]
    pub fn with_grpc_status(mut self, status: u8) -> Self {
        self.grpc = Some(status);
        self
    }

    /// The status as it is for HTTP.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer in this form. What it came of is noted in the record.
    #[must_use]
    pub fn answer<B: From<Bytes>>(self, form: Form, record: &Record) -> Response<B> {
        let (flags, detail) = (self.flags, self.detail);
        record.note(|entry| {
            entry.flags = entry.flags.and(flags);
            entry.detail = detail;
        });
        self.response(form)
    }

    /// The answer in this form.
    #[must_use]
    pub fn response<B: From<Bytes>>(self, form: Form) -> Response<B> {
        match form {
            Form::Grpc => self.grpc(),
            Form::Http | Form::Head => self.http(form),
        }
    }

    fn http<B: From<Bytes>>(self, form: Form) -> Response<B> {
        let mut headers = self.headers.map_or_else(HeaderMap::new, |headers| *headers);
        if !self.body.is_empty() {
            let text = HeaderValue::from_static("text/plain");
            headers.entry(CONTENT_TYPE).or_insert(text);
            headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        let body = match form {
            Form::Head => Bytes::new(),
            Form::Http | Form::Grpc => self.body,
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }

    /// gRPC over HTTP/2: a response that is headers alone ("Trailers-Only").
    fn grpc<B: From<Bytes>>(self) -> Response<B> {
        let mut headers = self.headers.map_or_else(HeaderMap::new, |headers| *headers);
        let status = self.grpc.unwrap_or_else(|| grpc_status(self.status));
        let kind = HeaderValue::from_static("application/grpc");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(GRPC_STATUS, u16::from(status).into());
        if !self.body.is_empty()
            && let Ok(message) = HeaderValue::try_from(percent_encoded(&self.body))
        {
            headers.insert(GRPC_MESSAGE, message);
        }
        let mut response = Response::new(Bytes::new().into());
        *response.headers_mut() = headers;
        response
    }
}

/// gRPC's status for an answer of HTTP.
///
/// Source: gRPC's "HTTP to gRPC Status Code Mapping".
#[must_use]
pub fn grpc_status(status: StatusCode) -> u8 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// The status of HTTP for one of gRPC, for clients that do not speak it.
///
/// Source: Envoy's mapping, which is that of `google.rpc.Code`.
#[must_use]
pub fn http_status(grpc: u32) -> StatusCode {
    match grpc {
        0 => StatusCode::OK,
        3 | 9 | 11 => StatusCode::BAD_REQUEST,
        4 => StatusCode::GATEWAY_TIMEOUT,
        5 => StatusCode::NOT_FOUND,
        6 | 10 => StatusCode::CONFLICT,
        7 => StatusCode::FORBIDDEN,
        8 => StatusCode::TOO_MANY_REQUESTS,
        12 => StatusCode::NOT_IMPLEMENTED,
        14 => StatusCode::SERVICE_UNAVAILABLE,
        16 => StatusCode::UNAUTHORIZED,
        // The client closed the request; no name is registered for it.
        1 => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Everything outside of space to `~` and the percent sign is escaped.
fn percent_encoded(message: &[u8]) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message {
        match byte {
            b' '..=b'~' if *byte != b'%' => encoded.push(char::from(*byte)),
            // Writing to a string does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
