//! What a route is chosen by.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use http::HeaderMap;
use mesh_core::name::Name;

/// What is known of a request when its route is chosen. Method, path and host are as they will be
/// forwarded: normalised once, before.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Head<'a> {
    /// The method, in upper case as it came.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host without port, in any case.
    pub host: &'a str,
    /// The host with its port, as it came.
    pub authority: &'a str,
    /// The port that the request was addressed to.
    pub port: u16,
    /// The path without query; empty for CONNECT.
    pub path: &'a str,
    /// What is after the `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Claims of a verified token.
    pub claims: Option<&'a dyn Claims>,
    /// Namespace of the workload that the request comes from, as its certificate says.
    pub source_namespace: Option<&'a str>,
    /// Labels of the workload that the request comes from.
    pub source_labels: Option<&'a BTreeMap<String, String>>,
}

/// Claims of a token that has been verified. What a client sends unverified is never asked.
pub trait Claims: Send + Sync {
    /// Whether one of the texts at a path of names passes a test: the text there, or those of the list
    /// there.
    fn any(&self, path: &[Name], test: &mut dyn FnMut(&str) -> bool) -> bool;
}

impl<'a> Head<'a> {
    /// A request for a path of a host, with headers; a port in `authority` counts.
    #[must_use]
    pub fn new(
        method: &'a str,
        authority: &'a str,
        target: &'a str,
        headers: &'a HeaderMap,
    ) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let (host, port) = split_port(authority);
        Self {
            method,
            scheme: "http",
            host,
            authority,
            port: port.unwrap_or(80),
            path,
            query,
            headers,
            claims: None,
            source_namespace: None,
            source_labels: None,
        }
    }

    /// The value of a header, several lines joined by commas; `None` when there is none.
    #[must_use]
    pub fn header(&self, name: &http::HeaderName) -> Option<Cow<'a, [u8]>> {
        let mut lines = self.headers.get_all(name).iter();
        let first = lines.next()?.as_bytes();
        let Some(second) = lines.next() else {
            return Some(Cow::Borrowed(first));
        };
        let mut joined = first.to_vec();
        for line in std::iter::once(second).chain(lines) {
            joined.push(b',');
            joined.extend_from_slice(line.as_bytes());
        }
        Some(Cow::Owned(joined))
    }

    /// The decoded value of the first query parameter of a name; `None` when there is none. A
    /// parameter without `=` has an empty value.
    #[must_use]
    pub fn query_parameter(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let parameters = self.query?.split('&');
        let mut parameters = parameters.map(|p| p.split_once('=').unwrap_or((p, "")));
        let (_, value) = parameters.find(|(key, _)| *percent_decode(key) == *name.as_bytes())?;
        Some(percent_decode(value))
    }

    /// Whether it asks for a tunnel: CONNECT, which is for nobody who was not meant to have it.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.method == "CONNECT"
    }
}

/// Host and port of an authority; the port is absent when there is none or it is no number.
#[must_use]
pub fn split_port(authority: &str) -> (&str, Option<u16>) {
    let at = match authority.rfind(':') {
        // The colons inside of brackets are those of an IPv6 address.
        Some(colon) if authority.rfind(']').is_none_or(|bracket| bracket < colon) => colon,
        _ => return (authority, None),
    };
    let (host, port) = authority.split_at(at);
    match port.trim_start_matches(':').parse() {
        Ok(port) => (host, Some(port)),
        Err(_) => (authority, None),
    }
}

/// Decodes `%XX`; what is no such escape stays.
fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let hex = rest.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        let hex = hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                bytes = rest.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                bytes = rest;
            }
        }
    }
    Cow::Owned(out)
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("authority", &self.authority)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_split_at_its_port() {
        let cases = [
            ("example.com", ("example.com", None)),
            ("example.com:8080", ("example.com", Some(8080))),
            ("[::1]:80", ("[::1]", Some(80))),
            ("[::1]", ("[::1]", None)),
            ("example.com:", ("example.com:", None)),
            ("example.com:99999", ("example.com:99999", None)),
            ("", ("", None)),
        ];
        for (authority, split) in cases {
            assert_eq!(split_port(authority), split, "{authority}");
        }
    }

    #[test]
    fn the_first_of_equal_parameters_counts_decoded() {
        let headers = HeaderMap::new();
        let head = Head::new("GET", "h", "/p?a=1&a=2&b&c%20d=x%2Fy%zz&e=%", &headers);
        let cases: [(&str, Option<&[u8]>); 6] = [
            ("a", Some(b"1")),
            ("b", Some(b"")),
            ("c d", Some(b"x/y%zz")),
            ("e", Some(b"%")),
            ("A", None),
            ("p", None),
        ];
        for (name, value) in cases {
            assert_eq!(head.query_parameter(name).as_deref(), value, "{name}");
        }
        assert_eq!(head.path, "/p");
    }

    #[test]
    fn lines_of_a_header_are_joined() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", "1".parse().unwrap());
        headers.append("x-a", "2".parse().unwrap());
        let head = Head::new("GET", "h", "/", &headers);
        assert_eq!(
            head.header(&"x-a".parse().unwrap()).as_deref(),
            Some(b"1,2".as_slice())
        );
        assert_eq!(head.header(&"x-b".parse().unwrap()), None);
    }
}
