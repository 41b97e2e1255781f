//! The worker threads: each has its own runtime, its own listeners and its own tunnel pool, so
//! that a connection stays on one core.

mod listeners;
mod on_demand;
mod resolution;
mod services;
mod shared;

use std::io;
use std::thread::JoinHandle;

use mesh_core::drain::Drain;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use listeners::Listeners;
pub(crate) use resolution::resolve_config;
pub(crate) use shared::{Shared, StartError};

/// The running worker threads.
#[derive(Debug)]
pub(crate) struct Workers {
    end: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Binds every listener, then starts the threads.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub(crate) fn start(shared: &Shared, drain: &Drain) -> Result<Self, StartError> {
        let count = shared.settings.workers.get();
        listeners::check_free(shared)?;
        let mut prepared = Vec::with_capacity(count);
        for index in 0..count {
            let error = |source| StartError::Worker { index, source };
            let runtime = WorkerRuntime::new().map_err(error)?;
            if let Some(runtime) = &runtime.0 {
                shared.metrics.runtimes().add(runtime.handle());
            }
            // Sockets belong to the runtime that is entered when they are made.
            let listeners = {
                let _entered = runtime.0.as_ref().map(Runtime::enter);
                Listeners::bind(shared, count > 1)?
            };
            prepared.push((runtime, services::Services::new(shared, listeners, drain)?));
        }
        let (end, ended) = watch::channel(false);
        let mut workers = Self {
            end,
            threads: Vec::with_capacity(count),
        };
        for (index, (runtime, services)) in prepared.into_iter().enumerate() {
            let (ended, drain) = (ended.clone(), drain.clone());
            let thread = std::thread::Builder::new()
                .name(format!("ztunnel-{index}"))
                .spawn(move || run(&runtime, services, drain, ended))
                .map_err(|source| StartError::Worker { index, source })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Ends the threads, with whatever still runs on them.
    pub(crate) fn stop(self) {
        // Fails only when all threads have ended.
        let _ = self.end.send(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

/// A runtime that can be dropped within another one, as when the start fails half-way.
struct WorkerRuntime(Option<Runtime>);

impl WorkerRuntime {
    fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self(Some(runtime)))
    }
}

impl Drop for WorkerRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn run(
    runtime: &WorkerRuntime,
    services: services::Services,
    drain: Drain,
    mut ended: watch::Receiver<bool>,
) {
    let Some(runtime) = &runtime.0 else { return };
    runtime.block_on(async move {
        services.spawn(&drain);
        // The listeners and connections hold the drain from here on.
        drop(drain);
        // An error means that the workers were dropped, which also ends them.
        let _ = ended.wait_for(|ended| *ended).await;
    });
}
