//! Where remote keys come from.

use std::fmt;

use http::Uri;
use mesh_core::name::Name;

/// The longest URI, in bytes.
const LONGEST_URI: usize = 2048;
/// Where issuers describe themselves (OpenID Connect Discovery 1.0 section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Where the keys of an issuer are fetched from: what fetches are shared by.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum JwksSource {
    /// The key set is at this URI.
    Uri(Name),
    /// The key set is at the URI that this issuer publishes.
    Issuer(Name),
}

impl JwksSource {
    /// A key set at `uri`.
    ///
    /// # Errors
    /// What is wrong with the URI: it must have the scheme `http` or `https` and a host, no user
    /// information, and at most 2048 bytes.
    pub fn uri(uri: &str) -> Result<Self, &'static str> {
        parse(uri).map(|_| Self::Uri(Name::from(uri)))
    }

    /// What `issuer` publishes.
    ///
    /// # Errors
    /// Like [`JwksSource::uri`]; in addition there may be no query (OpenID Connect Core, `iss`).
    pub fn issuer(issuer: &str) -> Result<Self, &'static str> {
        match parse(issuer)?.query() {
            Some(_) => Err("an issuer has no query"),
            None => Ok(Self::Issuer(Name::from(issuer))),
        }
    }

    /// What is fetched first: the key set, or what the issuer says about itself.
    #[must_use]
    pub fn first(&self) -> String {
        match self {
            Self::Uri(uri) => uri.to_string(),
            Self::Issuer(issuer) => {
                let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
                format!("{issuer}{WELL_KNOWN}")
            }
        }
    }
}

impl fmt::Display for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => uri.fmt(f),
            Self::Issuer(issuer) => write!(f, "issuer {issuer}"),
        }
    }
}

/// An absolute URI that may be fetched.
pub(super) fn parse(text: &str) -> Result<Uri, &'static str> {
    if text.len() > LONGEST_URI {
        return Err("longer than 2048 bytes");
    }
    let uri: Uri = text.parse().map_err(|_| "not a URI")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("the scheme is neither http nor https");
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => Err("user information is refused"),
        Some(authority) if authority.host().is_empty() => Err("there is no host"),
        Some(_) => Ok(uri),
        None => Err("there is no host"),
    }
}
