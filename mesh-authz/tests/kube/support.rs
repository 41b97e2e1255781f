//! Objects from their text.

use std::fmt::Debug;

use mesh_authz::kube::{
    Authorization, AuthorizationPolicy, Finding, Invalid, PeerAuthentication, PeerPolicy, Profile,
    Provenance, RequestAuthentication, Settings, TokenPolicy,
};
use serde_json::{Value, json};

/// An object of namespace `foo`, called `name` unless it says so.
pub(crate) fn object(kind: &str, metadata: Value, spec: Value) -> Value {
    let mut all = json!({ "name": "name", "namespace": "foo" });
    let (Value::Object(all), Value::Object(given)) = (&mut all, metadata) else {
        panic!("metadata is a map")
    };
    all.extend(given);
    json!({ "apiVersion": "security.istio.io/v1", "kind": kind, "metadata": all, "spec": spec })
}

pub(crate) fn settings(profile: Profile) -> Settings {
    Settings::default().with_profile(profile)
}

pub(crate) fn convert_as(
    profile: Profile,
    metadata: Value,
    spec: Value,
) -> Result<Authorization, Invalid> {
    let object = object("AuthorizationPolicy", metadata, spec);
    let read = AuthorizationPolicy::read(object).expect("it is readable");
    read.convert(&settings(profile), Provenance::of(&read.metadata))
}

pub(crate) fn convert(spec: Value) -> Result<Authorization, Invalid> {
    convert_as(Profile::Strict, json!({}), spec)
}

/// The policy of a spec that is valid.
pub(crate) fn accepted(spec: Value) -> Authorization {
    convert(spec).expect("it is valid")
}

/// `FIELD Variant` for each finding.
pub(crate) fn told<T: Debug>(findings: &[Finding<T>]) -> Vec<String> {
    let one = |finding: &Finding<T>| {
        let what = format!("{:?}", finding.what);
        let end = what
            .find(|letter: char| !letter.is_alphanumeric())
            .unwrap_or(what.len());
        format!("{} {}", finding.field, &what[..end])
    };
    findings.iter().map(one).collect()
}

/// The faults of an `AuthorizationPolicy`; none when it is accepted.
pub(crate) fn faults(metadata: Value, spec: Value) -> Vec<String> {
    match convert_as(Profile::Strict, metadata, spec) {
        Ok(_) => Vec::new(),
        Err(invalid) => told(&invalid.faults),
    }
}

pub(crate) fn peer(metadata: Value, spec: Value) -> Result<PeerPolicy, Invalid> {
    let read = PeerAuthentication::read(object("PeerAuthentication", metadata, spec));
    let read = read.expect("it is readable");
    read.convert(&Settings::default(), Provenance::of(&read.metadata))
}

pub(crate) fn tokens(metadata: Value, spec: Value) -> Result<TokenPolicy, Invalid> {
    let read = RequestAuthentication::read(object("RequestAuthentication", metadata, spec));
    let read = read.expect("it is readable");
    read.convert(Provenance::of(&read.metadata))
}
