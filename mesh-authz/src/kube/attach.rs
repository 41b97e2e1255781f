//! Which policies apply to a workload, a gateway, or a service at its waypoint.

use mesh_core::name::Name;

use super::authorization::Authorization;
use super::meta::Labels;
use super::selector::{Attachment, Target, TargetKind};
use super::settings::Settings;
use super::timestamp::Timestamp;

/// The label of proxies that are instances of a gateway of the Gateway API, waypoints among them.
pub const GATEWAY_LABEL: &str = "gateway.networking.k8s.io/gateway-name";

/// The class of gateways that are waypoints.
const WAYPOINT_CLASS: &str = "istio-waypoint";

/// What policies are looked for: a workload, a gateway, or a waypoint that serves something.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    namespace: &'a str,
    labels: &'a Labels,
    role: Role<'a>,
    services: &'a [Served<'a>],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role<'a> {
    Workload,
    Gateway { name: &'a str },
    Waypoint { name: &'a str },
}

/// A service that a waypoint serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Served<'a> {
    /// What kind of object it is.
    pub kind: ServiceKind,
    /// Its namespace.
    pub namespace: &'a str,
    /// Name of the object, not a host name.
    pub name: &'a str,
}

/// The kind of object that a service is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum ServiceKind {
    /// A Kubernetes `Service`.
    Service,
    /// A `ServiceEntry` of `networking.istio.io`.
    ServiceEntry,
}

/// Why a policy does not apply.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Detached {
    /// It is neither in the root namespace nor in one of the subject's.
    #[error("it is of another namespace")]
    Namespace,
    /// The workload lacks a label of the selector.
    #[error("its selector asks for other labels")]
    Labels,
    /// It has targets, and a workload that is no gateway is not one.
    #[error("it is attached to targets, which a workload is not")]
    Targets,
    /// It has targets, and the subject is none of them.
    #[error("it is attached to other targets")]
    OtherTargets,
    /// It has no targets, and only policies with targets apply at a waypoint.
    #[error("it has no targets, and at a waypoint only policies with targets apply")]
    Waypoint,
    /// It has no targets, and gateways are only reached by targets in this mesh.
    #[error("it has no targets, and in this mesh only policies with targets apply to gateways")]
    Gateway,
}

/// A policy that is attached by namespace, labels or targets.
pub trait Attached {
    /// Its namespace.
    fn namespace(&self) -> &Name;
    /// Its name.
    fn name(&self) -> &Name;
    /// When it was created.
    fn created(&self) -> Option<Timestamp>;
    /// What it applies to.
    fn attachment(&self) -> &Attachment;
}

impl Attached for Authorization {
    fn namespace(&self) -> &Name {
        &self.provenance.namespace
    }
    fn name(&self) -> &Name {
        &self.provenance.name
    }
    fn created(&self) -> Option<Timestamp> {
        self.created
    }
    fn attachment(&self) -> &Attachment {
        &self.attachment
    }
}

impl<'a> Subject<'a> {
    /// A workload, or a gateway if its labels say so ([`GATEWAY_LABEL`]).
    #[must_use]
    pub fn new(namespace: &'a str, labels: &'a Labels) -> Self {
        let gateway = labels.get(GATEWAY_LABEL);
        let role = gateway.map_or(Role::Workload, |name| Role::Gateway { name });
        Self {
            namespace,
            labels,
            role,
            services: &[],
        }
    }

