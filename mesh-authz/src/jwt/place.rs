//! Where a request carries a token: finding it, and taking it out again.

use std::borrow::Cow;

use http::header::{COOKIE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};
use mesh_core::name::Name;

use super::error::JwtError;
use super::profile::Profile;

/// A place in a request.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A header, and what is before the token.
    Header(HeaderName, Name),
    /// A query parameter.
    Param(Name),
    /// A cookie.
    Cookie(Name),
}

impl Place {
    /// The places of a rule that names none.
    pub(super) fn defaults() -> Vec<Self> {
        let bearer = Self::Header(http::header::AUTHORIZATION, Name::from("Bearer "));
        vec![bearer, Self::Param(Name::from("access_token"))]
    }

    /// The token in this place: not empty, and the only one. A header without the prefix, in
    /// exactly this spelling, carries none.
    ///
    /// # Errors
    /// [`JwtError::BadFormat`] for several in one place, and for bytes that are no text.
    pub(super) fn token<'r>(
        &self,
        headers: &'r HeaderMap,
        uri: &'r Uri,
        profile: Profile,
    ) -> Result<Option<Cow<'r, str>>, JwtError> {
        match self {
            Self::Header(name, prefix) => header(headers, name, prefix),
            Self::Param(name) => only(params(uri.query().unwrap_or(""), name), profile),
            Self::Cookie(name) => only(cookies(headers, name), profile),
        }
    }

    /// Takes every token out of this place.
    pub(super) fn strip(&self, headers: &mut HeaderMap, uri: &mut Uri, profile: Profile) {
        match self {
            Self::Header(name, _) => {
                headers.remove(name);
            }
            Self::Param(name) => strip_param(uri, name),
            Self::Cookie(name) if profile.strip_cookies => strip_cookie(headers, name),
            Self::Cookie(_) => {}
        }
    }
}

fn header<'r>(
    headers: &'r HeaderMap,
    name: &HeaderName,
    prefix: &str,
) -> Result<Option<Cow<'r, str>>, JwtError> {
    let lines = headers.get_all(name);
    let after = |line: &'r HeaderValue| line.as_bytes().strip_prefix(prefix.as_bytes());
    let Some(token) = lines
        .iter()
        .find_map(after)
        .filter(|token| !token.is_empty())
    else {
        return Ok(None);
    };
    // Another line might be what the application reads.
    if lines.iter().nth(1).is_some() {
        return Err(JwtError::BadFormat);
    }
    let text = std::str::from_utf8(token).map_err(|_| JwtError::BadFormat)?;
    Ok(Some(Cow::Borrowed(text)))
}

/// The first of `tokens`; when there are more of them, only if the profile permits.
fn only<'r>(
    mut tokens: impl Iterator<Item = Cow<'r, str>>,
    profile: Profile,
) -> Result<Option<Cow<'r, str>>, JwtError> {
    let first = tokens.next();
    if profile.one_token_per_place && tokens.next().is_some() {
        return Err(JwtError::BadFormat);
    }
    Ok(first.filter(|token| !token.is_empty()))
}

/// Values of the parameter `name`.
fn params<'q>(query: &'q str, name: &str) -> impl Iterator<Item = Cow<'q, str>> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key) == name).then(|| decoded(value))
    })
}

/// Values of the cookie `name`, in all lines (RFC 9113 section 8.2.3 permits several), without
/// quotes around them.
fn cookies<'r>(headers: &'r HeaderMap, name: &str) -> impl Iterator<Item = Cow<'r, str>> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.filter_map(move |pair| {
        let (key, value) = pair.trim().split_once('=')?;
        let quoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        (key == name).then(|| Cow::Borrowed(quoted.unwrap_or(value)))
    })
}

/// `text` without percent-encoding. What is not encoded correctly stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match rest {
            [b'%', high, low, after @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Takes every parameter `name` out of the query; the `?` goes with the last one.
fn strip_param(uri: &mut Uri, name: &str) {
    let Some(query) = uri.query() else { return };
    let key = |pair: &str| decoded(pair.split_once('=').map_or(pair, |(key, _)| key)) == name;
    let kept: Vec<&str> = query.split('&').filter(|pair| !key(pair)).collect();
    if kept.len() == query.split('&').count() {
        return;
    }
    let target = match kept.join("&") {
        query if query.is_empty() => uri.path().to_owned(),
        query => format!("{}?{query}", uri.path()),
    };
    let mut parts = std::mem::take(uri).into_parts();
    // A part of a valid query is valid; were it not, the request would lose its target, not keep
    // its token.
    parts.path_and_query = PathAndQuery::from_maybe_shared(target.into_bytes()).ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Takes the cookie `name` out of every line, and lines out that are empty then.
fn strip_cookie(headers: &mut HeaderMap, name: &str) {
    let is_token = |pair: &str| {
        pair.trim()
            .split_once('=')
            .is_some_and(|(key, _)| key == name)
    };
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        let Ok(text) = line.to_str() else {
            headers.append(COOKIE, line);
            continue;
        };
        let kept: Vec<&str> = text
            .split(';')
            .map(str::trim)
            .filter(|pair| !is_token(pair))
            .collect();
        match HeaderValue::from_str(&kept.join("; ")) {
            Ok(line) if !line.is_empty() => headers.append(COOKIE, line),
            _ => false,
        };
    }
}
