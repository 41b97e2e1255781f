//! What policies and tokens ask for at each service.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mesh_authz::jwt::{Authenticator, JwksStore, JwtRule, Profile};
use mesh_authz::kube::{
    Authorization, GATEWAY_LABEL, Labels, Served, ServiceKind, Settings as PolicySettings, Subject,
    TokenPolicy, TrustDomains,
};
use mesh_authz::layer::AppliesTo;
use mesh_authz::store::PolicyStore;
use mesh_core::model::Service;
use mesh_core::name::Name;
use mesh_core::watch::{self, Publisher};
use mesh_xds::manifest::{Inventory, MeshOptions};
use parking_lot::Mutex;

use crate::config::{Settings, WorkloadInfo};

/// What policies and tokens ask for: the store of all policies, and what applies to each service that was
/// asked for.
pub(crate) struct Security {
    pub(crate) policies: PolicyStore,
    pub(crate) keys: JwksStore,
    own: TrustDomains,
    workload: WorkloadInfo,
    settings: PolicySettings,
    /// What is said about the waypoint's own pod where no manifest has it.
    own_labels: Labels,
    state: Mutex<State>,
}

/// Namespace and host name of a service.
type ServedKey = (Name, Name);

#[derive(Default)]
struct State {
    inventory: Arc<Inventory>,
    /// `None` is what workloads have that are addressed themselves.
    services: HashMap<Option<ServedKey>, Arc<ServiceSecurity>>,
}

/// What applies to one service, or to workloads that are addressed themselves; kept up to date.
#[derive(Debug)]
pub(crate) struct ServiceSecurity {
    /// The policies that apply.
    pub(crate) applies: Publisher<AppliesTo>,
    /// How tokens are verified.
    pub(crate) tokens: Publisher<Authenticator>,
    /// Namespace and name of the service.
    served: Option<(Name, Name)>,
}

impl Security {
    pub(crate) fn new(settings: &Settings, own_labels: Labels) -> Self {
        Self {
            policies: PolicyStore::new(),
            keys: JwksStore::new(),
            own: TrustDomains::new(settings.trust_domain.clone(), []),
            workload: settings.workload.clone(),
            settings: MeshOptions::new(settings.trust_domain.clone()).policies,
            own_labels,
            state: Mutex::default(),
        }
    }

    /// Takes over the policies of an inventory. Those that are gone stay in the store until the next change: nobody
    /// names them any more, but whoever has just been told what applies to a service may still look for them.
    pub(crate) fn take(&self, inventory: &Arc<Inventory>) {
        let mut state = self.state.lock();
        let now = inventory.authorization_policies.iter();
        let keys: HashSet<Name> = now.clone().map(|policy| policy.policy.key()).collect();
        let before = state.inventory.authorization_policies.iter();
        let gone = before.filter(|policy| !keys.contains(&policy.policy.key()));
        let specs = now
            .chain(gone)
            .map(|policy| self.own.expand(policy.policy.clone()));
        for rejected in self.policies.replace_all(specs.collect()).rejected {
            tracing::error!(%rejected, "policy cannot be enforced: its services deny everything");
        }
        state.inventory = inventory.clone();
        if !self.labels(inventory).contains_key(GATEWAY_LABEL) {
            // Nothing would seem to be attached any more.
            tracing::error!(
                "the waypoint's own pod is gone or has no label {GATEWAY_LABEL}: policies stay attached as they were"
            );
            return;
        }
        for service in state.services.values() {
            let applies = self.applies(inventory, service);
            service.applies.publish(applies);
            match self.tokens(inventory, service) {
                Ok(tokens) => service.tokens.publish(tokens),
                Err(problem) => {
                    tracing::error!(
                        problem,
                        "rules for tokens not accepted, the last good ones stay"
                    );
                }
            }
        }
    }

    /// What applies to a service behind this waypoint.
    ///
    /// # Errors
    /// Why nothing of it can be served: its rules for tokens cannot be used.
    pub(crate) fn of(&self, service: &Service) -> Result<Arc<ServiceSecurity>, String> {
        let spec = service.spec();
        let key = (spec.namespace.clone(), spec.hostname.clone());
        let served = (spec.namespace.clone(), spec.name.clone());
        self.known(Some(key), Some(served))
    }

