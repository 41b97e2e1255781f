//! Latency bought with processor time: a worker that stays awake for a while after traffic.
//!
//! On an idle machine most of the time that a small message takes through a proxy is not work but
//! waking up: the processor leaves its sleep, the kernel switches to the proxy's thread. A worker
//! that looks for the next message for some time before it goes to sleep saves that, as long as
//! messages follow each other within that time. It costs processor time that nobody else wants: while
//! it looks, it yields to every other thread that could run on its core.
//!
//! It limits itself. When looks come to nothing, because messages are rare, or because others take the
//! core meanwhile, the worker sleeps as if it had never looked and tries again after 64 receptions, then
//! 128, up to 4096, until looks find something in time.
//!
//! [`Awake`] belongs to one worker: a thread with a current-thread runtime. The sockets of the
//! worker are made by [`Awake::acceptor`] and [`Awake::dialer`], so that it knows when there is
//! traffic; [`Awake::run`] is spawned on it.
//!
//! # Example
//! ```no_run
//! use std::time::Duration;
//!
//! use mesh_hbone::awake::Awake;
//! use mesh_hbone::proxy::TcpDialer;
//! use mesh_hbone::sock::SocketOptions;
//!
//! # async fn example() {
//! let awake = Awake::new(Duration::from_micros(50));
//! let dialer = awake.dialer(TcpDialer::new(SocketOptions::default()));
//! tokio::spawn(awake.run());
//! # let _ = dialer;
//! # }
//! ```

mod patience;
mod socket;
mod sources;
mod traffic;

pub use socket::AwakeSocket;
pub use sources::{AwakeAcceptor, AwakeDialer, AwakeDialing};

use std::sync::Arc;
use std::time::{Duration, Instant};

use patience::Patience;
use traffic::Traffic;

/// Keeps one worker awake for a while after traffic.
///
/// Clones belong to the same worker.
#[derive(Clone, Debug)]
pub struct Awake {
    window: Duration,
    traffic: Arc<Traffic>,
}

impl Awake {
    /// A worker that looks for more during `window` after something was received. Zero = it goes
    /// to sleep at once, as without all this.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            window,
            traffic: Arc::default(),
        }
    }

    /// The source of connections with sockets that keep the worker awake.
    pub fn acceptor<A>(&self, acceptor: A) -> AwakeAcceptor<A> {
        AwakeAcceptor::new(acceptor, self.handle())
    }

    /// The dialer with sockets that keep the worker awake.
    pub fn dialer<D>(&self, dialer: D) -> AwakeDialer<D> {
        AwakeDialer::new(dialer, self.handle())
    }

    /// What sockets report to; none where there is nothing to keep awake.
    fn handle(&self) -> Option<Arc<Traffic>> {
        (self.window > Duration::ZERO).then(|| self.traffic.clone())
    }

    /// Keeps the worker awake, for ever. To be spawned on the worker's runtime, once.
    ///
    /// # Cancellation
    /// When it is dropped, the worker sleeps whenever it has nothing to do.
    pub async fn run(self) {
        if self.window == Duration::ZERO {
            return;
        }
        let mut patience = Patience::default();
        let mut seen = self.traffic.reads();
        loop {
            self.traffic.wait_beyond(seen).await;
            self.look(&mut patience).await;
            seen = self.traffic.reads().saturating_add(patience.in_vain());
        }
    }

    /// Looks for traffic until there was none for the whole window.
    async fn look(&self, patience: &mut Patience) {
        let mut seen = self.traffic.reads();
        let mut since = Instant::now();
        loop {
            // Other threads first. Then the runtime looks for what has arrived, without waiting.
            std::thread::yield_now();
            tokio::task::yield_now().await;
            let now = Instant::now();
            // What came later, because another thread had the core, has not come in time.
            if now.duration_since(since) >= self.window {
                return;
            }
            let reads = self.traffic.reads();
            if reads != seen {
                seen = reads;
                since = now;
                patience.found();
            }
        }
    }
}

#[cfg(test)]
mod tests;
