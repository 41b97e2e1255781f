//! Where the mesh and the certificates come from, other than from a control plane.

use std::path::PathBuf;
use std::time::Duration;

use mesh_xds::dev_ca::DevCa;
use mesh_xds::local::POLL_INTERVAL;
use mesh_xds::manifest;

use super::control_plane::AuthoritySettings;
use process::env::{ConfigError, Env};

/// A description of the mesh that the machine itself has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum LocalMesh {
    /// A file that is watched (`LOCAL_XDS_PATH`), looked at in this interval
    /// (`MESH_LOCAL_XDS_INTERVAL`, default 500 ms).
    File(PathBuf, Duration),
    /// The text itself (`LOCAL_XDS`).
    Inline(String),
    /// A directory of manifests that is watched (`MESH_MANIFESTS`), looked at in this interval
    /// (`MESH_LOCAL_XDS_INTERVAL`, default 50 ms).
    Manifests(PathBuf, Duration),
}

impl LocalMesh {
    pub(super) fn from_env(env: &Env) -> Result<Option<Self>, ConfigError> {
        let interval = env.duration("MESH_LOCAL_XDS_INTERVAL", Duration::from_millis(1))?;
        let given = [
            ("LOCAL_XDS_PATH", env.text("LOCAL_XDS_PATH")),
            ("LOCAL_XDS", env.text("LOCAL_XDS")),
            ("MESH_MANIFESTS", env.text("MESH_MANIFESTS")),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)));
        let Some((name, text)) = given.next() else {
            return Ok(None);
        };
        if let Some((other, _)) = given.next() {
            return Err(ConfigError::Refused(format!(
                "{name} and {other} are both set, expected one of them"
            )));
        }
        Ok(Some(match name {
            "LOCAL_XDS_PATH" => Self::File(text.into(), interval.unwrap_or(POLL_INTERVAL)),
            "LOCAL_XDS" => Self::Inline(text.to_owned()),
            _ => Self::Manifests(text.into(), interval.unwrap_or(manifest::POLL_INTERVAL)),
        }))
    }
}

/// Who issues the certificate of the workload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Authority {
    /// The one for development (`FAKE_CA=true`), in the directory `MESH_DEV_CA_DIR`; default:
    /// `mesh-dev-ca` in the user's runtime or cache directory.
    Development(PathBuf),
    /// The one of the control plane (`CA_ADDRESS`).
    ControlPlane(AuthoritySettings),
}

impl Authority {
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        if !env.switch("FAKE_CA")?.unwrap_or(false) {
            return AuthoritySettings::from_env(env).map(Self::ControlPlane);
        }
        env.text("MESH_DEV_CA_DIR")
            .map(PathBuf::from)
            .or_else(|| DevCa::default_directory(|name| env.text(name).map(Into::into)))
            .map(Self::Development)
            .ok_or_else(|| {
                ConfigError::Refused(
                    "no directory for the development CA: set MESH_DEV_CA_DIR to a private one"
                        .to_owned(),
                )
            })
    }
}
