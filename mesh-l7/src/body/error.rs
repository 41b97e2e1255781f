//! Why a body ended early.

use std::convert::Infallible;
use std::error::Error;

/// A body ended before its end.
#[derive(Debug, thiserror::Error)]
#[error("a body ended early")]
pub struct BodyError(#[source] Box<dyn Error + Send + Sync>);

impl BodyError {
    /// One with its cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl From<Infallible> for BodyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(feature = "serve")]
impl From<hyper::Error> for BodyError {
    fn from(cause: hyper::Error) -> Self {
        Self::new(cause)
    }
}

#[cfg(feature = "serve")]
impl From<h2::Error> for BodyError {
    fn from(cause: h2::Error) -> Self {
        Self::new(cause)
    }
}
