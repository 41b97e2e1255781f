//! The manifests of a directory: which files there are, and what each has when it has changed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::read::MAX_BYTES;
use crate::watched_file::{FileError, WatchedFile};

/// The deepest directory below the one that is read.
pub const MAX_DIRECTORY_DEPTH: usize = 32;
/// The most files of a directory, those of the directories below it included.
pub const MAX_FILES: usize = 65_536;

const ENDINGS: &[&str] = &["yaml", "yml", "json"];

/// A directory whose manifests are looked at in intervals.
///
/// Files that end with `.yaml`, `.yml` or `.json` count, in directories below as well. What starts
/// with a dot is passed over: editors' files, and the directories behind Kubernetes volumes
/// (`..data`), whose files are seen through their links.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    files: BTreeMap<PathBuf, Watched>,
    /// Whether it has been read once; files that appear later may be half written.
    read: bool,
}

#[derive(Debug)]
struct Watched {
    file: WatchedFile,
    name: String,
    /// Looks in a row that did not find it.
    missing: u8,
}

/// What is new about one file.
#[derive(Debug)]
pub(super) enum Change {
    Content(Vec<u8>),
    Unreadable(FileError),
    Gone,
}

/// Editors take a file away before they put the new one in its place: a file is gone when it is
/// missing twice.
const MISSING: u8 = 2;

impl Directory {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            files: BTreeMap::new(),
            read: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is new since the last look, by the file's path below the directory.
    ///
    /// # Errors
    /// The directory cannot be read; nothing is known then about what it has.
    pub(super) fn look(&mut self) -> io::Result<Vec<(String, Change)>> {
        let present = list(&self.path)?;
        let (path, is_new) = (&self.path, self.read);
        for found in &present {
            let name = || name_of(path, found);
            let watched = self.files.entry(found.clone()).or_insert_with(|| Watched {
                file: watched(found, is_new),
                name: name(),
                missing: 0,
            });
            watched.missing = 0;
        }
        self.read = true;
        let mut changes = Vec::new();
        self.files.retain(|path, watched| {
            if !present.contains(path) {
                watched.missing = watched.missing.saturating_add(1);
            }
            let gone = watched.missing >= MISSING;
            let change = if gone {
                Some(Change::Gone)
            } else if watched.missing > 0 {
                None
            } else {
                watched.look()
            };
            changes.extend(change.map(|change| (watched.name.clone(), change)));
            !gone
        });
        Ok(changes)
    }
}

fn watched(path: &Path, is_new: bool) -> WatchedFile {
    let file = WatchedFile::new(path, MAX_BYTES);
    if is_new { file.new_in_place() } else { file }
}

impl Watched {
    fn look(&mut self) -> Option<Change> {
        match self.file.look()? {
            Ok(content) => Some(Change::Content(content)),
            // It went away since the directory was listed, which the next listing tells.
            Err(error) if error.is_missing() => None,
            Err(error) => Some(Change::Unreadable(error)),
        }
    }
}

/// How messages call a file: by its path below the directory.
fn name_of(directory: &Path, file: &Path) -> String {
    let below = file.strip_prefix(directory).unwrap_or(file);
    below.display().to_string()
}

/// The files that count.
fn list(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut open = vec![(directory.to_owned(), 0)];
    while let Some((path, depth)) = open.pop() {
        let metadata = fs::metadata(&path)?;
        // A link may lead back to where it is found.
        if !seen.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            match kind(&path, entry.file_type()?) {
                Kind::Directory if depth < MAX_DIRECTORY_DEPTH => open.push((path, depth + 1)),
                Kind::Manifest => {
                    files.insert(path);
                }
                Kind::Directory | Kind::Other => {}
            }
            if files.len() > MAX_FILES {
                let problem = format!("more than {MAX_FILES} files");
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        }
    }
    Ok(files)
}

enum Kind {
    Directory,
    Manifest,
    Other,
}

fn kind(path: &Path, file_type: fs::FileType) -> Kind {
    let is_directory = if file_type.is_symlink() {
        fs::metadata(path).is_ok_and(|target| target.is_dir())
    } else {
        file_type.is_dir()
    };
    let ending = path.extension().and_then(|ending| ending.to_str());
    if is_directory {
        Kind::Directory
    } else if ending.is_some_and(|ending| ENDINGS.contains(&ending)) {
        Kind::Manifest
    } else {
        Kind::Other
    }
}
