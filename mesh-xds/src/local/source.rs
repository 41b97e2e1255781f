//! A local file as a source of configuration: read, watched, and read again.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::store::MeshStore;

use super::config::{LocalConfig, MAX_BYTES};
use super::error::LocalError;
use super::file_state::{FileState, Stamp};
use super::parse::parse;

/// How often a file is looked at, unless set otherwise: 500 ms.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A local file that fills a [`MeshStore`] and keeps it up to date.
///
/// The file is looked at in intervals rather than through notifications of the kernel, so that
/// in-place writes, atomic renames and the symbolic links of Kubernetes volumes are all seen
/// alike. While the file is missing or wrong, the last good content stays in force.
#[derive(Debug)]
pub struct LocalSource {
    path: PathBuf,
    interval: Duration,
    store: Arc<MeshStore>,
    state: FileState,
}

/// What was taken over from a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// How many workloads the store has now.
    pub workloads: usize,
    /// How many services the store has now.
    pub services: usize,
}

impl LocalSource {
    /// A source that reads the file at `path` into `store`. Nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, store: Arc<MeshStore>) -> Self {
        Self {
            path: path.into(),
            interval: POLL_INTERVAL,
            store,
            state: FileState::default(),
        }
    }

    /// The time between two looks at the file; default [`POLL_INTERVAL`].
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Looks at the file once and takes its content over when it is new and right.
    ///
    /// `None` when there is nothing new since the last look. A file that is being written in place
    /// is taken over when two successive looks find it unchanged. Each new state is answered
    /// once, also a wrong one and a missing file; the store then keeps what it had.
    ///
    /// Blocks on the file system and on parsing.
    pub fn look(&mut self) -> Option<Result<Loaded, LocalError>> {
        let before = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) => return self.state.look(None).then(|| Err(self.unreadable(error))),
        };
        let stamp = Stamp::of(&before);
        if !self.state.look(Some(stamp)) {
            return None;
        }
        let (text, after) = match self.read(&before) {
            Ok(read) => read,
            Err(error) => return Some(Err(error)),
        };
        if after != stamp {
            self.state.unsettle();
            return None;
        }
        Some(parse(&text, &self.file_name()).map(|config| replace(&self.store, config)))
    }

    /// Keeps the store up to date until the future is dropped; `report` hears of every change.
    ///
    /// Reading and parsing happen on tokio's threads for blocking work.
    ///
    /// # Cancellation
    /// Dropping the future ends the watching. A look that is under way still completes.
    pub async fn watch(mut self, mut report: impl FnMut(Result<Loaded, LocalError>)) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let look = move || {
                let change = self.look();
                (self, change)
            };
            // An error means that the runtime shuts down: there is nothing left to watch for.
            let Ok((source, change)) = tokio::task::spawn_blocking(look).await else {
                return;
            };
            self = source;
            if let Some(change) = change {
                report(change);
            }
        }
    }

    /// The text, and the stamp of the file after it was read.
    fn read(&self, metadata: &Metadata) -> Result<(String, Stamp), LocalError> {
        // Before it is opened: opening a pipe would wait for a writer.
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "expected a regular file");
            return Err(self.unreadable(error));
        }
        if metadata.len() > MAX_BYTES {
            return Err(LocalError::TooLong {
                file: self.file_name(),
                bytes: metadata.len(),
            });
        }
        self.read_text().map_err(|error| self.unreadable(error))
    }

    fn read_text(&self) -> io::Result<(String, Stamp)> {
        let file = File::open(&self.path)?;
        let mut text = String::new();
        // One byte more than allowed, so that a file that has grown is refused by the parser.
        (&file)
            .take(MAX_BYTES.saturating_add(1))
            .read_to_string(&mut text)?;
        Ok((text, Stamp::of(&file.metadata()?)))
    }

    fn unreadable(&self, source: io::Error) -> LocalError {
        LocalError::Read {
            file: self.file_name(),
            source,
        }
    }

    fn file_name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Makes the store hold what a configuration says and nothing else.
///
/// For configuration that does not come from a file, such as text within the environment.
pub fn replace(store: &MeshStore, config: LocalConfig) -> Loaded {
    let loaded = Loaded {
        workloads: config.workloads.len(),
        services: config.services.len(),
    };
    store.replace_all(config.workloads, config.services);
    loaded
}

#[cfg(test)]
mod tests;
