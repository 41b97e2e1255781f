//! A connection to the next hop, before bytes flow.

use std::fmt;
use std::future::pending;

use crate::copy::Plain;
use crate::io::Socket;
use crate::proxy::carry::{Carrying, carry};
use crate::proxy::session::Session;
use crate::proxy::{Admission, Error, Permit, Upstream};

/// A connection to the next hop and its record.
pub(in crate::proxy) struct Established<S> {
    pub(in crate::proxy) session: Session,
    pub(in crate::proxy) upstream: Upstream<S>,
    /// What the connection counts as, where a traffic policy let it in.
    pub(in crate::proxy) admission: Option<Box<dyn Admission>>,
}

impl<S: fmt::Debug> fmt::Debug for Established<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Established")
            .field("session", &self.session)
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
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
        let Self {
            session,
            upstream,
            admission,
        } = self;
        let client = Plain::new(client);
        let permit = match admission {
            None => Permit::lasting(),
            Some(admission) => Permit::until(async move {
                let _as_long_as_it_is_carried = admission;
                pending().await
            }),
        };
        match upstream {
            Upstream::Plain(server) => carry(client, Plain::new(server), permit, session),
            Upstream::Tunnel(server) => carry(client, server, permit, session),
        }
    }
}
