//! Time limits and further attempts.

use std::time::Duration;

use http::StatusCode;
use mesh_core::limits::Backoff;

use crate::route::{RetryOn, RetryPolicy, Timeouts};

use super::duration::parse_duration;
use super::status::Problem;
use super::types::{HttpRetry, HttpTimeouts};

/// A duration of which 0 means none.
fn limit(text: Option<&str>, field: &str, problems: &mut Vec<Problem>) -> Option<Duration> {
    match parse_duration(text?) {
        Ok(time) => Some(time).filter(|time| !time.is_zero()),
        Err(error) => {
            problems.push(Problem::new(field, error));
            None
        }
    }
}

pub(super) fn timeouts(
    settings: &HttpTimeouts,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Timeouts {
    let field = format!("{field}.timeouts");
    let request = limit(
        settings.request.as_deref(),
        &format!("{field}.request"),
        problems,
    );
    let backend = format!("{field}.backendRequest");
    let attempt = limit(settings.backend_request.as_deref(), &backend, problems);
    if let (Some(request), Some(attempt)) = (request, attempt)
        && attempt > request
    {
        let problem = format!("{attempt:?}, expected at most request, {request:?}");
        problems.push(Problem::new(backend, problem));
    }
    Timeouts {
        request,
        attempt,
        idle: None,
    }
}

/// Once there is a stanza, failures without an answer are tried again as well.
pub(super) fn retry(settings: &HttpRetry, field: &str, problems: &mut Vec<Problem>) -> RetryPolicy {
    let field = format!("{field}.retry");
    let mut statuses = Vec::new();
    for (at, code) in settings.codes.iter().enumerate() {
        match StatusCode::from_u16(*code) {
            Ok(status) if (400..=599).contains(code) => statuses.push(status),
            _ => {
                let problem = format!("{code}, expected 400 to 599");
                problems.push(Problem::new(format!("{field}.codes[{at}]"), problem));
            }
        }
    }
    let default = RetryPolicy::default();
    let floor = limit(
        settings.backoff.as_deref(),
        &format!("{field}.backoff"),
        problems,
    );
    RetryPolicy {
        retries: settings.attempts.unwrap_or(2),
        on: default.on.and(RetryOn::RESET).and(RetryOn::ATTEMPT_TIMEOUT),
        statuses,
        backoff: Backoff::default().at_least(floor.unwrap_or_default()),
        ..default
    }
}
