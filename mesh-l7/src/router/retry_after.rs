//! How long an upstream asks to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, Response, StatusCode};

const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How long an answer of 429 or 503 asks to wait, unless it is longer than `most`: by `Retry-After` in
/// seconds or as a date, or by `X-RateLimit-Reset` in seconds since 1970. `now` is the time of day.
///
/// Source: RFC 9110 §10.2.3; Envoy's `rate_limited_retry_back_off`.
pub(super) fn asked<B>(
    response: &Response<B>,
    most: Duration,
    now: impl FnOnce() -> SystemTime,
) -> Option<Duration> {
    const ASKS: [StatusCode; 2] = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if !ASKS.contains(&response.status()) {
        return None;
    }
    let asked = read(response.headers(), now)?;
    (asked <= most).then_some(asked)
}

fn read(headers: &HeaderMap, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(value) = text(RETRY_AFTER) {
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        return Some(date.duration_since(now()).unwrap_or_default());
    }
    let reset = Duration::from_secs(text(RATE_LIMIT_RESET)?.parse().ok()?);
    let now = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(reset.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §10.2.3 and §5.6.7; the date is its example, 784,111,777 seconds after 1970.
    #[test]
    fn seconds_dates_and_resets_are_read() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let cases = [
            (503, "retry-after", "3", Some(3)),
            (429, "retry-after", "5", Some(5)),
            (503, "retry-after", "6", None),
            (500, "retry-after", "3", None),
            (503, "retry-after", date, Some(4)),
            (503, "retry-after", "soon", None),
            (503, "retry-after", "-1", None),
            (503, "retry-after", "99999999999999999999", None),
            (429, "x-ratelimit-reset", "784111775", Some(2)),
            (429, "x-ratelimit-reset", "784111000", Some(0)),
            (429, "x-other", "1", None),
        ];
        let now = UNIX_EPOCH + Duration::from_secs(784_111_773);
        for (status, name, value, seconds) in cases {
            let response = Response::builder().status(status).header(name, value);
            let asked = asked(&response.body(()).unwrap(), Duration::from_secs(5), || now);
            assert_eq!(
                asked,
                seconds.map(Duration::from_secs),
                "{status} {name}: {value}"
            );
        }
    }
}
