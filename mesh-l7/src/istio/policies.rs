//! Retries, faults, mirrors, CORS, header edits of a rule.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use mesh_core::limits::Backoff;

use crate::filter::{self, Cors, Credentials, HeaderEdits, Origins, Unmatched};
use crate::matching::TextMatch;
use crate::route::{HostSelection, RetryOn, RetryPolicy};

use super::condition::string;
use super::duration::parse_duration;
use super::problem::Problem;
use super::types::{CorsPolicy, FaultInjection, HeaderOperations, HttpRetry, Percent};

/// A duration of which 0 means none.
pub(super) fn limit(
    text: Option<&str>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<Duration> {
    match parse_duration(text?) {
        Ok(time) => Some(time).filter(|time| !time.is_zero()),
        Err(error) => {
            problems.push(Problem::new(field, error));
            None
        }
    }
}

pub(super) fn percent(
    of: Option<Percent>,
    default: filter::Percent,
    field: &str,
    problems: &mut Vec<Problem>,
) -> filter::Percent {
    let Some(of) = of else {
        return default;
    };
    filter::Percent::of(of.value).unwrap_or_else(|| {
        problems.push(Problem::new(
            field,
            format!("{}, expected 0 to 100", of.value),
        ));
        default
    })
}

/// Retries of a rule, and the time of one attempt. Without a policy Istio's default applies.
pub(super) fn retry(
    settings: Option<&HttpRetry>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> (Option<RetryPolicy>, Option<Duration>) {
    let default = RetryPolicy::default();
    let Some(settings) = settings else {
        return (Some(default), None);
    };
    let field = format!("{field}.retries");
    let attempt = limit(
        settings.per_try_timeout.as_deref(),
        &format!("{field}.perTryTimeout"),
        problems,
    );
    let Ok(retries @ 1..) = u32::try_from(settings.attempts) else {
        return (None, attempt);
    };
    let mut on = default.on;
    let mut statuses = Vec::new();
    if let Some(tokens) = settings
        .retry_on
        .as_deref()
        .filter(|tokens| !tokens.is_empty())
    {
        on = RetryOn::NONE;
        for token in tokens.split(',').map(str::trim) {
            let status = token
                .parse()
                .ok()
                .and_then(|code| StatusCode::from_u16(code).ok());
            match (RetryOn::parse(token), status) {
                (Some(condition), _) => on = on.and(condition),
                (None, Some(status)) => {
                    on = on.and(RetryOn::STATUSES);
                    statuses.push(status);
                }
                (None, None) => {
                    let problem = format!("{token:?} is no condition to try again");
                    problems.push(Problem::new(format!("{field}.retryOn"), problem));
                }
            }
        }
    }
    let backoff = match limit(
        settings.backoff.as_deref(),
        &format!("{field}.backoff"),
        problems,
    ) {
        None => default.backoff,
        Some(base) => Backoff::new(base, None).unwrap_or_else(|error| {
            problems.push(Problem::new(format!("{field}.backoff"), error));
            default.backoff
        }),
    };
    let other_hosts = settings.retry_ignore_previous_hosts.unwrap_or(true);
    let policy = RetryPolicy {
        retries,
        on,
        statuses,
        backoff,
        hosts: HostSelection {
            reselections: if other_hosts { 5 } else { 0 },
        },
        ..default
    };
    (Some(policy), attempt)
}

const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Faults of a rule. A share that is not given is none, as Istio makes it.
pub(super) fn fault(
    settings: &FaultInjection,
    field: &str,
    problems: &mut Vec<Problem>,
) -> filter::Fault {
    let field = format!("{field}.fault");
    let none = filter::Percent::NONE;
    let share = |of: Option<Percent>, whole: Option<u32>, at: &str, problems: &mut Vec<Problem>| {
        let of = of.or(whole.map(|value| Percent {
            value: value.into(),
        }));
        if of.is_none() {
            problems.push(Problem::note(
                format!("{field}.{at}"),
                "without a percentage it never happens",
            ));
        }
        percent(of, none, &format!("{field}.{at}.percentage"), problems)
    };
    let delay = settings.delay.as_ref().and_then(|delay| {
        let share = share(delay.percentage, delay.percent, "delay", problems);
        let time = limit(
            delay.fixed_delay.as_deref(),
            &format!("{field}.delay.fixedDelay"),
            problems,
        )?;
        Some(filter::Delay { time, share })
    });
    let abort = settings.abort.as_ref().and_then(|abort| {
        let share = share(abort.percentage, None, "abort", problems);
        let grpc = abort
            .grpc_status
            .as_deref()
            .and_then(|name| GRPC.iter().position(|known| *known == name));
        let grpc = grpc.and_then(|code| u8::try_from(code).ok());
        let status = match (abort.http_status, grpc) {
            (Some(code @ 200..=599), _) => StatusCode::from_u16(code).ok(),
            (None, Some(_)) => Some(StatusCode::OK),
            _ => None,
        };
        let Some(status) = status else {
            let problem = "expected an httpStatus of 200 to 599, or a grpcStatus by its name";
            problems.push(Problem::new(format!("{field}.abort"), problem));
            return None;
        };
        Some(filter::Abort {
            status,
            grpc,
            share,
        })
    });
    filter::Fault { delay, abort }
}

pub(super) fn cors(policy: &CorsPolicy, field: &str, problems: &mut Vec<Problem>) -> Cors {
    let field = format!("{field}.corsPolicy");
    let mut origins = Vec::new();
    for (at, origin) in policy.allow_origins.iter().enumerate() {
        if let Some(test) = string(origin, &format!("{field}.allowOrigins[{at}]"), problems) {
            origins.push(match test {
                TextMatch::Exact(text) if *text == *"*" => Origins::Any,
                test => Origins::Text(test),
            });
        }
    }
    origins.extend(
        policy
            .allow_origin
            .iter()
            .map(|origin| match origin.as_str() {
                "*" => Origins::Any,
                text => Origins::Text(TextMatch::Exact(text.into())),
            }),
    );
    let names = |list: &[String]| list.iter().map(|name| name.as_str().into()).collect();
    let unmatched = match policy.unmatched_preflights.as_deref() {
        None | Some("UNSPECIFIED" | "FORWARD") => Unmatched::Forward,
        Some("IGNORE") => Unmatched::Ignore,
        Some(other) => {
            let problem = format!("{other:?}, expected FORWARD or IGNORE");
            problems.push(Problem::new(
                format!("{field}.unmatchedPreflights"),
                problem,
            ));
            Unmatched::Forward
        }
    };
    Cors {
        origins,
        methods: names(&policy.allow_methods),
        headers: names(&policy.allow_headers),
        expose: names(&policy.expose_headers),
        credentials: match policy.allow_credentials {
            Some(true) => Credentials::Allowed,
            Some(false) | None => Credentials::Omitted,
        },
        max_age: limit(
            policy.max_age.as_deref(),
            &format!("{field}.maxAge"),
            problems,
        ),
        unmatched,
    }
}

/// Edits of headers, and the host if that is set as one.
pub(super) fn edits(
    operations: &HeaderOperations,
    field: &str,
    problems: &mut Vec<Problem>,
) -> (HeaderEdits, Option<String>) {
    let mut host = None;
    let mut list = |headers: &BTreeMap<String, String>, what: &str, problems: &mut Vec<Problem>| {
        let mut out: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (name, value) in headers {
            let lower = name.to_ascii_lowercase();
            if what == "set" && [":authority", "authority", "host"].contains(&lower.as_str()) {
                host = Some(value.clone());
                continue;
            }
            match (
                HeaderName::from_bytes(lower.as_bytes()),
                HeaderValue::from_str(value),
            ) {
                (Ok(name), Ok(value)) => out.push((name, value)),
                _ => problems.push(Problem::new(
                    format!("{field}.{what}.{name}"),
                    "is no header",
                )),
            }
        }
        out
    };
    let set = list(&operations.set, "set", problems);
    let add = list(&operations.add, "add", problems);
    let mut remove = Vec::new();
    for (at, name) in operations.remove.iter().enumerate() {
        match HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()) {
            Ok(name) => remove.push(name),
            Err(_) => problems.push(Problem::new(
                format!("{field}.remove[{at}]"),
                "is no name of a header",
            )),
        }
    }
    (HeaderEdits { set, add, remove }, host)
}
