//! Requests as they are sent to an upstream.

use bytes::Bytes;
use h2::ext::Protocol;
use http::header::{
    CONTENT_LENGTH, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Uri, Version, request};
use http_body::Body as _;

use crate::attempt::AttemptError;
use crate::body::Body;
use crate::hygiene::{Admitted, for_http1, for_http2};
use crate::kept_lines::KeptLines;
use crate::target::ServiceTarget;
use crate::wire::{accept_value, new_key, random};

/// A request that is ready to be sent.
pub(super) struct Prepared {
    pub(super) head: Request<()>,
    pub(super) body: Body,
    /// Set where the request asks for another protocol, or for a tunnel.
    pub(super) switch: Option<Switch>,
}

/// What it takes to send a request without a body once more, in little room: it is seldom needed.
pub(super) struct Repeated {
    method: Method,
    uri: Uri,
    version: Version,
    lines: KeptLines,
}

/// What a request asks to switch to.
#[derive(Clone, Debug)]
pub(super) enum Switch {
    /// Another protocol, with an answer 101; and what `sec-websocket-accept` has to be in it, where we
    /// made the key ourselves.
    Upgrade { accept: Option<HeaderValue> },
    /// A tunnel, with an answer of 2xx.
    Connect,
}

impl Switch {
    /// Whether an answer switches.
    pub(super) fn is_made_by(&self, status: StatusCode) -> bool {
        match self {
            Self::Upgrade { .. } => status == StatusCode::SWITCHING_PROTOCOLS,
            Self::Connect => status.is_success(),
        }
    }

    /// What has to be in an answer that switches.
    pub(super) fn accept(&self) -> Option<&HeaderValue> {
        match self {
            Self::Upgrade { accept } => accept.as_ref(),
            Self::Connect => None,
        }
    }
}

impl Prepared {
    /// The same request again, where sending it twice does no harm (RFC 9110 §9.2.2) and it has no body.
    pub(super) fn repeated(&self) -> Option<Repeated> {
        let harmless = self.head.method().is_idempotent();
        if !harmless || self.switch.is_some() || !self.body.is_end_stream() {
            return None;
        }
        Some(Repeated {
            method: self.head.method().clone(),
            uri: self.head.uri().clone(),
            version: self.head.version(),
            lines: KeptLines::of(self.head.headers()),
        })
    }
}

impl Repeated {
    /// The request; `None` would mean that its lines are not what was kept.
    pub(super) fn prepared(&self) -> Option<Prepared> {
        let mut head = Request::new(());
        *head.headers_mut() = self.lines.headers()?;
        *head.method_mut() = self.method.clone();
        *head.uri_mut() = self.uri.clone();
        *head.version_mut() = self.version;
        Some(Prepared {
            head,
            body: Body::empty(),
            switch: None,
        })
    }
}

/// Makes a request one of HTTP/1.1.
pub(super) fn prepare_http1(request: Request<Body>, target: &ServiceTarget) -> Prepared {
    let (mut parts, body) = request.into_parts();
    let admitted = admitted(&mut parts);
    let mut switch = None;
    if let Some(protocol) = &admitted.upgrade {
        switch = Some(Switch::Upgrade {
            accept: match protocol.as_bytes().eq_ignore_ascii_case(b"websocket") {
                true => websocket_key(&mut parts),
                false => None,
            },
        });
    } else if parts.method == Method::CONNECT {
        switch = Some(Switch::Connect);
    }
    for_http1(&mut parts.headers, &admitted);
    parts.version = Version::HTTP_11;
    if !parts.headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(&target.hostname)
    {
        parts.headers.insert(HOST, host);
    }
    frame(&mut parts, &body, switch.is_some());
    Prepared {
        head: Request::from_parts(parts, ()),
        body,
        switch,
    }
}

/// Makes a request one of HTTP/2.
///
/// # Errors
/// [`AttemptError::Request`] where there is no URI of it.
pub(super) fn prepare_http2(
    request: Request<Body>,
    target: &ServiceTarget,
) -> Result<Prepared, AttemptError> {
    let (mut parts, body) = request.into_parts();
    let admitted = admitted(&mut parts);
    let host = for_http2(&mut parts.headers, &admitted);
    parts.version = Version::HTTP_2;
    let mut switch = None;
    if let Some(protocol) = &admitted.upgrade {
        let protocol = protocol.to_str().unwrap_or_default();
        parts.extensions.insert(Protocol::from(protocol));
        parts.method = Method::CONNECT;
        parts.headers.remove(SEC_WEBSOCKET_KEY);
        switch = Some(Switch::Upgrade { accept: None });
    } else if parts.method == Method::CONNECT {
        switch = Some(Switch::Connect);
    }
    let plain_connect = switch.is_some() && admitted.upgrade.is_none();
    if !plain_connect {
        let authority = match &host {
            Some(host) => Authority::from_maybe_shared(Bytes::copy_from_slice(host.as_bytes())),
            None => Authority::try_from(&*target.hostname),
        };
        let authority = authority.map_err(|error| AttemptError::Request(Box::new(error)))?;
        let path = parts.uri.path_and_query().cloned();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(authority);
        uri.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
        parts.uri = Uri::from_parts(uri).map_err(|error| AttemptError::Request(Box::new(error)))?;
    }
    frame(&mut parts, &body, switch.is_some());
    parts.headers.remove(TRANSFER_ENCODING);
    Ok(Prepared {
        head: Request::from_parts(parts, ()),
        body,
        switch,
    })
}

/// What the request said of its connection. Everything else that travelled with it stays here.
fn admitted(parts: &mut request::Parts) -> Admitted {
    let admitted = parts.extensions.remove::<Admitted>().unwrap_or_default();
    parts.extensions.clear();
    admitted
}

/// A key of our own where the client sent none; what has to answer it.
fn websocket_key(parts: &mut request::Parts) -> Option<HeaderValue> {
    let headers = &mut parts.headers;
    if headers.contains_key(SEC_WEBSOCKET_KEY) {
        // The client compares the answer itself.
        return None;
    }
    let key = new_key(random())?;
    let accept = accept_value(key.as_bytes());
    headers.insert(SEC_WEBSOCKET_KEY, key);
    if !headers.contains_key(SEC_WEBSOCKET_VERSION) {
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    accept
}

/// Makes the framing that of the body which is sent.
fn frame(parts: &mut request::Parts, body: &Body, switches: bool) {
    let headers = &mut parts.headers;
    let said = headers.get(CONTENT_LENGTH);
    let said: Option<u64> = said.and_then(|said| said.to_str().ok()?.parse().ok());
    let exact = body.size_hint().exact();
    if switches || (exact.is_some() && said.is_some() && said != exact) {
        headers.remove(CONTENT_LENGTH);
        return;
    }
    // Without this, a body of unknown length would be left out where bodies are rare.
    let rare = parts.method == Method::GET || parts.method == Method::HEAD;
    if rare && exact.is_none() && said.is_none() {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}
