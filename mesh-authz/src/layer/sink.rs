//! Where counters and audit records go.

use std::fmt;

use http::request::Parts;

use super::audit::AuditRecord;
use super::counter::Counter;
use super::refusal::Refusal;

/// Takes counters and audit records of layers. It is called while a request waits: it must not block.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Counts one event.
    fn count(&self, counter: &Counter);

    /// Takes note of a request that a layer answers itself, and no policy denied. Default: nothing.
    fn refused(&self, request: &Parts, why: &Refusal) {
        let _ = (request, why);
    }

    /// Records a request that was denied, or that an AUDIT policy wants to be recorded.
    fn audit(&self, record: &AuditRecord);
}

/// Takes nothing.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to configure")]
pub struct NoSink;

impl Sink for NoSink {
    fn count(&self, _: &Counter) {}

    fn audit(&self, _: &AuditRecord) {}
}
