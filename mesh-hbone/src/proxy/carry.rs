//! A connection that is open on both sides.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::session::Session;
use super::{Error, Permit};
use crate::BoxFuture;
use crate::copy::{Ends, Pair};

/// The carrying of one connection. Dropping it resets both sides, and it is reported as drained.
pub(super) type Carrying = BoxFuture<'static, Result<(), Error>>;

/// Copies until both sides have ended or the permission is withdrawn, and reports the end.
pub(super) fn carry<C, S>(client: C, server: S, permit: Permit, session: Session) -> Carrying
where
    C: Ends + Unpin + Send + 'static,
    S: Ends + Unpin + Send + 'static,
{
    Box::pin(Carry {
        pair: Pair::new(client, server),
        permit,
        session: Some(session),
    })
}

/// All that an open connection holds: written by hand, as an idle connection is as large as this.
struct Carry<C: Ends, S: Ends> {
    // Dropped before the session, so that the connection is reported as closed once it is.
    pair: Pair<C, S>,
    permit: Permit,
    /// Present until the end.
    session: Option<Session>,
}

impl<C: Ends + Unpin, S: Ends + Unpin> Future for Carry<C, S> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(session) = &this.session else {
            return Poll::Pending;
        };
        // The permit first: nothing more is carried once it is withdrawn.
        let result = match this.permit.poll_revoked(cx) {
            Poll::Ready(reason) => Err(Error::Revoked { reason }),
            Poll::Pending => ready!(this.pair.poll(cx, session.meter())).map_err(Error::Copy),
        };
        if let Some(session) = this.session.take() {
            session.close(result.as_ref().copied());
        }
        Poll::Ready(result)
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use tokio::net::TcpStream;

    use super::Carry;
    use crate::Tunnel;
    use crate::copy::Plain;

    #[test]
    fn an_open_connection_is_small() {
        // Bytes. The limit for an idle connection, all of it, is about 1200.
        assert!(size_of::<Carry<Plain<TcpStream>, Tunnel>>() <= 288);
        assert!(size_of::<Carry<Plain<TcpStream>, Plain<TcpStream>>>() <= 240);
    }
}
