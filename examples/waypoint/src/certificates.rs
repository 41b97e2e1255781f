//! Where the certificate of the waypoint comes from.

use std::sync::Arc;

use mesh_core::credential::CertificateSource;
use mesh_core::identity::SpiffeId;
use mesh_xds::ca::{CaError, CaSource};
use mesh_xds::control::ControlError;
use mesh_xds::dev_ca::{DevCa, DevCaError, DevCaSource};

use crate::config::{Authority, Settings};

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
}

/// The source for the waypoint's identity, kept up to date on the current runtime.
///
/// # Errors
/// [`StartError`]; nothing is served then.
pub(crate) fn start(
    settings: &Settings,
    identity: &SpiffeId,
) -> Result<Arc<dyn CertificateSource>, StartError> {
    match &settings.authority {
        Authority::Development(directory) => {
            let failed = |source| StartError::DevCa {
                directory: directory.display().to_string(),
                source,
            };
            let authority = DevCa::open_or_create(directory).map_err(failed)?;
            let source = DevCaSource::builder(authority)
                .trust_domains([settings.trust_domain.clone()])
                .build()
                .map_err(failed)?;
            let source = Arc::new(source);
            let renewed = source.clone();
            tokio::spawn(async move { renewed.run().await });
            Ok(source)
        }
        Authority::ControlPlane(authority) => {
            let server = &authority.server;
            let endpoint = server.endpoint(&settings.token, &settings.cluster_id)?;
            let (source, worker) = CaSource::builder(endpoint)
                .lifetime(authority.lifetime)
                .build()?;
            tokio::spawn(worker.run());
            // The first connection need not wait for it.
            source.prefetch(identity);
            Ok(Arc::new(source))
        }
    }
}
