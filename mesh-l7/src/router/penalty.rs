//! What an attempt costs, for those who send requests where they cost the least.

use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};
use mesh_core::lb::Event;

use super::retry_after;

/// The least that an attempt costs which was not answered well: a host that fails fast must not look fast.
const FAILED: Duration = Duration::from_secs(5);
/// The most that a host can ask for by `Retry-After`.
const ASKED: Duration = Duration::from_secs(300);

/// The time until the answer began; for errors, 429 and no answer at all at least 5 s, and as long as the answer
/// asks to wait, up to 300 s.
///
/// Source: Linkerd's penalty of failures and its load biaser.
pub(super) fn cost<B>(
    took: Duration,
    event: Event,
    response: Option<&Response<B>>,
    now: impl FnOnce() -> SystemTime,
) -> Duration {
    let limited = response.filter(|it| it.status() == StatusCode::TOO_MANY_REQUESTS);
    if event == Event::Success && limited.is_none() {
        return took;
    }
    let asked = response.and_then(|response| retry_after::asked(response, Duration::MAX, now));
    let asked = asked.unwrap_or_default().min(ASKED);
    took.max(FAILED).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_cost_more_than_they_took() {
        let answer = |status: u16, wait: Option<&str>| {
            let response = Response::builder().status(status);
            let response = wait.into_iter().fold(response, |response, wait| {
                response.header("retry-after", wait)
            });
            Some(response.body(()).unwrap())
        };
        let cases = [
            ("well", answer(200, None), Event::Success, 1, 1),
            ("not there", answer(404, None), Event::Success, 1, 1),
            (
                "asks, but well",
                answer(200, Some("60")),
                Event::Success,
                1,
                1,
            ),
            ("an error", answer(500, None), Event::Error, 1, 5),
            ("a slow error", answer(500, None), Event::Error, 7, 7),
            ("too many", answer(429, None), Event::Success, 1, 5),
            (
                "too many, and asks",
                answer(429, Some("60")),
                Event::Success,
                1,
                60,
            ),
            (
                "asks for too much",
                answer(503, Some("3000")),
                Event::Gateway,
                1,
                300,
            ),
            (
                "gRPC's in a 200",
                answer(200, Some("60")),
                Event::Gateway,
                1,
                5,
            ),
            ("no answer", None, Event::NoAnswer, 1, 5),
        ];
        for (name, response, event, took, seconds) in cases {
            let now = || SystemTime::UNIX_EPOCH;
            let cost = cost(Duration::from_secs(took), event, response.as_ref(), now);
            assert_eq!(cost, Duration::from_secs(seconds), "{name}");
        }
    }
}
