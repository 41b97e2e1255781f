//! The directory through which processes share an authority.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::DevCaError;
use super::authority::{DevCa, generate, read_key};

/// Key and certificate in PEM. One file, so that no process can see one without the other.
const FILE: &str = "dev-ca.pem";

/// The largest file that is read, in bytes; a right one has about 1000.
const MAX_FILE: u64 = 64 * 1024;

/// Mode bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// Mode bits that let others write.
const OTHERS_WRITE: u32 = 0o022;

impl DevCa {
    /// The authority of a directory, which is made first when there is none.
    ///
    /// The directory is made with mode 0700 and must belong to the user; others must not be able
    /// to write to it. The key is a file with mode 0600; a file that others can read is refused.
    /// When several processes begin at once, one makes the authority and all use it.
    ///
    /// # Errors
    /// [`DevCaError`] names the directory or file and what is wrong with it. Nothing that exists
    /// is ever overwritten: delete a broken file by hand.
    pub fn open_or_create(directory: impl AsRef<Path>) -> Result<Self, DevCaError> {
        open_or_create(directory.as_ref())
    }
}

pub(super) fn open_or_create(directory: &Path) -> Result<DevCa, DevCaError> {
    prepare(directory)?;
    let path = directory.join(FILE);
    match read(&path) {
        Err(DevCaError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    create(directory, &path)?;
    // The file may be another process's: whoever was first has made the authority.
    read(&path)
}

/// Makes the directory when there is none, and checks that it is the user's own.
fn prepare(directory: &Path) -> Result<(), DevCaError> {
    let failed = |source| DevCaError::Directory {
        path: directory.into(),
        source,
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(directory).map_err(failed)?;
    let found = std::fs::metadata(directory).map_err(failed)?;
    if found.uid() != user() {
        return Err(DevCaError::ForeignDirectory {
            path: directory.into(),
        });
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return Err(DevCaError::OpenDirectory {
            path: directory.into(),
        });
    }
    Ok(())
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn read(path: &Path) -> Result<DevCa, DevCaError> {
    let text = read_private(path)?;
    let corrupt = |source: Box<dyn std::error::Error + Send + Sync>| DevCaError::Corrupt {
        path: path.into(),
        source,
    };
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| corrupt(error.into()))?;
    let key = read_key(&key).map_err(|error| corrupt(error.into()))?;
    let certificate =
        CertificateDer::from_pem_slice(&text).map_err(|error| corrupt(error.into()))?;
    let ca = DevCa::from_parts(key, certificate).map_err(|error| corrupt(error.into()))?;
    if ca.not_after <= SystemTime::now() {
        return Err(DevCaError::Expired { path: path.into() });
    }
    Ok(ca)
}

/// The content of a file that is the user's own and nobody else's to read.
fn read_private(path: &Path) -> Result<Vec<u8>, DevCaError> {
    let failed = |source| DevCaError::File {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    // Of the open file, not of the path: it cannot be exchanged in between.
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() || found.uid() != user() || found.mode() & OTHERS != 0 {
        return Err(DevCaError::ExposedFile { path: path.into() });
    }
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

/// Makes a new authority at `path`, unless another process is faster.
fn create(directory: &Path, path: &Path) -> Result<(), DevCaError> {
    let (key, certificate) = generate(SystemTime::now())?;
    let text = key.serialize_pem() + &certificate.pem();
    let unique = RandomState::new().hash_one(std::process::id());
    let draft = directory.join(format!(".{FILE}.{}.{unique:016x}", std::process::id()));
    let result = write_private(&draft, text.as_bytes()).and_then(|()| {
        // A link, not a rename: it does not replace what is there already.
        match std::fs::hard_link(&draft, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => File::open(directory)?.sync_all(),
        }
    });
    let removed = std::fs::remove_file(&draft);
    result.and(removed).map_err(|source| DevCaError::File {
        path: path.into(),
        source,
    })
}

fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text)?;
    file.sync_all()
}
