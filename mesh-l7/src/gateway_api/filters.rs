//! Filters of a rule and of a backend.

use http::{HeaderName, HeaderValue, StatusCode};

use crate::filter::{
    Cors, Credentials, HeaderEdits, Mirror, Origins, PathChange, Percent, Redirect, RedirectPort,
    Rewrite, Unmatched,
};
use crate::matching::TextMatch;

use super::limits::{at_most, header_name, header_value};
use super::references::From;
use super::status::Problem;
use super::types::{
    HttpCors, HttpFilter, HttpHeader, HttpHeaderFilter, HttpMirror, HttpPathModifier, HttpRedirect,
};

/// Filters of a rule, taken apart.
#[derive(Default)]
pub(super) struct Filters {
    pub(super) headers: HeaderFilters,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) redirect: Option<Redirect>,
    pub(super) rewrite: Option<Rewrite>,
    pub(super) cors: Option<Cors>,
    /// Mirrors that have nowhere to go: the request goes on without them.
    pub(super) lost: Vec<Problem>,
}

/// Edits of headers.
#[derive(Default)]
pub(super) struct HeaderFilters {
    pub(super) request: HeaderEdits,
    pub(super) response: HeaderEdits,
}

/// What a kind of filter asks of its field.
fn missing(field: &str, problems: &mut Vec<Problem>) {
    problems.push(Problem::new(
        field,
        "missing, expected the settings of this type",
    ));
}

/// Filters of a backend: edits of headers only.
pub(super) fn header_filters(
    filters: &[HttpFilter],
    field: &str,
    problems: &mut Vec<Problem>,
) -> HeaderFilters {
    let mut out = HeaderFilters::default();
    for (at, filter) in filters.iter().enumerate() {
        let field = format!("{field}.filters[{at}]");
        if !header_filter(filter, &mut out, &field, problems) {
            let kind = &filter.kind;
            problems.push(Problem::new(
                field,
                format!("type {kind:?} is not supported on a backend"),
            ));
        }
    }
    out
}

/// Whether it is an edit of headers.
fn header_filter(
    filter: &HttpFilter,
    out: &mut HeaderFilters,
    field: &str,
    problems: &mut Vec<Problem>,
) -> bool {
    let (settings, name, into) = match filter.kind.as_str() {
        "RequestHeaderModifier" => (
            &filter.request_header_modifier,
            "requestHeaderModifier",
            &mut out.request,
        ),
        "ResponseHeaderModifier" => (
            &filter.response_header_modifier,
            "responseHeaderModifier",
            &mut out.response,
        ),
        _ => return false,
    };
    let field = format!("{field}.{name}");
    if !into.is_empty() {
        problems.push(Problem::new(
            &field,
            "a second filter of this type, expected one at most",
        ));
    }
    match settings {
        Some(settings) => *into = edits(settings, &field, problems),
        None => missing(&field, problems),
    }
    true
}

fn edits(settings: &HttpHeaderFilter, field: &str, problems: &mut Vec<Problem>) -> HeaderEdits {
    let mut seen: Vec<HeaderName> = Vec::new();
    // Of several entries for one name the first counts.
    let mut fresh = |name: &HeaderName| {
        let fresh = !seen.contains(name);
        seen.push(name.clone());
        fresh
    };
    let mut list = |headers: &[HttpHeader], what: &str, problems: &mut Vec<Problem>| {
        at_most(headers.len(), 16, &format!("{field}.{what}"), problems);
        let mut out: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (at, header) in headers.iter().enumerate() {
            let field = format!("{field}.{what}[{at}]");
            let name = header_name(&header.name, &format!("{field}.name"), problems);
            let value = header_value(&header.value, &format!("{field}.value"), problems);
            if let (Some(name), Some(value)) = (name, value)
                && fresh(&name)
            {
                out.push((name, value));
            }
        }
        out
    };
    let set = list(&settings.set, "set", problems);
    let add = list(&settings.add, "add", problems);
    at_most(
        settings.remove.len(),
        16,
        &format!("{field}.remove"),
        problems,
    );
    let remove = settings.remove.iter().enumerate();
    let remove = remove
        .filter_map(|(at, name)| header_name(name, &format!("{field}.remove[{at}]"), problems));
    HeaderEdits {
        set,
        add,
        remove: remove.collect(),
    }
}

