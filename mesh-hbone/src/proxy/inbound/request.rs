//! What a CONNECT request says.

use mesh_core::authority::ConnectAuthority;
use mesh_core::baggage::Baggage;
use mesh_core::model::Workload;
use mesh_core::resolve::InboundRequest;

use crate::Peer;
use crate::proxy::{Error, headers};
use crate::server::Incoming;

/// A CONNECT request, understood.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) authority: ConnectAuthority,
    pub(super) forwarded_host: Option<String>,
    /// What the source's proxy says about the source. Not verified: for telemetry only.
    pub(super) baggage: Option<Baggage>,
    network: Option<String>,
}

impl Request {
    pub(super) fn parse(incoming: &Incoming) -> Result<Self, Error> {
        let authority = incoming.authority();
        let parsed = authority.parse().map_err(|source| Error::Authority {
            authority: authority.into(),
            source,
        })?;
        let headers = incoming.headers();
        Ok(Self {
            authority: parsed,
            forwarded_host: headers::forwarded_host(headers).map(str::to_owned),
            baggage: headers::baggage(headers),
            network: headers::network(headers).map(str::to_owned),
        })
    }

    /// The question for the resolver.
    pub(super) fn resolvable<'a>(&'a self, local: &Workload, peer: &'a Peer) -> InboundRequest<'a> {
        let mut request = InboundRequest::new(peer.addr(), peer.local_addr(), &self.authority);
        request.peer_identity = Some(peer.identity());
        request.forwarded_host = self.forwarded_host.as_deref();
        let own = local.network().as_str();
        let network = self.network.as_deref();
        request.from_other_network = network.is_some_and(|it| !it.eq_ignore_ascii_case(own));
        request
    }
}
