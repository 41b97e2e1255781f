//! What is known of one request: written by whoever handles it, read by metrics, logs and explanations.

mod flags;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Extensions, StatusCode};
use mesh_core::name::Name;
use parking_lot::Mutex;

use crate::route::Rule;
use crate::target::ServiceTarget;

pub use flags::Flags;

/// The record of one request. Clones are the same record; it travels with the request and its response in
/// their extensions.
///
/// ```
/// use std::time::Instant;
/// use mesh_l7::record::{Flags, Record};
///
/// let record = Record::new(Instant::now());
/// record.note(|entry| {
///     entry.flags = entry.flags.and(Flags::NO_ROUTE);
///     entry.detail = "route_not_found";
/// });
/// assert_eq!(record.note(|entry| entry.flags.to_string()), "NR");
/// ```
#[derive(Clone, Debug)]
pub struct Record(Arc<Mutex<Entry>>);

/// What a record says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// When the head of the request was there.
    pub start: Instant,
    /// The rule that the request met.
    pub rule: Option<Arc<Rule>>,
    /// Where the request was to go.
    pub target: Option<ServiceTarget>,
    /// The host of the last attempt, by its key: its address as a rule.
    pub host: Option<Name>,
    /// How often it was sent to a host.
    pub attempts: u32,
    /// How often it was sent again.
    pub retries: u32,
    /// Why it was not sent again although its rule would have it: `retries_exhausted`, `retry_overflow`,
    /// `body_too_large` or `no_time_left`.
    pub not_retried: Option<&'static str>,
    /// What went wrong.
    pub flags: Flags,
    /// What the answer came of, such as `via_upstream`; Envoy's `RESPONSE_CODE_DETAILS`.
    pub detail: &'static str,
    /// Why the last attempt failed, in words.
    pub failure: Option<Box<str>>,
    /// From the start to the first byte of the request that went to the last host.
    pub sent: Option<Duration>,
    /// From the start to the head of the upstream's answer.
    pub answered: Option<Duration>,
    /// From the start to the end of both directions.
    pub ended: Option<Duration>,
    /// Status of the answer; `None` when there was none.
    pub status: Option<StatusCode>,
    /// gRPC's status, of the head or the trailers.
    pub grpc_status: Option<u32>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
}

impl Record {
    /// The record of a request whose head came at `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self(Arc::new(Mutex::new(Entry {
            start,
            rule: None,
            target: None,
            host: None,
            attempts: 0,
            retries: 0,
            not_retried: None,
            flags: Flags::NONE,
            detail: "",
            failure: None,
            sent: None,
            answered: None,
            ended: None,
            status: None,
            grpc_status: None,
            request_bytes: 0,
            response_bytes: 0,
        })))
    }

    /// That of a request or response.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Reads or writes it.
    pub fn note<R>(&self, note: impl FnOnce(&mut Entry) -> R) -> R {
        note(&mut self.0.lock())
    }
}
