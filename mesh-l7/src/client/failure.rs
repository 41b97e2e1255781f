//! Why there is no connection, or no response on one.

use std::error::Error;
use std::sync::Arc;

use crate::attempt::AttemptError;
use crate::body::BodyError;

/// Why a connection could not be made; told to all who wait for it.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Timeout,
    Connect(Arc<dyn Error + Send + Sync>),
}

/// A shared cause.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Shared(Arc<dyn Error + Send + Sync>);

impl Failure {
    pub(super) fn connect(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Connect(Arc::from(cause.into()))
    }
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::ConnectTimeout,
            Failure::Connect(cause) => Self::Connect(Box::new(Shared(cause))),
        }
    }
}

/// What an error of HTTP/1 means for the attempt, after some of the request was written.
pub(super) fn of_http1(error: hyper::Error) -> AttemptError {
    if error.is_parse() {
        AttemptError::Protocol(Box::new(error))
    } else if error.is_user() {
        AttemptError::Request(Box::new(error))
    } else {
        AttemptError::Reset(Box::new(error))
    }
}

/// What an error of HTTP/2 means for the attempt, after the stream was opened.
pub(super) fn of_http2(error: h2::Error) -> AttemptError {
    let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
    // Streams that a GOAWAY names end by themselves; those that it does not name were not begun with.
    if (refused || error.is_go_away()) && error.is_remote() {
        AttemptError::Refused(Box::new(error))
    } else if error.is_library() {
        AttemptError::Protocol(Box::new(error))
    } else {
        AttemptError::Reset(Box::new(error))
    }
}

/// The body of the request failed.
pub(super) fn of_request(error: BodyError) -> AttemptError {
    AttemptError::Request(Box::new(error))
}
