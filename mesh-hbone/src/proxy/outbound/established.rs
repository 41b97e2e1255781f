//! A connection to the next hop, before bytes flow.

use crate::copy::Plain;
use crate::io::Socket;
use crate::proxy::carry::{Carrying, carry};
use crate::proxy::session::Session;
use crate::proxy::{Error, Permit, Upstream};

/// A connection to the next hop and its record.
#[derive(Debug)]
pub(in crate::proxy) struct Established<S> {
    pub(in crate::proxy) session: Session,
    pub(in crate::proxy) upstream: Upstream<S>,
}

impl<S: Socket> Established<S> {
    /// Gives the connection to the next hop up.
    pub(in crate::proxy) fn abort(mut self, error: &Error) {
        if let Upstream::Plain(server) = &mut self.upstream {
            server.reset_on_drop();
        }
        // A tunnel that has not ended is reset by dropping it.
        self.session.close(Err(error));
    }

    /// Begins to carry.
    pub(in crate::proxy) fn carry(self, client: impl Socket) -> Carrying {
        let Self { session, upstream } = self;
        let client = Plain::new(client);
        let permit = Permit::lasting();
        match upstream {
            Upstream::Plain(server) => carry(client, Plain::new(server), permit, session),
            Upstream::Tunnel(server) => carry(client, server, permit, session),
        }
    }
}
