//! What all requests of a client share.

use std::sync::Arc;

use super::pools::Pools;
use super::settings::ClientSettings;

/// What all requests of a client share.
pub(super) struct Resources<E, C> {
    pub(super) connector: C,
    pub(super) pools: Arc<Pools<E>>,
    pub(super) settings: Arc<ClientSettings>,
}

impl<E, C: Clone> Clone for Resources<E, C> {
    fn clone(&self) -> Self {
        Self {
            connector: self.connector.clone(),
            pools: self.pools.clone(),
            settings: self.settings.clone(),
        }
    }
}
