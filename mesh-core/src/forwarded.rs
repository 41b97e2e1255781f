//! The `forwarded` header of a CONNECT request: who connects, and to which service.
//!
//! Source: RFC 7239, with the quoting that Istio uses on the wire.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The header's value: the client's address and the host name of the service, when one is known.
///
/// The address is quoted and the host name is not. A host name that RFC 7239 allows only in
/// quotes is left out: readers do not expect them there.
///
/// ```
/// use mesh_core::forwarded;
///
/// let value = forwarded::encode(([10, 77, 0, 2], 38638).into(), Some("cart.shop.svc.cluster.local"));
/// assert_eq!(value, r#"for="10.77.0.2:38638";host=cart.shop.svc.cluster.local"#);
/// assert_eq!(forwarded::host(value.as_bytes()), Some("cart.shop.svc.cluster.local"));
/// ```
#[must_use]
pub fn encode(client: SocketAddr, host: Option<&str>) -> String {
    let mut value = String::with_capacity(64);
    // The canonical address: neither an IPv4 address in IPv6 clothes nor a scope.
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    let _ = write!(value, "for=\"{client}\"");
    if let Some(host) = host.filter(|host| is_token(host)) {
        value.push_str(";host=");
        value.push_str(host);
    }
    value
}

/// The host name in the first `host=` part of a header's value, with or without quotes.
///
/// `None` when there is none, when it is empty, or when the value is not visible ASCII. It serves
/// telemetry only: it is what the peer says.
#[must_use]
pub fn host(value: &[u8]) -> Option<&str> {
    part(value, "host=")
}

/// The client's address in the first `for=` part of a header's value, when it is an IP address
/// with a port.
///
/// It serves telemetry only: it is what the peer says.
///
/// ```
/// use mesh_core::forwarded;
///
/// assert_eq!(forwarded::client(br#"for="[::1]:80""#), Some("[::1]:80".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn client(value: &[u8]) -> Option<SocketAddr> {
    part(value, "for=")?.parse().ok()
}

fn part<'a>(value: &'a [u8], name: &str) -> Option<&'a str> {
    let visible = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
    if !value.iter().all(visible) {
        return None;
    }
    let text = str::from_utf8(value).ok()?;
    let found = text
        .split(';')
        .find_map(|part| part.trim().strip_prefix(name))?;
    let found = found.strip_prefix('"').unwrap_or(found);
    let found = found.strip_suffix('"').unwrap_or(found);
    (!found.is_empty()).then_some(found)
}

/// Whether a text is a `token` of RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(ok)
}

#[cfg(test)]
mod tests;
