//! What a request is placed by, where hosts are chosen by a hash.

use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use mesh_core::lb::RequestHash;
use mesh_core::random::Random;

use crate::downstream::Downstream;
use crate::matching::Head;
use crate::route::{HashCookie, HashInput};

/// What a request is placed by, and the cookie that brings the client back there.
#[derive(Debug, Default)]
pub(super) struct Placement {
    pub(super) hash: Option<u64>,
    pub(super) cookie: Option<HeaderValue>,
}

impl Placement {
    /// By these values of a request. A cookie that is to be made is drawn by chance.
    pub(super) fn of(inputs: &[HashInput], parts: &Parts, random: &mut impl Random) -> Self {
        let mut hash = RequestHash::default();
        let mut made = None;
        for input in inputs {
            match input {
                HashInput::Header(name) => {
                    if let Some(value) = Head::of(parts).header(name) {
                        hash.add(&value);
                    }
                }
                HashInput::SourceAddress => {
                    if let Some(downstream) = Downstream::of(&parts.extensions) {
                        hash.add_address(downstream.source.ip());
                    }
                }
                HashInput::QueryParameter(name) => {
                    if let Some(value) = Head::of(parts).query_parameter(name) {
                        hash.add(&value);
                    }
                }
                HashInput::Cookie(cookie) => match cookie_value(&parts.headers, &cookie.name) {
                    Some(value) => hash.add(value),
                    None if cookie.lifetime.is_some() => {
                        let value = format!("{:016x}", random.next());
                        hash.add(value.as_bytes());
                        made = set_cookie(cookie, &value);
                    }
                    None => {}
                },
            }
        }
        Self {
            hash: hash.value(),
            cookie: made,
        }
    }
}

/// The value of the first cookie of a name, without quotes around it; an empty one is none.
pub(super) fn cookie_value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let value = pairs.find_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })?;
    let inner = value.strip_prefix(b"\"");
    let value = inner
        .and_then(|inner| inner.strip_suffix(b"\""))
        .unwrap_or(value);
    (!value.is_empty()).then_some(value)
}

fn set_cookie(cookie: &HashCookie, value: &str) -> Option<HeaderValue> {
    let mut text = format!("{}={value}", cookie.name);
    let lifetime = cookie.lifetime.unwrap_or_default().as_secs();
    if lifetime > 0 {
        text.push_str(&format!("; Max-Age={lifetime}"));
    }
    if let Some(path) = &cookie.path {
        text.push_str("; Path=");
        text.push_str(path);
    }
    text.push_str("; HttpOnly");
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use std::time::Duration;

    fn parts(cookies: &[&str]) -> Parts {
        let mut request = Request::get("/?user=bob");
        for cookie in cookies {
            request = request.header("cookie", *cookie);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn hash_of(value: &[u8]) -> Option<u64> {
        let mut hash = RequestHash::default();
        hash.add(value);
        hash.value()
    }

    /// RFC 6265 §4.2.1 and §5.4: pairs are separated by `; `; HTTP/2 may have several lines.
    #[test]
    fn a_cookie_is_found_among_others() {
        let cases: [(&[&str], Option<&[u8]>); 7] = [
            (&["s=1"], Some(b"1")),
            (&["a=2; s=1; b=3"], Some(b"1")),
            (&["a=2", "s=1"], Some(b"1")),
            (&["s=\"1\""], Some(b"1")),
            (&["ss=1; xs=2"], None),
            (&["s="], None),
            (&["s"], None),
        ];
        for (lines, value) in cases {
            let parts = parts(lines);
            assert_eq!(cookie_value(&parts.headers, "s"), value, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_with_a_lifetime_is_made_and_counts_at_once() {
        let cookie = |lifetime, path: Option<&str>| {
            HashInput::Cookie(HashCookie {
                name: "s".into(),
                path: path.map(Into::into),
                lifetime,
            })
        };
        let hour = Some(Duration::from_hours(1));
        let session = Some(Duration::ZERO);
        let value = "00000000000000ff";
        let cases = [
            (
                cookie(hour, Some("/p")),
                "s=00000000000000ff; Max-Age=3600; Path=/p; HttpOnly",
            ),
            (cookie(session, None), "s=00000000000000ff; HttpOnly"),
        ];
        for (input, set) in cases {
            let placement = Placement::of(&[input], &parts(&[]), &mut || 255);
            assert_eq!(placement.cookie.unwrap(), set);
            assert_eq!(placement.hash, hash_of(value.as_bytes()));
        }
        let kept = Placement::of(&[cookie(None, None)], &parts(&[]), &mut || 255);
        assert!(kept.cookie.is_none() && kept.hash.is_none());
        let there = Placement::of(&[cookie(hour, None)], &parts(&["s=9"]), &mut || 255);
        assert!(there.cookie.is_none());
        assert_eq!(there.hash, hash_of(b"9"));
    }

    #[test]
    fn values_are_combined_in_their_order_and_absent_ones_add_nothing() {
        let header = HashInput::Header(http::header::USER_AGENT);
        let query = HashInput::QueryParameter("user".into());
        let mut parts = parts(&[]);
        let random = &mut || 0;
        let both = [header, query];
        assert_eq!(Placement::of(&both, &parts, random).hash, hash_of(b"bob"));
        parts.headers.insert("user-agent", "x".parse().unwrap());
        let mut expected = RequestHash::default();
        expected.add(b"x");
        expected.add(b"bob");
        assert_eq!(Placement::of(&both, &parts, random).hash, expected.value());
    }
}
