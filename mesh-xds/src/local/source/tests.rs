//! Tests of watching: what the store holds after each state of the file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_core::store::MeshStore;

use super::{Loaded, LocalError, LocalSource};

const BAD: &str = "workloads: 7\n";

fn one(name: &str) -> String {
    format!(
        "workloads:\n- {{name: {name}, namespace: ns, workloadIps: [10.0.0.1], services: {{}}}}\n"
    )
}

/// A directory that is removed at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mesh-xds-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Replaces a file as editors and deployment tools do.
fn rename_into(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

fn name_in(store: &MeshStore) -> Option<String> {
    let snapshot = store.snapshot();
    let workload = snapshot.workload_at("", [10, 0, 0, 1].into())?;
    Some(workload.name().to_string())
}

#[test]
fn the_last_good_content_stays_while_the_file_is_wrong_or_missing() {
    let directory = Directory::new("last-good");
    let path = directory.file("mesh.yaml");
    let store = Arc::new(MeshStore::new());
    let mut source = LocalSource::new(&path, store.clone());
    assert!(matches!(source.look(), Some(Err(LocalError::Read { .. }))));
    assert!(source.look().is_none(), "a missing file is reported once");

    fs::write(&path, one("a")).unwrap();
    let loaded = source.look().unwrap().unwrap();
    assert_eq!(
        loaded,
        Loaded {
            workloads: 1,
            services: 0,
            policies: 0,
        }
    );
    assert_eq!(name_in(&store).as_deref(), Some("a"));

    rename_into(&path, BAD);
    assert!(matches!(
        source.look(),
        Some(Err(LocalError::Invalid { .. }))
    ));
    assert!(source.look().is_none(), "a wrong file is reported once");
    assert_eq!(name_in(&store).as_deref(), Some("a"));

    rename_into(&path, &one("b"));
    assert!(matches!(source.look(), Some(Ok(_))));
    assert_eq!(name_in(&store).as_deref(), Some("b"));

    fs::remove_file(&path).unwrap();
    assert!(matches!(source.look(), Some(Err(LocalError::Read { .. }))));
    assert_eq!(name_in(&store).as_deref(), Some("b"));
}

#[test]
fn a_swapped_symbolic_link_is_a_new_content() {
    let directory = Directory::new("symlink");
    for version in ["v1", "v2"] {
        fs::create_dir(directory.file(version)).unwrap();
        fs::write(directory.file(version).join("mesh.yaml"), one(version)).unwrap();
    }
    // As in a Kubernetes volume: mesh.yaml -> data/mesh.yaml, data -> v1, swapped by rename.
    symlink("v1", directory.file("data")).unwrap();
    symlink("data/mesh.yaml", directory.file("mesh.yaml")).unwrap();
    let store = Arc::new(MeshStore::new());
    let mut source = LocalSource::new(directory.file("mesh.yaml"), store.clone());
    assert!(matches!(source.look(), Some(Ok(_))));
    assert_eq!(name_in(&store).as_deref(), Some("v1"));

    symlink("v2", directory.file("data.new")).unwrap();
    fs::rename(directory.file("data.new"), directory.file("data")).unwrap();
    assert!(matches!(source.look(), Some(Ok(_))));
    assert_eq!(name_in(&store).as_deref(), Some("v2"));
}

#[test]
fn a_file_written_in_place_counts_when_two_looks_find_it_the_same() {
    let directory = Directory::new("in-place");
    let path = directory.file("mesh.yaml");
    fs::write(&path, one("a")).unwrap();
    let store = Arc::new(MeshStore::new());
    let mut source = LocalSource::new(&path, store.clone());
    assert!(matches!(source.look(), Some(Ok(_))));

    fs::write(&path, one("longer-name")).unwrap();
    assert!(source.look().is_none());
    assert!(matches!(source.look(), Some(Ok(_))));
    assert_eq!(name_in(&store).as_deref(), Some("longer-name"));
}

#[test]
fn the_first_look_waits_for_a_file_that_is_being_written() {
    let directory = Directory::new("first-look");
    let path = directory.file("mesh.yaml");
    fs::write(&path, one("a")).unwrap();
    let store = Arc::new(MeshStore::new());
    let mut source = LocalSource::new(&path, store.clone());
    source.first_look().unwrap();
    // One look at what is written in place is not enough.
    fs::write(&path, one("longer-name")).unwrap();
    source.first_look().unwrap();
    assert_eq!(name_in(&store).as_deref(), Some("longer-name"));

    let mut missing = LocalSource::new(directory.file("none"), store);
    assert!(matches!(missing.first_look(), Err(LocalError::Read { .. })));
}

#[test]
fn a_directory_in_place_of_the_file_is_refused() {
    let directory = Directory::new("directory");
    let mut source = LocalSource::new(&directory.0, Arc::new(MeshStore::new()));
    let error = source.look().unwrap().unwrap_err();
    assert!(matches!(error, LocalError::Read { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn watching_reports_each_change_once() {
    let directory = Directory::new("watch");
    let path = directory.file("mesh.yaml");
    fs::write(&path, one("a")).unwrap();
    let store = Arc::new(MeshStore::new());
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let source = LocalSource::new(&path, store.clone());
    let watching = tokio::spawn(source.watch(move |change| {
        let _ = reports.send(change.is_ok());
    }));
    assert_eq!(reported.recv().await, Some(true));
    rename_into(&path, BAD);
    assert_eq!(reported.recv().await, Some(false));
    rename_into(&path, &one("b"));
    assert_eq!(reported.recv().await, Some(true));
    assert_eq!(name_in(&store).as_deref(), Some("b"));
    watching.abort();
}
