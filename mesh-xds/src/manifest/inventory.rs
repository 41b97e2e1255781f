//! The objects that are in force, each as its type.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_authz::kube::{Authorization, PeerPolicy, TokenPolicy};
use mesh_core::name::Name;
#[cfg(feature = "routes")]
use mesh_l7::gateway_api::{GrpcRouteSpec, HttpRouteSpec, L4RouteSpec};
#[cfg(feature = "routes")]
use mesh_l7::istio::{DestinationRuleSpec, VirtualServiceSpec};

use super::document::{Document, Labels, Metadata, ObjectKey};
use super::objects::{
    EndpointSlice, GatewayClassSpec, GatewaySpec, GatewayStatus, PodSpec, PodStatus,
    ReferenceGrantSpec, ServiceEntrySpec, ServiceEntryStatus, ServiceSpec, ServiceStatus,
    WorkloadEntrySpec, WorkloadEntryStatus,
};
use super::problem::Problem;

/// An object as its type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Object<S, T = ()> {
    /// The object as it is written.
    pub document: Arc<Document>,
    /// What it is to be.
    pub spec: S,
    /// What it is.
    pub status: T,
}

impl<S, T> Object<S, T> {
    pub(super) fn new(document: &Arc<Document>, spec: S, status: T) -> Self {
        let document = document.clone();
        Self {
            document,
            spec,
            status,
        }
    }

    /// What makes it this object.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        self.document.key()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.document.key().name
    }

    /// Its namespace; empty for kinds without.
    #[must_use]
    pub fn namespace(&self) -> &Name {
        self.document.namespace()
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.document.metadata()
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.metadata().labels
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        value(self.labels(), name)
    }

    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        value(&self.metadata().annotations, name)
    }
}

fn value<'a>(labels: &'a Labels, name: &str) -> Option<&'a str> {
    let value = labels.get(name).map(String::as_str);
    value.filter(|value| !value.is_empty())
}

/// The objects of one kind, by namespace and name.
#[derive(Clone, Debug)]
pub struct Table<T>(BTreeMap<(Name, Name), Arc<T>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Table<T> {
    /// The object of a namespace (empty for kinds without) with this name.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.0.get(&(namespace.into(), name.into()))
    }

    /// All objects, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> + Clone {
        self.0.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert(&mut self, key: &ObjectKey, object: &Arc<T>) {
        let key = (key.namespace.clone(), key.name.clone());
        self.0.insert(key, object.clone());
    }
}

/// An object, and what was noticed about it.
pub(super) type Good = (Any, Vec<Problem>);

/// An object, and what was noticed about it, or why it is not taken as it is written.
pub(super) type Checked = Result<Good, Refused>;

/// Why an object is not taken as it is written.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) problem: Problem,
    /// What is better than nothing, where there is no earlier version.
    pub(super) first: Option<Box<Good>>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            first: None,
        }
    }
}

/// Defines the inventory, the object of any kind, and how one gets into the other.
macro_rules! inventory {
    ($($(#[doc = $doc:literal])* $(#[cfg($($cfg:tt)*)])? $field:ident: $kind:ident($object:ty)),+ $(,)?) => {
        /// The objects that are in force, each as its type.
        #[derive(Clone, Debug, Default)]
        #[non_exhaustive]
        pub struct Inventory {
            $($(#[doc = $doc])* $(#[cfg($($cfg)*)])? pub $field: Table<$object>,)+
            /// Objects of all other kinds that are read.
            pub others: BTreeMap<ObjectKey, Arc<Document>>,
        }

        /// An object of any kind.
        #[derive(Clone, Debug)]
        pub(super) enum Any {
            $($(#[cfg($($cfg)*)])? $kind(Arc<$object>),)+
            Other,
        }

        impl Inventory {
            pub(super) fn insert(&mut self, document: &Arc<Document>, object: &Any) {
                match object {
                    $($(#[cfg($($cfg)*)])? Any::$kind(object) => self.$field.insert(document.key(), object),)+
                    Any::Other => {
                        self.others.insert(document.key().clone(), document.clone());
                    }
                }
            }
        }
    };
}

inventory! {
    /// Namespaces.
    namespaces: Namespace(Object<()>),
    /// Nodes.
    nodes: Node(Object<()>),
    /// Pods.
    pods: Pod(Object<PodSpec, PodStatus>),
    /// Kubernetes services.
    services: Service(Object<ServiceSpec, ServiceStatus>),
    /// Endpoint slices.
    endpoint_slices: EndpointSlice(Object<EndpointSlice>),
    /// Istio's service entries.
    service_entries: ServiceEntry(Object<ServiceEntrySpec, ServiceEntryStatus>),
    /// Istio's workload entries.
    workload_entries: WorkloadEntry(Object<WorkloadEntrySpec, WorkloadEntryStatus>),
    /// Classes of gateways.
    gateway_classes: GatewayClass(Object<GatewayClassSpec>),
    /// Gateways, waypoints among them.
    gateways: Gateway(Object<GatewaySpec, GatewayStatus>),
    /// Who may refer to what in other namespaces.
    reference_grants: ReferenceGrant(Object<ReferenceGrantSpec>),
    /// Who may do what.
    authorization_policies: AuthorizationPolicy(Authorization),
    /// Which ports want mutual TLS.
    peer_authentications: PeerAuthentication(PeerPolicy),
    /// Which tokens requests may have.
    request_authentications: RequestAuthentication(TokenPolicy),
    /// Routes for HTTP.
    #[cfg(feature = "routes")]
    http_routes: HttpRoute(Object<HttpRouteSpec>),
    /// Routes for gRPC.
    #[cfg(feature = "routes")]
    grpc_routes: GrpcRoute(Object<GrpcRouteSpec>),
    /// Routes for connections.
    #[cfg(feature = "routes")]
    tcp_routes: TcpRoute(Object<L4RouteSpec>),
    /// Routes for connections by the server name of TLS.
    #[cfg(feature = "routes")]
    tls_routes: TlsRoute(Object<L4RouteSpec>),
    /// Istio's routes.
    #[cfg(feature = "routes")]
    virtual_services: VirtualService(Object<VirtualServiceSpec>),
    /// How upstreams are used, and subsets of them.
    #[cfg(feature = "routes")]
    destination_rules: DestinationRule(Object<DestinationRuleSpec>),
}
