//! What is done to every request before the service sees it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri, request};
use mesh_core::target::{BadTarget, Target, TargetRules};

use super::refused::Refused;
use super::settings::ServerSettings;
use crate::downstream::Downstream;
use crate::hygiene::{Admitted, BadHead, admit};
use crate::record::Record;
use crate::wire::random;

/// What the requests of one connection have in common.
pub(super) struct Arrival {
    pub(super) settings: Arc<ServerSettings>,
    pub(super) downstream: Arc<Downstream>,
}

impl Arrival {
    pub(super) fn new(settings: Arc<ServerSettings>, downstream: Arc<Downstream>) -> Self {
        Self {
            settings,
            downstream,
        }
    }

    /// Makes a request what services are promised. `protocol` is that of an extended `CONNECT`, whose
    /// method has been made `GET`.
    pub(super) fn enter(
        &self,
        parts: &mut request::Parts,
        protocol: Option<&str>,
    ) -> Result<Admitted, Refused> {
        let settings = &*self.settings;
        let mut admitted = admit(parts, &settings.rules)?;
        if let Some(protocol) = protocol {
            admitted.upgrade = Some(allowed(protocol, &settings.rules.upgrades)?);
        }
        if parts.method != Method::CONNECT {
            match origin_form(std::mem::take(&mut parts.uri), &settings.targets) {
                Ok(uri) => parts.uri = uri,
                Err((fault, uri)) => {
                    parts.uri = uri;
                    return Err(fault.into());
                }
            }
        }
        let headers = &mut parts.headers;
        settings.edge.enter(headers, settings.scheme, random);
        parts.extensions.insert(self.downstream.clone());
        parts.extensions.insert(Record::new(Instant::now()));
        if admitted != Admitted::default() {
            parts.extensions.insert(admitted.clone());
        }
        Ok(admitted)
    }
}

fn allowed(protocol: &str, upgrades: &[Box<str>]) -> Result<HeaderValue, BadHead> {
    let known = upgrades
        .iter()
        .any(|upgrade| upgrade.eq_ignore_ascii_case(protocol));
    match HeaderValue::from_str(protocol) {
        Ok(protocol) if known => Ok(protocol),
        _ => Err(BadHead::Upgrade),
    }
}

/// Path and query, normalised; everything else of the URI is in the headers by now. The URI comes back with what is
/// wrong about it.
fn origin_form(uri: Uri, rules: &TargetRules) -> Result<Uri, (BadTarget, Uri)> {
    match normalized(&uri, rules) {
        Ok(None) => Ok(uri),
        Ok(Some(target)) => Ok(Uri::from(target)),
        Err(fault) => Err((fault, uri)),
    }
}

/// Path and query, where they are not what there is.
fn normalized(uri: &Uri, rules: &TargetRules) -> Result<Option<PathAndQuery>, BadTarget> {
    let raw = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    // A URI may have a query directly after its authority.
    let rooted = match raw.starts_with(['/', '*']) {
        true => Cow::Borrowed(raw),
        false => Cow::Owned(format!("/{raw}")),
    };
    let target = Target::normalize(rooted.as_bytes(), *rules)?;
    let changed = (target.as_str() != raw).then(|| target.as_str().to_owned());
    Ok(Some(match (changed, uri.path_and_query()) {
        (None, Some(_)) if uri.authority().is_none() => return Ok(None),
        (None, Some(same)) => same.clone(),
        (None, None) => PathAndQuery::from_static("/"),
        (Some(changed), _) => PathAndQuery::try_from(changed).map_err(|_| BadTarget::Form)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_made_origin_form() {
        let rules = TargetRules::default();
        let cases = [
            ("/a?b", "/a?b"),
            ("/a/../b?c=/../d", "/b?c=/../d"),
            ("http://web:80/a/./b", "/a/b"),
            ("http://web", "/"),
            ("http://web?q", "/?q"),
            ("*", "*"),
        ];
        for (sent, seen) in cases {
            let uri = origin_form(sent.parse().unwrap(), &rules).unwrap();
            assert_eq!(uri.to_string(), seen, "{sent}");
            assert_eq!(uri.authority(), None, "{sent}");
        }
    }
}
