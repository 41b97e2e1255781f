//! What lint looks at.

use std::collections::BTreeMap;

use mesh_core::identity::SpiffeId;

use crate::kube::{
    Authorization, AuthorizationPolicy, EffectiveMtls, GATEWAY_LABEL, Invalid, Labels,
    PeerAuthentication, PeerPolicy, Provenance, RequestAuthentication, ServiceKind, Settings,
    Subject, TokenPolicy, TrustDomains,
};

/// Everything that was read of a mesh.
#[derive(Clone, Debug)]
pub struct Inventory {
    pub(super) settings: Settings,
    pub(super) trust_domains: Option<TrustDomains>,
    policies: Vec<Policy>,
    peers: Vec<PeerPolicy>,
    pub(super) tokens: Vec<TokenPolicy>,
    pub(super) workloads: Vec<Workload>,
    pub(super) services: Vec<Service>,
    pub(super) providers: Option<BTreeMap<String, Provider>>,
    pub(super) trusted_hops: u32,
}

/// A policy as it is written, and as it was read.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) object: AuthorizationPolicy,
    pub(super) read: Authorization,
}

/// A workload that policies may apply to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its identity.
    pub identity: Option<SpiffeId>,
    /// Whether traffic to it goes through a waypoint.
    pub behind_waypoint: bool,
}

/// A service that policies may be attached to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Service {
    /// What kind of object it is.
    pub kind: ServiceKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Labels that its workloads have; none for one that selects nothing.
    pub selector: Labels,
    /// Identity of the waypoint that it has.
    pub waypoint: Option<SpiffeId>,
}

/// An external authorizer that the mesh's configuration defines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Provider {
    /// How it is asked.
    pub kind: ProviderKind,
    /// Whether what it does not answer for passes.
    pub fail_open: bool,
}

/// How an external authorizer is asked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "those that Istio has")]
pub enum ProviderKind {
    /// By HTTP: about requests only.
    Http,
    /// By gRPC: about connections as well.
    Grpc,
}

impl Inventory {
    /// A mesh of which nothing is known yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            trust_domains: None,
            policies: Vec::new(),
            peers: Vec::new(),
            tokens: Vec::new(),
            workloads: Vec::new(),
            services: Vec::new(),
            providers: None,
            trusted_hops: 0,
        }
    }

    /// Adds an `AuthorizationPolicy`.
    ///
    /// # Errors
    /// [`Invalid`] when it must not be accepted.
    pub fn policy(&mut self, object: AuthorizationPolicy, from: Provenance) -> Result<(), Invalid> {
        let read = object.convert(&self.settings, from)?;
        self.policies.push(Policy { object, read });
        Ok(())
    }

    /// Adds a `PeerAuthentication`.
    ///
    /// # Errors
    /// [`Invalid`] when it must not be accepted.
    pub fn peer(&mut self, object: &PeerAuthentication, from: Provenance) -> Result<(), Invalid> {
        self.peers.push(object.convert(&self.settings, from)?);
        Ok(())
    }

    /// Adds a `RequestAuthentication`.
    ///
    /// # Errors
    /// [`Invalid`] when it must not be accepted.
    pub fn token(
        &mut self,
        object: &RequestAuthentication,
        from: Provenance,
    ) -> Result<(), Invalid> {
        self.tokens.push(object.convert(from)?);
        Ok(())
    }

    /// Adds a workload.
    pub fn workload(&mut self, workload: Workload) {
        self.workloads.push(workload);
    }

    /// Adds a service.
    pub fn service(&mut self, service: Service) {
        self.services.push(service);
    }

    /// Says which external authorizers there are.
    pub fn set_providers(&mut self, providers: impl IntoIterator<Item = (String, Provider)>) {
        self.providers = Some(providers.into_iter().collect());
    }

    /// Says which trust domains are accepted.
    pub fn set_trust_domains(&mut self, domains: TrustDomains) {
        self.trust_domains = Some(domains);
    }

    /// Says how many proxies in front of the mesh are trusted to name the client's address.
    pub fn set_trusted_hops(&mut self, hops: u32) {
        self.trusted_hops = hops;
    }

    pub(super) fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The workloads, waypoints and other gateways left out, that a policy applies to.
    pub(super) fn selected<'i>(&'i self, policy: &'i Policy) -> impl Iterator<Item = &'i Workload> {
        let plain = self
            .workloads
            .iter()
            .filter(|workload| !workload.is_gateway());
        plain.filter(|workload| {
            let subject = Subject::new(&workload.namespace, &workload.labels);
            subject.applies(&policy.read, &self.settings).is_ok()
        })
    }

    /// What the PeerAuthentications come to for a workload.
    pub(super) fn mtls(&self, workload: &Workload) -> EffectiveMtls {
        let (namespace, labels) = (&workload.namespace, &workload.labels);
        EffectiveMtls::of(&self.peers, namespace, labels, &self.settings)
    }

    pub(super) fn is_root(&self, namespace: &str) -> bool {
        *self.settings.root_namespace == *namespace
    }
}

impl Workload {
    pub(super) fn is_gateway(&self) -> bool {
        self.labels.contains_key(GATEWAY_LABEL)
    }
}

impl Service {
    pub(super) fn selects(&self, workload: &Workload) -> bool {
        !self.selector.is_empty()
            && self.namespace == workload.namespace
            && self
                .selector
                .iter()
                .all(|(key, value)| workload.labels.get(key) == Some(value))
    }
}
