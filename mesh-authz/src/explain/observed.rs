//! Fields in words: what they are called, what a connection or request has there, what would agree.

use std::fmt::Display;

use crate::facts::Facts;
use crate::policy::{Dimension, Field, SEPARATOR, Values, header_lines, text};

/// The field as it is called in a specification, with the name of the header or claim.
pub(super) fn name(field: &Field<'_>) -> String {
    let not = if field.excludes { "not_" } else { "" };
    let name = format!("{not}{}", field.dimension.field());
    if !field.dimension.is_named() {
        return name;
    }
    let names: Vec<_> = field.name.split(SEPARATOR).collect();
    format!("{name}[{}]", names.join("]["))
}

/// What a connection or request has there.
pub(super) fn found(field: &Field<'_>, facts: &Facts<'_>) -> String {
    let connection = facts.connection;
    if field.dimension.needs_request() && facts.request.is_none() {
        return "not known: there is no request".to_owned();
    }
    let request = facts.request;
    let claims = request.and_then(|request| request.claims);
    let texts = match field.dimension {
        Dimension::DestinationPort => return connection.destination.port().to_string(),
        Dimension::DestinationIp => return connection.destination.ip().to_string(),
        Dimension::SourceIp => return connection.source.to_string(),
        Dimension::RemoteIp => connection
            .remote
            .map(|ip| ip.to_string())
            .into_iter()
            .collect(),
        Dimension::ServiceAccount => {
            let account = facts.account();
            let account = account.map(|(ns, name)| format!("{}/{}", text(ns), text(name)));
            account.into_iter().collect()
        }
        Dimension::Namespace => one(facts.namespace()),
        Dimension::TrustDomain => one(facts.trust_domain()),
        Dimension::Principal => one(facts.principal()),
        Dimension::Sni => one(connection.sni.map(str::as_bytes)),
        Dimension::Method => one(request.map(|request| request.method.as_bytes())),
        Dimension::Host => one(request.map(|request| request.host.as_bytes())),
        Dimension::Path => {
            let target = request.and_then(|request| request.target);
            one(target.map(|target| target.path().as_bytes()))
        }
        Dimension::RequestPrincipal => {
            let parts = claims.and_then(|claims| claims.issuer().zip(claims.subject()));
            let parts = parts.map(|(issuer, subject)| format!("{issuer}/{subject}"));
            parts.into_iter().collect()
        }
        Dimension::Header => header_lines(field.name, facts).map(lossy).collect(),
        Dimension::Claim => {
            let path = || field.name.split(SEPARATOR);
            let strings = claims.map(|claims| claims.strings_below(path()));
            strings.into_iter().flatten().map(str::to_owned).collect()
        }
        Dimension::Metadata => vec!["metadata".to_owned()],
    };
    if texts.is_empty() {
        return "none".to_owned();
    }
    texts.join(", ")
}

fn one(text: Option<&[u8]>) -> Vec<String> {
    text.map(lossy).into_iter().collect()
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// The most values that are listed.
const SHOWN: usize = 20;

/// What would agree.
pub(super) fn expected(field: &Field<'_>) -> String {
    let values = match field.values() {
        Some(Values::Texts(texts)) => list(texts.to_spec().into_iter()),
        Some(Values::Accounts(accounts)) => list(
            accounts
                .iter()
                .map(|(ns, name)| format!("{}/{}", text(ns), text(name))),
        ),
        Some(Values::Ranges(ranges)) => list(ranges.iter()),
        Some(Values::Ports(ports)) => list(ports.iter()),
        Some(Values::Paths(texts)) => {
            let templates = texts.templates().map(lossy);
            let texts = texts.to_spec().into_iter().map(|text| text.to_string());
            list(texts.chain(templates))
        }
        Some(Values::RequestPrincipals(principals)) => {
            list(principals.iter().map(|(issuer, subject)| {
                let form = |form: Option<crate::policy::Form<'_>>| {
                    form.map_or(String::new(), |form| form.to_spec().to_string())
                };
                format!("{}/{}", form(issuer), form(subject))
            }))
        }
        None => String::new(),
    };
    let which = if field.excludes { "none of" } else { "one of" };
    format!("{which} {values}")
}

fn list<T: Display>(values: impl Iterator<Item = T>) -> String {
    let all: Vec<_> = values.map(|value| value.to_string()).collect();
    let shown = all
        .get(..SHOWN.min(all.len()))
        .unwrap_or_default()
        .join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
