//! What becomes of a request, and how it is changed before.

use bytes::Bytes;
use http::StatusCode;

use crate::filter::{PathChange, Redirect, RedirectPort, Rewrite};
use crate::matching::Regex;
use crate::route;

use super::problem::Problem;
use super::types::{DirectResponse, HttpRedirect, HttpRewrite};

/// Istio's own mark for "replace the matched prefix".
const PREFIX: &str = "%PREFIX()%";

pub(super) fn redirect(
    spec: &HttpRedirect,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<Redirect> {
    let field = format!("{field}.redirect");
    let code = spec.redirect_code.unwrap_or(301);
    let status = StatusCode::from_u16(code).ok();
    if ![301, 302, 303, 307, 308].contains(&code) {
        let problem = format!("{code}, expected 301, 302, 303, 307 or 308");
        problems.push(Problem::new(format!("{field}.redirectCode"), problem));
    }
    let port = match (spec.port, spec.derive_port.as_deref()) {
        (Some(port), None) => RedirectPort::Number(port),
        (None, None) => RedirectPort::OfRequest,
        (None, Some("FROM_PROTOCOL_DEFAULT")) => RedirectPort::OfScheme,
        (None, Some("FROM_REQUEST_PORT")) => RedirectPort::OfListener,
        _ => {
            let problem =
                "expected a port, or derivePort of FROM_PROTOCOL_DEFAULT or FROM_REQUEST_PORT";
            problems.push(Problem::new(&field, problem));
            RedirectPort::OfRequest
        }
    };
    let path = spec.uri.as_deref().filter(|uri| !uri.is_empty());
    let path = path.map(|uri| match uri.strip_prefix(PREFIX) {
        Some(with) => PathChange::Prefix(with.into()),
        None => PathChange::Full(uri.into()),
    });
    let text = |text: &Option<String>| {
        text.as_deref()
            .filter(|text| !text.is_empty())
            .map(Into::into)
    };
    Some(Redirect {
        status: status?,
        scheme: text(&spec.scheme),
        host: text(&spec.authority),
        port,
        path,
    })
}

pub(super) fn rewrite(spec: &HttpRewrite, field: &str, problems: &mut Vec<Problem>) -> Rewrite {
    let field = format!("{field}.rewrite");
    let uri = spec.uri.as_deref().filter(|uri| !uri.is_empty());
    let path = match (uri, &spec.uri_regex_rewrite) {
        (None, None) => None,
        (Some(uri), None) => Some(PathChange::Prefix(uri.into())),
        (None, Some(regex)) => match Regex::new(&regex.expression) {
            Ok(expression) => Some(PathChange::Regex(expression, regex.rewrite.as_str().into())),
            Err(error) => {
                problems.push(Problem::new(
                    format!("{field}.uriRegexRewrite.match"),
                    error,
                ));
                None
            }
        },
        (Some(_), Some(_)) => {
            problems.push(Problem::new(
                &field,
                "expected one of uri and uriRegexRewrite",
            ));
            None
        }
    };
    let host = spec.authority.as_deref().filter(|host| !host.is_empty());
    Rewrite {
        path,
        host: host.map(Into::into),
    }
}

pub(super) fn respond(
    spec: &DirectResponse,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<route::DirectResponse> {
    let field = format!("{field}.directResponse");
    let status = StatusCode::from_u16(spec.status)
        .ok()
        .filter(|_| (200..=599).contains(&spec.status));
    if status.is_none() {
        let problem = format!("{}, expected 200 to 599", spec.status);
        problems.push(Problem::new(format!("{field}.status"), problem));
    }
    let body = match &spec.body {
        Some(body) if body.bytes.is_some() => {
            problems.push(Problem::new(
                format!("{field}.body.bytes"),
                "is not supported, use string",
            ));
            Bytes::new()
        }
        Some(body) => Bytes::from(body.string.clone().unwrap_or_default()),
        None => Bytes::new(),
    };
    Some(route::DirectResponse {
        status: status?,
        body,
    })
}
