//! What must not be in a log.

use std::borrow::Cow;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};

const REDACTED: &[u8] = b"REDACTED";

/// Headers and query parameters whose values are not written: `REDACTED` is in their place.
///
/// Parameters are found in paths, in `referer` and in `location`, by their decoded names.
///
/// ```
/// use mesh_l7::telemetry::Redaction;
///
/// let redaction = Redaction::default();
/// assert_eq!(
///     redaction.target(b"/callback?access_token=eyJhbGciOi&page=2").as_ref(),
///     b"/callback?access_token=REDACTED&page=2"
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct Redaction {
    /// Headers. Default `authorization`, `cookie`, `proxy-authorization`, `set-cookie`.
    pub headers: Vec<HeaderName>,
    /// Names of query parameters, as they are decoded, in any case. Default `access_token`,
    /// `client_secret`, `id_token`, `password`, `refresh_token`.
    pub query: Vec<Box<str>>,
}

impl Default for Redaction {
    fn default() -> Self {
        let query = [
            "access_token",
            "client_secret",
            "id_token",
            "password",
            "refresh_token",
        ];
        Self {
            headers: vec![AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE],
            query: query.map(Box::from).to_vec(),
        }
    }
}

impl Redaction {
    /// The value of a header as it may be written.
    #[must_use]
    pub fn header<'a>(&self, name: &HeaderName, value: &'a [u8]) -> Cow<'a, [u8]> {
        if self.headers.contains(name) {
            return Cow::Borrowed(REDACTED);
        }
        let is_address = *name == http::header::REFERER || *name == http::header::LOCATION;
        if is_address {
            self.target(value)
        } else {
            Cow::Borrowed(value)
        }
    }

    /// A path with its query, or an address, as it may be written. Allocates only where something is
    /// replaced.
    #[must_use]
    pub fn target<'a>(&self, target: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(at) = target.iter().position(|byte| *byte == b'?') else {
            return Cow::Borrowed(target);
        };
        let (path, query) = target.split_at_checked(at + 1).unwrap_or((target, b""));
        let secret = |parameter: &&[u8]| self.is_secret(parameter);
        if !query.split(|byte| *byte == b'&').any(|each| secret(&each)) {
            return Cow::Borrowed(target);
        }
        let mut written = path.to_vec();
        for (place, parameter) in query.split(|byte| *byte == b'&').enumerate() {
            if place > 0 {
                written.push(b'&');
            }
            if secret(&parameter) {
                let name = parameter.split(|byte| *byte == b'=').next();
                written.extend_from_slice(name.unwrap_or_default());
                written.push(b'=');
                written.extend_from_slice(REDACTED);
            } else {
                written.extend_from_slice(parameter);
            }
        }
        Cow::Owned(written)
    }

    fn is_secret(&self, parameter: &[u8]) -> bool {
        let name = parameter.split(|byte| *byte == b'=').next();
        let name = name.unwrap_or_default();
        self.query
            .iter()
            .any(|secret| decodes_to(name, secret.as_bytes()))
    }
}

/// Whether a percent-encoded name is `plain`, in any case.
fn decodes_to(mut encoded: &[u8], plain: &[u8]) -> bool {
    for expected in plain {
        let (byte, rest) = match encoded {
            [b'%', high, low, rest @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => return false,
            },
            [byte, rest @ ..] => (*byte, rest),
            [] => return false,
        };
        if !byte.eq_ignore_ascii_case(expected) {
            return false;
        }
        encoded = rest;
    }
    encoded.is_empty()
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_however_their_names_are_written() {
        let redaction = Redaction::default();
        for (target, written) in [
            ("/", "/"),
            ("/?", "/?"),
            ("/?page=1", "/?page=1"),
            ("/?password=x", "/?password=REDACTED"),
            ("/?password", "/?password=REDACTED"),
            ("/?a=1&PassWord=x&b", "/?a=1&PassWord=REDACTED&b"),
            ("/?access%5ftoken=x", "/?access%5ftoken=REDACTED"),
            ("/?%61ccess%5Ftoken=x", "/?%61ccess%5Ftoken=REDACTED"),
            ("/?password=a=b", "/?password=REDACTED"),
            ("/?passwords=x", "/?passwords=x"),
            ("/?pass=password=x", "/?pass=password=x"),
            ("/?a?password=x", "/?a?password=x"),
            ("/password=x", "/password=x"),
            ("/?password%=x", "/?password%=x"),
        ] {
            let found = redaction.target(target.as_bytes());
            assert_eq!(str::from_utf8(&found), Ok(written), "{target}");
        }
    }

    #[test]
    fn headers_are_secret_by_name_and_addresses_by_their_queries() {
        let redaction = Redaction::default();
        for (name, value, written) in [
            ("authorization", "Bearer x", "REDACTED"),
            ("cookie", "a=b", "REDACTED"),
            ("user-agent", "curl?password=x", "curl?password=x"),
            (
                "referer",
                "http://a/?password=x",
                "http://a/?password=REDACTED",
            ),
            ("location", "/?id_token=x", "/?id_token=REDACTED"),
        ] {
            let name = name.parse().unwrap();
            let found = redaction.header(&name, value.as_bytes());
            assert_eq!(str::from_utf8(&found), Ok(written), "{name}");
        }
    }
}
