//! Fetching a key set: the seam where IO is plugged in, and what is fetched.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::json;
use super::keys::{InvalidJwks, Jwks, LARGEST_JWKS};
use super::source::{self, JwksSource};

/// Gets documents from issuers of tokens.
///
/// Addresses that a rule names are input of whoever may write rules: an implementation must not
/// reach what they must not (see [`AddressGuard`](super::AddressGuard)), must not follow redirects
/// to other hosts, and must not put what it read into errors.
#[async_trait]
pub trait JwksFetcher: Send + Sync + 'static {
    /// Gets the document at `uri`, which is `http` or `https`, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`FetchError`] when there is no such document.
    ///
    /// # Cancellation
    /// The future is dropped when the time of the fetch is over; it must not go on then.
    async fn get(&self, uri: &http::Uri, limit: usize) -> Result<Document, FetchError>;
}

/// A document that was fetched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// The body of the answer.
    pub body: Vec<u8>,
    /// How long it is fresh, as the answer says (`Cache-Control: max-age`); see
    /// [`max_age`](super::max_age).
    pub max_age: Option<Duration>,
}

impl Document {
    /// A document.
    #[must_use]
    pub fn new(body: impl Into<Vec<u8>>, max_age: Option<Duration>) -> Self {
        Self {
            body: body.into(),
            max_age,
        }
    }
}

/// Keys, and how long they are fresh.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchedKeys {
    /// The keys.
    pub keys: Jwks,
    /// How long they are fresh, as the answer says.
    pub max_age: Option<Duration>,
}

/// Why keys were not obtained. Nothing of what was fetched is in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The host has no address.
    #[error("the host name does not resolve")]
    Unresolved,
    /// The host has an address that must not be reached.
    #[error("an address of the host is blocked")]
    Blocked,
    /// The server could not be reached, or not securely.
    #[error("no connection to the server")]
    Unreachable,
    /// The answer is not HTTP, or ended early.
    #[error("the answer is malformed or incomplete")]
    Malformed,
    /// The answer does not have the status 200.
    #[error("status {0}")]
    Status(u16),
    /// The answer points to another host, or there were too many of them.
    #[error("a redirect that is not followed")]
    Redirect,
    /// The answer is larger than it may be.
    #[error("the answer is too large")]
    TooLarge,
    /// It took longer than it may.
    #[error("timed out")]
    TimedOut,
    /// The answer is no key set.
    #[error("{0}")]
    Jwks(InvalidJwks),
    /// What the issuer says about itself is not what it should be.
    #[error("discovery: {0}")]
    Discovery(&'static str),
}

/// Fetches the keys of `source`: one document, or two when the issuer is asked where they are.
///
/// # Errors
/// [`FetchError`], also when the issuer says that it is another one.
///
/// # Cancellation
/// Safe: nothing has changed when the future is dropped.
pub async fn fetch(
    fetcher: &dyn JwksFetcher,
    source: &JwksSource,
) -> Result<FetchedKeys, FetchError> {
    let first = source.first();
    let first = source::parse(&first).map_err(FetchError::Discovery)?;
    let keys = match source {
        JwksSource::Uri(_) => first,
        JwksSource::Issuer(issuer) => {
            let about = fetcher.get(&first, LARGEST_JWKS).await?;
            let keys = keys_of(&about.body, issuer)?;
            if first.scheme_str() == Some("https") && keys.scheme_str() != Some("https") {
                return Err(FetchError::Discovery(
                    "an https issuer with an http jwks_uri",
                ));
            }
            keys
        }
    };
    let document = fetcher.get(&keys, LARGEST_JWKS).await?;
    let keys = Jwks::parse(&document.body).map_err(FetchError::Jwks)?;
    Ok(FetchedKeys {
        keys,
        max_age: document.max_age,
    })
}

/// Where the keys of `issuer` are, as it says about itself.
fn keys_of(about: &[u8], issuer: &str) -> Result<http::Uri, FetchError> {
    let about = json::object(about).ok_or(FetchError::Discovery("not a JSON object"))?;
    let member = |name: &str| about.get(name).and_then(Value::as_str);
    if member("issuer") != Some(issuer) {
        return Err(FetchError::Discovery(
            "the document is about another issuer",
        ));
    }
    let uri = member("jwks_uri").ok_or(FetchError::Discovery("there is no jwks_uri"))?;
    source::parse(uri).map_err(FetchError::Discovery)
}