    /// The same gateway as a waypoint that serves these; none when it is asked what applies to the
    /// waypoint whatever it serves.
    ///
    /// A workload without [`GATEWAY_LABEL`] stays a workload, as with Istio.
    #[must_use]
    pub fn waypoint(mut self, services: &'a [Served<'a>]) -> Self {
        if let Role::Gateway { name } = self.role {
            self.role = Role::Waypoint { name };
            self.services = services;
        }
        self
    }

    /// Whether a policy applies, or why not.
    ///
    /// # Errors
    /// [`Detached`].
    ///
    /// ```
    /// use mesh_authz::kube::{AuthorizationPolicy, Detached, Labels, Provenance, Settings, Subject};
    ///
    /// let text = r#"{ "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
    ///     "metadata": { "name": "p", "namespace": "shop" },
    ///     "spec": { "selector": { "matchLabels": { "app": "cart" } } } }"#;
    /// let object = AuthorizationPolicy::read(&mut serde_json::Deserializer::from_str(text))?;
    /// let settings = Settings::default();
    /// let policy = object.convert(&settings, Provenance::of(&object.metadata))?;
    ///
    /// let cart = Labels::from([("app".into(), "cart".into())]);
    /// assert_eq!(Subject::new("shop", &cart).applies(&policy, &settings), Ok(()));
    /// assert_eq!(Subject::new("other", &cart).applies(&policy, &settings), Err(Detached::Namespace));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn applies<P: Attached>(&self, policy: &P, settings: &Settings) -> Result<(), Detached> {
        let namespace = policy.namespace().as_str();
        if self.lookup(namespace, settings).is_none() {
            return Err(Detached::Namespace);
        }
        let (targets, waypoint) = match (policy.attachment(), self.role) {
            (Attachment::Unknown, _) => return Ok(()),
            (Attachment::Targets(_), Role::Workload) => return Err(Detached::Targets),
            (Attachment::Targets(targets), Role::Gateway { .. }) => (targets, false),
            (Attachment::Targets(targets), Role::Waypoint { .. }) => (targets, true),
            (_, Role::Waypoint { .. }) => return Err(Detached::Waypoint),
            (_, Role::Gateway { .. }) if !settings.gateway_selectors => {
                return Err(Detached::Gateway);
            }
            (Attachment::Labels(wanted), _) if !includes(self.labels, wanted) => {
                return Err(Detached::Labels);
            }
            (Attachment::Labels(_) | Attachment::Scope, _) => return Ok(()),
        };
        let of_root = *namespace == *settings.root_namespace;
        let mut targets = targets.iter();
        let reached = targets.any(|target| match target.kind {
            TargetKind::GatewayClass => waypoint && of_root && *target.name == *WAYPOINT_CLASS,
            TargetKind::Service => waypoint && self.serves(target, ServiceKind::Service, namespace),
            TargetKind::ServiceEntry => {
                waypoint && self.serves(target, ServiceKind::ServiceEntry, namespace)
            }
            TargetKind::Gateway => self.is_gateway(target, namespace),
        });
        reached.then_some(()).ok_or(Detached::OtherTargets)
    }

    /// The policies of a set that apply: those of the root namespace first, then those of the
    /// subject's, then those of the services' namespaces; the older first in each. The order has no
    /// effect on decisions, only on which of several policies is named as the reason.
    pub fn select<'p, P: Attached>(
        &self,
        policies: impl IntoIterator<Item = &'p P>,
        settings: &Settings,
    ) -> Vec<&'p P> {
        let policies = policies.into_iter();
        let mut all: Vec<_> = policies
            .filter(|policy| self.applies(*policy, settings).is_ok())
            .collect();
        all.sort_by_key(|policy| {
            let of = self.lookup(policy.namespace(), settings);
            (
                of,
                policy.created(),
                policy.namespace().clone(),
                policy.name().clone(),
            )
        });
        all
    }

    /// The place of a namespace among those that policies are looked for in.
    fn lookup(&self, namespace: &str, settings: &Settings) -> Option<u8> {
        let served = || {
            self.services
                .iter()
                .any(|service| service.namespace == namespace)
        };
        match namespace {
            _ if *namespace == *settings.root_namespace => Some(0),
            _ if namespace == self.namespace => Some(1),
            _ => served().then_some(2),
        }
    }

    fn serves(&self, target: &Target, kind: ServiceKind, namespace: &str) -> bool {
        let service = Served {
            kind,
            namespace,
            name: &target.name,
        };
        self.services.contains(&service)
    }

    fn is_gateway(&self, target: &Target, namespace: &str) -> bool {
        match self.role {
            Role::Gateway { name } | Role::Waypoint { name } => {
                *target.name == *name && namespace == self.namespace
            }
            Role::Workload => false,
        }
    }
}

/// Whether labels include those that are wanted.
pub(super) fn includes(labels: &Labels, wanted: &Labels) -> bool {
    let mut wanted = wanted.iter();
    wanted.all(|(key, value)| labels.get(key) == Some(value))
}
