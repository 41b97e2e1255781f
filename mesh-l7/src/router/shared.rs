//! What all clones of a router share.

use mesh_core::watch::Watch;

use super::replay::Memory;
use super::settings::RouterSettings;
use crate::route::RouteTable;

/// What all clones of a router share.
pub(super) struct Shared<U> {
    pub(super) routes: Watch<RouteTable>,
    pub(super) upstreams: U,
    pub(super) settings: RouterSettings,
    pub(super) memory: Memory,
}

impl<U> Shared<U> {
    pub(super) fn new(routes: Watch<RouteTable>, upstreams: U, settings: RouterSettings) -> Self {
        Self {
            memory: Memory::new(settings.replay_memory),
            routes,
            upstreams,
            settings,
        }
    }
}
