//! What is known of one request: written by whoever handles it, read by metrics, logs and explanations.

mod flags;
mod head;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Extensions, StatusCode};
use mesh_core::model::Workload;
use mesh_core::name::Name;
use mesh_core::traceparent::TraceParent;
use parking_lot::Mutex;

use crate::downstream::Downstream;
use crate::route::Rule;
use crate::target::ServiceTarget;

pub use flags::Flags;
pub(crate) use head::size as head_size;
pub use head::{Captured, RequestHead, ResponseHead};

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
pub struct Record(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    entry: Entry,
    /// How many still have to do with the request.
    open: u32,
    observer: Option<Arc<dyn Observer>>,
}

/// Who is told that a record is complete.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Nothing more will come. Called once, where the last [`Open`] was dropped: quickly, and without
    /// touching the record itself.
    fn ended(&self, entry: &mut Entry);
}

/// Keeps a record from being complete, until it is dropped: somebody still has to do with the request,
/// such as one direction of it, or a tunnel that it has become.
#[derive(Debug)]
#[must_use = "a record is complete when none is left"]
pub struct Open(Record);

/// What a record says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// When the head of the request was there.
    pub start: Instant,
    /// The rule that the request met.
    pub rule: Option<Arc<Rule>>,
    /// The connection that the request came on.
    pub downstream: Option<Arc<Downstream>>,
    /// What the request's head said, where somebody wants to know.
    pub request: Option<RequestHead>,
    /// What the answer's head and trailers said, where somebody wants to know.
    pub response: ResponseHead,
    /// The trace that the request belongs to, and this proxy's place in it.
    pub trace: Option<TraceParent>,
    /// Where the request was to go.
    pub target: Option<ServiceTarget>,
    /// The host of the last attempt, by its key: its address as a rule.
    pub host: Option<Name>,
    /// The client's workload: that of the connection, or the one that has the client's address.
    pub source: Option<Arc<Workload>>,
    /// The workload of the last attempt's host; found by the host's address when nobody notes it.
    pub destination: Option<Arc<Workload>>,
    /// This end of the connection to the host.
    pub upstream_local: Option<SocketAddr>,
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
    /// Which policy denied the request, in Envoy's words: said in place of `detail`.
    pub denial: Option<Box<str>>,
    /// Why the last attempt failed, in words.
    pub failure: Option<Box<str>>,
    /// Why a connection was ended or refused, in words; Envoy's `CONNECTION_TERMINATION_DETAILS`.
    pub termination: Option<Box<str>>,
    /// From the start to the last byte of the request's body that was read.
    pub received: Option<Duration>,
    /// From the start to the first byte of the request that went to the last host.
    pub sent: Option<Duration>,
    /// From the start to the head of the upstream's answer.
    pub answered: Option<Duration>,
    /// From the start to the end of both directions.
    pub ended: Option<Duration>,
    /// Status of the answer; `None` when there was none.
    pub status: Option<StatusCode>,
    /// Whether the request is one of gRPC.
    pub grpc: bool,
    /// gRPC's status, of the head or the trailers.
    pub grpc_status: Option<u32>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// Messages of gRPC in the request.
    pub request_messages: u64,
    /// Messages of gRPC in the response.
    pub response_messages: u64,
}

impl Record {
    /// The record of a request whose head came at `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self(Arc::new(Mutex::new(State {
            entry: Entry::new(start),
            open: 0,
            observer: None,
        })))
    }

    /// That of a request or response.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Reads or writes it.
    pub fn note<R>(&self, note: impl FnOnce(&mut Entry) -> R) -> R {
        note(&mut self.0.lock().entry)
    }

    /// Keeps the record from being complete.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Instant;
    /// use mesh_l7::record::{Entry, Observer, Record};
    ///
    /// #[derive(Debug)]
    /// struct Print;
    /// impl Observer for Print {
    ///     fn ended(&self, entry: &mut Entry) {
    ///         println!("{} after {:?}", entry.response_bytes, entry.ended);
    ///     }
    /// }
    ///
    /// let record = Record::new(Instant::now());
    /// record.observe(Arc::new(Print));
    /// let (request, response) = (record.open(), record.open());
    /// drop(request);
    /// response.record().note(|entry| entry.response_bytes = 12);
    /// assert!(record.note(|entry| entry.ended).is_none());
    /// drop(response);
    /// assert!(record.note(|entry| entry.ended).is_some());
    /// ```
    pub fn open(&self) -> Open {
        let open = &mut self.0.lock().open;
        *open = open.saturating_add(1);
        Open(self.clone())
    }

    /// Says who is told when the record is complete; the last who asks.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.0.lock().observer = Some(observer);
    }
}

impl Open {
    /// The record.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.open = state.open.saturating_sub(1);
        if state.open > 0 {
            return;
        }
        let elapsed = state.entry.start.elapsed();
        state.entry.ended = Some(elapsed);
        if let Some(observer) = state.observer.take() {
            observer.ended(&mut state.entry);
        }
    }
}

impl Entry {
    /// Of a request whose head came at `start`, nothing else is known.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            rule: None,
            downstream: None,
            request: None,
            response: ResponseHead::default(),
            trace: None,
            target: None,
            host: None,
            source: None,
            destination: None,
            upstream_local: None,
            attempts: 0,
            retries: 0,
            not_retried: None,
            flags: Flags::NONE,
            detail: "",
            denial: None,
            failure: None,
            termination: None,
            received: None,
            sent: None,
            answered: None,
            ended: None,
            status: None,
            grpc: false,
            grpc_status: None,
            request_bytes: 0,
            response_bytes: 0,
            request_messages: 0,
            response_messages: 0,
        }
    }
}
