//! Headers that a proxy adds, and those that only proxies may send.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is done to the headers of a request where it enters.
///
/// - Headers that would tell the proxy what to do (retries, timeouts, the path before a rewrite) are
///   removed, whoever sends them.
/// - `x-forwarded-proto` and `x-request-id` are added when they are missing.
/// - `x-forwarded-for` and `via` stay as they are.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct Edge {
    /// Beginnings of the names that are removed, in lower case. Default `x-envoy-`.
    pub internal: Vec<Box<str>>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            internal: vec!["x-envoy-".into()],
        }
    }
}

impl Edge {
    /// Does it. `random` gives the bytes of a new request ID.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use mesh_l7::hygiene::Edge;
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert("x-envoy-max-retries", "9".parse()?);
    /// Edge::default().enter(&mut headers, "http", || [0xff; 16]);
    /// assert_eq!(headers["x-request-id"], "ffffffff-ffff-4fff-bfff-ffffffffffff");
    /// assert_eq!(headers["x-forwarded-proto"], "http");
    /// assert_eq!(headers.len(), 2);
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn enter(
        &self,
        headers: &mut HeaderMap,
        scheme: &'static str,
        random: impl FnOnce() -> [u8; 16],
    ) {
        let internal = |name: &&HeaderName| {
            let name = name.as_str();
            self.internal
                .iter()
                .any(|beginning| name.starts_with(&**beginning))
        };
        let removed: Vec<HeaderName> = headers.keys().filter(internal).cloned().collect();
        for name in removed {
            headers.remove(name);
        }
        if !headers.contains_key(FORWARDED_PROTO) {
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
        }
        if !headers.contains_key(REQUEST_ID)
            && let Ok(id) = HeaderValue::try_from(uuid_v4(random()))
        {
            headers.insert(REQUEST_ID, id);
        }
    }
}

/// RFC 9562 §5.4.
fn uuid_v4(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    let number = number & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{number:032x}");
    let mut text = String::with_capacity(36);
    for (position, digit) in digits.chars().enumerate() {
        if matches!(position, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        let _ = text.write_char(digit);
    }
    text
}
