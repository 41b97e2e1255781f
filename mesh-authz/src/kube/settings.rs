//! What a mesh's configuration says that objects are read by.

use mesh_core::name::Name;

/// Which meaning is given to what Istio leaves unsafe.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Profile {
    /// As Istio does it.
    Compat,
    /// Denies more where Istio would let traffic pass that a policy was meant to deny.
    #[default]
    Strict,
}

/// What a mesh's configuration says that objects are read by.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The namespace whose policies apply to the whole mesh; default `istio-system`.
    pub root_namespace: Name,
    /// Default [`Profile::Strict`].
    pub profile: Profile,
    /// Whether policies with a selector apply to gateways of the Gateway API that are not
    /// waypoints; default yes. Source: istiod's `ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY`.
    pub gateway_selectors: bool,
}

impl Settings {
    /// The settings of a mesh with this root namespace.
    #[must_use]
    pub fn with_root_namespace(mut self, root_namespace: impl Into<Name>) -> Self {
        self.root_namespace = root_namespace.into();
        self
    }

    /// The settings with another profile.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The settings of a control plane that keeps selectors away from gateways.
    #[must_use]
    pub fn without_gateway_selectors(mut self) -> Self {
        self.gateway_selectors = false;
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root_namespace: "istio-system".into(),
            profile: Profile::default(),
            gateway_selectors: true,
        }
    }
}
