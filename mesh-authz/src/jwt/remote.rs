//! Keys that are fetched, as verification reads them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use mesh_core::watch::Publisher;

use super::error::JwtError;
use super::fetch::FetchError;
use super::keys::Jwks;
use super::source::JwksSource;
use super::token::Token;

/// Keys of one source, replaced as a whole when they are fetched again. Reading takes no lock.
pub struct RemoteKeys {
    source: JwksSource,
    timeout_ms: AtomicU64,
    held: Publisher<Held>,
    /// Whether a token came whose key is not among these since the last fetch began.
    asked: AtomicBool,
    /// Told about the first such token.
    wake: Arc<Publisher<()>>,
}

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Held {
    /// The keys that were fetched last, and when.
    pub keys: Option<FetchedAt>,
    /// Why the last fetch failed; `None` when it succeeded, or when there was none.
    pub failure: Option<FetchError>,
}

/// Keys, and how long they are good.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchedAt {
    /// The keys.
    pub keys: Arc<Jwks>,
    /// When they were fetched.
    pub fetched: SystemTime,
    /// From when on they are not used any more, unless they have been fetched again.
    pub unusable: SystemTime,
}

impl RemoteKeys {
    pub(super) fn new(source: JwksSource, timeout: Duration, wake: Arc<Publisher<()>>) -> Self {
        let (held, _) = mesh_core::watch::channel(Held::default());
        let keys = Self {
            source,
            timeout_ms: AtomicU64::new(0),
            held,
            asked: AtomicBool::new(false),
            wake,
        };
        keys.allow(timeout);
        keys
    }

    /// Where the keys come from.
    #[must_use]
    pub fn source(&self) -> &JwksSource {
        &self.source
    }

    /// What is known now.
    #[must_use]
    pub fn held(&self) -> Arc<Held> {
        self.held.load()
    }

    /// How long a fetch may take: the longest that any rule allows.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.load(Ordering::Relaxed))
    }

    pub(super) fn allow(&self, timeout: Duration) {
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout_ms.fetch_max(timeout, Ordering::Relaxed);
    }

    pub(super) fn publish(&self, held: Held) {
        self.held.publish(held);
    }

    /// Whether an unknown key was asked for; it is forgotten then.
    pub(super) fn take_asked(&self) -> bool {
        self.asked.swap(false, Ordering::AcqRel)
    }

    pub(super) fn verify(&self, token: &Token<'_>, now: SystemTime) -> Result<(), JwtError> {
        let held = self.held.load();
        let good = held.keys.as_ref().filter(|held| now < held.unusable);
        let verified = good.ok_or(JwtError::KeysUnavailable)?.keys.verify(token);
        if verified == Err(JwtError::NoMatchingKey) && !self.asked.swap(true, Ordering::AcqRel) {
            self.wake.publish(());
        }
        verified
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
