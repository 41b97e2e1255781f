//! The Gateway API's objects that say where gateways are, and who may refer to what.

use serde::Deserialize;

use super::{PortNumber, Selector};
use crate::manifest::unread::Unread;

/// A class of gateways. Source: Gateway API, `GatewayClassSpec` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct GatewayClassSpec {
    /// Who looks after gateways of the class, such as `istio.io/mesh-controller`.
    pub controller_name: String,
    description: Unread,
    parameters_ref: Unread,
}

/// What a gateway is to be. Source: Gateway API, `GatewaySpec` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct GatewaySpec {
    /// Its class, such as `istio-waypoint`.
    pub gateway_class_name: String,
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// Addresses that are asked for.
    pub addresses: Vec<GatewayAddressSpec>,
    infrastructure: Unread,
    backend_tls: Unread,
    tls: Unread,
    #[serde(rename = "allowedListeners")]
    allowed_listeners: Unread,
    default_scope: Unread,
}

/// What a gateway listens on. Source: Gateway API, `Listener` v1.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Listener {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The host names that it takes; empty for all.
    #[serde(default)]
    pub hostname: String,
    /// Its port.
    pub port: PortNumber,
    /// `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP` or `HBONE`.
    pub protocol: String,
    /// Who may attach to it.
    #[serde(default)]
    pub allowed_routes: AllowedRoutes,
    #[serde(default)]
    #[expect(dead_code, reason = "known, so that it is not reported")]
    tls: Unread,
}

/// Who may attach to a listener. Source: Gateway API, `AllowedRoutes` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AllowedRoutes {
    /// The namespaces.
    pub namespaces: FromNamespaces,
    /// The kinds.
    kinds: Unread,
}

/// Namespaces. Source: Gateway API, `RouteNamespaces` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FromNamespaces {
    /// `All`, `Same` (default, also when empty), `Selector` or `None`.
    pub from: String,
    /// With `Selector`: the labels of the namespaces.
    pub selector: Option<Selector>,
}

/// An address of a gateway. Source: Gateway API, `GatewaySpecAddress` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GatewayAddressSpec {
    /// `IPAddress` (default, also when empty) or `Hostname`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The address.
    pub value: String,
}

/// What a gateway has got. Source: Gateway API, `GatewayStatus` v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GatewayStatus {
    /// Its addresses.
    pub addresses: Vec<GatewayAddressSpec>,
    conditions: Unread,
    listeners: Unread,
    #[serde(rename = "attachedListenerSets")]
    attached_listener_sets: Unread,
}

/// Who may refer to what in the grant's namespace. Source: Gateway API, `ReferenceGrantSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ReferenceGrantSpec {
    /// Who may refer; one of them suffices.
    pub from: Vec<GrantFrom>,
    /// To what; one of them suffices.
    pub to: Vec<GrantTo>,
}

/// Objects that may refer. Source: Gateway API, `ReferenceGrantFrom`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct GrantFrom {
    /// Their API group; empty for core kinds.
    #[serde(default)]
    pub group: String,
    /// Their kind.
    pub kind: String,
    /// Their namespace.
    pub namespace: String,
}

/// Objects that may be referred to. Source: Gateway API, `ReferenceGrantTo`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct GrantTo {
    /// Their API group; empty for core kinds.
    #[serde(default)]
    pub group: String,
    /// Their kind.
    pub kind: String,
    /// The one with this name; absent for all.
    pub name: Option<String>,
}

/// Defines the object of a kind: what every object has, `spec` and `status`.
macro_rules! objects {
    ($($(#[$meta:meta])* $name:ident { $spec:ty, $status:ty })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(in crate::manifest) struct $name {
            pub(in crate::manifest) spec: $spec,
            pub(in crate::manifest) status: $status,
            api_version: Unread,
            kind: Unread,
            metadata: Unread,
        }
    )+};
}

objects! {
    GatewayClassObject { GatewayClassSpec, Unread }
    GatewayObject { GatewaySpec, GatewayStatus }
    ReferenceGrantObject { ReferenceGrantSpec, Unread }
}
