//! The objects of several files, kept while the files change: pure bookkeeping without IO.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use mesh_authz::kube::Settings;

use super::check::check;
use super::document::{Document, GroupKind, ObjectKey};
use super::inventory::{Any, Checked, Inventory, Refused};
use super::kind;
use super::parse::parse_each;
use super::problem::Problem;
use super::status::{State, Status};

/// Kinds of objects that someone else has the types for.
///
/// Their objects are kept with the others and handed out as documents
/// ([`Inventory::others`](super::Inventory)).
pub trait Kinds: Send + Sync {
    /// Whether objects of this kind are read.
    fn reads(&self, kind: &GroupKind) -> bool;

    /// Whether an object is right; what was noticed about it.
    ///
    /// # Errors
    /// Why the object cannot be used. Its last good version stays in force.
    fn check(&self, document: &Document) -> Result<Vec<Problem>, Problem>;
}

/// The objects of several files, each with its last good version.
///
/// A file that cannot be read as a whole keeps all the objects that it had. An object with a
/// mistake keeps its last good version, and takes no other object with it. An object that two
/// files have is taken from the first one by name.
///
/// ```
/// use mesh_xds::manifest::Catalog;
///
/// let mut catalog = Catalog::new();
/// catalog.set_file("a.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
/// assert!(catalog.settle());
/// assert!(catalog.inventory().namespaces.get("", "shop").is_some());
///
/// catalog.set_file("a.yaml", "apiVersion: v1\nkind: [");
/// catalog.settle();
/// assert!(catalog.inventory().namespaces.get("", "shop").is_some());
/// assert!(catalog.file_problems()[0].to_string().starts_with("a.yaml:2:"));
/// ```
#[derive(Default)]
pub struct Catalog {
    files: BTreeMap<String, Content>,
    objects: HashMap<ObjectKey, Kept>,
    repeated: Vec<Status>,
    kinds: Vec<Arc<dyn Kinds>>,
    settings: Settings,
}

/// What a file has.
#[derive(Debug, Default)]
struct Content {
    documents: Vec<Arc<Document>>,
    problem: Option<Problem>,
}

/// An object: as it is written now, and as it is in force.
#[derive(Debug)]
struct Kept {
    latest: Arc<Document>,
    good: Option<(Arc<Document>, Any)>,
    problem: Option<Box<Problem>>,
    notes: Vec<Problem>,
    ignored: bool,
    /// Whether what is in force is what is left of a version with mistakes.
    in_part: bool,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("files", &self.files.len())
            .field("objects", &self.objects.len())
            .finish_non_exhaustive()
    }
}

