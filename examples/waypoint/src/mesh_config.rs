//! Istio's mesh configuration, as far as a waypoint acts on it: the `ConfigMap` `istio` of the root namespace.

mod providers;

use mesh_core::name::Name;
use mesh_core::target::PathNormalization;
use mesh_l7::istio::{LocalitySettings, compile_mesh_locality};
use mesh_l7::upstream::LocalityPreference;
use mesh_xds::manifest::{Document, GroupKind, Inventory, Kinds, ObjectKey, Problem};
use serde::Deserialize;

pub(crate) use providers::{Check, Provider, ProviderService};

use providers::{ExtensionProvider, read};

/// The `ConfigMap`, and its key.
const NAME: &str = "istio";
const KEY: &str = "mesh";

/// What the mesh's configuration says.
#[derive(Clone, Debug, Default)]
pub(crate) struct MeshConfig {
    /// `extensionProviders` that are external authorizers.
    pub(crate) providers: Vec<Provider>,
    /// `pathNormalization`; Istio's default is `BASE`.
    pub(crate) paths: Option<PathNormalization>,
    /// `localityLbSetting`; by default hosts of upstreams with outlier detection are preferred by distance.
    pub(crate) locality: LocalityPreference,
}

/// Reads the mesh's configuration. Other objects of the kind are left alone.
#[derive(Clone, Debug)]
pub(crate) struct MeshConfigKind {
    pub(crate) root: Name,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    extension_providers: Vec<ExtensionProvider>,
    path_normalization: Paths,
    locality_lb_setting: Option<LocalitySettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Paths {
    normalization: Option<String>,
}

impl MeshConfig {
    /// That of an inventory whose objects [`MeshConfigKind`] has checked.
    pub(crate) fn of(inventory: &Inventory, root: &str) -> Self {
        let kind = MeshConfigKind { root: root.into() };
        let mut others = inventory.others.values();
        let document = others.find(|one| kind.reads(&one.key().kind) && kind.is_ours(one.key()));
        let parsed = document.and_then(|document| parse(&text(document)?).ok());
        parsed.unwrap_or_default().0
    }
}

impl MeshConfigKind {
    fn is_ours(&self, key: &ObjectKey) -> bool {
        key.namespace == self.root && key.name == NAME
    }
}

impl Kinds for MeshConfigKind {
    fn reads(&self, kind: &GroupKind) -> bool {
        *kind == GroupKind::new("", "ConfigMap")
    }

    fn check(&self, document: &Document) -> Result<Vec<Problem>, Problem> {
        if !self.is_ours(document.key()) {
            return Ok(Vec::new());
        }
        let place = format!("data.{KEY}");
        let parsed = parse(&text(document).unwrap_or_default());
        let (_, notes) = parsed.map_err(|text| document.problem(&place, text))?;
        let notes = notes.into_iter();
        Ok(notes.map(|note| document.problem(&place, note)).collect())
    }
}

fn text(document: &Document) -> Option<String> {
    let text = document
        .root()
        .field("data")?
        .field(KEY)?
        .text()?
        .to_owned();
    Some(text)
}

/// The configuration in a text, and what is to be said about it.
fn parse(text: &str) -> Result<(MeshConfig, Vec<String>), String> {
    let written: Option<Written> =
        serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let written = written.unwrap_or_default();
    let paths = match written.path_normalization.normalization.as_deref() {
        None | Some("DEFAULT") => None,
        Some("NONE") => Some(PathNormalization::None),
        Some("BASE") => Some(PathNormalization::Base),
        Some("MERGE_SLASHES") => Some(PathNormalization::MergeSlashes),
        Some("DECODE_AND_MERGE_SLASHES") => Some(PathNormalization::DecodeAndMergeSlashes),
        Some(other) => {
            return Err(format!(
                "pathNormalization.normalization: `{other}`, expected NONE, BASE, MERGE_SLASHES or \
                 DECODE_AND_MERGE_SLASHES"
            ));
        }
    };
    let locality = locality(written.locality_lb_setting.as_ref())?;
    let parsed = read(written.extension_providers)?;
    let config = MeshConfig {
        providers: parsed.providers,
        paths,
        locality,
    };
    Ok((config, parsed.notes))
}

fn locality(spec: Option<&LocalitySettings>) -> Result<LocalityPreference, String> {
    let Some(spec) = spec else {
        return Ok(LocalityPreference::Unsaid);
    };
    let (preference, problems) = compile_mesh_locality(spec, "localityLbSetting");
    match problems.first() {
        Some(problem) => Err(problem.to_string()),
        None => Ok(preference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_waypoint_acts_on_is_read_and_the_rest_left_alone() {
        let text = "
trustDomain: cluster.local
pathNormalization: {normalization: MERGE_SLASHES}
defaultConfig: {discoveryAddress: istiod:15012}
extensionProviders:
- name: opa
  envoyExtAuthzGrpc: {service: opa.example.com, port: 9191}
";
        let (config, notes) = parse(text).unwrap();
        assert_eq!(notes, [""; 0]);
        assert_eq!(config.paths, Some(PathNormalization::MergeSlashes));
        assert_eq!(config.providers.len(), 1);
        let text = "localityLbSetting: {failoverPriority: [topology.kubernetes.io/region]}";
        let locality = parse(text).unwrap().0.locality;
        assert!(matches!(locality, LocalityPreference::Failover(_)));
        let off = parse("localityLbSetting: {enabled: false}").unwrap().0;
        assert_eq!(off.locality, LocalityPreference::Ignored);
        assert_eq!(config.locality, LocalityPreference::Unsaid);
        for text in ["", "{}", "pathNormalization: {normalization: DEFAULT}"] {
            assert_eq!(parse(text).unwrap().0.paths, None, "{text}");
        }
        for (text, says) in [
            (
                "pathNormalization: {normalization: base}",
                "normalization: `base`",
            ),
            ("extensionProviders: 7", ""),
            (
                "localityLbSetting: {distribute: [{from: eu, to: {us: 99}}]}",
                "localityLbSetting.distribute[0].to: 99 in all, expected 100",
            ),
            ("- a", ""),
            (
                "extensionProviders: [{name: a, envoyExtAuthzGrpc: {port: 1}}]",
                "[0].envoyExtAuthzGrpc.service",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
