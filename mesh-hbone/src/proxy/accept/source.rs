//! Sources of connections.

use std::future::Future;
use std::io;

use crate::server::Accepted;

/// A source of accepted connections.
pub trait Accept: Send {
    /// The connections.
    type Io: Send + 'static;

    /// The next connection.
    ///
    /// # Errors
    /// When one could not be accepted; the source can be asked again.
    ///
    /// # Cancellation
    /// Must be cancel-safe: no connection is lost.
    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<Self::Io>>> + Send;
}
