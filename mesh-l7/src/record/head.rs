//! What is kept of the heads of messages.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

/// The head of a request, as it came to the outermost layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target; with the authority where the request has no `host`.
    pub uri: Uri,
    /// The version of HTTP.
    pub version: Version,
    /// The header `host`, where the target has no authority.
    pub host: Option<HeaderValue>,
    /// The headers that somebody wants to know.
    pub headers: Captured,
    /// Its size: the text of HTTP/1, whatever was on the wire.
    pub bytes: u64,
}

/// The head of a response and its trailers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ResponseHead {
    /// The headers that somebody wants to know.
    pub headers: Captured,
    /// The trailers that somebody wants to know.
    pub trailers: Captured,
    /// Size of head and trailers: the text of HTTP/1, whatever was on the wire.
    pub bytes: u64,
}

/// A few headers of a message: the first line of each that was asked for and was there.
#[derive(Clone, Debug, Default)]
pub struct Captured(Vec<(HeaderName, HeaderValue)>);

impl RequestHead {
    /// That of a request, with those of its headers that are `wanted`.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>, wanted: &[HeaderName]) -> Self {
        let line = (request.method(), request.uri(), request.version());
        Self::new(line, request.headers(), wanted)
    }

    /// That of a request, without headers.
    #[cfg(feature = "serve")]
    pub(crate) fn of_parts(parts: &http::request::Parts) -> Self {
        let line = (&parts.method, &parts.uri, parts.version);
        Self::new(line, &parts.headers, &[])
    }

    fn new(
        (method, uri, version): (&Method, &Uri, Version),
        headers: &HeaderMap,
        wanted: &[HeaderName],
    ) -> Self {
        let host = match uri.authority() {
            None => headers.get(http::header::HOST).cloned(),
            Some(_) => None,
        };
        let target = uri
            .path_and_query()
            .map_or(1, |target| target.as_str().len());
        // `GET /path HTTP/1.1` and the empty line at the end.
        let line = method.as_str().len() + target + 12 + 2;
        Self {
            method: method.clone(),
            uri: uri.clone(),
            version,
            host,
            headers: Captured::of(headers, wanted),
            bytes: as_u64(line).saturating_add(size(headers)),
        }
    }

    /// The host and port that the request is for; empty when there is none or it is not text.
    #[must_use]
    pub fn authority(&self) -> &str {
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        match self.uri.authority() {
            Some(authority) => authority.as_str(),
            None => host.unwrap_or(""),
        }
    }

    /// Path and query; `*` of OPTIONS, empty for CONNECT.
    #[must_use]
    pub fn target(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("", |target| target.as_str())
    }
}

impl Captured {
    /// Those of `headers` that are `wanted`. Allocates only when one is there.
    #[must_use]
    pub fn of(headers: &HeaderMap, wanted: &[HeaderName]) -> Self {
        let found = |name: &HeaderName| Some((name.clone(), headers.get(name)?.clone()));
        Self(wanted.iter().filter_map(found).collect())
    }

    /// One of them.
    #[must_use]
    pub fn value(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let found = self.0.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value)
    }
}

/// The size of headers as HTTP/1 writes them: name, colon, space, value, end of line.
pub(crate) fn size(headers: &HeaderMap) -> u64 {
    let lines = headers.iter();
    lines.fold(0, |sum: u64, (name, value)| {
        sum.saturating_add(as_u64(name.as_str().len() + value.len() + 4))
    })
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
