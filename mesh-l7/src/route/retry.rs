//! Whether a request is tried again.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};
use mesh_core::limits::Backoff;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const RATE_LIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");

/// When and how often a request is tried again.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct RetryPolicy {
    /// Attempts after the first one.
    pub retries: u32,
    /// What is tried again.
    pub on: RetryOn,
    /// Statuses that are tried again, 400..=599.
    pub statuses: Vec<StatusCode>,
    /// Pauses between attempts.
    pub backoff: Backoff,
    /// Which hosts are tried.
    pub hosts: HostSelection,
    /// Bytes of a request's body that are kept for further attempts: default 64 KiB, at most 1 MiB. A
    /// request with more is not tried again.
    pub buffer: usize,
    /// The longest pause that an upstream may ask for with `Retry-After` on a 429 or 503; a longer one is
    /// not waited for. `None` does not look at it; default 5 s.
    pub retry_after: Option<Duration>,
}

/// Which hosts further attempts go to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct HostSelection {
    /// How often another host is looked for than those that were tried; 0 takes any. Default 5.
    pub reselections: u32,
}

/// What is tried again: a set of conditions.
///
/// Source: Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct RetryOn(u32);

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $token:literal;)*) => {
        impl RetryOn {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// The condition of a token of `retryOn`.
            #[must_use]
            pub fn parse(token: &str) -> Option<Self> {
                match token {
                    $($token => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Tokens of the conditions in the set.
            pub fn tokens(self) -> impl Iterator<Item = &'static str> {
                let all = [$((Self::$name, $token)),*];
                all.into_iter().filter(move |(one, _)| self.contains(*one)).map(|(_, token)| token)
            }
        }
    };
}

conditions! {
    /// A status of 500 or above, or no answer at all.
    SERVER_ERROR = 0, "5xx";
    /// Status 502, 503 or 504, a reset or an attempt that took too long.
    GATEWAY_ERROR = 1, "gateway-error";
    /// No head of a response: a disconnect, a reset, a timeout of the attempt.
    RESET = 2, "reset";
    /// The same, and the head of the request had not been written.
    RESET_BEFORE_REQUEST = 3, "reset-before-request";
    /// No connection, or not in time.
    CONNECT_FAILURE = 4, "connect-failure";
    /// The attempt took too long. Part of the wider ones in Envoy; a condition of its own here.
    ATTEMPT_TIMEOUT = 5, "per-try-timeout";
    /// The upstream did not begin with the request: `REFUSED_STREAM`, or a `GOAWAY` below it.
    REFUSED_STREAM = 6, "refused-stream";
    /// Status 409.
    RETRIABLE_4XX = 7, "retriable-4xx";
    /// One of the listed statuses.
    STATUSES = 8, "retriable-status-codes";
    /// An answer with `x-envoy-ratelimited`.
    RATE_LIMITED = 9, "envoy-ratelimited";
    /// gRPC status 1 in the head.
    CANCELLED = 10, "cancelled";
    /// gRPC status 4 in the head.
    DEADLINE_EXCEEDED = 11, "deadline-exceeded";
    /// gRPC status 13 in the head.
    INTERNAL = 12, "internal";
    /// gRPC status 8 in the head.
    RESOURCE_EXHAUSTED = 13, "resource-exhausted";
    /// gRPC status 14 in the head.
    UNAVAILABLE = 14, "unavailable";
}

/// How an attempt ended that no response came of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "all that is told apart")]
pub enum NoResponse {
    /// No connection, or not in time.
    Connect,
    /// The upstream did not begin with the request.
    Refused,
    /// The connection or stream ended before the head of the request was written.
    BeforeRequest,
    /// The connection or stream ended after that.
    Reset,
    /// The attempt took too long.
    Timeout,
}

impl RetryOn {
    /// No condition.
    pub const NONE: Self = Self(0);

    /// These and others.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all conditions of another set are in this one.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn any(self, others: &[Self]) -> bool {
        others.iter().any(|other| self.contains(*other))
    }
}

/// Istio's, where nothing is configured: two retries of what never reached an upstream, or of which it
/// says by gRPC that it may be tried again.
impl Default for RetryPolicy {
    fn default() -> Self {
        let on = RetryOn::CONNECT_FAILURE
            .and(RetryOn::REFUSED_STREAM)
            .and(RetryOn::UNAVAILABLE)
            .and(RetryOn::CANCELLED)
            .and(RetryOn::STATUSES);
        Self {
            retries: 2,
            on,
            statuses: Vec::new(),
            backoff: Backoff::default(),
            hosts: HostSelection { reselections: 5 },
            buffer: 64 * 1024,
            retry_after: Some(Duration::from_secs(5)),
        }
    }
}

impl RetryPolicy {
    /// Whether an attempt without a response is tried again.
    #[must_use]
    pub fn retries_failure(&self, failure: NoResponse) -> bool {
        use RetryOn as On;
        let wide = [On::SERVER_ERROR, On::RESET];
        let own: &[On] = match failure {
            NoResponse::Connect => &[On::CONNECT_FAILURE, On::SERVER_ERROR],
            NoResponse::Refused => &[
                On::REFUSED_STREAM,
                On::SERVER_ERROR,
                On::RESET,
                On::GATEWAY_ERROR,
            ],
            NoResponse::BeforeRequest => &[On::RESET_BEFORE_REQUEST, On::GATEWAY_ERROR],
            NoResponse::Reset => &[On::GATEWAY_ERROR],
            NoResponse::Timeout => &[On::ATTEMPT_TIMEOUT, On::GATEWAY_ERROR],
        };
        let also = !matches!(failure, NoResponse::Connect | NoResponse::Refused);
        self.on.any(own) || (also && self.on.any(&wide))
    }

