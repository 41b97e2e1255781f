//! The manifests of a directory: everything in them, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesh_authz::kube::{
    AuthorizationPolicy, PeerAuthentication, Provenance, RequestAuthentication, Settings,
};
use mesh_xds::manifest::{
    Catalog, Document, Inventory, MAX_BYTES, MAX_DIRECTORY_DEPTH, MAX_FILES, parse,
};
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Result};

const ENDINGS: &[&str] = &["yaml", "yml", "json"];
const SECURITY: &str = "security.istio.io";

/// What was read.
#[derive(Debug)]
pub(crate) struct Manifests {
    /// The objects that are right.
    pub(crate) inventory: Inventory,
    /// Policies as they are written, each with its place.
    pub(crate) written: Vec<(Written, Provenance)>,
    /// What is wrong with files and objects, in words, with the place.
    pub(crate) problems: Vec<String>,
}

/// A policy as it is written.
#[derive(Debug)]
pub(crate) enum Written {
    Authorization(AuthorizationPolicy),
    Peer(PeerAuthentication),
    Request(RequestAuthentication),
}

impl Manifests {
    /// Reads a directory with those below it, or a single file.
    pub(crate) fn read(path: &Path, settings: &Settings) -> Result<Self> {
        let failed = |path: &Path, error: io::Error| {
            Failure::new(format!("{}: cannot be read: {error}", path.display()))
        };
        let mut files = BTreeSet::new();
        list(path, 0, &mut files).map_err(|error| failed(path, error))?;
        let mut texts = BTreeMap::new();
        for file in files {
            let size = fs::metadata(&file).map_or(0, |metadata| metadata.len());
            if size > MAX_BYTES {
                let text = format!("{}: larger than {MAX_BYTES} bytes", file.display());
                return Err(Failure::new(text));
            }
            let text = fs::read_to_string(&file).map_err(|error| failed(&file, error))?;
            texts.insert(file.display().to_string(), text);
        }
        Ok(Self::of(&texts, settings))
    }

    /// Reads texts by the names of their files.
    pub(crate) fn of(texts: &BTreeMap<String, String>, settings: &Settings) -> Self {
        let mut catalog = Catalog::with_settings(settings.clone());
        let mut written = BTreeMap::new();
        for (file, text) in texts {
            catalog.set_file(file, text);
            for document in parse(text, file).unwrap_or_default() {
                if document.key().kind.group == SECURITY
                    && let Some(object) = object(&document)
                {
                    let key = document.key().clone();
                    written
                        .entry(key)
                        .or_insert((object, provenance(&document)));
                }
            }
        }
        catalog.settle();
        let of_files = catalog.file_problems().into_iter();
        let mut problems: Vec<_> = of_files.map(|problem| problem.to_string()).collect();
        for status in catalog.statuses() {
            if let Some(problem) = status.rejection() {
                problems.push(format!(
                    "{}: {}",
                    place(&status),
                    problem_text(&status, problem)
                ));
            }
        }
        Self {
            inventory: catalog.inventory(),
            written: written.into_values().collect(),
            problems,
        }
    }

    /// Nothing may be wrong: a policy that is not known is not enforced.
    pub(crate) fn all_right(self) -> Result<Self> {
        if self.problems.is_empty() {
            return Ok(self);
        }
        Err(Failure::new(self.problems.join("\n")))
    }
}

fn place(status: &mesh_xds::manifest::Status) -> String {
    let rejected = status.rejection().map(|problem| &problem.place);
    let place = rejected.unwrap_or(&status.place);
    format!("{}:{}", place.file, place.line)
}

fn problem_text(
    status: &mesh_xds::manifest::Status,
    problem: &mesh_xds::manifest::Problem,
) -> String {
    let field = match problem.place.field.as_str() {
        "" => String::new(),
        field => format!("{field}: "),
    };
    format!("{}: error: {field}{}", status.key, problem.text)
}

fn object(document: &Document) -> Option<Written> {
    fn read<T: DeserializeOwned>(document: &Document) -> Option<T> {
        document.read().ok().map(|read| read.value)
    }
    match document.key().kind.kind.as_str() {
        "AuthorizationPolicy" => read(document).map(Written::Authorization),
        "PeerAuthentication" => read(document).map(Written::Peer),
        "RequestAuthentication" => read(document).map(Written::Request),
        _ => None,
    }
}

fn provenance(document: &Document) -> Provenance {
    let key = document.key();
    let line = u32::try_from(document.line()).unwrap_or(u32::MAX);
    Provenance::new(key.namespace.clone(), key.name.clone()).at(document.file(), line)
}

/// The files that count; a file that is named itself counts whatever it is called.
fn list(path: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    if depth > MAX_DIRECTORY_DEPTH {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if fs::metadata(&path)?.is_dir() || ending.is_some_and(|ending| ENDINGS.contains(&ending)) {
            list(&path, depth + 1, files)?;
        }
        if files.len() > MAX_FILES {
            return Err(io::Error::other(format!("more than {MAX_FILES} files")));
        }
    }
    Ok(())
}
