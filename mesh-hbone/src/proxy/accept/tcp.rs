//! TCP listeners as a source of connections.

use std::io;

use tokio::net::{TcpListener, TcpStream};

use super::Accept;
use crate::server::Accepted;
use crate::sock::{SocketOptions, canonical, original_destination};

/// Accepts TCP connections and sets their options.
///
/// Addresses are canonical: a client that came by IPv4 has an IPv4 address.
#[derive(Debug)]
pub struct TcpAcceptor {
    listener: TcpListener,
    options: SocketOptions,
    destination: Destination,
}

/// What [`Accepted::local`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Destination {
    Local,
    Original,
}

impl TcpAcceptor {
    /// Connections to the listener itself: [`Accepted::local`] is the local address.
    #[must_use]
    pub fn direct(listener: TcpListener, options: SocketOptions) -> Self {
        Self {
            listener,
            options,
            destination: Destination::Local,
        }
    }

    /// Connections that a packet filter redirected to the listener: [`Accepted::local`] is their
    /// original destination.
    #[must_use]
    pub fn redirected(listener: TcpListener, options: SocketOptions) -> Self {
        Self {
            listener,
            options,
            destination: Destination::Original,
        }
    }
}

impl Accept for TcpAcceptor {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<Accepted<TcpStream>> {
        let (io, peer) = self.listener.accept().await?;
        // Nothing is awaited from here on, so no connection is lost.
        self.options.apply(&io).map_err(gone)?;
        let local = match self.destination {
            Destination::Local => canonical(io.local_addr().map_err(gone)?),
            Destination::Original => original_destination(&io).map_err(gone)?,
        };
        Ok(Accepted {
            io,
            peer: canonical(peer),
            local,
        })
    }
}

/// A connection that does not take its options has ended already.
fn gone(error: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, error)
}
