//! Copying bytes both ways between a client's and a server's side.
//!
//! Each side is a TCP connection (or another [`Socket`]) wrapped in [`Plain`], or a [`Tunnel`].
//! Bytes are read once and passed on by reference: from a tunnel to a socket they are never
//! copied. A side that cannot take more stops the reading of the other (back-pressure); an end
//! travels as a half-close; a reset travels as a reset (RFC 9113 §8.5).
//!
//! Memory: an idle connection holds no buffer; a thread keeps up to 1 MiB of those that carried bulk
//! bytes, for whoever reads next. A direction holds at most one read of
//! 64 KiB; toward a tunnel that does not drain 256 KiB more in its queue, toward a socket that does not
//! drain at most the stream window of the tunnel.

mod end;
mod flow;
mod meter;

use std::future::poll_fn;
use std::io as std_io;
use std::task::{Context, Poll};

use mesh_core::outcome::Outcome;

pub use end::Plain;
pub use meter::Meter;

use crate::carrier::ConnectionLost;
use crate::io::Socket;
use crate::tunnel::Tunnel;
use end::End;
use flow::Flow;

/// Where copying failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Side {
    /// Reading from or writing to the client.
    Client,
    /// Reading from or writing to the server.
    Server,
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Why copying ended before both sides did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A side reset the connection; the other side was reset too.
    #[error("connection reset by the {}", side.name())]
    Reset {
        /// Which side.
        side: Side,
        /// What it looked like here.
        #[source]
        source: std_io::Error,
    },
    /// The connection that carried a side's tunnel was given up; the other side was reset.
    #[error("the connection with the {} was lost", side.name())]
    Lost {
        /// Which side.
        side: Side,
        /// Why.
        #[source]
        source: ConnectionLost,
    },
    /// A side failed in another way.
    #[error("the {} side failed", side.name())]
    Failed {
        /// Which side.
        side: Side,
        /// How.
        #[source]
        source: std_io::Error,
    },
}

impl CopyError {
    fn new(side: Side, source: std_io::Error) -> Self {
        use std_io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
        };
        if let Some(source) = ConnectionLost::find(&source) {
            return Self::Lost { side, source };
        }
        match source.kind() {
            ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected | UnexpectedEof => {
                Self::Reset { side, source }
            }
            _ => Self::Failed { side, source },
        }
    }

    /// The class of the failure.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Reset { .. } => Outcome::Reset,
            Self::Lost { source, .. } => source.outcome(),
            Self::Failed { .. } => Outcome::CopyFailure,
        }
    }
}

/// A side of a copy: [`Plain`] or [`Tunnel`].
pub trait Ends: End {}

impl<S: Socket> Ends for Plain<S> {}
impl Ends for Tunnel {}

/// Copies until both sides have ended, counting into `meter`.
///
/// # Errors
/// [`CopyError`] when a side fails or resets; both are reset then.
///
/// # Cancellation
/// Dropping the future resets both sides.
pub async fn copy<C: Ends, S: Ends>(client: C, server: S, meter: &Meter) -> Result<(), CopyError> {
    let mut pair = Pair::new(client, server);
    poll_fn(|cx| pair.poll(cx, meter)).await
}

/// The two sides of a copy, for futures that have more to wait for. Dropping it before the end
/// resets both.
#[derive(Debug)]
pub(crate) struct Pair<C: End, S: End> {
    client: C,
    server: S,
    to_server: Flow,
    to_client: Flow,
}

impl<C: End, S: End> Pair<C, S> {
    pub(crate) fn new(client: C, server: S) -> Self {
        Self {
            client,
            server,
            to_server: Flow::default(),
            to_client: Flow::default(),
        }
    }

    /// Copies what can be copied now; ready when both sides have ended. Not to be polled again then.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        meter: &Meter,
    ) -> Poll<Result<(), CopyError>> {
        let Self {
            client,
            server,
            to_server,
            to_client,
        } = self;
        let up = to_server.poll(cx, client, server, |n| meter.add_to_server(n));
        let up = up.map_err(|(reading, error)| {
            CopyError::new(if reading { Side::Client } else { Side::Server }, error)
        })?;
        let down = to_client.poll(cx, server, client, |n| meter.add_to_client(n));
        let down = down.map_err(|(reading, error)| {
            CopyError::new(if reading { Side::Server } else { Side::Client }, error)
        })?;
        if up.is_ready() && down.is_ready() {
            return Poll::Ready(Ok(()));
        }
        // A side whose reading has ended no longer tells by itself that it was reset.
        if up.is_ready()
            && let Poll::Ready(error) = client.poll_reset(cx)
        {
            return Poll::Ready(Err(CopyError::new(Side::Client, error)));
        }
        if down.is_ready()
            && let Poll::Ready(error) = server.poll_reset(cx)
        {
            return Poll::Ready(Err(CopyError::new(Side::Server, error)));
        }
        Poll::Pending
    }
}

impl<C: End, S: End> Drop for Pair<C, S> {
    fn drop(&mut self) {
        if !(self.to_server.is_done() && self.to_client.is_done()) {
            self.client.abort();
            self.server.abort();
        }
    }
}
