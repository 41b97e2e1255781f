//! PeerAuthentication from the specification (section 2.2): which ports take connections without
//! mutual TLS, read straight from the documents.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluator::{Mesh, Target};

/// What holds for one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) mode: String,
    pub(crate) ports: BTreeMap<u16, String>,
}

impl Modes {
    pub(crate) fn accepts_plaintext(&self, port: u16) -> bool {
        self.ports.get(&port).unwrap_or(&self.mode) != "STRICT"
    }
}

pub(crate) fn compose(mesh: &Mesh, objects: &[Value], target: &Target) -> Modes {
    let namespace_of = |object: &Value| text(&object["metadata"]["namespace"]);
    let oldest = |fits: &dyn Fn(&Value) -> bool| {
        let mut found: Vec<&Value> = objects.iter().filter(|object| fits(object)).collect();
        found.sort_by_key(|object| {
            let metadata = &object["metadata"];
            (text(&metadata["creationTimestamp"]), text(&metadata["namespace"]), text(&metadata["name"]))
        });
        found.first().copied()
    };
    let root = mesh.root_namespace.as_str();
    let of_mesh = oldest(&|object| namespace_of(object) == root && labels(object).is_empty());
    let of_namespace = oldest(&|object| {
        namespace_of(object) == target.namespace && target.namespace != root && labels(object).is_empty()
    });
    let own = oldest(&|object| {
        let labels = labels(object);
        namespace_of(object) == target.namespace
            && target.namespace != root
            && !labels.is_empty()
            && labels.iter().all(|label| target.labels.contains(label))
    });
    let mut mode = "PERMISSIVE".to_owned();
    for object in [of_mesh, of_namespace, own].into_iter().flatten() {
        mode = or(&object["spec"]["mtls"], &mode);
    }
    let mut ports = BTreeMap::new();
    let of_ports = own.and_then(|own| own["spec"]["portLevelMtls"].as_object());
    for (port, mtls) in of_ports.into_iter().flatten() {
        ports.insert(port.parse().unwrap(), or(mtls, &mode));
    }
    Modes { mode, ports }
}

/// What this says, or what holds without it.
fn or(mtls: &Value, wider: &str) -> String {
    match mtls["mode"].as_str() {
        None | Some("UNSET") => wider.to_owned(),
        Some(mode) => mode.to_owned(),
    }
}

fn labels(object: &Value) -> Vec<(String, String)> {
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let pairs = labels.into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), text(value))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
