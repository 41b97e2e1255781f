//! The forms of a request target.

use super::bad::BadTarget;
use super::host::{BadHost, Host};
use super::normalized::Target;
use super::path::visible;
use super::rules::TargetRules;

/// A request target by its form (RFC 9112 §3.2), with the parts that it has, not yet normalised.
///
/// ```
/// use mesh_core::target::{Host, PathNormalization, RequestForm};
///
/// let form = RequestForm::parse("GET", b"HTTP://Web.shop:80/a/../b?q")?;
/// assert_eq!(form.host()?, Some(Host::parse(b"web.shop:80")?));
/// let target = form.target(PathNormalization::Base)?;
/// assert_eq!(target.map(|t| t.to_string()).as_deref(), Some("/b?q"));
/// # Ok::<(), mesh_core::target::BadTarget>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 9112 has these four")]
pub enum RequestForm<'a> {
    /// `/path?query`: all requests to a server.
    Origin(&'a str),
    /// A URI: requests to a proxy; servers must understand it as well. Its authority counts, and
    /// not the `Host` header (RFC 9112 §3.2.2).
    Absolute {
        /// The scheme, in either case of letters.
        scheme: Scheme,
        /// What is between `//` and the path.
        authority: &'a str,
        /// Path and query, and a fragment; without a path it is empty or begins with `?` or `#`.
        path: &'a str,
    },
    /// `host:port`: `CONNECT` requests, and no others.
    Authority(&'a str),
    /// `*`: `OPTIONS` requests about the server as a whole.
    Asterisk,
}

/// The scheme of a request target.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "HTTP has these two")]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl<'a> RequestForm<'a> {
    /// Reads the target of an HTTP/1.1 request line.
    ///
    /// # Errors
    /// [`BadTarget::Character`], [`BadTarget::Form`], [`BadTarget::Scheme`], and
    /// [`BadTarget::Host`] when the authority of a `CONNECT` request is none or has no port.
    pub fn parse(method: &str, raw: &'a [u8]) -> Result<Self, BadTarget> {
        let text = visible(raw)?;
        if method == "CONNECT" {
            let port = Host::parse(raw)?.port().filter(|port| *port != 0);
            return match port {
                Some(_) => Ok(Self::Authority(text)),
                None => Err(BadTarget::Host(BadHost::Port)),
            };
        }
        if text == "*" {
            return match method {
                "OPTIONS" => Ok(Self::Asterisk),
                _ => Err(BadTarget::Form),
            };
        }
        if text.starts_with('/') {
            return Ok(Self::Origin(text));
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadTarget::Form)?;
        let scheme = match scheme {
            s if s.eq_ignore_ascii_case("http") => Scheme::Http,
            s if s.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return Err(BadTarget::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        Ok(match (authority, path, method) {
            (_, "", "OPTIONS") => Self::Absolute {
                scheme,
                authority,
                path: "*",
            },
            _ => Self::Absolute {
                scheme,
                authority,
                path,
            },
        })
    }

    /// The host in the target, if there is one.
    ///
    /// # Errors
    /// [`BadTarget::Host`].
    pub fn host(&self) -> Result<Option<Host<'a>>, BadTarget> {
        match *self {
            Self::Absolute { authority, .. } | Self::Authority(authority) => {
                Ok(Some(Host::parse(authority.as_bytes())?))
            }
            Self::Origin(_) | Self::Asterisk => Ok(None),
        }
    }

    /// The normalised target; `None` for [`RequestForm::Authority`].
    ///
    /// The empty path of a URI is `/`, and `*` with `OPTIONS` (RFC 9112 §3.2.4).
    ///
    /// # Errors
    /// [`BadTarget`].
    pub fn target(&self, rules: impl Into<TargetRules>) -> Result<Option<Target<'a>>, BadTarget> {
        let path = match *self {
            Self::Origin(path) => path,
            Self::Absolute { path: "", .. } => "/",
            Self::Absolute { path, .. } => path,
            Self::Asterisk => "*",
            Self::Authority(_) => return Ok(None),
        };
        if path.starts_with(['?', '#']) {
            let path = format!("/{path}");
            return Target::normalize(path.as_bytes(), rules).map(|t| Some(t.into_owned()));
        }
        Target::normalize(path.as_bytes(), rules).map(Some)
    }
}
