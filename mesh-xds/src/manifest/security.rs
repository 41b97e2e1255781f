//! Istio's security objects, as `mesh-authz` reads them.

use std::fmt;
use std::sync::Arc;

use mesh_authz::kube::{
    AuthorizationPolicy, Finding, Invalid, PeerAuthentication, Provenance, RequestAuthentication,
    Settings,
};
use serde::de::DeserializeOwned;

use super::document::Document;
use super::inventory::{Any, Checked};
use super::problem::Problem;

/// Reads a policy. Fields that are not known refuse it, except in its metadata and its status.
pub(super) fn check(document: &Document, settings: &Settings) -> Checked {
    let provenance = provenance(document);
    match document.key().kind.kind.as_str() {
        "AuthorizationPolicy" => {
            let object: AuthorizationPolicy = read(document)?;
            let policy = object.convert(settings, provenance);
            let policy = policy.map_err(|invalid| refused(document, &invalid))?;
            let notes = notes(document, &policy.cautions);
            Ok((Any::AuthorizationPolicy(Arc::new(policy)), notes))
        }
        "PeerAuthentication" => {
            let object: PeerAuthentication = read(document)?;
            let policy = object.convert(settings, provenance);
            let policy = policy.map_err(|invalid| refused(document, &invalid))?;
            let notes = notes(document, &policy.cautions);
            Ok((Any::PeerAuthentication(Arc::new(policy)), notes))
        }
        "RequestAuthentication" => {
            let object: RequestAuthentication = read(document)?;
            let policy = object.convert(provenance);
            let policy = policy.map_err(|invalid| refused(document, &invalid))?;
            let notes = notes(document, &policy.cautions);
            Ok((Any::RequestAuthentication(Arc::new(policy)), notes))
        }
        _ => {
            let text = "expected AuthorizationPolicy, PeerAuthentication or RequestAuthentication; \
                        a policy that is not enforced is worse than none";
            Err(document.problem("kind", text).into())
        }
    }
}

fn provenance(document: &Document) -> Provenance {
    let key = document.key();
    let line = u32::try_from(document.root().line()).unwrap_or(u32::MAX);
    Provenance::new(key.namespace.clone(), key.name.clone()).at(document.file(), line)
}

fn read<T: DeserializeOwned>(document: &Document) -> Result<T, Problem> {
    let read = document.read::<T>()?;
    let mut unknown = read.unknown.into_iter().filter(|unknown| {
        let path = document.path_within(&unknown.place.field);
        !(path.starts_with("metadata") || path.starts_with("status"))
    });
    unknown.next().map_or(Ok(read.value), Err)
}

/// All faults in one problem, at the place of the first one.
fn refused(document: &Document, invalid: &Invalid) -> Problem {
    let mut faults = invalid.faults.iter();
    let Some(first) = faults.next() else {
        return document.problem("", invalid.to_string());
    };
    let mut problem = document.problem(&first.field, first.what.to_string());
    for fault in faults {
        problem.text.push_str(&format!("; {fault}"));
    }
    problem
}

fn notes<T: fmt::Display>(document: &Document, findings: &[Finding<T>]) -> Vec<Problem> {
    let findings = findings.iter();
    findings
        .map(|finding| document.problem(&finding.field, finding.what.to_string()))
        .collect()
}
