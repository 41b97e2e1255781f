//! Looking up host names.

mod cache;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use cache::Addresses;
use cache::Cache;

/// Looks up host names: of workloads that have no address, and of hosts outside the mesh.
pub trait NameLookup: Clone + Send + Sync + 'static {
    /// All addresses of a host name, at least one, best first.
    ///
    /// # Errors
    /// When the name has no address, or none could be had in time. The kind
    /// [`io::ErrorKind::NotFound`] says that it has none.
    fn lookup(&self, name: &str) -> impl Future<Output = io::Result<Addresses>> + Send;
}

/// Looks nothing up: every name is unknown.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "no state")]
pub struct NoLookup;

impl NameLookup for NoLookup {
    async fn lookup(&self, _: &str) -> io::Result<Addresses> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The host's own resolver, with a small cache in front.
///
/// A lookup that is under way is shared by all who want the same name. The host's resolver does
/// not tell how long an answer holds, so answers are kept for a fixed short time. Clones share the
/// cache.
///
/// # Example
/// ```
/// use mesh_hbone::proxy::{NameLookup, SystemLookup};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let addresses = SystemLookup::default().lookup("localhost").await?;
/// assert!(addresses.iter().all(|ip| ip.is_loopback()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SystemLookup {
    cache: Arc<Cache>,
}

impl SystemLookup {
    /// The time that addresses are kept: 10 s.
    pub const KEPT: Duration = Duration::from_secs(10);
    /// The time that a failure is kept: 2 s.
    pub const FAILURE_KEPT: Duration = Duration::from_secs(2);
    /// The most names that are kept: 1024.
    pub const CAPACITY: usize = 1024;
    /// The time that a lookup may take: 5 s.
    pub const TIMEOUT: Duration = Duration::from_secs(5);
}

impl Default for SystemLookup {
    fn default() -> Self {
        Self {
            cache: Arc::new(Cache::new(Self::CAPACITY, Self::KEPT, Self::FAILURE_KEPT)),
        }
    }
}

impl NameLookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Addresses> {
        self.cache.get(name, || ask(name)).await
    }
}

async fn ask(name: &str) -> io::Result<Addresses> {
    let answer = tokio::time::timeout(SystemLookup::TIMEOUT, tokio::net::lookup_host((name, 0)));
    let found = answer.await.map_err(|_| io::ErrorKind::TimedOut)??;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        let ip = address.ip().to_canonical();
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    if addresses.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(addresses.into())
}
