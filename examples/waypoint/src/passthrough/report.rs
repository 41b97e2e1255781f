//! What is told about one connection: metrics and a line of the access log.

use std::error::Error;
use std::time::Instant;

use mesh_core::lb::Host;
use mesh_core::outcome::Outcome;
use mesh_core::telemetry::{Closed, Connection, Direction, Event, Security, Telemetry};
use mesh_hbone::copy::Meter;
use mesh_l7::mesh::Endpoint;
use mesh_l7::record::{Entry, Flags};
use mesh_l7::route::InvalidBackend;
use mesh_l7::target::ServiceTarget;
use mesh_l7::tcp::NotConnected;
use mesh_l7::telemetry::{Sink, Workloads};

use super::arrived::{Arrived, Told};
use super::limits::Stopped;
use crate::stream::Stream;

/// What is told about one connection. When it is dropped before its end, the connection was cut by a
/// drain.
pub(super) struct Report {
    told: Told,
    entry: Entry,
    connection: Box<Connection>,
    meter: Meter,
    /// Bytes that were read before the meter counted.
    first: u64,
    state: State,
}

/// Why rules send a connection nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unrouted {
    #[error("no rule is met")]
    NoRule,
    #[error("the rule has no destination")]
    NoBackend,
    #[error(transparent)]
    Invalid(InvalidBackend),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Its host is not known, or never will be.
    Arrived,
    Opened,
    Closed,
}

impl Report {
    pub(super) fn new(told: &Told, arrived: &Arrived) -> Self {
        let downstream = &arrived.downstream;
        let source = told.workloads.workload(downstream.source.ip());
        let source = downstream.workload.clone().or(source);
        let mut connection = Connection::new(
            Direction::Inbound,
            downstream.source,
            downstream.destination,
        );
        connection.security = Security::MutualTls;
        connection.source = source.clone();
        connection.source_baggage = downstream.baggage.clone();
        connection.source_identity = downstream.identity.clone();
        connection.service = arrived.service.clone();
        let mut entry = Entry::new(Instant::now());
        entry.downstream = Some(downstream.clone());
        entry.target = Some(arrived.target.clone());
        entry.source = source;
        Self {
            told: told.clone(),
            entry,
            connection: Box::new(connection),
            meter: Meter::default(),
            first: 0,
            state: State::Arrived,
        }
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Takes note of bytes of the client that the meter does not see.
    pub(super) fn counts_first(&mut self, bytes: usize) {
        self.first = u64::try_from(bytes).unwrap_or(u64::MAX);
        if let Some(traffic) = self.told.metrics.traffic(&self.connection) {
            traffic.add_received(self.first);
        }
    }

    /// The upstream is this one.
    pub(super) fn goes_to(&mut self, target: &ServiceTarget) {
        self.entry.target = Some(target.clone());
    }

    /// Rules send it nowhere.
    pub(super) fn unrouted(mut self, why: Unrouted) {
        let flags = match why {
            Unrouted::NoRule => Flags::NO_ROUTE,
            Unrouted::NoBackend | Unrouted::Invalid(_) => Flags::NO_CLUSTER,
        };
        self.entry.termination = Some(why.to_string().into());
        self.finish(Outcome::Unresolved, flags, None);
    }

    pub(super) fn connected(&mut self, host: &Host<Endpoint>, attempts: u32, stream: &Stream) {
        self.host(host, attempts);
        self.entry.upstream_local = stream.local_addr();
        let connected = self.entry.start.elapsed();
        self.entry.sent = Some(connected);
        self.opened();
    }

    pub(super) fn not_connected(&mut self, failed: NotConnected<Endpoint>) {
        if let Some(host) = &failed.host {
            self.host(host, failed.attempts);
        }
        let (outcome, flags) = (failed.reason.outcome(), failed.reason.flags());
        self.entry.failure = Some(in_words(&failed.reason));
        tracing::debug!(error = &failed as &dyn Error, "endpoint not reached");
        self.finish(outcome, flags, None);
    }

    /// Policies refuse it, for this reason.
    pub(super) fn denied(mut self, reason: String) {
        self.entry.termination = Some(reason.into());
        self.finish(Outcome::PolicyDenied, Flags::NONE, None);
    }

    /// Policies do not allow it any more, for this reason.
    pub(super) fn withdrawn(mut self, reason: &str) {
        self.entry.termination = Some(format!("policy_change:{reason}").into());
        self.finish(Outcome::PolicyRevoked, Flags::NONE, None);
    }

    pub(super) fn stopped(mut self, stopped: Stopped) {
        let (flags, words) = match stopped {
            Stopped::Idle => (Flags::IDLE, "idle_timeout"),
            Stopped::TooLong => (Flags::CLIENT_MAX_DURATION, "max_connection_duration"),
        };
        self.entry.termination = Some(words.into());
        self.finish(Outcome::Completed, flags, None);
    }

    pub(super) fn ended(
        mut self,
        outcome: Outcome,
        flags: Flags,
        error: Option<&(dyn Error + 'static)>,
    ) {
        if let Some(error) = error {
            tracing::debug!(error, "connection ended early");
        }
        self.finish(outcome, flags, None);
    }

    fn host(&mut self, host: &Host<Endpoint>, attempts: u32) {
        let endpoint = host.target();
        self.entry.host = Some(host.spec().key.clone());
        self.entry.attempts = attempts;
        self.entry.retries = attempts.saturating_sub(1);
        self.entry.destination = Some(endpoint.workload.clone());
        self.connection.destination = Some(endpoint.workload.clone());
    }

    fn opened(&mut self) {
        self.state = State::Opened;
        let metrics = &self.told.metrics;
        metrics.record(&Event::Opened(&self.connection));
        self.meter = Meter::new(metrics.traffic(&self.connection));
    }

    fn finish(&mut self, outcome: Outcome, flags: Flags, termination: Option<&str>) {
        if self.state == State::Arrived {
            self.opened();
        }
        self.state = State::Closed;
        let received = self.meter.to_server().saturating_add(self.first);
        let sent = self.meter.to_client();
        let duration = self.entry.start.elapsed();
        let closed = Closed::new(outcome, received, sent, duration);
        self.told
            .metrics
            .record(&Event::Closed(&self.connection, closed));
        let entry = &mut self.entry;
        entry.flags = entry.flags.and(flags);
        entry.request_bytes = received;
        entry.response_bytes = sent;
        entry.ended = Some(duration);
        if let Some(words) = termination {
            entry.termination = Some(words.into());
        }
        if let Some(log) = &self.told.log {
            log.complete(entry);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.state != State::Closed {
            self.finish(Outcome::Drained, Flags::LOCAL_RESET, Some("drained"));
        }
    }
}

/// An error and what it came of.
fn in_words(error: &dyn Error) -> Box<str> {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words.into()
}
