//! The log: formatted by whoever logs, written by a thread of its own, never waited for.

mod filter;
mod format;
mod line;
mod writer;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::SystemTime;

use parking_lot::RwLock;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, SetGlobalDefaultError};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter as LayerFilter, Layer, SubscriberExt};

pub use filter::{BadFilter, Filter};
pub use format::LogFormat;
pub use line::Chain;
use writer::LineSink;
pub use writer::LogCounters;

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("cannot start the thread that writes the log")]
    /// The thread that writes cannot start.
    Thread(#[source] io::Error),
    #[error("a log is already set up")]
    /// The process has a log already.
    Twice(#[from] SetGlobalDefaultError),
}

/// The handle of the log: its level, its counters, and writing what is left at the end.
#[derive(Clone, Debug)]
pub struct Log {
    sink: LineSink,
    filter: SharedFilter,
    at_start: Filter,
}

impl Log {
    /// Sets up the log of the process on standard output.
    ///
    /// # Errors
    /// [`StartError`] when the writing thread cannot start or a log is set up already.
    pub fn start(format: LogFormat, filter: Filter) -> Result<Self, StartError> {
        let (sink, _thread): (_, JoinHandle<()>) =
            LineSink::start(io::stdout()).map_err(StartError::Thread)?;
        let shared = SharedFilter(Arc::new(RwLock::new(filter.clone())));
        let layer = LineLayer {
            format,
            sink: sink.clone(),
        };
        let layer = layer.with_filter(shared.clone());
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))?;
        Ok(Self {
            sink,
            filter: shared,
            at_start: filter,
        })
    }

    /// What is logged now.
    pub fn filter(&self) -> Filter {
        self.filter.0.read().clone()
    }

    /// Changes what is logged: first back to the start-up filter when `reset`, then `text` over it.
    ///
    /// # Errors
    /// [`BadFilter`]; nothing has changed then.
    pub fn change(&self, reset: bool, text: &str) -> Result<(), BadFilter> {
        let base = if reset {
            self.at_start.clone()
        } else {
            self.filter()
        };
        let new = base.with(text)?;
        *self.filter.0.write() = new;
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// What went wrong with the log so far.
    pub fn counters(&self) -> Arc<LogCounters> {
        self.sink.counters().clone()
    }

    /// Waits until all lines so far are written.
    pub fn flush(&self) {
        self.sink.flush();
    }
}

struct LineLayer {
    format: LogFormat,
    sink: LineSink,
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = String::with_capacity(512);
        line::write(self.format, event, SystemTime::now(), &mut line);
        self.sink.send(line);
    }
}

/// A filter that can be changed; consulted once per place in the code until it changes.
#[derive(Clone, Debug)]
struct SharedFilter(Arc<RwLock<Filter>>);

impl<S> LayerFilter<S> for SharedFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.read().enables(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.read().enables(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.read().most_verbose())
    }
}