/// Filters of a rule; what is not understood is a problem.
pub(super) fn filters(
    filters: &[HttpFilter],
    from: From<'_>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Filters {
    let mut out = Filters::default();
    at_most(filters.len(), 16, &format!("{field}.filters"), problems);
    for (at, filter) in filters.iter().enumerate() {
        let field = format!("{field}.filters[{at}]");
        if header_filter(filter, &mut out.headers, &field, problems) {
            continue;
        }
        match filter.kind.as_str() {
            "RequestMirror" => match &filter.request_mirror {
                Some(settings) => mirror(settings, from, &field, &mut out, problems),
                None => missing(&format!("{field}.requestMirror"), problems),
            },
            "RequestRedirect" => match &filter.request_redirect {
                Some(settings) => out.redirect = redirect(settings, &field, problems),
                None => missing(&format!("{field}.requestRedirect"), problems),
            },
            "URLRewrite" => match &filter.url_rewrite {
                Some(settings) => {
                    let path = settings.path.as_ref();
                    let path = path.and_then(|path| path_change(path, &field, problems));
                    let host = settings.hostname.as_deref().map(Into::into);
                    out.rewrite = Some(Rewrite { path, host });
                }
                None => missing(&format!("{field}.urlRewrite"), problems),
            },
            "CORS" => match &filter.cors {
                Some(settings) => out.cors = Some(cors(settings)),
                None => missing(&format!("{field}.cors"), problems),
            },
            other => {
                let problem = format!("type {other:?} is not supported");
                problems.push(Problem::new(&field, problem));
            }
        }
    }
    if out.redirect.is_some() && out.rewrite.is_some() {
        let problem = "a redirect and a rewrite, expected one of them";
        problems.push(Problem::new(format!("{field}.filters"), problem));
    }
    out
}

fn mirror(
    settings: &HttpMirror,
    from: From<'_>,
    field: &str,
    out: &mut Filters,
    problems: &mut Vec<Problem>,
) {
    let share = match (settings.percent, settings.fraction) {
        (None, None) => Some(Percent::ALL),
        (Some(percent), None) => u32::try_from(percent)
            .ok()
            .and_then(|p| Percent::fraction(p, 100)),
        (None, Some(part)) => Percent::fraction(part.numerator, part.denominator.unwrap_or(100)),
        (Some(_), Some(_)) => None,
    };
    if share.is_none() {
        let problem = "expected a percent of 0 to 100, or a fraction of at most one, not both";
        problems.push(Problem::new(format!("{field}.requestMirror"), problem));
    }
    match from.service(&settings.backend_ref) {
        Ok(target) => out
            .mirrors
            .extend(share.map(|share| Mirror { target, share })),
        Err(invalid) => {
            let field = format!("{field}.requestMirror.backendRef");
            out.lost.push(Problem::note(field, invalid));
        }
    }
}

fn redirect(settings: &HttpRedirect, field: &str, problems: &mut Vec<Problem>) -> Option<Redirect> {
    let field = format!("{field}.requestRedirect");
    let status = settings.status_code.unwrap_or(302);
    if ![301, 302, 303, 307, 308].contains(&status) {
        let problem = format!("{status}, expected 301, 302, 303, 307 or 308");
        problems.push(Problem::new(format!("{field}.statusCode"), problem));
    }
    let scheme = settings.scheme.as_deref();
    if scheme.is_some_and(|scheme| !["http", "https"].contains(&scheme)) {
        let problem = format!("{scheme:?}, expected http or https");
        problems.push(Problem::new(format!("{field}.scheme"), problem));
    }
    let path = settings.path.as_ref();
    let path = path.and_then(|path| path_change(path, &field, problems));
    Some(Redirect {
        status: StatusCode::from_u16(status).ok()?,
        scheme: scheme.map(Into::into),
        host: settings.hostname.as_deref().map(Into::into),
        port: settings
            .port
            .map_or(RedirectPort::Derived, RedirectPort::Number),
        path,
    })
}

fn path_change(
    modifier: &HttpPathModifier,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<PathChange> {
    let full = modifier.replace_full_path.as_deref();
    let prefix = modifier.replace_prefix_match.as_deref();
    match (modifier.kind.as_str(), full, prefix) {
        ("ReplaceFullPath", Some(full), None) => Some(PathChange::Full(full.into())),
        ("ReplacePrefixMatch", None, Some(prefix)) => Some(PathChange::Below(prefix.into())),
        _ => {
            let problem = "expected type ReplaceFullPath with replaceFullPath, or ReplacePrefixMatch with replacePrefixMatch";
            problems.push(Problem::new(format!("{field}.path"), problem));
            None
        }
    }
}

fn cors(settings: &HttpCors) -> Cors {
    let names = |list: &[String]| list.iter().map(|name| name.as_str().into()).collect();
    let origin = |origin: &String| match origin.split_once('*') {
        _ if origin == "*" => Origins::Any,
        Some((before, after)) => Origins::Wildcard(before.into(), after.into()),
        None => Origins::Text(TextMatch::Exact(origin.as_str().into())),
    };
    let credentials = match settings.allow_credentials {
        Some(true) => Credentials::Allowed,
        Some(false) | None => Credentials::Omitted,
    };
    Cors {
        origins: settings.allow_origins.iter().map(origin).collect(),
        methods: names(&settings.allow_methods),
        headers: names(&settings.allow_headers),
        expose: names(&settings.expose_headers),
        credentials,
        max_age: Some(std::time::Duration::from_secs(
            settings.max_age.unwrap_or(5),
        )),
        unmatched: Unmatched::Ignore,
    }
}
