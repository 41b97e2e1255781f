//! Where the certificate of the workload comes from, and what is revoked.

mod crl;
mod revoking;

use std::sync::Arc;

use mesh_core::credential::CertificateSource;
use mesh_core::identity::SpiffeId;
use mesh_xds::ca::{CaError, CaSource};
use mesh_xds::control::ControlError;
use mesh_xds::dev_ca::{DevCa, DevCaError, DevCaSource};

use crate::config::{Authority, Settings};
use crate::control_plane::endpoint;
use crate::telemetry::Metrics;

use crl::{CrlError, CrlFile};
use revoking::RevokingSource;

/// Why there can be no certificates.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot open the development CA in {directory}")]
    DevCa {
        directory: String,
        #[source]
        source: DevCaError,
    },
    #[error("the settings of the certificate authority cannot be used")]
    ControlPlane(#[from] ControlError),
    #[error("cannot ask the certificate authority")]
    Authority(#[from] CaError),
    #[error("CRL_PATH is not usable")]
    Crl(#[from] CrlError),
}

/// The source for the workload's identity, kept up to date on the current runtime.
///
/// # Errors
/// [`StartError`]; nothing is served then.
pub(crate) fn start(
    settings: &Settings,
    identity: &SpiffeId,
    metrics: &Arc<Metrics>,
) -> Result<Arc<dyn CertificateSource>, StartError> {
    let issued: Arc<dyn CertificateSource> = match &settings.authority {
        Authority::Development(directory) => {
            let dev_ca = |source| StartError::DevCa {
                directory: directory.display().to_string(),
                source,
            };
            let authority = DevCa::open_or_create(directory).map_err(dev_ca)?;
            let source = DevCaSource::builder(authority)
                .trust_domains([settings.trust_domain.clone()])
                .build()
                .map_err(dev_ca)?;
            let source = Arc::new(source);
            let renewed = source.clone();
            tokio::spawn(async move { renewed.run().await });
            source
        }
        Authority::ControlPlane(authority) => {
            let endpoint = endpoint(&authority.server, settings)?;
            let (source, worker) = CaSource::builder(endpoint)
                .lifetime(authority.lifetime)
                .build()?;
            tokio::spawn(worker.run());
            // The first connection need not wait for it.
            source.prefetch(identity);
            Arc::new(source)
        }
    };
    let Some(path) = &settings.crl else {
        return Ok(issued);
    };
    let (file, publisher) = CrlFile::open(path)?;
    let source = RevokingSource::new(issued, publisher.watch());
    tokio::spawn(file.watch(publisher, metrics.clone()));
    Ok(Arc::new(source))
}
