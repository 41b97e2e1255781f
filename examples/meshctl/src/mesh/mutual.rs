//! What peer authentication comes to for a workload.

use mesh_authz::kube::{EffectiveMtls, MtlsPolicy, MtlsShape, PeerPolicy, Settings, static_strict};
use mesh_authz::spec::PolicySpec;

use crate::party::Party;

/// What peer authentication comes to for a workload.
#[derive(Clone, Debug)]
pub(crate) struct Mutual {
    pub(crate) effective: EffectiveMtls,
    /// The policy that enforces it at a node proxy, if anything is refused.
    pub(crate) policy: Option<PolicySpec>,
}

impl Mutual {
    pub(crate) fn of(peers: &[&PeerPolicy], party: &Party, settings: &Settings) -> Self {
        let peers = peers.iter().copied();
        let effective = EffectiveMtls::of(peers, &party.namespace, &party.labels, settings);
        let policy = match effective.policy(MtlsShape::Merged) {
            MtlsPolicy::Nothing => None,
            MtlsPolicy::StaticStrict => Some(static_strict(settings.root_namespace.clone())),
            MtlsPolicy::Own(policy) => Some(policy),
        };
        Self { effective, policy }
    }

    /// Whether a connection without mutual TLS is taken; `None` when that depends on the port.
    pub(crate) fn accepts_plaintext(&self, port: Option<u16>) -> Option<bool> {
        match port {
            Some(port) => Some(self.effective.accepts_plaintext(port)),
            None if self.effective.exceptions().is_empty() => {
                Some(self.effective.mode.accepts_plaintext())
            }
            None => None,
        }
    }
}
