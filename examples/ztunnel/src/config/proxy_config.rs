//! The mesh's own configuration of its proxies: a mounted file, and `PROXY_CONFIG`.

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;

use process::env::{ConfigError, Env};

/// Where the mesh's configuration is mounted, below the working directory.
const FILE: &str = "./etc/istio/config/mesh";

/// What a node proxy uses of Istio's `ProxyConfig`; other fields are for other proxies.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProxyConfig {
    /// The server that describes the mesh; without a scheme it is `https`.
    pub(crate) discovery_address: Option<String>,
    /// Default of the administration port.
    pub(crate) proxy_admin_port: Option<u16>,
    /// Default of the metrics port.
    pub(crate) stats_port: Option<u16>,
    /// Default of the number of workers; 0 = all cores.
    pub(crate) concurrency: Option<usize>,
    /// Defaults of variables, `ISTIO_META_*` among them.
    pub(crate) proxy_metadata: BTreeMap<String, String>,
}

/// Istio's `MeshConfig`, as far as it is about proxies.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MeshConfig {
    default_config: Option<ProxyConfig>,
}

impl ProxyConfig {
    /// `PROXY_CONFIG`, and what it does not say from the file, if that is there.
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let file = match std::fs::read_to_string(FILE) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(ConfigError::Refused(format!("cannot read {FILE}: {error}")));
            }
        };
        Self::parse(env.text("PROXY_CONFIG"), file.as_deref())
    }

    /// Values for `ISTIO_META_*` variables that are not set.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&String, &String)> {
        let metadata = self.proxy_metadata.iter();
        metadata.filter(|(name, _)| name.starts_with("ISTIO_META_"))
    }

    /// The two texts, of which the first wins.
    fn parse(own: Option<&str>, mesh: Option<&str>) -> Result<Self, ConfigError> {
        let mesh: MeshConfig = yaml(FILE, mesh)?;
        let own: Self = yaml("PROXY_CONFIG", own)?;
        Ok(own.over(mesh.default_config.unwrap_or_default()))
    }

    fn over(self, other: Self) -> Self {
        let mut proxy_metadata = other.proxy_metadata;
        proxy_metadata.extend(self.proxy_metadata);
        Self {
            // An empty one says nothing, as in environment variables.
            discovery_address: [self.discovery_address, other.discovery_address]
                .into_iter()
                .flatten()
                .find(|address| !address.is_empty()),
            proxy_admin_port: self.proxy_admin_port.or(other.proxy_admin_port),
            stats_port: self.stats_port.or(other.stats_port),
            concurrency: self.concurrency.or(other.concurrency),
            proxy_metadata,
        }
    }
}

/// An absent or empty text says nothing.
fn yaml<T>(of: &str, text: Option<&str>) -> Result<T, ConfigError>
where
    T: for<'de> Deserialize<'de> + Default,
{
    let Some(text) = text else {
        return Ok(T::default());
    };
    let parsed: Result<Option<T>, _> = serde_saphyr::from_str(text);
    parsed.map(Option::unwrap_or_default).map_err(|error| {
        let error = error.without_snippet();
        ConfigError::Refused(format!("{of} is not a configuration of proxies: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESH: &str = "
accessLogFile: /dev/stdout
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
  statsPort: 15021
  concurrency: 0
  tracing: {zipkin: {address: z:9411}}
  proxyMetadata: {ISTIO_META_A: mesh, ISTIO_META_B: mesh}
rootNamespace: istio-system
";

    #[test]
    fn the_own_configuration_goes_over_that_of_the_mesh() {
        let own = "{\"proxyAdminPort\": 15001, \"statsPort\": 9, \
                   \"proxyMetadata\": {\"ISTIO_META_B\": \"own\"}}";
        let config = ProxyConfig::parse(Some(own), Some(MESH)).unwrap();
        let metadata = [("ISTIO_META_A", "mesh"), ("ISTIO_META_B", "own")];
        let expected = ProxyConfig {
            discovery_address: Some("istiod.istio-system.svc:15012".into()),
            proxy_admin_port: Some(15001),
            stats_port: Some(9),
            concurrency: Some(0),
            proxy_metadata: metadata.map(|(k, v)| (k.into(), v.into())).into(),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn an_empty_discovery_address_is_none() {
        let empty = "{discoveryAddress: ''}";
        let config = ProxyConfig::parse(Some(empty), Some(MESH)).unwrap();
        let mesh = Some("istiod.istio-system.svc:15012");
        assert_eq!(config.discovery_address.as_deref(), mesh);
        let mesh = "defaultConfig: {discoveryAddress: ''}";
        for own in [None, Some(empty)] {
            let config = ProxyConfig::parse(own, Some(mesh)).unwrap();
            assert_eq!(config.discovery_address, None, "{own:?}");
        }
    }

    #[test]
    fn what_is_absent_says_nothing_and_what_is_malformed_is_refused() {
        for (own, mesh) in [(None, None), (Some(""), Some("")), (None, Some("{}"))] {
            let config = ProxyConfig::parse(own, mesh).unwrap();
            assert_eq!(config, ProxyConfig::default(), "{own:?} {mesh:?}");
        }
        for (own, mesh, says) in [
            (Some("{"), None, "PROXY_CONFIG is not a configuration"),
            (Some("statsPort: many"), None, "PROXY_CONFIG is not a"),
            (None, Some("defaultConfig: 7"), "config/mesh is not a"),
            (
                None,
                Some("defaultConfig: {concurrency: -1}"),
                "config/mesh",
            ),
        ] {
            let error = ProxyConfig::parse(own, mesh).unwrap_err().to_string();
            assert!(error.contains(says), "{own:?} {mesh:?}: {error}");
        }
    }
}
