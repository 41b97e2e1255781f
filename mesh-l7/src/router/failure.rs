//! What a client is told of attempts that no response came of.

use http::{HeaderName, HeaderValue, StatusCode};
use mesh_core::lb::Event;

use crate::attempt::AttemptError;
use crate::record::Flags;
use crate::reply::Reply;
use crate::route::NoResponse;

use super::limits::{Awaited, Expired};

const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client says so.
    Attempt(AttemptError),
    /// A time limit was over.
    Expired(Expired),
    /// The circuit breaker allows no more requests.
    Overflow,
    /// No host may be chosen.
    NoHost,
}

/// Texts and details for one reason of a reset.
macro_rules! reset {
    ($text:literal, $detail:literal) => {
        Reset {
            first: concat!(
                "upstream connect error or disconnect/reset before headers. reset reason: ",
                $text
            ),
            again: concat!(
                "upstream connect error or disconnect/reset before headers. \
                 retried and the latest reset reason: ",
                $text
            ),
            detail: concat!("upstream_reset_before_response_started{", $detail, "}"),
        }
    };
}

struct Reset {
    first: &'static str,
    again: &'static str,
    detail: &'static str,
}

impl Failure {
    /// What conditions of retries call it; `None` when it must not be tried again.
    pub(super) fn no_response(&self) -> Option<NoResponse> {
        match self {
            Self::Attempt(error) => error.no_response(),
            Self::Expired(Expired::Attempt) => Some(NoResponse::Timeout),
            Self::Expired(_) | Self::Overflow | Self::NoHost => None,
        }
    }

    /// What the outlier detection is told about the host; nothing when the host is not at fault.
    pub(super) fn event(&self) -> Option<Event> {
        match self {
            Self::Attempt(AttemptError::Overflow | AttemptError::Request(_)) => None,
            Self::Attempt(_)
            | Self::Expired(Expired::Attempt | Expired::Total | Expired::Caller) => {
                Some(Event::NoAnswer)
            }
            Self::Expired(Expired::Idle(_) | Expired::Stream(_))
            | Self::Overflow
            | Self::NoHost => None,
        }
    }

    /// The answer when it is final. `retried` is whether it was not the first attempt.
    pub(super) fn reply(&self, retried: bool) -> Reply {
        let unavailable = |reset: Reset, flags| {
            let text = if retried { reset.again } else { reset.first };
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Reply::new(status, reset.detail)
                .with_body(text)
                .with_flags(flags)
        };
        let error = match self {
            Self::Attempt(error) => error,
            Self::Expired(expired) => return timed_out(*expired),
            Self::NoHost => {
                return Reply::new(StatusCode::SERVICE_UNAVAILABLE, "no_healthy_upstream")
                    .with_body("no healthy upstream")
                    .with_flags(Flags::NO_HOST);
            }
            Self::Overflow => &AttemptError::Overflow,
        };
        match error {
            AttemptError::Overflow => unavailable(reset!("overflow", "overflow"), Flags::OVERFLOW)
                .with_header(OVERLOADED, HeaderValue::from_static("true")),
            AttemptError::Connect(_) => unavailable(
                reset!("remote connection failure", "remote_connection_failure"),
                Flags::UPSTREAM_CONNECT,
            ),
            AttemptError::ConnectTimeout => unavailable(
                reset!("connection timeout", "connection_timeout"),
                Flags::UPSTREAM_CONNECT,
            ),
            AttemptError::Refused(_) => unavailable(
                reset!("remote refused stream reset", "remote_refused_stream_reset"),
                Flags::UPSTREAM_RESET,
            ),
            AttemptError::BeforeRequest(_) | AttemptError::Reset(_) => unavailable(
                reset!("connection termination", "connection_termination"),
                Flags::UPSTREAM_CLOSED,
            ),
            AttemptError::Protocol(_) => {
                let reset = reset!("protocol error", "protocol_error");
                let text = if retried { reset.again } else { reset.first };
                Reply::new(StatusCode::BAD_GATEWAY, reset.detail)
                    .with_body(text)
                    .with_flags(Flags::PROTOCOL_ERROR)
            }
            AttemptError::Request(_) => {
                Reply::new(StatusCode::BAD_REQUEST, "downstream_remote_disconnect")
                    .with_flags(Flags::CLIENT_GONE)
            }
        }
    }
}

fn timed_out(expired: Expired) -> Reply {
    let status = StatusCode::GATEWAY_TIMEOUT;
    match expired {
        Expired::Total | Expired::Caller => {
            let reply = Reply::new(status, "response_timeout")
                .with_body("upstream request timeout")
                .with_flags(Flags::TIMEOUT);
            match expired {
                // DEADLINE_EXCEEDED: the caller's own limit.
                Expired::Caller => reply.with_grpc_status(4),
                _ => reply,
            }
        }
        Expired::Attempt => Reply::new(status, "upstream_per_try_timeout")
            .with_body("upstream request timeout")
            .with_flags(Flags::TIMEOUT),
        Expired::Idle(awaited) => Reply::new(late(awaited), "stream_idle_timeout")
            .with_body("stream timeout")
            .with_flags(Flags::IDLE),
        Expired::Stream(awaited) => Reply::new(late(awaited), "max_duration_timeout")
            .with_body("downstream duration timeout")
            .with_flags(Flags::CLIENT_MAX_DURATION)
            .with_grpc_status(4),
    }
}

/// Whose fault it is: the client's as long as its request is not complete.
fn late(awaited: Awaited) -> StatusCode {
    match awaited {
        Awaited::Client => StatusCode::REQUEST_TIMEOUT,
        Awaited::Host => StatusCode::GATEWAY_TIMEOUT,
    }
}
