//! Tests with real files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::{FileError, WatchedFile};

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("watched-file-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn look(file: &mut WatchedFile) -> Option<Vec<u8>> {
    file.look().map(Result::unwrap)
}

#[test]
fn a_swapped_symbolic_link_is_another_file() {
    let directory = Directory::new("link");
    let at = |name: &str| directory.0.join(name);
    for (data, text) in [("data.1", "one"), ("data.2", "two")] {
        fs::create_dir(at(data)).unwrap();
        fs::write(at(data).join("file"), text).unwrap();
    }
    symlink("data.1", at("data")).unwrap();
    symlink("data/file", at("file")).unwrap();
    let mut file = WatchedFile::new(at("file"), 100);
    assert_eq!(look(&mut file).unwrap(), b"one");
    assert_eq!(look(&mut file), None);
    symlink("data.2", at("data.new")).unwrap();
    fs::rename(at("data.new"), at("data")).unwrap();
    assert_eq!(look(&mut file).unwrap(), b"two");
    assert_eq!(look(&mut file), None);
}

#[test]
fn what_is_not_a_file_or_too_long_is_told_once() {
    let directory = Directory::new("bad");
    let mut file = WatchedFile::new(&directory.0, 100);
    let error = file.look().unwrap().unwrap_err();
    assert!(
        !error.is_missing() && matches!(error, FileError::Read { .. }),
        "{error}"
    );
    assert!(file.look().is_none());

    let path = directory.0.join("long");
    fs::write(&path, [b'.'; 101]).unwrap();
    let error = WatchedFile::new(&path, 100).look().unwrap().unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("long has 101 bytes, expected at most 100"),
        "{error}"
    );
    fs::write(&path, [b'.'; 100]).unwrap();
    assert_eq!(look(&mut WatchedFile::new(&path, 100)).unwrap().len(), 100);
}
