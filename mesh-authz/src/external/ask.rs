//! The seam between what authorizers are asked and the connections to them.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};

use super::authorizer::ExternalError;

/// Sends a request to an external authorizer, and reads its answer to the end.
///
/// The version of the request is that of its protocol: HTTP/2 for gRPC. Its target is in origin form.
#[async_trait]
pub trait Ask: fmt::Debug + Send + Sync {
    /// Asks.
    ///
    /// # Errors
    /// [`ExternalError::Unavailable`], [`ExternalError::Timeout`], or [`ExternalError::BadAnswer`] for an
    /// answer that is too long.
    ///
    /// # Cancellation
    /// Dropping the future gives the question up.
    async fn ask(&self, request: Request<Bytes>) -> Result<Asked, ExternalError>;
}

/// What an external authorizer answered, before it is understood.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data that transports fill")]
pub struct Asked {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Trailers.
    pub trailers: HeaderMap,
}
