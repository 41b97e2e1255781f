//! A file that is looked at in intervals, and read when it has changed.
//!
//! Intervals rather than notifications of the kernel: in-place writes, atomic renames and the
//! swapped symbolic links of Kubernetes volumes are all seen alike.

mod state;
#[cfg(test)]
mod tests;

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use state::{FileState, Stamp};

/// Looks at a file that must be had, and the time between them.
const FIRST_LOOKS: u32 = 50;
const FIRST_INTERVAL: Duration = Duration::from_millis(20);

/// Why a file has no content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not there, is not a file, or cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is longer than allowed.
    #[error("{file} has {bytes} bytes, expected at most {most}")]
    TooLong {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
        /// The longest that is read.
        most: u64,
    },
}

impl FileError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A file that is read once in each of its states.
///
/// ```
/// use mesh_xds::watched_file::WatchedFile;
///
/// let mut file = WatchedFile::new("/does/not/exist", 1024);
/// // The first look tells that it is not there, the next one has nothing new to tell.
/// assert!(file.look().unwrap().unwrap_err().is_missing());
/// assert!(file.look().is_none());
/// ```
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    most: u64,
    state: FileState,
}

impl WatchedFile {
    /// A file of at most so many bytes. Nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, most: u64) -> Self {
        Self {
            path: path.into(),
            most,
            state: FileState::default(),
        }
    }

    /// Takes a file that appears for one that is being written: it is read when two successive
    /// looks find it unchanged. Default: at once.
    #[must_use]
    pub fn new_in_place(self) -> Self {
        let state = FileState::new_in_place();
        Self { state, ..self }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file once; its content when that is new.
    ///
    /// `None` when there is nothing new since the last look. A file that is being written in place
    /// is read when two successive looks find it unchanged. Each new state is answered once, also
    /// a missing file.
    ///
    /// Blocks on the file system.
    pub fn look(&mut self) -> Option<Result<Vec<u8>, FileError>> {
        let before = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) => return self.state.look(None).then(|| Err(self.unreadable(error))),
        };
        let stamp = Stamp::of(&before);
        if !self.state.look(Some(stamp)) {
            return None;
        }
        match self.read(&before) {
            Ok((content, after)) if after == stamp => Some(Ok(content)),
            Ok(_) => {
                self.state.unsettle();
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Its content, or why there is none, for those who cannot go on without: a file that changes
    /// while it is read is looked at again, for a second at most.
    ///
    /// Blocks on the file system, and for that second. Afterwards [`look`](Self::look) tells what
    /// is new since.
    ///
    /// # Errors
    /// [`FileError`], also when the file does not stop to change.
    pub fn first_look(&mut self) -> Result<Vec<u8>, FileError> {
        for _ in 0..FIRST_LOOKS {
            if let Some(content) = self.look() {
                return content;
            }
            std::thread::sleep(FIRST_INTERVAL);
        }
        let error = "it does not stop to change while it is read";
        Err(self.unreadable(io::Error::new(io::ErrorKind::WouldBlock, error)))
    }

    /// The content, and the stamp of the file after it was read.
    fn read(&self, metadata: &Metadata) -> Result<(Vec<u8>, Stamp), FileError> {
        // Before it is opened: opening a pipe would wait for a writer.
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "expected a regular file");
            return Err(self.unreadable(error));
        }
        self.check_length(metadata.len())?;
        let (content, after) = self.read_all().map_err(|error| self.unreadable(error))?;
        self.check_length(u64::try_from(content.len()).unwrap_or(u64::MAX))?;
        Ok((content, after))
    }

    fn check_length(&self, bytes: u64) -> Result<(), FileError> {
        if bytes <= self.most {
            return Ok(());
        }
        Err(FileError::TooLong {
            file: self.path.display().to_string(),
            bytes,
            most: self.most,
        })
    }

    fn read_all(&self) -> io::Result<(Vec<u8>, Stamp)> {
        let file = File::open(&self.path)?;
        let mut content = Vec::new();
        // One byte more than allowed, so that a file that has grown shows.
        (&file)
            .take(self.most.saturating_add(1))
            .read_to_end(&mut content)?;
        Ok((content, Stamp::of(&file.metadata()?)))
    }

    fn unreadable(&self, source: io::Error) -> FileError {
        FileError::Read {
            file: self.path.display().to_string(),
            source,
        }
    }
}