impl Catalog {
    /// A catalog without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A catalog without files that reads policies by these settings.
    #[must_use]
    pub fn with_settings(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Reads further kinds.
    #[must_use]
    pub fn with_kinds(mut self, kinds: Arc<dyn Kinds>) -> Self {
        self.kinds.push(kinds);
        self
    }

    /// Sets the content of a file. Objects that it had before and that say the same stay as they are.
    pub fn set_file(&mut self, file: &str, text: &str) {
        let before = self.files.get(file).map(|content| &*content.documents);
        let before = before.unwrap_or_default().iter();
        let mut before: HashMap<_, _> = before.map(|known| (known.key(), known)).collect();
        let (mut documents, mut moved) = (Vec::new(), Vec::new());
        let mut take = |document: Document| {
            let known = before.remove(document.key());
            let known = known.filter(|known| known.says_the_same(&document));
            let line = document.begin.line();
            documents.push(match known {
                Some(known) if known.begin.line() == line => known.clone(),
                Some(known) if self.may_move(known) => {
                    moved.push((known.clone(), line));
                    known.clone()
                }
                _ => Arc::new(document),
            });
        };
        match parse_each(text, file, &mut take) {
            Ok(()) => {
                for (document, line) in moved {
                    document.begin.move_to(line);
                }
                let problem = None;
                self.files
                    .insert(file.to_owned(), Content { documents, problem });
            }
            Err(problem) => self.fail_file(file, problem),
        }
    }

    /// Whether nothing that was made of the object remembers its line.
    fn may_move(&self, document: &Arc<Document>) -> bool {
        let key = document.key();
        let in_force = self.objects.get(key).is_some_and(|kept| {
            let good = kept.good.as_ref();
            let good = good.is_some_and(|(good, _)| Arc::ptr_eq(good, document));
            good && kept.problem.is_none() && kept.notes.is_empty()
        });
        // Policies say in which line they are. Of kinds that are not known here nobody knows.
        in_force && kind::known(&key.kind).is_some() && !kind::is_security(&key.kind)
    }

    /// Says that a file cannot be read now: it keeps what it had.
    pub fn fail_file(&mut self, file: &str, problem: Problem) {
        let content = self.files.entry(file.to_owned()).or_default();
        content.problem = Some(problem);
    }

    /// Removes a file with all its objects.
    pub fn remove_file(&mut self, file: &str) {
        self.files.remove(file);
    }

    /// Works out which objects there are now, after files were set, failed or removed. Whether
    /// anything is different in what is in force.
    pub fn settle(&mut self) -> bool {
        let mut changed = false;
        let mut present = HashSet::new();
        self.repeated.clear();
        let files = self.files.values();
        let documents: Vec<_> = files.flat_map(|file| &file.documents).cloned().collect();
        for document in documents {
            if present.insert(document.key().clone()) {
                changed |= self.take(&document);
            } else {
                self.repeat(&document);
            }
        }
        let before = self.objects.len();
        self.objects.retain(|key, _| present.contains(key));
        changed || self.objects.len() != before
    }

    /// Takes an object as it is written now; whether what is in force is different.
    fn take(&mut self, document: &Arc<Document>) -> bool {
        let known = self.objects.get(document.key());
        if known.is_some_and(|kept| Arc::ptr_eq(&kept.latest, document)) {
            return false;
        }
        let checked = self.check(document);
        let kept = self
            .objects
            .entry(document.key().clone())
            .or_insert_with(|| Kept {
                latest: document.clone(),
                good: None,
                problem: None,
                notes: Vec::new(),
                ignored: false,
                in_part: false,
            });
        kept.latest = document.clone();
        kept.ignored = checked.is_none();
        match checked {
            None => kept.good.take().is_some(),
            Some(Ok((object, notes))) => {
                kept.good = Some((document.clone(), object));
                kept.notes = notes;
                kept.problem = None;
                kept.in_part = false;
                true
            }
            Some(Err(Refused { problem, first })) => {
                kept.problem = Some(Box::new(problem));
                kept.notes.clear();
                // An earlier version goes before what is left of one with mistakes.
                let first = first.filter(|_| kept.in_part || kept.good.is_none());
                match first {
                    Some(first) => {
                        let (object, notes) = *first;
                        kept.good = Some((document.clone(), object));
                        kept.in_part = true;
                        kept.notes = notes;
                        true
                    }
                    None => false,
                }
            }
        }
    }

    /// The object as its type; `None` when nothing reads its kind.
    fn check(&self, document: &Arc<Document>) -> Option<Checked> {
        let kind = &document.key().kind;
        if let Some(known) = kind::known(kind) {
            return Some(check(document, known, &self.settings));
        }
        if let Some(kinds) = self.kinds.iter().find(|kinds| kinds.reads(kind)) {
            let checked = kinds.check(document).map(|notes| (Any::Other, notes));
            return Some(checked.map_err(Into::into));
        }
        kind::is_security(kind).then(|| {
            let problem = "nothing here enforces this kind; a policy that is not enforced is \
                           worse than none";
            Err(document.problem("kind", problem).into())
        })
    }

    fn repeat(&mut self, document: &Arc<Document>) {
        let first = self.objects.get(document.key());
        let first = first.map(|kept| kept.latest.place());
        let first = first.map_or_else(String::new, |place| place.to_string());
        let key = document.key().clone();
        let text = format!("{key} is already at {first}, expected each object once");
        let problem = document.problem("metadata.name", text);
        let state = State::Rejected {
            problem,
            earlier_stays: true,
        };
        self.repeated
            .push(Status::new(key, document.place(), state));
    }

    /// The objects that are in force.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::default();
        for (document, object) in self.objects.values().filter_map(|kept| kept.good.as_ref()) {
            inventory.insert(document, object);
        }
        inventory
    }

    /// What became of each object, by key.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        let status = |(key, kept): (&ObjectKey, &Kept)| {
            let state = match &kept.problem {
                _ if kept.ignored => State::Ignored,
                None => State::Accepted,
                Some(problem) => State::Rejected {
                    problem: Problem::clone(problem),
                    earlier_stays: kept.good.is_some() && !kept.in_part,
                },
            };
            let mut status = Status::new(key.clone(), kept.latest.place(), state);
            status.notes.clone_from(&kept.notes);
            status
        };
        let mut statuses: Vec<_> = self.objects.iter().map(status).collect();
        statuses.extend(self.repeated.iter().cloned());
        statuses.sort_by(|one, other| (&one.key, &one.place).cmp(&(&other.key, &other.place)));
        statuses
    }

    /// Why the first object of some kinds is not in force as it is written, by key.
    pub(super) fn rejected(&self, of: impl Fn(&GroupKind) -> bool) -> Option<Problem> {
        let objects = self.objects.iter().filter(|(_, kept)| !kept.ignored);
        let objects = objects.filter_map(|(key, kept)| Some((key, kept.problem.as_deref()?)));
        let repeated = self.repeated.iter();
        let repeated = repeated.filter_map(|status| Some((&status.key, status.rejection()?)));
        let rejected = objects.chain(repeated).filter(|(key, _)| of(&key.kind));
        let first = rejected.min_by(|(one, _), (other, _)| one.cmp(other));
        first.map(|(_, problem)| problem.clone())
    }

    /// What is wrong with files as a whole, by file.
    #[must_use]
    pub fn file_problems(&self) -> Vec<Problem> {
        let problems = self.files.values().filter_map(|file| file.problem.clone());
        problems.collect()
    }
}

#[cfg(test)]
mod tests;
