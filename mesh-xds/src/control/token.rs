//! What proves us to a control plane.

use std::fmt;
use std::path::PathBuf;

use http::HeaderValue;

use super::{ControlError, file};

/// The largest token, in bytes: more than HTTP/2 servers take in a header list by default.
const MAX_TOKEN: u64 = 64 * 1024;

/// The bearer token that is shown to a control plane. `Debug` does not show it.
#[derive(Clone, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "Istio's settings allow these three"
)]
pub enum ControlToken {
    /// None: the control plane sees an unauthenticated caller.
    #[default]
    None,
    /// A file, read again for each call: kubelet replaces projected tokens. White space at its
    /// ends does not count.
    File(PathBuf),
    /// The token itself.
    Literal(String),
}

impl ControlToken {
    /// The value of `authorization`.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>, ControlError> {
        match self {
            Self::None => Ok(None),
            Self::Literal(token) => Self::bearer(token.as_bytes(), "the token given").map(Some),
            Self::File(path) => {
                let read = file::read(path, MAX_TOKEN).await;
                let token = read.map_err(|source| ControlError::TokenFile {
                    path: path.clone(),
                    source,
                })?;
                Self::bearer(&token, &format!("the file {}", path.display())).map(Some)
            }
        }
    }

    fn bearer(token: &[u8], origin: &str) -> Result<HeaderValue, ControlError> {
        let refuse = |reason| ControlError::Token {
            origin: origin.to_owned(),
            reason,
        };
        let token = token.trim_ascii();
        if token.is_empty() {
            return Err(refuse("it is empty"));
        }
        // RFC 6750 section 2.1: a token has no white space, so it cannot begin another header.
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(refuse("it has characters that no token has"));
        }
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat())
            .map_err(|_| refuse("it has characters that no header has"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Literal(_) => f.write_str("Literal(..)"),
        }
    }
}
