//! Where the certificate of the waypoint comes from.

use std::sync::Arc;

use mesh_core::credential::CertificateSource;
use mesh_xds::dev_ca::{DevCa, DevCaError, DevCaSource};

use crate::config::Settings;

/// The source for the waypoint's identity, kept up to date on the current runtime.
///
/// # Errors
/// When the development authority cannot be opened.
pub(crate) fn start(settings: &Settings) -> Result<Arc<dyn CertificateSource>, DevCaError> {
    let authority = DevCa::open_or_create(&settings.dev_ca)?;
    let source = DevCaSource::builder(authority)
        .trust_domains([settings.trust_domain.clone()])
        .build()?;
    let source = Arc::new(source);
    let renewed = source.clone();
    tokio::spawn(async move { renewed.run().await });
    Ok(source)
}
