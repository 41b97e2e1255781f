//! Host names as Istio's objects write them.

use mesh_core::name::Name;
use mesh_l7::route::HostMatch;

/// The services that a host stands for in an object of a namespace: a name without dots is that of a
/// service of the namespace. `None` when it is none.
pub(super) fn parse(host: &str, namespace: &str, domain: &str) -> Option<HostMatch> {
    if host.contains(['.', '*']) {
        return HostMatch::parse(host).ok();
    }
    HostMatch::parse(&format!("{host}.{namespace}.svc.{domain}")).ok()
}

/// Whether what is exported to these namespaces (none for all) by an object of `own` is seen in
/// `namespace`.
pub(super) fn is_exported(export_to: &[String], own: &Name, namespace: &str) -> bool {
    let seen = |to: &String| match to.as_str() {
        "*" => true,
        "." => own == namespace,
        other => other == namespace,
    };
    export_to.is_empty() || export_to.iter().any(seen)
}

/// What was made first comes first; what no server has seen, last; then by namespace and name.
pub(super) fn age<S, T>(object: &crate::manifest::Object<S, T>) -> (bool, String, Name, Name) {
    let created = object.metadata().creation_timestamp.clone();
    let (namespace, name) = (object.namespace().clone(), object.name().clone());
    (created.is_empty(), created, namespace, name)
}
