//! A directory of manifests as a source of configuration: read, watched, and read again.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;

use super::catalog::{Catalog, Kinds};
use super::directory::{Change, Directory};
use super::document::Labels;
use super::inventory::Inventory;
use super::mesh::{self, Mesh, MeshOptions};
use super::policies::NodePolicies;
use super::problem::Problem;
#[cfg(feature = "routes")]
use super::routes::{self, RouteOptions, Routing};
use super::status::Status;
use crate::local::{Loaded, LocalConfig, Merger};
use crate::place::Place;

/// How often a directory is looked at, unless set otherwise: 50 ms, and less often as far as a
/// look takes more than a twentieth of that.
pub const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The share of the time that looks may take.
const LEAST_IDLE: u32 = 20;
/// Looks at a directory that must be had, and the time between them.
const FIRST_LOOKS: u32 = 50;
const FIRST_INTERVAL: Duration = Duration::from_millis(20);

/// A directory of manifests that fills a [`MeshStore`] and keeps it up to date.
///
/// All changes that one look finds take effect together. Other sources may fill the same stores:
/// what is theirs stays as it is, as a [`Merger`] has it.
#[derive(Debug)]
pub struct ManifestSource {
    directory: Directory,
    interval: Duration,
    options: MeshOptions,
    catalog: Catalog,
    inventory: Arc<Inventory>,
    store: Arc<MeshStore>,
    policies: Option<Arc<PolicyStore>>,
    merger: Merger,
    #[cfg(feature = "routes")]
    routes: Option<RouteOptions>,
    #[cfg(feature = "routes")]
    routing: Option<Arc<Routing>>,
    unreadable: Option<Problem>,
    told: HashSet<Problem>,
    loaded: Loaded,
}

/// What a look found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What is in force now.
    pub loaded: Loaded,
    /// Why files and objects are not in force as they are written: those that the last report did
    /// not have.
    pub rejected: Vec<Problem>,
    /// What else is worth knowing: those that the last report did not have.
    pub notes: Vec<Problem>,
    /// What became of each object.
    pub statuses: Vec<Status>,
    /// The objects that are in force.
    pub inventory: Arc<Inventory>,
    /// Their routes, where those are wanted ([`ManifestSource::routes`]).
    #[cfg(feature = "routes")]
    pub routing: Option<Arc<Routing>>,
}

