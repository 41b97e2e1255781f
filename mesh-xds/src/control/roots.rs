//! What a control plane's certificate is checked against.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{ControlError, file};

/// The largest file of roots, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The roots that the certificate of a control plane must lead to.
///
/// Read at each connect, so a replaced file counts from the next connection on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "Istio's settings allow these three"
)]
pub enum ControlRoots {
    /// A file with one or more PEM certificates, at most 4 MiB.
    File(PathBuf),
    /// A text with one or more PEM certificates.
    Pem(String),
    /// The roots that the operating system trusts.
    #[default]
    System,
}

/// Roots as they were read, and what they were read from.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) store: Arc<RootCertStore>,
    /// The file's content, to tell later whether it has changed.
    pub(super) content: Option<Arc<[u8]>>,
}

impl ControlRoots {
    /// What a setting such as `CA_ROOT_CA` says: a PEM text, `SYSTEM`, else the path of a file.
    #[must_use]
    pub fn from_setting(text: &str) -> Self {
        if text.contains("-----BEGIN CERTIFICATE-----") {
            Self::Pem(text.to_owned())
        } else if text == "SYSTEM" {
            Self::System
        } else {
            Self::File(text.into())
        }
    }

    pub(super) async fn load(&self) -> Result<Loaded, ControlError> {
        match self {
            Self::File(path) => {
                let content = self.read(path).await?;
                let store = Arc::new(self.store(pem(&content), Strict::Yes)?);
                let content = Some(content.into());
                Ok(Loaded { store, content })
            }
            Self::Pem(text) => Ok(Loaded {
                store: Arc::new(self.store(pem(text.as_bytes()), Strict::Yes)?),
                content: None,
            }),
            Self::System => {
                let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
                    .await
                    .map_err(|error| self.error(error))?;
                let certificates = found.certs.into_iter().map(Ok::<_, BoxError>);
                Ok(Loaded {
                    store: Arc::new(self.store(certificates, Strict::No)?),
                    content: None,
                })
            }
        }
    }

    /// Whether the roots are others than those loaded. Roots that cannot be read are no others.
    pub(super) async fn differ(&self, content: Option<&[u8]>) -> bool {
        match self {
            Self::File(path) => {
                let present = self.read(path).await;
                present.is_ok_and(|present| content != Some(&*present))
            }
            Self::Pem(_) | Self::System => false,
        }
    }

    async fn read(&self, path: &std::path::Path) -> Result<Vec<u8>, ControlError> {
        file::read(path, MAX_FILE)
            .await
            .map_err(|error| self.error(error))
    }

    fn store<E: Into<BoxError>>(
        &self,
        certificates: impl Iterator<Item = Result<CertificateDer<'static>, E>>,
        strict: Strict,
    ) -> Result<RootCertStore, ControlError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            let added = store.add(certificate.map_err(|error| self.error(error))?);
            // What an operating system carries along may be too old for the library.
            if strict == Strict::Yes {
                added.map_err(|error| self.error(error))?;
            }
        }
        if store.is_empty() {
            return Err(self.error("there is no certificate"));
        }
        Ok(store)
    }

    fn error(&self, source: impl Into<BoxError>) -> ControlError {
        ControlError::Roots {
            origin: match self {
                Self::File(path) => format!("the file {}", path.display()),
                Self::Pem(_) => "the text given".to_owned(),
                Self::System => "the operating system".to_owned(),
            },
            source: source.into(),
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Strict {
    Yes,
    No,
}

fn pem(
    text: &[u8],
) -> impl Iterator<Item = Result<CertificateDer<'static>, rustls_pki_types::pem::Error>> {
    CertificateDer::pem_slice_iter(text)
}
