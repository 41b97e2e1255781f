//! What all clones of a router share.

use std::sync::Arc;

use mesh_core::limits::Limit;
use mesh_core::watch::Watch;

use super::counters::Counters;
use super::replay::Memory;
use super::settings::RouterSettings;
use crate::route::RouteTable;

/// What all clones of a router share.
pub(super) struct Shared<U> {
    pub(super) routes: Watch<RouteTable>,
    pub(super) upstreams: U,
    pub(super) settings: RouterSettings,
    pub(super) memory: Memory,
    pub(super) mirrors: Limit,
    pub(super) counters: Arc<Counters>,
}

impl<U> Shared<U> {
    pub(super) fn new(routes: Watch<RouteTable>, upstreams: U, settings: RouterSettings) -> Self {
        Self {
            memory: Memory::new(settings.replay_memory),
            mirrors: Limit::new(settings.mirrors),
            counters: Arc::default(),
            routes,
            upstreams,
            settings,
        }
    }
}
