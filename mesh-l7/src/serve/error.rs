//! Why a connection was not served to its end.

use std::io;

/// Why a connection was not served to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The connection failed, or nothing came on it in time.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// HTTP/1 on it failed.
    #[error("HTTP/1 failed")]
    Http1(#[source] hyper::Error),
    /// HTTP/2 on it failed, or the client was told to calm down.
    #[error("HTTP/2 failed")]
    Http2(#[source] h2::Error),
    /// The drain was forced before the last request had been answered.
    #[error("ended by force")]
    Forced,
}
