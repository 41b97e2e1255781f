//! How long an upstream asks to wait.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};

/// What an answer of 429 or 503 asks for by `Retry-After` in seconds, unless it is longer than `most`.
pub(super) fn asked<B>(response: &Response<B>, most: Duration) -> Option<Duration> {
    let status = response.status();
    if !matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) {
        return None;
    }
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let asked = Duration::from_secs(value.trim().parse().ok()?);
    (asked <= most).then_some(asked)
}
