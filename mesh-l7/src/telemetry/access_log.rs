//! Lines about requests.

mod format;
mod json;
mod operator;
mod part;
mod problem;
mod redaction;
mod sampling;
mod text;
mod time;
mod value;
mod writer;

use std::fmt;
use std::sync::Arc;

use mesh_core::clock::{SystemClock, WallClock};
use mesh_core::random::{Random, ThreadRandom};

pub use format::Format;
pub use problem::{BadFormat, FormatProblem, Surroundings};
pub use redaction::Redaction;
pub use sampling::Sampling;
pub use writer::{LogCounters, LogWriter};

use super::sink::{Needs, Sink};
use crate::record::Entry;
use value::Context;

/// A [`Sink`] that writes a line about each request, in a format of Envoy's.
///
/// Lines are put together where requests end, without allocation but for the queue's growth, and written
/// by a thread that nobody waits for ([`LogWriter`]).
///
/// ```
/// use std::time::Instant;
/// use mesh_l7::record::Entry;
/// use mesh_l7::telemetry::{AccessLog, Format, LogWriter, Sink, Surroundings};
///
/// let format = Format::text("%RESPONSE_CODE% %RESPONSE_FLAGS% %REQ(USER-AGENT)%\n", &Surroundings::default())?;
/// let (writer, _thread) = LogWriter::start(std::io::stdout(), 1)?;
/// let log = AccessLog::new(format, writer);
/// log.complete(&Entry::new(Instant::now())); // 0 - -
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AccessLog {
    format: Format,
    redaction: Redaction,
    sampling: Sampling,
    clock: Arc<dyn WallClock>,
    to: LogWriter,
}

impl AccessLog {
    /// Writes everything, with the default redaction.
    #[must_use]
    pub fn new(format: Format, to: LogWriter) -> Self {
        Self {
            format,
            redaction: Redaction::default(),
            sampling: Sampling::default(),
            clock: Arc::new(SystemClock),
            to,
        }
    }

    /// What must not be in lines.
    #[must_use]
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Which requests there are lines about.
    #[must_use]
    pub fn with_sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Where the time of day comes from.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn WallClock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Sink for AccessLog {
    fn needs(&self) -> Needs {
        self.format.needs()
    }

    fn complete(&self, entry: &Entry) {
        let status = entry.status.map_or(0, |status| status.as_u16());
        if !self.sampling.admits(status, ThreadRandom.next()) {
            return;
        }
        let ended = self.clock.now();
        let context = Context {
            entry,
            // The clock may have been set meanwhile; what counts is when the line is written.
            start: ended
                .checked_sub(entry.ended.unwrap_or_default())
                .unwrap_or(ended),
            redaction: &self.redaction,
        };
        self.to.line(|line| self.format.write(&context, line));
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("format", &self.format)
            .field("redaction", &self.redaction)
            .field("sampling", &self.sampling)
            .finish_non_exhaustive()
    }
}
