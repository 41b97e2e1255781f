//! What holds for the mesh as a whole: its configuration, and what the command line says instead.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mesh_authz::kube::{Profile, Settings, TrustDomains};
use mesh_authz::{Semantics, jwt};
use mesh_core::identity::TrustDomain;
use mesh_core::target::PathNormalization;
use serde::Deserialize;

use crate::arguments::MeshFlags;
use crate::failure::{Failure, Result};

const TRUST_DOMAIN: &str = "cluster.local";

/// What holds for the mesh as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    pub(crate) settings: Settings,
    pub(crate) trust_domains: TrustDomains,
    pub(crate) paths: PathNormalization,
    /// External authorizers; `None` when nothing says which there are.
    pub(crate) providers: Option<BTreeMap<String, Authorizer>>,
    pub(crate) trusted_hops: u32,
}

/// An external authorizer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authorizer {
    /// Whether it is asked by HTTP, about requests only, and not by gRPC.
    pub(crate) is_http: bool,
    /// Whether what it does not answer for passes.
    pub(crate) fail_open: bool,
}

/// The part of Istio's `meshConfig` that is about policies; everything else is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MeshConfig {
    root_namespace: Option<String>,
    trust_domain: Option<TrustDomainText>,
    trust_domain_aliases: Vec<TrustDomainText>,
    path_normalization: Normalization,
    extension_providers: Option<Vec<ExtensionProvider>>,
    default_config: ProxyConfig,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct TrustDomainText(TrustDomain);

impl TryFrom<String> for TrustDomainText {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        let domain = text.parse();
        domain.map(Self).map_err(|error| format!("{text}: {error}"))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Normalization {
    normalization: Option<NormalizationWord>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum NormalizationWord {
    Default,
    None,
    Base,
    MergeSlashes,
    DecodeAndMergeSlashes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ProxyConfig {
    gateway_topology: GatewayTopology,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GatewayTopology {
    num_trusted_proxies: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExtensionProvider {
    name: String,
    envoy_ext_authz_http: Option<ExtAuthz>,
    envoy_ext_authz_grpc: Option<ExtAuthz>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ExtAuthz {
    fail_open: bool,
}

impl Configuration {
    pub(crate) fn of(flags: &MeshFlags) -> Result<Self> {
        let config = match &flags.config {
            Some(path) => read(path)?,
            None => MeshConfig::default(),
        };
        let mut settings = Settings::default().with_profile(flags.profile);
        if let Some(root) = flags.root_namespace.clone().or(config.root_namespace) {
            settings = settings.with_root_namespace(root);
        }
        let mut domains = flags.trust_domains.clone();
        if domains.is_empty() {
            let configured = config
                .trust_domain
                .into_iter()
                .chain(config.trust_domain_aliases);
            domains.extend(configured.map(|text| text.0));
        }
        let mut domains = domains.into_iter();
        let own = match domains.next() {
            Some(own) => own,
            None => TRUST_DOMAIN
                .parse()
                .map_err(|error| Failure::new(format!("{TRUST_DOMAIN}: {error}")))?,
        };
        let paths = config.path_normalization.normalization;
        Ok(Self {
            settings,
            trust_domains: TrustDomains::new(own, domains),
            paths: flags
                .paths
                .or(paths.map(PathNormalization::from))
                .unwrap_or(match flags.profile {
                    Profile::Strict => PathNormalization::default(),
                    Profile::Compat => PathNormalization::Base,
                }),
            providers: config.extension_providers.map(providers),
            trusted_hops: config.default_config.gateway_topology.num_trusted_proxies,
        })
    }

    pub(crate) fn semantics(&self) -> Semantics {
        match self.settings.profile {
            Profile::Strict => Semantics::strict(),
            Profile::Compat => Semantics::compat(),
        }
    }

    pub(crate) fn tokens(&self) -> jwt::Profile {
        match self.settings.profile {
            Profile::Strict => jwt::Profile::strict(),
            Profile::Compat => jwt::Profile::compat(),
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.settings.profile == Profile::Strict
    }
}

impl From<NormalizationWord> for PathNormalization {
    fn from(word: NormalizationWord) -> Self {
        match word {
            NormalizationWord::Default | NormalizationWord::Base => Self::Base,
            NormalizationWord::None => Self::None,
            NormalizationWord::MergeSlashes => Self::MergeSlashes,
            NormalizationWord::DecodeAndMergeSlashes => Self::DecodeAndMergeSlashes,
        }
    }
}

fn read(path: &Path) -> Result<MeshConfig> {
    let failed = |error: String| Failure::new(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// The providers that authorize; others, such as those of traces, are not asked.
fn providers(all: Vec<ExtensionProvider>) -> BTreeMap<String, Authorizer> {
    let authorizers = all.into_iter().filter_map(|provider| {
        let grpc = provider.envoy_ext_authz_grpc;
        let is_http = grpc.is_none();
        let fail_open = grpc.or(provider.envoy_ext_authz_http)?.fail_open;
        Some((provider.name, Authorizer { is_http, fail_open }))
    });
    authorizers.collect()
}
