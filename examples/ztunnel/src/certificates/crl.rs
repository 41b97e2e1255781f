//! The file of certificate revocation lists, followed as it changes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::credential::{InvalidCredential, RevocationLists};
use mesh_core::watch::{self, Publisher};
use mesh_xds::watched_file::{FileError, WatchedFile};

use crate::telemetry::Metrics;

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// Time between two looks at the file.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why a file has no revocation lists.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CrlError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{file} has no revocation lists")]
    Lists {
        file: String,
        #[source]
        source: InvalidCredential,
    },
}

/// A file of revocation lists.
#[derive(Debug)]
pub(super) struct CrlFile(WatchedFile);

impl CrlFile {
    /// Reads the file. One that is not there yet revokes nothing; one that is wrong is an error, since
    /// going on would trust what is revoked.
    pub(super) fn open(path: &Path) -> Result<(Self, Publisher<RevocationLists>), CrlError> {
        let mut file = Self(WatchedFile::new(path, MAX_BYTES));
        let lists = match file.first_look() {
            Err(CrlError::File(error)) if error.is_missing() => {
                tracing::warn!(
                    path = %path.display(),
                    "CRL_PATH is not there: nothing is revoked until it is"
                );
                RevocationLists::default()
            }
            lists => {
                let lists = lists?;
                tracing::info!(lists = lists.len(), "revocation lists loaded");
                lists
            }
        };
        Ok((file, watch::channel(lists).0))
    }

    /// Publishes the lists whenever they change, until the process ends. A file that is gone or
    /// wrong leaves the last good lists in force.
    pub(super) async fn watch(
        mut self,
        publisher: Publisher<RevocationLists>,
        metrics: Arc<Metrics>,
    ) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let look = move || {
                let change = self.look();
                (self, change)
            };
            // An error means that the runtime shuts down.
            let Ok((file, change)) = tokio::task::spawn_blocking(look).await else {
                return;
            };
            self = file;
            let Some(change) = change else { continue };
            metrics.count_crl_reload(change.is_ok());
            match change {
                Ok(lists) => {
                    tracing::info!(lists = lists.len(), "revocation lists loaded");
                    publisher.publish(lists);
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "revocation lists not reloaded, the last good ones stay in force"
                    );
                }
            }
        }
    }

    fn look(&mut self) -> Option<Result<RevocationLists, CrlError>> {
        let content = self.0.look()?;
        Some(self.lists(content))
    }

    /// What the file has when the process starts, however busily it is being written.
    fn first_look(&mut self) -> Result<RevocationLists, CrlError> {
        let content = self.0.first_look();
        self.lists(content)
    }

    fn lists(&self, content: Result<Vec<u8>, FileError>) -> Result<RevocationLists, CrlError> {
        let lists = RevocationLists::from_file(&content?);
        lists.map_err(|source| CrlError::Lists {
            file: self.0.path().display().to_string(),
            source,
        })
    }
}
