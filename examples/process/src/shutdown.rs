//! The end of the process: who asks for it, and when it must be over.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The wish to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<watch::Sender<Option<&'static str>>>);

impl Shutdown {
    /// Nobody wants to stop yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop, for a reason that is logged. Only the first reason counts.
    pub fn begin(&self, reason: &'static str) {
        self.0.send_if_modified(|wish| {
            let first = wish.is_none();
            wish.get_or_insert(reason);
            first
        });
    }

    /// Waits until somebody asks to stop, and says why.
    pub async fn begun(&self) -> &'static str {
        let mut wish = self.0.subscribe();
        // The sender lives as long as self, so this does not fail.
        let reason = wish.wait_for(Option::is_some).await.map(|reason| *reason);
        reason.ok().flatten().unwrap_or("unknown")
    }
}

/// The signals that ask the process to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from their default action. Must be called in a tokio runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Turns SIGTERM and the first SIGINT into the wish to stop; ends with the second SIGINT.
    pub async fn follow(mut self, shutdown: Shutdown) {
        let mut interrupted = false;
        loop {
            tokio::select! {
                Some(()) = self.terminate.recv() => shutdown.begin("SIGTERM"),
                Some(()) = self.interrupt.recv() => {
                    if std::mem::replace(&mut interrupted, true) {
                        return;
                    }
                    shutdown.begin("SIGINT");
                }
                else => return,
            }
        }
    }
}
