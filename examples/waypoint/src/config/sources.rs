//! Where the description of the mesh and the certificates come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mesh_xds::dev_ca::DevCa;
use process::control_plane::{AuthoritySettings, XdsSettings};
use process::env::{ConfigError, Env};

/// Where the description of the mesh comes from.
pub(super) struct Sources {
    pub(super) manifests: Option<PathBuf>,
    pub(super) xds: Option<XdsSettings>,
    /// Values for the node's metadata.
    pub(super) metadata: BTreeMap<String, String>,
}

impl Sources {
    /// # Errors
    /// [`ConfigError`] when there are none, or a setting is wrong.
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let manifests = env.text("MESH_MANIFESTS").map(PathBuf::from);
        let wanted = env.text("XDS_ADDRESS").is_some();
        // Without manifests the control plane must be named: a default would be a guess.
        let xds = XdsSettings::from_env(env, None, manifests.is_some() || !wanted)?;
        if manifests.is_none() && xds.is_none() {
            let text = "no description of the mesh: set MESH_MANIFESTS to a directory with manifests, or \
                        XDS_ADDRESS to the address of a control plane";
            return Err(ConfigError::Refused(text.to_owned()));
        }
        Ok(Self {
            manifests,
            xds,
            metadata: BTreeMap::new(),
        })
    }
}

/// Who issues the certificate of the waypoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Authority {
    /// The one for development (`FAKE_CA=true`), in the directory `MESH_DEV_CA_DIR`.
    Development(PathBuf),
    /// The one of the control plane (`CA_ADDRESS`, `CA_ADDR`).
    ControlPlane(AuthoritySettings),
}

impl Authority {
    /// # Errors
    /// [`ConfigError`] names the variable and what was expected.
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        if env.switch("FAKE_CA")? != Some(true) {
            return AuthoritySettings::from_env(env).map(Self::ControlPlane);
        }
        let default = || DevCa::default_directory(|name| env.text(name).map(Into::into));
        let directory = env.text("MESH_DEV_CA_DIR").map(PathBuf::from);
        directory
            .or_else(default)
            .map(Self::Development)
            .ok_or_else(|| {
                let text =
                    "no directory for the development CA: set MESH_DEV_CA_DIR to a private one";
                ConfigError::Refused(text.to_owned())
            })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::config::Settings;

    const OWN: (&str, &str) = ("PROXY_WORKLOAD_INFO", "shop/wp-1/wp");
    const FILES: (&str, &str) = ("MESH_MANIFESTS", "/manifests");

    fn settings(vars: &[(&str, &str)]) -> Result<Settings, String> {
        let vars = [&[OWN], vars].concat();
        Settings::from_env(&Env::of(&vars), NonZeroUsize::MIN).map_err(|error| error.to_string())
    }

    #[test]
    fn the_mesh_comes_from_manifests_a_control_plane_or_both() {
        let server = ("XDS_ADDRESS", "istiod:15012");
        for (vars, manifests, xds) in [
            (vec![FILES], true, None),
            (vec![server], false, Some("https://istiod:15012")),
            (vec![FILES, server], true, Some("https://istiod:15012")),
            (vec![FILES, ("XDS_ADDRESS", "")], true, None),
        ] {
            let settings = settings(&vars).unwrap();
            let address = settings.xds.map(|xds| xds.server.address);
            assert_eq!(settings.manifests.is_some(), manifests, "{vars:?}");
            assert_eq!(address.as_deref(), xds, "{vars:?}");
        }
        let error = settings(&[]).unwrap_err();
        assert!(
            error.contains("MESH_MANIFESTS") && error.contains("XDS_ADDRESS"),
            "{error}"
        );
    }

    #[test]
    fn certificates_come_from_the_meshs_authority_unless_the_development_one_is_asked_for() {
        let address = |vars: &[(&str, &str)]| {
            let vars = [&[FILES], vars].concat();
            match settings(&vars).unwrap().authority {
                Authority::ControlPlane(settings) => Some(settings.server.address),
                Authority::Development(_) => None,
            }
        };
        let fake = [("FAKE_CA", "true"), ("MESH_DEV_CA_DIR", "ca")];
        assert_eq!(address(&fake), None);
        let default = "https://localhost:15012";
        assert_eq!(address(&[]).as_deref(), Some(default));
        // The variable of Istio's waypoints, and that of its node proxies, which goes before.
        let istio = ("CA_ADDR", "istiod.istio-system.svc:15012");
        let both = [istio, ("CA_ADDRESS", "ca:1")];
        assert_eq!(
            address(&[istio]).as_deref(),
            Some("https://istiod.istio-system.svc:15012")
        );
        assert_eq!(address(&both).as_deref(), Some("https://ca:1"));
        let error = settings(&[FILES, ("CA_ADDRESS", "")]).unwrap_err();
        assert!(error.contains("CA_ADDRESS is empty"), "{error}");
    }
}
