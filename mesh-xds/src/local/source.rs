//! A local file as a source of configuration: read, watched, and read again.

use std::io;
use std::path::PathBuf;
use std::string::FromUtf8Error;
use std::sync::Arc;
use std::time::Duration;

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;

use super::config::{Loaded, LocalConfig, MAX_BYTES};
use super::error::LocalError;
use super::merge::Merger;
use super::parse::parse;
use crate::watched_file::{FileError, WatchedFile};

/// How often a file is looked at, unless set otherwise: 500 ms.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A local file that fills a [`MeshStore`] and keeps it up to date.
///
/// The file is looked at in intervals rather than through notifications of the kernel, so that
/// in-place writes, atomic renames and the symbolic links of Kubernetes volumes are all seen
/// alike. While the file is missing or wrong, the last good content stays in force.
#[derive(Debug)]
pub struct LocalSource {
    file: WatchedFile,
    interval: Duration,
    store: Arc<MeshStore>,
    policies: Option<Arc<PolicyStore>>,
    merger: Option<Merger>,
}

impl LocalSource {
    /// A source that reads the file at `path` into `store`. Nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, store: Arc<MeshStore>) -> Self {
        Self {
            file: WatchedFile::new(path, MAX_BYTES),
            interval: POLL_INTERVAL,
            store,
            policies: None,
            merger: None,
        }
    }

    /// Shares the stores with other sources: only what came from the file is removed when the
    /// file does not have it any more, and what others remove of it through [`Beside`](super::Beside)
    /// is put back, as the [`Merger`] does it. Default: the stores hold what the file says and nothing
    /// else.
    #[must_use]
    pub fn beside_others(self, merger: &Merger) -> Self {
        let merger = Some(merger.clone());
        Self { merger, ..self }
    }

    /// Where policies go. Default: nowhere, so that a file with policies is refused.
    #[must_use]
    pub fn policies(self, policies: Arc<PolicyStore>) -> Self {
        let policies = Some(policies);
        Self { policies, ..self }
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
        let content = self.file.look()?;
        Some(self.take(content))
    }

    /// Looks at the file for the first time, and again for a second at most while it is being written.
    ///
    /// Blocks on the file system and on parsing.
    ///
    /// # Errors
    /// [`LocalError`] when there is no content, or no right one; the store is as it was.
    pub fn first_look(&mut self) -> Result<Loaded, LocalError> {
        let content = self.file.first_look();
        self.take(content)
    }

    fn take(&mut self, content: Result<Vec<u8>, FileError>) -> Result<Loaded, LocalError> {
        let name = self.file_name();
        let text = String::from_utf8(content?).map_err(|error| self.not_text(&error))?;
        let config = parse(&text, &name)?;
        let policies = self.policies.as_deref();
        match &self.merger {
            Some(merger) => merger.merge(&self.store, policies, config, &name),
            None => replace(&self.store, policies, config, &name),
        }
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

    fn not_text(&self, error: &FromUtf8Error) -> LocalError {
        LocalError::Read {
            file: self.file_name(),
            source: io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
        }
    }

    fn file_name(&self) -> String {
        self.file.path().display().to_string()
    }
}

/// Makes the stores hold what a configuration says and nothing else; `file_name` is what errors call it.
///
/// For configuration that does not come from a file, such as text within the environment. Policies
/// take effect before what they are about.
///
/// # Errors
/// [`LocalError::Policies`] when there are policies and no store for them. Nothing is taken over then.
pub fn replace(
    mesh: &MeshStore,
    policies: Option<&PolicyStore>,
    config: LocalConfig,
    file_name: &str,
) -> Result<Loaded, LocalError> {
    let loaded = Loaded {
        workloads: config.workloads.len(),
        services: config.services.len(),
        policies: config.policies.len(),
    };
    match policies {
        Some(policies) => {
            // None is rejected: each was checked when the configuration was made.
            let _ = policies.replace_all(config.policies);
        }
        None if config.policies.is_empty() => {}
        None => {
            let file = file_name.to_owned();
            return Err(LocalError::Policies { file });
        }
    }
    mesh.replace_all(config.workloads, config.services);
    Ok(loaded)
}

#[cfg(test)]
mod tests;
