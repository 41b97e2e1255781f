//! What can go wrong with a development CA.

use std::io;
use std::path::PathBuf;

use mesh_core::credential::InvalidCredential;

/// Why a development CA cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevCaError {
    /// The directory cannot be made or looked at.
    #[error("the directory {path} of the development CA cannot be used")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The directory belongs to another user.
    #[error("the directory {path} of the development CA belongs to another user")]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Other users can write to the directory.
    #[error("other users can write to the directory {path} of the development CA, use mode 0700")]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The key file cannot be read or written.
    #[error("the file {path} of the development CA cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The key file belongs to another user, or others can read it.
    #[error("the file {path} of the development CA is not private, use mode 0600")]
    ExposedFile {
        /// The file.
        path: PathBuf,
    },
    /// The key file does not hold a development CA.
    #[error("the file {path} does not hold a development CA, delete it to get a new one")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The CA is past its lifetime.
    #[error("the development CA in {path} has expired, delete the file to get a new one")]
    Expired {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate are not of one development CA.
    #[error("the key and the certificate are not those of one development CA")]
    Mismatch,
    /// The cryptography failed.
    #[error("a certificate could not be issued")]
    Issue(#[source] rcgen::Error),
    /// The certificate issued is not usable.
    #[error("the certificate issued is not usable")]
    Credential(#[source] InvalidCredential),
    /// The lifetime asked for certificates is out of range.
    #[error("the lifetime of certificates is 1 minute to 1 year")]
    Lifetime,
    /// The source serves as many identities as it may.
    #[error("the development CA serves at most {limit} identities at a time")]
    TooManyIdentities {
        /// How many it serves.
        limit: usize,
    },
}
