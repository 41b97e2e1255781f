//! Hosts in the form that they are compared in.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

#[cfg(test)]
mod tests;

/// The longest authority: a name of 253 bytes with a dot at its end, a colon and five digits.
const MAX_HOST: usize = 253 + 1 + 6;

/// A `Host` header, an `:authority` or the authority of a request target, in lower case.
///
/// A host is a name, an IPv4 address or an IPv6 address in brackets. Names are compared without
/// regard to ASCII case (RFC 9110 §4.2.3); `web.` and `web` are the same name to a resolver, so
/// [`Host::name`] leaves out one dot at the end.
///
/// It borrows when the text is in lower case already.
///
/// ```
/// use mesh_core::target::Host;
///
/// let host = Host::parse(b"Web.Shop.svc.:8080")?;
/// assert_eq!(host.as_str(), "web.shop.svc.:8080");
/// assert_eq!(host.name(), "web.shop.svc");
/// assert_eq!(host.port(), Some(8080));
/// # Ok::<(), mesh_core::target::BadHost>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Host<'a> {
    text: Cow<'a, str>,
    name_end: usize,
    port: Option<u16>,
}

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHost {
    /// There is none.
    #[error("a host is empty")]
    Empty,
    /// It is longer than any.
    #[error("a host with its port has at most {MAX_HOST} bytes")]
    TooLong,
    /// A byte that no host has; `@`, as user information is not sent to servers, `%` and `,`
    /// included.
    #[error("byte {position} is not allowed in a host")]
    Character {
        /// Its position, from 0.
        position: usize,
    },
    /// A label of the name is empty: there are two dots in a row, or one at the beginning.
    #[error("a label of a host name is empty")]
    Label,
    /// What is in brackets is not an IPv6 address, or a bracket is missing.
    #[error("an IPv6 address in brackets is expected")]
    Address,
    /// There is a colon and no number of at most 65535 after it.
    #[error("after the colon of a host there is a port of at most 65535")]
    Port,
}

impl<'a> Host<'a> {
    /// Reads a host and the port after it, if there is one.
    ///
    /// # Errors
    /// [`BadHost`].
    pub fn parse(raw: &'a [u8]) -> Result<Self, BadHost> {
        if raw.is_empty() {
            return Err(BadHost::Empty);
        }
        if raw.len() > MAX_HOST {
            return Err(BadHost::TooLong);
        }
        if let Some(host) = usual(raw) {
            return Ok(host);
        }
        let outside = |b: &u8| !(is_reg_name(*b) || b":[]".contains(b));
        if let Some(position) = raw.iter().position(outside) {
            return Err(BadHost::Character { position });
        }
        let text = std::str::from_utf8(raw).map_err(|error| BadHost::Character {
            position: error.valid_up_to(),
        })?;
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']').ok_or(BadHost::Address)?;
                address.parse::<Ipv6Addr>().map_err(|_| BadHost::Address)?;
                // The brackets belong to the name.
                let name = text.strip_suffix(after).unwrap_or(text);
                let port = match after.strip_prefix(':') {
                    Some(port) => Some(port),
                    None if after.is_empty() => None,
                    None => return Err(BadHost::Port),
                };
                (name, port)
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name_of(name)?, Some(port)),
                None => (name_of(text)?, None),
            },
        };
        let name_end = name.len();
        let port = port.map(|port| parse_port(port).ok_or(BadHost::Port));
        let text = match text.bytes().any(|b| b.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
        Ok(Self {
            text,
            name_end,
            port: port.transpose()?,
        })
    }

    /// Host and port as they were sent, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone: no port, and no dot at the end. An IPv6 address has its brackets.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.get(..self.name_end).unwrap_or(&self.text)
    }

    /// The port, if one was sent.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The same host, no longer borrowing.
    #[must_use]
    pub fn into_owned(self) -> Host<'static> {
        Host {
            text: Cow::Owned(self.text.into_owned()),
            name_end: self.name_end,
            port: self.port,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A host as nearly all are, in one pass: a name of lower-case letters, digits, `-`, `_` and `.`, and a port. `None`
/// where that is not certain.
fn usual(raw: &[u8]) -> Option<Host<'_>> {
    let mut before = b'.';
    let mut length = 0;
    for byte in raw {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            // An empty label is somebody else's business.
            b'.' if before != b'.' => {}
            b':' => break,
            _ => return None,
        }
        before = *byte;
        length += 1;
    }
    let (name, rest) = raw.split_at_checked(length)?;
    let port = match rest.strip_prefix(b":") {
        Some(port) => Some(parse_port(std::str::from_utf8(port).ok()?)?),
        None => None,
    };
    let name_end = name.strip_suffix(b".").unwrap_or(name).len();
    (name_end > 0).then_some(Host {
        text: Cow::Borrowed(std::str::from_utf8(raw).ok()?),
        name_end,
        port,
    })
}

/// A name without the dot at its end.
fn name_of(text: &str) -> Result<&str, BadHost> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(BadHost::Empty);
    }
    if text.contains(['[', ']']) {
        return Err(BadHost::Address);
    }
    if name.split('.').any(str::is_empty) {
        return Err(BadHost::Label);
    }
    Ok(name)
}

fn parse_port(text: &str) -> Option<u16> {
    // `u16::from_str` would allow a plus sign, and any number of zeros.
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// RFC 3986 §3.2.2 without escapes, which servers read differently, and without the comma, which
/// joins the lines of a header.
fn is_reg_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
}