impl ManifestSource {
    /// A source that reads the directory at `path` into `store`. Nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, options: MeshOptions, store: Arc<MeshStore>) -> Self {
        Self {
            directory: Directory::new(path),
            interval: POLL_INTERVAL,
            catalog: Catalog::with_settings(options.policies.clone()),
            options,
            inventory: Arc::default(),
            store,
            policies: None,
            merger: Merger::default(),
            #[cfg(feature = "routes")]
            routes: None,
            #[cfg(feature = "routes")]
            routing: None,
            unreadable: None,
            told: HashSet::new(),
            loaded: Loaded::default(),
        }
    }

    /// Where the policies of a node proxy go. Default: nowhere; whoever enforces them otherwise
    /// finds them in the [`inventory`](Self::inventory).
    #[must_use]
    pub fn policies(self, policies: Arc<PolicyStore>) -> Self {
        let policies = Some(policies);
        Self { policies, ..self }
    }

    /// Shares the stores with other sources that fill them through the same `merger`
    /// ([`Beside`](crate::local::Beside)). Default: what others have put there stays as it is.
    #[must_use]
    pub fn beside_others(self, merger: &Merger) -> Self {
        let merger = merger.clone();
        Self { merger, ..self }
    }

    /// Makes routes and settings of upstreams too; each [`Report`] has them. Default: not.
    #[cfg(feature = "routes")]
    #[must_use]
    pub fn routes(self, options: RouteOptions) -> Self {
        let routes = Some(options);
        Self { routes, ..self }
    }

    /// Reads further kinds.
    #[must_use]
    pub fn kinds(mut self, kinds: Arc<dyn Kinds>) -> Self {
        self.catalog = self.catalog.with_kinds(kinds);
        self
    }

    /// The time between two looks at the directory; default [`POLL_INTERVAL`].
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// The objects that are in force.
    #[must_use]
    pub fn inventory(&self) -> &Arc<Inventory> {
        &self.inventory
    }

    /// Looks at the directory once and takes over what is new.
    ///
    /// `None` when there is nothing new since the last look. A file that is being written in place
    /// is taken over when two successive looks find it unchanged, and a file is gone when two do
    /// not find it. What is wrong keeps what was there before.
    ///
    /// Blocks on the file system and on parsing.
    pub fn look(&mut self) -> Option<Report> {
        let changes = match self.directory.look() {
            Ok(changes) => changes,
            Err(error) => return self.unreadable(&error),
        };
        let back = self.unreadable.take().is_some();
        if changes.is_empty() && !back {
            return None;
        }
        for (file, change) in changes {
            self.take(&file, change);
        }
        Some(self.settle())
    }

    /// Looks at the directory for the first time, and again for a second at most while files are
    /// being written.
    ///
    /// Blocks on the file system and on parsing.
    ///
    /// # Errors
    /// [`Problem`] when the directory cannot be read, or when a file or a policy in it is wrong: a policy that
    /// is not known is not enforced, and there is no earlier version to stay with.
    pub fn first_look(&mut self) -> Result<Report, Problem> {
        let mut report = None;
        for _ in 0..FIRST_LOOKS {
            match self.look() {
                Some(found) => report = Some(found),
                None if report.is_some() => break,
                None => {}
            }
            if report.is_some() && self.unreadable.is_none() && self.blocking().is_none() {
                break;
            }
            std::thread::sleep(FIRST_INTERVAL);
        }
        if let Some(problem) = self.unreadable.clone().or_else(|| self.blocking()) {
            return Err(problem);
        }
        // An empty directory has nothing to report.
        Ok(report.unwrap_or_else(|| self.settle()))
    }

    /// What must be right before there is anything in force.
    fn blocking(&self) -> Option<Problem> {
        let mut files = self.catalog.file_problems().into_iter();
        let policy = || self.catalog.rejected(super::kind::is_security);
        files.next().or_else(policy)
    }

    fn take(&mut self, file: &str, change: Change) {
        let problem = match change {
            Change::Gone => return self.catalog.remove_file(file),
            Change::Unreadable(error) => {
                let source = std::error::Error::source(&error);
                source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
            }
            Change::Content(content) => match String::from_utf8(content) {
                Ok(text) => return self.catalog.set_file(file, &text),
                Err(error) => format!("expected UTF-8: {error}"),
            },
        };
        self.catalog
            .fail_file(file, Problem::new(Place::file(file), problem));
    }

    fn unreadable(&mut self, error: &io::Error) -> Option<Report> {
        let place = Place::file(self.directory.path().display().to_string());
        let problem = Problem::new(place, format!("cannot read the directory: {error}"));
        if self.unreadable.as_ref() == Some(&problem) {
            return None;
        }
        self.unreadable = Some(problem);
        Some(self.report(Vec::new()))
    }

    /// Makes the stores hold what the objects say.
    fn settle(&mut self) -> Report {
        self.catalog.settle();
        let inventory = self.catalog.inventory();
        let node = NodePolicies::new(&inventory, &self.options.policies);
        let of = |namespace: &str, labels: &Labels| match self.policies {
            Some(_) => node.of(namespace, labels),
            None => Vec::new(),
        };
        let mesh = mesh::build(&inventory, &self.options, &of);
        #[cfg(feature = "routes")]
        let routing = self.routes.as_ref().map(|options| {
            let none = Routing::default();
            let earlier = self.routing.as_deref().unwrap_or(&none);
            let of_mesh = &self.options;
            let routing = routes::rebuild(earlier, &inventory, &mesh, of_mesh, options);
            Arc::new(routing)
        });
        let Mesh {
            workloads,
            services,
            mut notes,
            ..
        } = mesh;
        #[cfg(feature = "routes")]
        if let Some(routing) = &routing {
            notes.extend(routing.notes.iter().cloned());
        }
        let mut policies = Vec::new();
        if self.policies.is_some() {
            notes.extend(node.notes.iter().cloned());
            policies = node.into_policies();
        }
        self.inventory = Arc::new(inventory);
        #[cfg(feature = "routes")]
        {
            self.routing = routing;
        }
        let config = LocalConfig {
            workloads: workloads.into_values().collect(),
            services: services.into_values().collect(),
            policies,
        };
        let name = self.directory.path().display().to_string();
        // The only refusal there is, of policies without a store, cannot happen.
        if let Ok(loaded) = self
            .merger
            .merge(&self.store, self.policies.as_deref(), config, &name)
        {
            self.loaded = loaded;
        }
        self.report(notes)
    }

    /// What is in force, and what was not told before.
    fn report(&mut self, of_mesh: Vec<(super::ObjectKey, Problem)>) -> Report {
        let mut statuses = self.catalog.statuses();
        for (key, note) in of_mesh {
            if let Some(status) = statuses.iter_mut().find(|status| status.key == key) {
                status.notes.push(note);
            }
        }
        let files = self.unreadable.iter().cloned();
        let files = files.chain(self.catalog.file_problems());
        let objects = statuses
            .iter()
            .filter_map(|status| status.rejection().cloned());
        let rejected: Vec<Problem> = files.chain(objects).collect();
        let notes = statuses
            .iter()
            .flat_map(|status| status.notes.iter().cloned());
        let mut notes: Vec<Problem> = notes.collect();
        notes.extend(ignored(&statuses));
        let told: HashSet<Problem> = rejected.iter().chain(&notes).cloned().collect();
        let before = std::mem::replace(&mut self.told, told);
        let is_new = |problem: &Problem| !before.contains(problem);
        Report {
            loaded: self.loaded,
            rejected: rejected.into_iter().filter(is_new).collect(),
            notes: notes.into_iter().filter(is_new).collect(),
            statuses,
            inventory: self.inventory.clone(),
            #[cfg(feature = "routes")]
            routing: self.routing.clone(),
        }
    }

    /// Keeps the store up to date until the future is dropped; `report` hears of every change.
    ///
    /// Reading and parsing happen on tokio's threads for blocking work.
    ///
    /// # Cancellation
    /// Dropping the future ends the watching. A look that is under way still completes.
    pub async fn watch(mut self, mut report: impl FnMut(Report)) {
        loop {
            let look = move || {
                let began = Instant::now();
                let found = self.look();
                let took = began.elapsed();
                (self, found, took)
            };
            // An error means that the runtime shuts down: there is nothing left to watch for.
            let Ok((source, found, took)) = tokio::task::spawn_blocking(look).await else {
                return;
            };
            self = source;
            // A look that found something says nothing about what looking costs.
            let cost = if found.is_some() {
                Duration::ZERO
            } else {
                took.saturating_mul(LEAST_IDLE)
            };
            if let Some(found) = found {
                report(found);
            }
            let most = self.interval.saturating_mul(LEAST_IDLE);
            tokio::time::sleep(self.interval.max(cost.min(most))).await;
        }
    }
}

/// One note for each kind that nothing reads.
fn ignored(statuses: &[Status]) -> Vec<Problem> {
    let mut kinds = HashSet::new();
    let ignored = statuses
        .iter()
        .filter(|status| status.state == super::State::Ignored);
    let first = ignored.filter(|status| kinds.insert(&status.key.kind));
    let note = |status: &Status| {
        let text = format!("objects of the kind {} are ignored", status.key.kind);
        Problem::new(Place::file(status.place.file.clone()), text)
    };
    first.map(note).collect()
}

#[cfg(test)]
mod tests;
