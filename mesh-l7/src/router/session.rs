//! Requests that go where their session began.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use mesh_core::lb::{Health, Host};

use super::hash::cookie_value;
use super::session_key::SessionKey;
use super::settings::RouterSettings;
use crate::route::{SessionCarrier, SessionPersistence};
use crate::upstream::Upstream;

/// What a client brings back: when the session ends, in seconds since 1970 (0: never), and which host it is with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Token {
    end: u64,
    digest: u64,
}

impl Token {
    /// `end-digest`, both hexadecimal.
    fn parse(text: &[u8]) -> Option<Self> {
        let (end, digest) = std::str::from_utf8(text).ok()?.split_once('-')?;
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digest.len() != 16 || !is_hex(end) || !is_hex(digest) {
            return None;
        }
        Some(Self {
            end: u64::from_str_radix(end, 16).ok()?,
            digest: u64::from_str_radix(digest, 16).ok()?,
        })
    }

    fn text(self) -> String {
        format!("{:x}-{:016x}", self.end, self.digest)
    }
}

/// The session of a request.
pub(super) struct Session<'r> {
    persistence: &'r SessionPersistence,
    key: SessionKey,
    now: u64,
    presented: Option<Token>,
}

impl<'r> Session<'r> {
    /// What a request says of its session. A token whose time is over counts as none.
    pub(super) fn of(
        persistence: &'r SessionPersistence,
        parts: &Parts,
        settings: &RouterSettings,
    ) -> Self {
        let text = match &persistence.carrier {
            SessionCarrier::Cookie { name, .. } => cookie_value(&parts.headers, name),
            SessionCarrier::Header(name) => parts.headers.get(name).map(HeaderValue::as_bytes),
        };
        let since = settings.clock.now().duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs());
        let presented = text.and_then(Token::parse);
        Self {
            persistence,
            key: settings.session_key,
            now,
            presented: presented.filter(|token| token.end == 0 || token.end > now),
        }
    }

    /// The host that the session is with, if it is one of these and may be used. One that is about to go may.
    pub(super) fn host<E>(&self, upstream: &Upstream<E>) -> Option<Arc<Host<E>>> {
        let token = self.presented?;
        let hosts = upstream.cluster.hosts();
        let mut hosts = hosts.hosts().iter();
        let host =
            hosts.find(|host| self.key.digest(&host.spec().key, token.end) == token.digest)?;
        let usable = host.spec().health != Health::Unhealthy && !host.is_ejected();
        usable.then(|| host.clone())
    }

    /// The header that tells the client where its session is from now on; none where it is where it was.
    pub(super) fn header(&self, host: &str) -> Option<(HeaderName, HeaderValue)> {
        let known = |token: Token| self.key.digest(host, token.end) == token.digest;
        if self.presented.is_some_and(known) {
            return None;
        }
        let lifetime = self.persistence.lifetime;
        let end = lifetime.map_or(0, |lifetime| {
            self.now.saturating_add(lifetime.as_secs().max(1))
        });
        let digest = self.key.digest(host, end);
        let token = Token { end, digest }.text();
        match &self.persistence.carrier {
            SessionCarrier::Header(name) => {
                Some((name.clone(), HeaderValue::try_from(token).ok()?))
            }
            SessionCarrier::Cookie {
                name,
                path,
                permanent,
            } => {
                let age = match lifetime.filter(|_| *permanent) {
                    Some(lifetime) => format!("; Max-Age={}", seconds(lifetime)),
                    None => String::new(),
                };
                let cookie = format!("{name}={token}{age}; Path={path}; HttpOnly");
                Some((SET_COOKIE, HeaderValue::try_from(cookie).ok()?))
            }
        }
    }
}

/// Whole seconds, one at least: a cookie of none is forgotten at once.
fn seconds(time: Duration) -> u64 {
    time.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_counts_as_none() {
        let good = Token {
            end: 0x10,
            digest: 0xff,
        };
        assert_eq!(good.text(), "10-00000000000000ff");
        assert_eq!(Token::parse(good.text().as_bytes()), Some(good));
        let long = format!("{}-00000000000000ff", "1".repeat(17));
        for bad in [
            "",
            "-",
            "10",
            "10-ff",
            "10-00000000000000fg",
            "x-00000000000000ff",
            "+1-00000000000000ff",
            "10-+0000000000000ff",
            "10-00000000000000ff-",
            &long,
        ] {
            assert_eq!(Token::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_digest_depends_on_key_host_and_end() {
        let key = SessionKey::new([7; 16]);
        let digest = key.digest("10.0.0.1:80", 0);
        assert_eq!(digest, key.digest("10.0.0.1:80", 0));
        assert_ne!(digest, key.digest("10.0.0.2:80", 0));
        assert_ne!(digest, key.digest("10.0.0.1:80", 1));
        assert_ne!(digest, SessionKey::default().digest("10.0.0.1:80", 0));
        assert_eq!(format!("{key:?}"), "SessionKey");
    }
}
