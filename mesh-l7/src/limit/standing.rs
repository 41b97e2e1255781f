//! How much is left of a bucket, as responses say it.

use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};
use mesh_core::limits::TokenBucket;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How much is left of a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    limit: u32,
    remaining: u32,
    reset: Duration,
}

impl Standing {
    pub(super) fn of(bucket: &TokenBucket, now: Instant) -> Self {
        Self {
            limit: bucket.settings().max_tokens(),
            remaining: bucket.remaining(now),
            reset: bucket.until_fill(now),
        }
    }

    /// The one of the bucket with the least left.
    pub(super) fn tighter(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.remaining < self.remaining => other,
            _ => self,
        }
    }

    /// Says it in headers, in place of what is there.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, self.limit.into());
        headers.insert(REMAINING, self.remaining.into());
        headers.insert(RESET, self.seconds().into());
    }

    /// Says in the headers of a refusal when it may be tried again, too (RFC 6585 §4).
    pub(super) fn write_refusal(self, headers: &mut HeaderMap) {
        self.write(headers);
        headers.insert(RETRY_AFTER, self.seconds().into());
    }

    /// Who waits for this long finds a token.
    fn seconds(self) -> u64 {
        self.reset.as_secs() + u64::from(self.reset.subsec_nanos() > 0)
    }
}
