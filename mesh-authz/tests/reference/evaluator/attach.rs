//! Which policies apply (section 1.2 of the specification, Istio's `policyattachment.go`).

use serde_json::Value;

use super::{Mesh, Target, list, name_of};

const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

pub(crate) fn applies(mesh: &Mesh, policy: &Value, target: &Target) -> bool {
    let (namespace, _) = name_of(policy);
    let served = target.services.iter().any(|(_, of, _)| of == namespace);
    let looked_up = namespace == mesh.root_namespace
        || namespace == target.namespace
        || (target.waypoint && served);
    let references = references(policy);
    let gateway = label(target, GATEWAY_NAME);
    looked_up
        && match (gateway, references.is_empty()) {
            (None, false) => false,
            (Some(_), true) if target.waypoint => false,
            (_, true) => selected(&policy["spec"]["selector"], target),
            (Some(gateway), false) => references
                .iter()
                .any(|reference| refers(mesh, namespace, reference, target, gateway)),
        }
}

/// `targetRefs`, or else the older `targetRef`.
fn references(policy: &Value) -> Vec<&Value> {
    let several = list(&policy["spec"]["targetRefs"]);
    let one = &policy["spec"]["targetRef"];
    if several.is_empty() && one.is_object() {
        vec![one]
    } else {
        several.iter().collect()
    }
}

fn selected(selector: &Value, target: &Target) -> bool {
    selector["matchLabels"].as_object().is_none_or(|labels| {
        let mut wanted = labels.iter();
        wanted.all(|(key, value)| label(target, key) == value.as_str())
    })
}

fn refers(mesh: &Mesh, namespace: &str, reference: &Value, target: &Target, gateway: &str) -> bool {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let serves = |kind: &str| {
        let service = (
            kind.to_owned(),
            namespace.to_owned(),
            text("name").to_owned(),
        );
        target.waypoint && target.services.contains(&service)
    };
    // A reference into another namespace never matches.
    text("namespace").is_empty()
        && match (text("group"), text("kind")) {
            ("" | "core", "Service") => serves("Service"),
            ("networking.istio.io", "ServiceEntry") => serves("ServiceEntry"),
            ("gateway.networking.k8s.io", "GatewayClass") => {
                target.waypoint
                    && text("name") == "istio-waypoint"
                    && namespace == mesh.root_namespace
            }
            ("gateway.networking.k8s.io", "Gateway") => {
                namespace == target.namespace && text("name") == gateway
            }
            _ => false,
        }
}

fn label<'a>(target: &'a Target, key: &str) -> Option<&'a str> {
    let found = target.labels.iter().find(|(name, _)| name == key);
    found.map(|(_, value)| value.as_str())
}
