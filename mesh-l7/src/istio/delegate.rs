//! Rules of a virtual service that leave the rest to another one.
//!
//! Source: Istio's `VirtualService` reference, `HTTPRoute.delegate`: the rules of the delegate take the place of the rule, as far
//! as their conditions are narrower than the rule's; what they do not say, the rule says.

use std::collections::BTreeMap;

use super::types::{HttpMatch, HttpRoute, StringMatch};

/// Why there is no delegate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "callers tell every one")]
pub enum NoDelegate {
    /// There is no virtual service of this name.
    #[error("there is no such virtual service")]
    NotFound,
    /// There is one, which has hosts and so is none that others delegate to.
    #[error("that virtual service has hosts, expected none in a delegate")]
    HasHosts,
    /// It is not exported to the namespace of the one that delegates.
    #[error("that virtual service is not exported to this namespace")]
    NotExported,
}

/// One rule of a delegate, with the conditions of the root's rule and what it does not say itself. `None` when no
/// request meets the conditions of both.
pub(super) fn merged(root: &HttpRoute, own: &HttpRoute) -> Option<HttpRoute> {
    let matches = conditions(&root.matches, &own.matches)?;
    let own = own.clone();
    let root = root.clone();
    Some(HttpRoute {
        name: names(&root.name, &own.name),
        matches,
        rewrite: own.rewrite.or(root.rewrite),
        timeout: own.timeout.or(root.timeout),
        retries: own.retries.or(root.retries),
        fault: own.fault.or(root.fault),
        mirror: own.mirror.or(root.mirror),
        mirror_percent: own.mirror_percent.or(root.mirror_percent),
        mirror_percentage: own.mirror_percentage.or(root.mirror_percentage),
        mirrors: match own.mirrors.is_empty() {
            true => root.mirrors,
            false => own.mirrors,
        },
        cors_policy: own.cors_policy.or(root.cors_policy),
        headers: own.headers.or(root.headers),
        route: own.route,
        redirect: own.redirect,
        direct_response: own.direct_response,
        delegate: own.delegate,
    })
}

fn names(root: &str, own: &str) -> String {
    match (root, own) {
        (root, "") => root.to_owned(),
        ("", own) => own.to_owned(),
        (root, own) => format!("{root}-{own}"),
    }
}

/// Each of the delegate's alternatives together with each of the root's that is wider. All of the delegate's must have
/// one.
fn conditions(root: &[HttpMatch], own: &[HttpMatch]) -> Option<Vec<HttpMatch>> {
    match (root, own) {
        ([], only) | (only, []) => return Some(only.to_vec()),
        _ => {}
    }
    let mut all = Vec::new();
    for narrow in own {
        let before = all.len();
        let wider = root.iter().filter(|wide| is_narrower(narrow, wide));
        all.extend(wider.map(|wide| both(wide, narrow)));
        if all.len() == before {
            return None;
        }
    }
    Some(all)
}

fn both(wide: &HttpMatch, narrow: &HttpMatch) -> HttpMatch {
    let (wide, narrow) = (wide.clone(), narrow.clone());
    HttpMatch {
        name: names(&wide.name, &narrow.name),
        // How upper and lower case are taken goes with the path that it is about.
        ignore_uri_case: match narrow.uri.is_some() {
            true => narrow.ignore_uri_case,
            false => wide.ignore_uri_case,
        },
        uri: narrow.uri.or(wide.uri),
        scheme: narrow.scheme.or(wide.scheme),
        method: narrow.method.or(wide.method),
        authority: narrow.authority.or(wide.authority),
        headers: with(wide.headers, narrow.headers),
        without_headers: with(wide.without_headers, narrow.without_headers),
        query_params: with(wide.query_params, narrow.query_params),
        port: narrow.port.or(wide.port),
        source_labels: with(wide.source_labels, narrow.source_labels),
        source_namespace: match narrow.source_namespace.is_empty() {
            true => wide.source_namespace,
            false => narrow.source_namespace,
        },
        gateways: match narrow.gateways.is_empty() {
            true => wide.gateways,
            false => narrow.gateways,
        },
    }
}

/// What both say, and where both say something, what the narrower one says.
fn with<V>(mut wide: BTreeMap<String, V>, narrow: BTreeMap<String, V>) -> BTreeMap<String, V> {
    wide.extend(narrow);
    wide
}

/// Whether everything that meets one condition may meet the other: no part of it says something else.
fn is_narrower(narrow: &HttpMatch, wide: &HttpMatch) -> bool {
    let ignores_case = wide.ignore_uri_case;
    if wide.uri.is_some() && narrow.uri.is_some() && ignores_case != narrow.ignore_uri_case {
        return false;
    }
    let maps = [
        (&wide.headers, &narrow.headers),
        (&wide.without_headers, &narrow.without_headers),
        (&wide.query_params, &narrow.query_params),
    ];
    let texts = [
        (&wide.scheme, &narrow.scheme),
        (&wide.method, &narrow.method),
        (&wide.authority, &narrow.authority),
    ];
    let differ = |one: Option<u16>, other: Option<u16>| {
        one.zip(other).is_some_and(|(one, other)| one != other)
    };
    let (from, own_from) = (&wide.source_namespace, &narrow.source_namespace);
    is_part(narrow.uri.as_ref(), wide.uri.as_ref(), ignores_case)
        && texts
            .iter()
            .all(|(wide, narrow)| is_part(narrow.as_ref(), wide.as_ref(), false))
        && maps.iter().all(|(wide, narrow)| {
            narrow.iter().all(|(name, test)| {
                let wide = wide.get(name).and_then(Option::as_ref);
                is_part(test.as_ref(), wide, false)
            })
        })
        && !differ(wide.port, narrow.port)
        && (from.is_empty() || own_from.is_empty() || from == own_from)
        && narrow.source_labels.iter().all(|(name, value)| {
            let wide = wide.source_labels.get(name);
            wide.is_none_or(|wide| wide == value)
        })
        && (wide.gateways.is_empty()
            || narrow
                .gateways
                .iter()
                .all(|one| wide.gateways.contains(one)))
}

/// Whether a test of a text is a part of another one, where both are given: regular expressions are compared with
/// nothing.
fn is_part(narrow: Option<&StringMatch>, wide: Option<&StringMatch>, ignores_case: bool) -> bool {
    let (Some(narrow), Some(wide)) = (narrow, wide) else {
        return true;
    };
    let is_presence =
        |test: &StringMatch| test.exact.is_none() && test.prefix.is_none() && test.regex.is_none();
    if is_presence(wide) {
        return true;
    }
    if wide.regex.is_some() || narrow.regex.is_some() {
        return false;
    }
    let folded = |text: &str| match ignores_case {
        true => text.to_ascii_lowercase(),
        false => text.to_owned(),
    };
    match (&wide.exact, &wide.prefix, &narrow.exact, &narrow.prefix) {
        (Some(wide), _, Some(narrow), _) => folded(wide) == folded(narrow),
        (_, Some(wide), Some(narrow), _) | (_, Some(wide), _, Some(narrow)) => {
            folded(narrow).starts_with(&folded(wide))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
