//! The seam where CUSTOM policies ask.

use std::fmt;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};

use super::changes::HeaderChanges;
use crate::connection::Connection;
use crate::request::Request;

/// Whom CUSTOM policies ask: see [`PolicyIndex::providers`](crate::PolicyIndex::providers).
///
/// ```
/// use async_trait::async_trait;
/// use mesh_authz::external::{ExternalAnswer, ExternalAuthorizer, ExternalError};
/// use mesh_authz::{Connection, Request};
///
/// #[derive(Debug)]
/// struct OnlyGet;
///
/// #[async_trait]
/// impl ExternalAuthorizer for OnlyGet {
///     async fn check(
///         &self,
///         provider: &str,
///         _: &Connection<'_>,
///         request: &Request<'_>,
///     ) -> Result<ExternalAnswer, ExternalError> {
///         match (provider, request.method) {
///             ("only-get", "GET") => Ok(ExternalAnswer::Allow),
///             ("only-get", _) => Ok(ExternalAnswer::deny(http::StatusCode::FORBIDDEN)),
///             _ => Err(ExternalError::UnknownProvider),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait ExternalAuthorizer: fmt::Debug + Send + Sync {
    /// Asks a provider about a request.
    ///
    /// # Errors
    /// [`ExternalError`]. It must be taken for a denial, unless whoever configured the provider
    /// wants its failures to allow.
    ///
    /// # Cancellation
    /// Dropping the future gives the question up; nothing is allowed by it.
    async fn check(
        &self,
        provider: &str,
        connection: &Connection<'_>,
        request: &Request<'_>,
    ) -> Result<ExternalAnswer, ExternalError>;
}

/// What an external authorizer says.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
#[must_use]
pub enum ExternalAnswer {
    /// The other policies decide.
    Allow,
    /// The same, and the request goes on with these changes.
    Change(HeaderChanges),
    /// The client gets this answer.
    Deny(ExternalDenial),
}

/// The answer to a client whose request an external authorizer denies.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExternalDenial {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

impl ExternalAnswer {
    /// A denial without headers and body.
    pub fn deny(status: StatusCode) -> Self {
        Self::Deny(ExternalDenial {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
        })
    }
}

/// Why an external authorizer says nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// No provider has this name.
    #[error("no provider has this name")]
    UnknownProvider,
    /// The provider could not be asked.
    #[error("the provider could not be asked")]
    Unavailable,
    /// The provider took too long.
    #[error("the provider took too long")]
    Timeout,
    /// The answer is none.
    #[error("the answer of the provider is not understood")]
    BadAnswer,
}
