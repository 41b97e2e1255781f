//! What the `PeerAuthentication`s of a mesh come to for one workload.

use std::collections::BTreeMap;

use super::{MtlsMode, PeerPolicy};
use crate::kube::attach::includes;
use crate::kube::meta::Labels;
use crate::kube::provenance::Provenance;
use crate::kube::settings::Settings;

/// What holds for one workload: each of its ports takes connections without mutual TLS or not.
///
/// It is the only place where levels and ports are put together; evaluation and conversion both
/// read the result, so they cannot differ.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EffectiveMtls {
    /// What holds for ports that are not named; never [`MtlsMode::Unset`].
    pub mode: MtlsMode,
    /// What holds for the ports that the workload's own policy names; never [`MtlsMode::Unset`].
    pub ports: BTreeMap<u16, MtlsMode>,
    /// The workload's own policy: the one whose labels it has.
    pub own: Option<Provenance>,
    /// What that policy itself says about all ports.
    pub own_mode: MtlsMode,
}

impl EffectiveMtls {
    /// Puts together what holds for a workload of this namespace with these labels.
    ///
    /// Mesh, namespace and workload each have one policy at most: the oldest, and of equally old
    /// ones the first by namespace and name. The narrowest level that says anything decides. Ports
    /// count at the level of the workload only; one that is `UNSET` is like all others. Policies
    /// with labels in the root namespace count nowhere.
    ///
    /// Source: Istio's peer authentication, with a tie-break that does not depend on the store.
    ///
    /// ```
    /// use mesh_authz::kube::{EffectiveMtls, Labels, PeerAuthentication, Provenance, Settings};
    ///
    /// let text = r#"{ "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
    ///     "metadata": { "name": "cart", "namespace": "shop" },
    ///     "spec": { "selector": { "matchLabels": { "app": "cart" } },
    ///               "mtls": { "mode": "STRICT" },
    ///               "portLevelMtls": { "8080": { "mode": "PERMISSIVE" } } } }"#;
    /// let object = PeerAuthentication::read(&mut serde_json::Deserializer::from_str(text))?;
    /// let settings = Settings::default();
    /// let policy = object.convert(&settings, Provenance::of(&object.metadata))?;
    ///
    /// let cart = Labels::from([("app".into(), "cart".into())]);
    /// let effective = EffectiveMtls::of([&policy], "shop", &cart, &settings);
    /// assert!(effective.accepts_plaintext(8080));
    /// assert!(!effective.accepts_plaintext(9090));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of<'p>(
        policies: impl IntoIterator<Item = &'p PeerPolicy>,
        namespace: &str,
        labels: &Labels,
        settings: &Settings,
    ) -> Self {
        let (mut mesh, mut of_namespace, mut own) = (None, None, None);
        for policy in policies {
            let of_root = policy.provenance.namespace == settings.root_namespace;
            let level = match (policy.labels.is_empty(), of_root) {
                (true, true) => &mut mesh,
                (false, true) => continue,
                _ if policy.provenance.namespace != *namespace => continue,
                (true, false) => &mut of_namespace,
                (false, false) if includes(labels, &policy.labels) => &mut own,
                (false, false) => continue,
            };
            *level = Some(older(*level, policy));
        }
        let mut mode = MtlsMode::Permissive;
        for policy in [mesh, of_namespace, own].into_iter().flatten() {
            mode = policy.mode.or(mode);
        }
        let named = own.into_iter().flat_map(|policy| &policy.ports);
        Self {
            mode,
            ports: named
                .map(|(port, of_port)| (*port, of_port.or(mode)))
                .collect(),
            own: own.map(|policy| policy.provenance.clone()),
            own_mode: own.map_or(MtlsMode::Unset, |policy| policy.mode),
        }
    }

    /// Whether a connection to this port is taken without mutual TLS. With mutual TLS it always is.
    #[must_use]
    pub fn accepts_plaintext(&self, port: u16) -> bool {
        self.ports
            .get(&port)
            .unwrap_or(&self.mode)
            .accepts_plaintext()
    }

    /// The ports for which the opposite holds of what holds for all others, in order.
    #[must_use]
    pub fn exceptions(&self) -> Vec<u16> {
        let rule = self.mode.accepts_plaintext();
        let differs = self
            .ports
            .iter()
            .filter(|(_, mode)| mode.accepts_plaintext() != rule);
        differs.map(|(port, _)| *port).collect()
    }
}

impl MtlsMode {
    /// This, or what a wider level says.
    fn or(self, wider: Self) -> Self {
        match self {
            Self::Unset => wider,
            said => said,
        }
    }

    /// Whether connections without mutual TLS are taken; `Unset` means what is the default of all
    /// levels, that they are.
    #[must_use]
    pub fn accepts_plaintext(self) -> bool {
        self != Self::Strict
    }
}

fn older<'p>(known: Option<&'p PeerPolicy>, policy: &'p PeerPolicy) -> &'p PeerPolicy {
    fn age(policy: &PeerPolicy) -> impl Ord + '_ {
        let Provenance {
            namespace, name, ..
        } = &policy.provenance;
        (policy.created, namespace, name)
    }
    known
        .filter(|known| age(known) <= age(policy))
        .unwrap_or(policy)
}
