//! Parsed heads, of HTTP/1 and HTTP/2.

use http::header::{EXPECT, HOST, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request, response};
use mesh_core::target::{BadHost, Host};

use super::bad_head::BadHead;
use super::connection::{self, CONNECTION_SPECIFIC};
use super::fields::{Fields, Upgrade};
use super::framing::{Body, Version};
use super::request_head::method_text;
use super::rules::{AbsoluteForm, HygieneRules, Underscores};
use super::syntax;

/// What a request said about its own connection, and was taken out of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Admitted {
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// The client reads trailers (`TE: trailers`).
    pub accepts_trailers: bool,
    /// The protocol that the client asks to switch to; one of
    /// [`HygieneRules::upgrades`].
    pub upgrade: Option<HeaderValue>,
}

/// Makes a request ready to be forwarded, or says why it must not be.
///
/// Headers of its connection are removed, also those that `Connection` names; what they said is
/// returned. `Host` is set for every version: what comes after looks for the host there.
///
/// It checks again what can still be seen of the rules for [`check`](super::check), so that a request
/// that came another way is held to them too. The target is left to
/// [`Target::normalize`](mesh_core::target::Target::normalize).
///
/// # Errors
/// [`BadHead`]; in HTTP/2 the stream is to be reset, or answered with its status.
///
/// ```
/// use http::Request;
/// use mesh_l7::hygiene::{HygieneRules, admit};
///
/// let request = Request::get("/")
///     .header("host", "web")
///     .header("connection", "x-hop")
///     .header("x-hop", "1")
///     .header("te", "trailers")
///     .body(())?;
/// let (mut parts, ()) = request.into_parts();
/// let admitted = admit(&mut parts, &HygieneRules::default())?;
/// assert!(admitted.accepts_trailers);
/// assert_eq!(parts.headers.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn admit(parts: &mut request::Parts, rules: &HygieneRules) -> Result<Admitted, BadHead> {
    method_text(parts.method.as_str().as_bytes(), rules)?;
    let mut fields = Fields::of_request(rules);
    each_line(&parts.headers, &mut fields)?;
    let version = version_of(parts.version);
    if version == Version::Http10 && !rules.http10 {
        return Err(BadHead::Http10);
    }
    let body = fields.body(version)?.unwrap_or(Body::None);
    if parts.version >= http::Version::HTTP_2 {
        if fields.of_connection {
            without_connection(&parts.headers)?;
        }
    } else if parts.method == Method::CONNECT && body != Body::None {
        return Err(BadHead::UnexpectedBody);
    }
    host(parts, rules)?;
    let admitted = Admitted {
        expects_continue: fields.expects_continue,
        accepts_trailers: fields.of_connection && connection::accepts_trailers(&parts.headers),
        upgrade: match fields.asked_upgrade() {
            Upgrade::Refused => return Err(BadHead::Upgrade),
            Upgrade::Allowed => parts.headers.get(UPGRADE).cloned(),
            Upgrade::None | Upgrade::Ignored => None,
        },
    };
    if fields.expects_continue {
        parts.headers.remove(EXPECT);
    }
    if fields.of_connection {
        connection::remove(&mut parts.headers);
    }
    if rules.underscores == Underscores::Drop {
        drop_underscores(&mut parts.headers);
    }
    Ok(admitted)
}

/// Makes a response ready to be forwarded, or says why it must not be. Headers of its connection are
/// removed; for `101`, the protocol that is switched to is returned.
///
/// # Errors
/// [`BadHead`]: the server is at fault, so the client gets 502.
pub fn clean_response(
    parts: &mut response::Parts,
    asked_switch: bool,
    rules: &HygieneRules,
) -> Result<Option<HeaderValue>, BadHead> {
    let mut fields = Fields::of_response(rules);
    each_line(&parts.headers, &mut fields)?;
    fields.body(version_of(parts.version))?;
    let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    if switches && !asked_switch {
        return Err(BadHead::UnexpectedSwitch);
    }
    if !fields.of_connection {
        return Ok(None);
    }
    let protocol = parts.headers.get(UPGRADE).filter(|_| switches).cloned();
    connection::remove(&mut parts.headers);
    Ok(protocol)
}

fn version_of(version: http::Version) -> Version {
    match version {
        http::Version::HTTP_09 | http::Version::HTTP_10 => Version::Http10,
        _ => Version::Http11,
    }
}

fn each_line(headers: &HeaderMap, fields: &mut Fields<'_>) -> Result<(), BadHead> {
    for (name, value) in headers {
        let value = syntax::trim(value.as_bytes());
        if !syntax::is_value(value) {
            return Err(BadHead::Value);
        }
        fields.line(name.as_str().as_bytes(), value)?;
    }
    Ok(())
}

/// RFC 9113 §8.2.2.
fn without_connection(headers: &HeaderMap) -> Result<(), BadHead> {
    let specific = CONNECTION_SPECIFIC
        .iter()
        .any(|name| headers.contains_key(name));
    let te = headers.get_all(TE).iter().all(|value| value == "trailers");
    match specific || !te {
        true => Err(BadHead::ConnectionSpecific),
        false => Ok(()),
    }
}

/// One host, from the target or from `Host`.
fn host(parts: &mut request::Parts, rules: &HygieneRules) -> Result<(), BadHead> {
    let header = parts
        .headers
        .get(HOST)
        .map(|value| Host::parse(value.as_bytes()));
    let header = header.transpose()?;
    let Some(authority) = parts.uri.authority() else {
        return match header {
            None if parts.version != http::Version::HTTP_10 => Err(BadHead::NoHost),
            _ => Ok(()),
        };
    };
    let named = Host::parse(authority.as_str().as_bytes())?;
    let must_agree =
        parts.version >= http::Version::HTTP_2 || rules.absolute_form == AbsoluteForm::MustAgree;
    if must_agree && header.is_some_and(|header| header.as_str() != named.as_str()) {
        return Err(BadHead::HostMismatch);
    }
    let value = HeaderValue::from_str(authority.as_str());
    // Cannot fail: a host has no characters that a value has not.
    let value = value.map_err(|_| BadHost::Character { position: 0 })?;
    parts.headers.insert(HOST, value);
    Ok(())
}

fn drop_underscores(headers: &mut HeaderMap) {
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().contains('_'))
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
}
