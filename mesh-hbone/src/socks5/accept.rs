//! The handshake over a stream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mesh_core::outcome::Outcome;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Handshake, ProtocolError, Reply, Request, Step};

/// Why no request could be had from a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The client does not follow the protocol, or asks for something that is not offered. It has
    /// been answered.
    #[error("the SOCKS handshake failed")]
    Protocol(#[source] ProtocolError),
    /// The client took too long.
    #[error("the SOCKS handshake did not end in time")]
    Timeout,
    /// Reading or writing failed, or the client closed.
    #[error("the connection broke in the SOCKS handshake")]
    Io(#[source] io::Error),
}

impl AcceptError {
    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Protocol(_) | Self::Timeout => Outcome::BadRequest,
            Self::Io(_) => Outcome::Reset,
        }
    }
}

/// A request that waits for its answer. Dropping it closes the connection without one.
#[derive(Debug)]
#[must_use]
pub struct Pending<I> {
    io: I,
    request: Request,
}

impl<I> Pending<I> {
    /// Where the client wants to be connected to.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The stream, for watching it. Reading from it before the answer is up to the caller.
    #[must_use]
    pub fn get_ref(&self) -> &I {
        &self.io
    }

    /// The stream, for watching it. Reading from it before the answer is up to the caller.
    pub fn get_mut(&mut self) -> &mut I {
        &mut self.io
    }
}

impl<I: AsyncWrite + Unpin> Pending<I> {
    /// Tells the client that it is connected and hands out the stream.
    ///
    /// `bound` is the address that the upstream connection comes from, where the client may know.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn succeed(mut self, bound: Option<SocketAddr>) -> io::Result<I> {
        let bytes = Reply::Succeeded.encode(bound);
        self.io.write_all(&bytes).await?;
        self.io.flush().await?;
        Ok(self.io)
    }

    /// Tells the client that it is not connected, and closes.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn refuse(mut self, why: Reply) -> io::Result<()> {
        self.io.write_all(&why.encode(None)).await?;
        self.io.shutdown().await
    }
}

/// Does the handshake up to the client's request.
///
/// Never reads beyond the handshake. `timeout` is for all of it; [`DEFAULT_TIMEOUT`] is a good
/// value.
///
/// # Errors
/// When there is no request to be had. The client has been answered where the protocol has an
/// answer.
///
/// # Cancellation
/// Dropping the future closes the stream.
pub async fn accept<I>(mut io: I, timeout: Duration) -> Result<Pending<I>, AcceptError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let request = tokio::time::timeout(timeout, handshake(&mut io))
        .await
        .map_err(|_| AcceptError::Timeout)??;
    Ok(Pending { io, request })
}

/// The default time for a handshake: 10 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

async fn handshake<I>(io: &mut I) -> Result<Request, AcceptError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut state = Handshake::default();
    let mut buffer = [0; 64];
    loop {
        let room = state.wants().min(buffer.len());
        let into = buffer.get_mut(..room).unwrap_or_default();
        let read = io.read(into).await.map_err(AcceptError::Io)?;
        if read == 0 {
            return Err(AcceptError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        match state.receive(buffer.get(..read).unwrap_or_default()) {
            Ok(Step::Read) => {}
            Ok(Step::Send(bytes)) => {
                io.write_all(&bytes).await.map_err(AcceptError::Io)?;
                io.flush().await.map_err(AcceptError::Io)?;
            }
            Ok(Step::Request(request)) => return Ok(request),
            Err(error) => {
                if let Some(answer) = error.answer() {
                    io.write_all(&answer).await.map_err(AcceptError::Io)?;
                    io.shutdown().await.map_err(AcceptError::Io)?;
                }
                return Err(AcceptError::Protocol(error));
            }
        }
    }
}
