//! Asking for single resources.

use std::fmt;
use std::sync::Arc;

use mesh_core::name::Name;
use tokio::sync::{mpsc, oneshot};

use crate::delta::Answer;

/// Demands that wait for the client's task, before those who demand wait for it.
pub(super) const ASKS: usize = 1024;

/// A demand on its way to the client's task.
pub(super) struct Ask {
    pub(super) type_url: Arc<str>,
    pub(super) name: Name,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The client that demands went to has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the client of the control plane has ended")]
#[non_exhaustive]
pub struct AdsGone;

/// Fetches single resources of a type that is subscribed on demand. Clones are cheap.
#[derive(Clone)]
pub struct Demand {
    pub(super) type_url: Arc<str>,
    pub(super) asks: mpsc::Sender<Ask>,
}

impl Demand {
    /// Wants a resource by its name or an alias, such as `network/ip`. Once it is
    /// [found](Answer::Found) its sink has it.
    ///
    /// Ends after the demand timeout of the client's settings, 5 s by default, at the latest, counted
    /// from when the client's task takes the demand. That is at once, unless the task is applying a
    /// large response or 1024 others are before this one.
    ///
    /// # Errors
    /// [`AdsGone`] when the client is not running and never will.
    ///
    /// # Cancellation
    /// Dropping the future does not take the demand back: the resource comes, and stays.
    pub async fn resource(&self, name: impl Into<Name>) -> Result<Answer, AdsGone> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask {
            type_url: self.type_url.clone(),
            name: name.into(),
            answer,
        };
        self.asks.send(ask).await.map_err(|_| AdsGone)?;
        answered.await.map_err(|_| AdsGone)
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Demand").field(&self.type_url).finish()
    }
}
