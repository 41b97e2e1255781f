//! Figures about the workers' runtimes.

use parking_lot::RwLock;
use tokio::runtime::{Handle, RuntimeMetrics};

use mesh_core::exposition::{Kind, Writer};

/// The runtimes of the workers, each of which has one thread.
#[derive(Debug, Default)]
pub(crate) struct Runtimes(RwLock<Vec<RuntimeMetrics>>);

impl Runtimes {
    /// Shows a runtime from now on.
    pub(crate) fn add(&self, runtime: &Handle) {
        self.0.write().push(runtime.metrics());
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let runtimes = self.0.read();
        let sum = |of: fn(&RuntimeMetrics) -> usize| runtimes.iter().map(of).sum::<usize>();
        for (name, help, value) in [
            (
                "tokio_num_workers",
                "Number of worker threads.",
                sum(RuntimeMetrics::num_workers),
            ),
            (
                "tokio_global_queue_depth",
                "Number of tasks in the queues that other threads put tasks into.",
                sum(RuntimeMetrics::global_queue_depth),
            ),
            (
                "tokio_num_alive_tasks",
                "Number of tasks that have not ended.",
                sum(RuntimeMetrics::num_alive_tasks),
            ),
        ] {
            writer.metric(name, Kind::Gauge, help, [("", value)]);
        }
        let workers = || {
            let numbered = runtimes.iter().enumerate();
            numbered.map(|(index, runtime)| (format!("worker=\"{index}\""), runtime))
        };
        writer.metric(
            "tokio_worker_total_busy_duration_seconds",
            Kind::Counter,
            "Time that a worker thread was busy.",
            workers().map(|(worker, of)| (worker, of.worker_total_busy_duration(0).as_secs_f64())),
        );
        writer.metric(
            "tokio_worker_park_count",
            Kind::Counter,
            "Times a worker thread went to sleep.",
            workers().map(|(worker, of)| (worker, of.worker_park_count(0))),
        );
        writer.metric(
            "tokio_worker_park_unpark_count",
            Kind::Counter,
            "Times a worker thread went to sleep or woke up.",
            workers().map(|(worker, of)| (worker, of.worker_park_unpark_count(0))),
        );
    }
}
