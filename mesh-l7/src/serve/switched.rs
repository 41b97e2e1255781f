//! A connection whose protocol was switched.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::ReadHalf;
use tokio::sync::oneshot;

use super::error::ServeError;
use crate::body::Body;
use crate::wire::write_all;

/// A connection after its protocol was switched.
pub(super) type Connection = TokioIo<hyper::upgrade::Upgraded>;

/// What becomes of a connection whose protocol was switched.
pub(super) struct Switched {
    pub(super) connection: OnUpgrade,
    /// Gives the body of the request its reader.
    pub(super) reader: oneshot::Sender<ReadHalf<Connection>>,
    /// What the client is sent.
    pub(super) body: Body,
}

impl Switched {
    /// Writes what the client is to receive; what it sends is read by whoever has the request's body.
    pub(super) async fn run(self) -> Result<(), ServeError> {
        let connection = self.connection.await.map_err(ServeError::Http1)?;
        let (reader, writer) = tokio::io::split(TokioIo::new(connection));
        // Nobody reads when the body has been dropped: the connection ends with the other direction.
        let _ = self.reader.send(reader);
        Ok(write_all(self.body, writer).await?)
    }
}