    /// Whether an attempt with a response is tried again, by its head.
    #[must_use]
    pub fn retries_response(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        use RetryOn as On;
        let code = status.as_u16();
        let holds = |on: On, condition: bool| condition && self.on.contains(on);
        holds(On::SERVER_ERROR, code >= 500)
            || holds(On::GATEWAY_ERROR, (502..=504).contains(&code))
            || holds(On::RETRIABLE_4XX, code == 409)
            || holds(On::STATUSES, self.statuses.contains(&status))
            || (self.on.contains(On::RATE_LIMITED) && headers.contains_key(RATE_LIMITED))
            || self.retries_grpc(headers)
    }

    fn retries_grpc(&self, headers: &HeaderMap) -> bool {
        let status = headers.get(GRPC_STATUS).map(http::HeaderValue::as_bytes);
        let on = match status {
            Some(b"1") => RetryOn::CANCELLED,
            Some(b"4") => RetryOn::DEADLINE_EXCEEDED,
            Some(b"8") => RetryOn::RESOURCE_EXHAUSTED,
            Some(b"13") => RetryOn::INTERNAL,
            Some(b"14") => RetryOn::UNAVAILABLE,
            _ => return false,
        };
        self.on.contains(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(tokens: &[&str]) -> RetryPolicy {
        let parse = |token: &&str| RetryOn::parse(token).unwrap();
        RetryPolicy {
            on: tokens.iter().map(parse).fold(RetryOn::NONE, RetryOn::and),
            ..RetryPolicy::default()
        }
    }

    /// Envoy's documentation of each condition, and what was measured with Envoy 1.40.
    #[test]
    fn failures_are_tried_again_as_the_conditions_say() {
        use NoResponse::{BeforeRequest, Connect, Refused, Reset, Timeout};
        let all = [Connect, Refused, BeforeRequest, Reset, Timeout];
        let cases: [(&str, &[NoResponse]); 9] = [
            ("5xx", &all),
            ("gateway-error", &[Refused, BeforeRequest, Reset, Timeout]),
            ("reset", &[Refused, BeforeRequest, Reset, Timeout]),
            ("reset-before-request", &[BeforeRequest]),
            ("connect-failure", &[Connect]),
            ("per-try-timeout", &[Timeout]),
            ("refused-stream", &[Refused]),
            ("retriable-4xx", &[]),
            ("unavailable", &[]),
        ];
        for (token, retried) in cases {
            let got: Vec<_> = all
                .into_iter()
                .filter(|f| on(&[token]).retries_failure(*f))
                .collect();
            assert_eq!(got, retried, "{token}");
        }
    }

    #[test]
    fn istios_default_leaves_answers_and_resets_alone() {
        let default = RetryPolicy::default();
        let none = HeaderMap::new();
        assert!(default.retries_failure(NoResponse::Connect));
        assert!(default.retries_failure(NoResponse::Refused));
        assert!(!default.retries_failure(NoResponse::Reset));
        assert!(!default.retries_failure(NoResponse::Timeout));
        assert!(!default.retries_response(StatusCode::SERVICE_UNAVAILABLE, &none));
        let tokens: Vec<_> = default.on.tokens().collect();
        let istio = [
            "connect-failure",
            "refused-stream",
            "retriable-status-codes",
            "cancelled",
            "unavailable",
        ];
        assert_eq!(tokens, istio);
    }

    #[test]
    fn responses_are_tried_again_by_status_and_header() {
        let header = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            headers
        };
        let cases = [
            ("5xx", 500, header("x", ""), true),
            ("5xx", 499, header("x", ""), false),
            ("gateway-error", 500, header("x", ""), false),
            ("gateway-error", 503, header("x", ""), true),
            ("retriable-4xx", 409, header("x", ""), true),
            ("retriable-4xx", 404, header("x", ""), false),
            (
                "envoy-ratelimited",
                429,
                header("x-envoy-ratelimited", "true"),
                true,
            ),
            ("unavailable", 200, header("grpc-status", "14"), true),
            ("unavailable", 200, header("grpc-status", "13"), false),
            ("internal", 200, header("grpc-status", "13"), true),
            ("resource-exhausted", 200, header("grpc-status", "8"), true),
            ("deadline-exceeded", 200, header("grpc-status", "4"), true),
            ("cancelled", 200, header("grpc-status", "1"), true),
        ];
        for (token, status, headers, retried) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                on(&[token]).retries_response(status, &headers),
                retried,
                "{token} {status}"
            );
        }
        let listed = RetryPolicy {
            statuses: vec![StatusCode::IM_A_TEAPOT],
            ..on(&["retriable-status-codes"])
        };
        assert!(listed.retries_response(StatusCode::IM_A_TEAPOT, &HeaderMap::new()));
        assert_eq!(RetryOn::parse("no-such-thing"), None);
    }
}
