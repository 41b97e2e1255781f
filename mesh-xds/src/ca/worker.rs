//! The task that fetches.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::clock::WallClock;
use mesh_core::credential::{CertificateError, Credential};
use mesh_core::identity::SpiffeId;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::client::Client;
use super::entries::{Entries, Entry};
use super::schedule::{Now, Schedule};
use super::{CaError, SigningRequest};
use crate::renewal::{self, MAX_SLEEP};

/// How often the file of roots is looked at.
const ROOTS_INTERVAL: Duration = Duration::from_secs(10);

/// The time over which certificates are renewed after the roots have changed, so that a mesh does
/// not ask its authority all at once.
const ROOTS_SPREAD: Duration = Duration::from_secs(300);

/// Fetches and renews certificates for a [`CaSource`](super::CaSource).
///
/// [`run`](Self::run) must be driven for as long as certificates are wanted. When the worker is
/// dropped, those who wait get an error, certificates that are good are served until they expire,
/// and watches close.
#[must_use = "without its worker, a source fetches nothing"]
pub struct CaWorker {
    entries: Arc<Entries>,
    client: Arc<Client>,
    schedule: Schedule,
    clock: Arc<dyn WallClock>,
    identities: HashMap<SpiffeId, Known>,
    fetches: JoinSet<Result<Credential, CaError>>,
    /// How often the client had been rebuilt when its certificates were last renewed for that.
    rebuilt: u64,
}

/// What the worker remembers of an identity.
struct Known {
    entry: Arc<Entry>,
    fetch: Option<AbortHandle>,
    /// The last failure since the last success.
    error: Option<CertificateError>,
}

/// How a fetch ended, and which one.
type Fetched = Result<(Id, Result<Credential, CaError>), JoinError>;

impl CaWorker {
    pub(super) fn new(
        entries: Arc<Entries>,
        client: Arc<Client>,
        schedule: Schedule,
        clock: Arc<dyn WallClock>,
    ) -> Self {
        Self {
            entries,
            client,
            schedule,
            clock,
            identities: HashMap::new(),
            fetches: JoinSet::new(),
            rebuilt: 0,
        }
    }

    /// Fetches and renews, for ever. The fetches are tasks of the runtime that this runs on.
    ///
    /// # Cancellation
    /// Dropping the future ends the fetches, as dropping the worker does.
    pub async fn run(mut self) {
        let client = self.client.clone();
        let roots = async move {
            loop {
                tokio::time::sleep(ROOTS_INTERVAL).await;
                client.check_roots().await;
            }
        };
        let mut roots = std::pin::pin!(roots);
        loop {
            self.look();
            let wait = self.schedule.wait(self.now()).unwrap_or(MAX_SLEEP);
            tokio::select! {
                Some(fetched) = self.fetches.join_next_with_id() => self.fetched(fetched),
                () = self.entries.touched() => {}
                () = tokio::time::sleep(wait.min(MAX_SLEEP)) => {}
                () = &mut roots => {}
            }
        }
    }

    fn now(&self) -> Now {
        Now {
            wall: self.clock.now(),
            monotonic: Instant::now(),
        }
    }

    /// Takes over what was asked for, and starts what is due.
    fn look(&mut self) {
        let now = self.now();
        let touched = self.entries.take_touched();
        for id in &touched {
            match self.entries.get(id) {
                Some(entry) => self.want(id, entry, now.wall),
                None => self.forget(id),
            }
        }
        let rebuilt = self.client.rebuilt();
        if std::mem::replace(&mut self.rebuilt, rebuilt) != rebuilt {
            self.schedule.renew_within(ROOTS_SPREAD, now);
        }
        while let Some(id) = self.schedule.start(now) {
            self.start(&id);
        }
        for id in &touched {
            self.answer(id, now.wall);
        }
    }

    fn want(&mut self, id: &SpiffeId, entry: Arc<Entry>, now: SystemTime) {
        if self
            .identities
            .get(id)
            .is_some_and(|known| !Arc::ptr_eq(&known.entry, &entry))
        {
            self.forget(id);
        }
        self.identities.entry(id.clone()).or_insert_with(|| Known {
            entry: entry.clone(),
            fetch: None,
            error: None,
        });
        let good = entry.state().good_at(now).is_some();
        self.schedule.want(id, entry.take_wanted(), good);
    }

    /// Tells those who wait for a fetch that is not due why the last one failed.
    fn answer(&self, id: &SpiffeId, now: SystemTime) {
        if let Some(known) = self.identities.get(id)
            && known.fetch.is_none()
            && known.entry.state().good_at(now).is_none()
            && let Some(error) = &known.error
        {
            known.entry.fail(error.clone());
        }
    }

    fn forget(&mut self, id: &SpiffeId) {
        self.schedule.forget(id);
        if let Some(fetch) = self.identities.remove(id).and_then(|known| known.fetch) {
            fetch.abort();
        }
    }

    fn start(&mut self, id: &SpiffeId) {
        let (client, clock, target) = (self.client.clone(), self.clock.clone(), id.clone());
        let fetch = self
            .fetches
            .spawn(async move { fetch(&client, &*clock, &target).await });
        if let Some(known) = self.identities.get_mut(id) {
            known.fetch = Some(fetch);
        }
    }

    fn fetched(&mut self, fetched: Fetched) {
        let (task, result) = match fetched {
            Ok((task, result)) => (task, result),
            Err(error) => (error.id(), Err(CaError::Lost)),
        };
        let of_task = |known: &Known| known.fetch.as_ref().is_some_and(|fetch| fetch.id() == task);
        // None: it was forgotten meanwhile.
        let Some((id, known)) = self.identities.iter_mut().find(|(_, known)| of_task(known)) else {
            return;
        };
        known.fetch = None;
        let now = Now {
            wall: self.clock.now(),
            monotonic: Instant::now(),
        };
        match result {
            Ok(credential) => {
                known.error = None;
                let renew_at = renewal::renew_at(&credential, now.wall, self.schedule.random());
                debug!(%id, serial = credential.serial(), "certificate issued");
                self.schedule.succeeded(id, renew_at, now);
                known.entry.publish(&Arc::new(credential));
            }
            Err(error) => {
                warn!(%id, error = &error as &dyn Error, "no certificate, trying again");
                let error = error.of(id);
                let state = known.entry.state();
                let good_until = state.good_at(now.wall).map(|good| good.not_after());
                self.schedule.failed(id, good_until, now);
                if good_until.is_none() {
                    known.entry.fail(error.clone());
                }
                known.error = Some(error);
            }
        }
    }
}

async fn fetch(
    client: &Client,
    clock: &dyn WallClock,
    id: &SpiffeId,
) -> Result<Credential, CaError> {
    let request = SigningRequest::new(id)?;
    let chain = client.sign(id, request.pem()).await?;
    request.credential(&chain, clock.now())
}

impl Drop for CaWorker {
    fn drop(&mut self) {
        self.entries.stop(self.clock.now());
    }
}

impl std::fmt::Debug for CaWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaWorker")
            .field("client", &self.client)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}
