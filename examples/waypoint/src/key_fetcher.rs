//! Keys of tokens over HTTP, as most waypoints never fetch any.

use http::Uri;
use mesh_authz::jwt::{AddressGuard, Document, FetchError, HttpFetcher, JwksFetcher};
use tokio::sync::OnceCell;

/// Fetches keys of tokens. The certificates that the system trusts are read when the first keys are fetched, and take
/// no memory before.
#[derive(Debug, Default)]
pub(crate) struct KeyFetcher(OnceCell<HttpFetcher>);

impl KeyFetcher {
    async fn fetcher(&self) -> Result<&HttpFetcher, FetchError> {
        let Self(fetcher) = self;
        let make = || {
            let roots = rustls_native_certs::load_native_certs().certs;
            HttpFetcher::new(AddressGuard::default(), roots)
        };
        let made = fetcher.get_or_try_init(|| tokio::task::spawn_blocking(make));
        // Fails only when the runtime shuts down.
        made.await.map_err(|_| FetchError::Unreachable)
    }
}

#[async_trait::async_trait]
impl JwksFetcher for KeyFetcher {
    async fn get(&self, uri: &Uri, limit: usize) -> Result<Document, FetchError> {
        self.fetcher().await?.get(uri, limit).await
    }
}
