//! Where counters and audit records go.

use std::fmt;

use super::audit::AuditRecord;
use super::counter::Counter;

/// Takes counters and audit records of layers. It is called while a request waits: it must not block.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Counts one event.
    fn count(&self, counter: &Counter);

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
