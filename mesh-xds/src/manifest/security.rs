//! Istio's security objects, as `mesh-authz` reads them.

use std::fmt;
use std::sync::Arc;

use mesh_authz::kube::{
    Attachment, AttachmentFields, Authorization, AuthorizationPolicy, Finding, Invalid, Mtls,
    MtlsMode, PeerAuthentication, PeerAuthenticationSpec, PeerPolicy, Profile, Provenance,
    RequestAuthentication, Settings,
};
use serde::de::DeserializeOwned;

use super::document::Document;
use super::inventory::{Any, Checked, Refused};
use super::problem::Problem;

/// Reads a policy. Fields that are not known refuse it, except in its metadata and its status. What takes the place of
/// one that has no good version denies all that it could have been about.
pub(super) fn check(document: &Document, settings: &Settings) -> Checked {
    read_policy(document, settings).map_err(|refused| Refused {
        first: in_its_place(document, settings).map(Box::new),
        ..refused
    })
}

/// What is in force instead of a policy that is wrong and never was right, where that changes anything. Nothing in
/// [`Profile::Compat`].
///
/// Rules for tokens are not replaced: they allow nothing, and without them no token counts.
fn in_its_place(document: &Document, settings: &Settings) -> Option<(Any, Vec<Problem>)> {
    if settings.profile == Profile::Compat {
        return None;
    }
    let root = document.root();
    let spec = root.field("spec");
    let (object, what) = match document.key().kind.kind.as_str() {
        "AuthorizationPolicy" => {
            let action = spec.and_then(|spec| spec.field("action")?.text());
            // It would only be recorded what they say.
            if action == Some("AUDIT") || is_dry_run(document) {
                return None;
            }
            let fields = attachment(document);
            let policy = Authorization::of_unknown(fields, settings, provenance(document));
            let what = match policy.attachment {
                Attachment::Unknown if *document.namespace() == settings.root_namespace => {
                    "all of the mesh"
                }
                Attachment::Unknown => "all of its namespace",
                _ => "all that it is for",
            };
            (
                Any::AuthorizationPolicy(Arc::new(policy)),
                format!("{what} is denied"),
            )
        }
        "PeerAuthentication" => {
            let policy = strict(document, settings)?;
            let text = "peers without an identity are refused where it is for".to_owned();
            (Any::PeerAuthentication(Arc::new(policy)), text)
        }
        _ => return None,
    };
    let note = document.problem("", format!("until this is right, {what}"));
    Some((object, vec![note]))
}

/// What a policy applies to; `None` when it cannot be told, as with fields of `spec` that nobody knows.
fn attachment(document: &Document) -> Option<AttachmentFields> {
    const OTHERS: [&str; 5] = [
        "spec.rules",
        "spec.action",
        "spec.provider",
        "spec.mtls",
        "spec.portLevelMtls",
    ];
    let read = document.read_field::<AttachmentFields>("spec").ok()?;
    let known = read.unknown.iter().all(|unknown| {
        let path = document.path_within(&unknown.place.field);
        OTHERS.contains(&path)
    });
    known.then_some(read.value)
}

fn is_dry_run(document: &Document) -> bool {
    let annotation = document.metadata().annotations.get("istio.io/dry-run");
    annotation
        .is_some_and(|value| ["1", "t", "T", "TRUE", "true", "True"].contains(&value.as_str()))
}

/// Mutual TLS for all that a policy is for; for its namespace where that cannot be told.
fn strict(document: &Document, settings: &Settings) -> Option<PeerPolicy> {
    let selector = attachment(document).and_then(|fields| fields.selector);
    let of = |selector| {
        let object = PeerAuthentication {
            api_version: "security.istio.io/v1".to_owned(),
            kind: "PeerAuthentication".to_owned(),
            spec: PeerAuthenticationSpec {
                selector,
                mtls: Some(Mtls {
                    mode: MtlsMode::Strict,
                }),
                port_level_mtls: None,
            },
            ..PeerAuthentication::default()
        };
        object.convert(settings, provenance(document)).ok()
    };
    of(selector).or_else(|| of(None))
}

fn read_policy(document: &Document, settings: &Settings) -> Checked {
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
    let line = u32::try_from(document.line()).unwrap_or(u32::MAX);
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