    /// What applies to workloads behind this waypoint that are addressed themselves: what is attached to the waypoint.
    /// Policies that select the workloads are enforced by their own proxies.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn of_workloads(&self) -> Result<Arc<ServiceSecurity>, String> {
        self.known(None, None)
    }

    fn known(
        &self,
        key: Option<ServedKey>,
        served: Option<(Name, Name)>,
    ) -> Result<Arc<ServiceSecurity>, String> {
        let mut state = self.state.lock();
        if let Some(known) = state.services.get(&key) {
            return Ok(known.clone());
        }
        // Without it policies that are attached to the service would not be found.
        if !self.labels(&state.inventory).contains_key(GATEWAY_LABEL) {
            return Err(format!(
                "the waypoint's own pod has no label {GATEWAY_LABEL}"
            ));
        }
        let mut new = ServiceSecurity {
            applies: watch::channel(AppliesTo::Named([].into())).0,
            tokens: watch::channel(
                Authenticator::new(Vec::new(), &self.keys, Profile::strict())
                    .map_err(|error| error.to_string())?,
            )
            .0,
            served,
        };
        new.applies = watch::channel(self.applies(&state.inventory, &new)).0;
        new.tokens = watch::channel(self.tokens(&state.inventory, &new)?).0;
        let new = Arc::new(new);
        state.services.insert(key, new.clone());
        Ok(new)
    }

    fn applies(&self, inventory: &Inventory, service: &ServiceSecurity) -> AppliesTo {
        let policies = inventory.authorization_policies.iter();
        let policies: Vec<&Authorization> = policies.map(Arc::as_ref).collect();
        let applying = self.subject(inventory, service, |subject| {
            subject.select(policies, &self.settings)
        });
        AppliesTo::Named(applying.iter().map(|one| one.policy.key()).collect())
    }

    fn tokens(
        &self,
        inventory: &Inventory,
        service: &ServiceSecurity,
    ) -> Result<Authenticator, String> {
        let policies = inventory.request_authentications.iter();
        let policies: Vec<&TokenPolicy> = policies.map(Arc::as_ref).collect();
        let applying = self.subject(inventory, service, |subject| {
            subject.select(policies, &self.settings)
        });
        let mut rules = Vec::new();
        for policy in applying {
            for (at, written) in policy.rules.iter().enumerate() {
                let rule = JwtRule::try_from(written);
                let place = || format!("{}: spec.jwtRules[{at}]", policy.provenance);
                rules.push(rule.map_err(|error| format!("{}: {error}", place()))?);
            }
        }
        Authenticator::new(rules, &self.keys, Profile::strict()).map_err(|error| error.to_string())
    }

    /// The service at its waypoint, as policies are looked for. Which gateway the waypoint belongs to is said by
    /// the labels of its own pod.
    fn subject<R>(
        &self,
        inventory: &Inventory,
        service: &ServiceSecurity,
        ask: impl FnOnce(&Subject<'_>) -> R,
    ) -> R {
        let labels = self.labels(inventory);
        let kinds = [ServiceKind::Service, ServiceKind::ServiceEntry];
        let served: Vec<Served<'_>> = match &service.served {
            None => Vec::new(),
            Some((namespace, name)) => kinds
                .map(|kind| Served {
                    kind,
                    namespace,
                    name,
                })
                .into(),
        };
        ask(&Subject::new(&self.workload.namespace, &labels).waypoint(&served))
    }

    /// The labels of the waypoint's own pod: those of its manifest, else those that the pod itself was told.
    pub(crate) fn labels(&self, inventory: &Inventory) -> Labels {
        let pods = &inventory.pods;
        let own = pods.get(&self.workload.namespace, &self.workload.name);
        own.map_or(&self.own_labels, |own| own.labels()).clone()
    }
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security")
            .field("services", &self.state.lock().services.len())
            .finish_non_exhaustive()
    }
}
