//! What policies read of a request's head, in the form that is passed on.

use std::borrow::Cow;

use http::header::{HOST, LOCATION};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use mesh_core::target::{BadTarget, Host, Target, TargetRules};

use super::reply::Reply;
use crate::request::Request;

/// The target of a request, normalised; `None` for a CONNECT to an authority.
///
/// # Errors
/// The answer to a client whose target is bad: 400, or a redirect where the rules want one.
pub(super) fn target<'u>(
    method: &Method,
    raw: &'u Uri,
    rules: TargetRules,
) -> Result<Option<Target<'u>>, Box<Reply>> {
    let Some(path) = raw.path_and_query() else {
        return match *method {
            Method::CONNECT => Ok(None),
            _ => Err(bad_request()),
        };
    };
    let target = match path.as_str() {
        // The empty path of a URI is `/` (RFC 9110 section 4.2.3).
        text if text.is_empty() || text.starts_with('?') => {
            let text: Cow<'_, str> = format!("/{text}").into();
            Target::normalize(text.as_bytes(), rules).map(Target::into_owned)
        }
        text => Target::normalize(text.as_bytes(), rules),
    };
    match target {
        Ok(target) if target.is_asterisk() && *method != Method::OPTIONS => Err(bad_request()),
        Ok(target) => Ok(Some(target)),
        Err(BadTarget::Redirect { location }) => {
            let location = HeaderValue::from_str(&location).map_err(|_| bad_request())?;
            Err(Box::new(
                Reply::new(StatusCode::TEMPORARY_REDIRECT, "").with(LOCATION, location),
            ))
        }
        Err(_) => Err(bad_request()),
    }
}

/// Makes the URI say what was decided about: the bytes of `target` and no others.
///
/// # Errors
/// The answer when it cannot.
pub(super) fn rewrite(uri: &mut Uri, target: &Target<'_>) -> Result<(), Box<Reply>> {
    let text = target.as_str();
    if uri.path_and_query().is_some_and(|path| path == text) {
        return Ok(());
    }
    let path = PathAndQuery::try_from(text).map_err(|_| bad_request())?;
    if path.as_str() != text {
        return Err(bad_request());
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    *uri = Uri::from_parts(parts).map_err(|_| bad_request())?;
    Ok(())
}

/// What policies see of a request whose target is in its form; no claims.
///
/// # Errors
/// As [`host`].
pub(super) fn request<'a>(
    parts: &'a Parts,
    target: Option<&'a Target<'a>>,
) -> Result<Request<'a>, Box<Reply>> {
    let request = Request::new(parts.method.as_str(), host(parts)?, &parts.headers);
    Ok(match target {
        Some(target) => request.with_target(target),
        None => request,
    })
}

/// The authority of a request, as it is forwarded.
///
/// # Errors
/// 400 for a request without one, with several `Host` lines (RFC 9112 section 3.2), with a `Host` that
/// differs from the authority of its target (RFC 9113 section 8.3.1), and for what is no host.
fn host(parts: &Parts) -> Result<&str, Box<Reply>> {
    let header = host_header(&parts.headers)?;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = authority.or(header).ok_or_else(bad_request)?;
    let parsed = Host::parse(host.as_bytes()).map_err(|_| bad_request())?;
    if let (Some(_), Some(header)) = (authority, header) {
        let header = Host::parse(header.as_bytes()).map_err(|_| bad_request())?;
        if header != parsed {
            return Err(bad_request());
        }
    }
    Ok(host)
}

fn host_header(headers: &HeaderMap) -> Result<Option<&str>, Box<Reply>> {
    let mut lines = headers.get_all(HOST).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    match (lines.next(), line.to_str()) {
        (None, Ok(text)) => Ok(Some(text)),
        _ => Err(bad_request()),
    }
}

/// The answer to a request that is malformed.
pub(super) fn bad_request() -> Box<Reply> {
    Box::new(Reply::new(StatusCode::BAD_REQUEST, "Bad Request"))
}
