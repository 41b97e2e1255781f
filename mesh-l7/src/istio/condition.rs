//! `HTTPMatchRequest`.

use http::HeaderName;
use mesh_core::name::Name;

use crate::matching::{
    ClaimMatch, HeaderMatch, PathMatch, Polarity, QueryMatch, Regex, RequestMatch, TextMatch,
};

use super::problem::Problem;
use super::types::{HttpMatch, StringMatch};

/// What a key of a header begins with that stands for a claim.
const CLAIMS: &str = "@request.auth.claims";

/// Makes conditions; `None` when they cannot hold at a waypoint. A problem means that the rule must not
/// be used.
pub(super) fn condition(
    spec: &HttpMatch,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<RequestMatch> {
    if !spec.gateways.is_empty() && !spec.gateways.iter().any(|gateway| gateway == "mesh") {
        return None;
    }
    let mut out = RequestMatch {
        port: spec.port,
        source_namespace: Some(spec.source_namespace.as_str())
            .filter(|name| !name.is_empty())
            .map(Into::into),
        source_labels: spec.source_labels.clone(),
        ..RequestMatch::default()
    };
    if let Some(uri) = &spec.uri {
        out.path = path(uri, spec.ignore_uri_case, &format!("{field}.uri"), problems);
    }
    let mut text = |test: &Option<StringMatch>, name: &str| {
        let test = test.as_ref()?;
        string(test, &format!("{field}.{name}"), problems)
    };
    out.method = text(&spec.method, "method");
    out.scheme = text(&spec.scheme, "scheme");
    out.authority = text(&spec.authority, "authority");
    for (name, test) in &spec.query_params {
        let at = format!("{field}.queryParams.{name}");
        let test = present_or(test.as_ref(), &at, problems);
        out.query.extend(test.map(|test| QueryMatch {
            name: name.as_str().into(),
            test,
            polarity: Polarity::Positive,
        }));
    }
    for (list, headers, polarity) in [
        ("headers", &spec.headers, Polarity::Positive),
        ("withoutHeaders", &spec.without_headers, Polarity::Negative),
    ] {
        for (name, test) in headers {
            let at = format!("{field}.{list}.{name}");
            header(name, test.as_ref(), polarity, &at, &mut out, problems);
        }
    }
    Some(out)
}

fn header(
    name: &str,
    test: Option<&StringMatch>,
    polarity: Polarity,
    field: &str,
    out: &mut RequestMatch,
    problems: &mut Vec<Problem>,
) {
    let Some(test) = present_or(test, field, problems) else {
        return;
    };
    if let Some(path) = claim(name) {
        if path.is_empty() {
            problems.push(Problem::new(
                field,
                "expected a claim, such as @request.auth.claims.group",
            ));
        }
        out.claims.push(ClaimMatch {
            path,
            test,
            polarity,
        });
        return;
    }
    // Pseudo headers have fields of their own.
    match name {
        ":method" if polarity == Polarity::Positive => out.method = Some(test),
        ":authority" if polarity == Polarity::Positive => out.authority = Some(test),
        _ => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => out.headers.push(HeaderMatch {
                name,
                test,
                polarity,
            }),
            Err(_) => problems.push(Problem::new(field, "is no name of a header")),
        },
    }
}

/// The names of a claim: `@request.auth.claims.a.b` or `@request.auth.claims[a][b.c]`.
fn claim(name: &str) -> Option<Vec<Name>> {
    let start = name.get(..CLAIMS.len())?;
    if !start.eq_ignore_ascii_case(CLAIMS) {
        return None;
    }
    let rest = name.get(CLAIMS.len()..).unwrap_or_default();
    if let Some(names) = rest.strip_prefix('.') {
        let names = names.split('.').filter(|name| !name.is_empty());
        return Some(names.map(Into::into).collect());
    }
    let inside = rest
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    Some(
        inside
            .map(|inside| inside.split("][").map(Into::into).collect())
            .unwrap_or_default(),
    )
}

fn path(
    uri: &StringMatch,
    ignore_case: bool,
    field: &str,
    problems: &mut Vec<Problem>,
) -> PathMatch {
    match (string(uri, field, problems), ignore_case) {
        (Some(TextMatch::Exact(text)), false) => PathMatch::Exact(text),
        (Some(TextMatch::Exact(text)), true) => PathMatch::ExactIgnoringCase(text),
        (Some(TextMatch::Prefix(text)), false) => PathMatch::Prefix(text),
        (Some(TextMatch::Prefix(text)), true) => PathMatch::PrefixIgnoringCase(text),
        (Some(TextMatch::Regex(regex)), _) => PathMatch::Regex(regex),
        (Some(TextMatch::Present | TextMatch::Suffix(_)) | None, _) => PathMatch::Any,
    }
}

/// A test that a value is there, where nothing else is said.
fn present_or(
    test: Option<&StringMatch>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<TextMatch> {
    match test {
        None => Some(TextMatch::Present),
        Some(StringMatch {
            exact: None,
            prefix: None,
            regex: None,
        }) => Some(TextMatch::Present),
        Some(StringMatch {
            exact: None,
            prefix: None,
            regex: Some(any),
        }) if any == "*" => Some(TextMatch::Present),
        Some(test) => string(test, field, problems),
    }
}

pub(super) fn string(
    test: &StringMatch,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<TextMatch> {
    let StringMatch {
        exact,
        prefix,
        regex,
    } = test;
    match (exact, prefix, regex) {
        (Some(text), None, None) => Some(TextMatch::Exact(text.as_str().into())),
        (None, Some(text), None) => Some(TextMatch::Prefix(text.as_str().into())),
        (None, None, Some(expression)) => match Regex::new(expression) {
            Ok(regex) => Some(TextMatch::Regex(regex)),
            Err(error) => {
                problems.push(Problem::new(format!("{field}.regex"), error));
                None
            }
        },
        _ => {
            problems.push(Problem::new(
                field,
                "expected one of exact, prefix and regex",
            ));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_named_with_dots_or_brackets() {
        let cases: [(&str, Option<&[&str]>); 8] = [
            ("@request.auth.claims.groups", Some(&["groups"])),
            ("@request.auth.claims.a.b", Some(&["a", "b"])),
            ("@Request.Auth.Claims.a", Some(&["a"])),
            ("@request.auth.claims[a]", Some(&["a"])),
            ("@request.auth.claims[a][b.c]", Some(&["a", "b.c"])),
            (
                "@request.auth.claims[test-issuer-1@istio.io]",
                Some(&["test-issuer-1@istio.io"]),
            ),
            ("@request.auth.claims", Some(&[])),
            ("x-request", None),
        ];
        for (name, path) in cases {
            let got = claim(name);
            let got: Option<Vec<&str>> = got
                .as_ref()
                .map(|path| path.iter().map(Name::as_str).collect());
            assert_eq!(got.as_deref(), path, "{name}");
        }
    }
}
