//! The requests of one tunnel served by several workers.
//!
//! A tunnel is driven by the worker that accepted it, and by default its streams are served there too: nothing
//! crosses from core to core. Where few tunnels carry everything, some workers would have nothing to do: then a
//! stream goes to the worker that serves the fewest. Every message of it wakes another thread, so that is for those
//! who need it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use mesh_hbone::server::Incoming;
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

/// By how many streams this worker may be ahead of another one before that one gets a stream: streams come and go,
/// and one that stays is cheaper.
const AHEAD: usize = 2;

/// All workers, as each of them sees the others.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<[Place]>);

#[derive(Debug)]
struct Place {
    /// As many wait there as their tunnels allow streams.
    jobs: mpsc::UnboundedSender<Job>,
    /// Streams that are served.
    load: AtomicUsize,
}

/// A stream that is served elsewhere. Who sent it learns of its end when `served` is dropped.
struct Job {
    incoming: Incoming,
    served: oneshot::Sender<Infallible>,
    busy: Busy,
}

/// What is sent to one worker.
pub(crate) struct Jobs(mpsc::UnboundedReceiver<Job>);

/// A stream that counts at a worker until this is dropped.
struct Busy {
    places: Places,
    place: usize,
}

impl Places {
    /// Places for so many workers, and what is sent to each.
    pub(crate) fn new(workers: usize) -> (Self, Vec<Jobs>) {
        let (places, jobs) = (0..workers)
            .map(|_| {
                let (jobs, received) = mpsc::unbounded_channel();
                let load = AtomicUsize::new(0);
                (Place { jobs, load }, Jobs(received))
            })
            .unzip::<_, _, Vec<_>, _>();
        (Self(places.into()), jobs)
    }

    /// The worker that is to serve a stream which came to `own`.
    fn choose(&self, own: usize) -> usize {
        let load = |place: &Place| place.load.load(Ordering::Relaxed);
        let here = self.0.get(own).map_or(0, load);
        let least = self.0.iter().map(load).enumerate();
        match least.min_by_key(|(_, load)| *load) {
            Some((place, load)) if load.saturating_add(AHEAD) <= here => place,
            _ => own,
        }
    }

    fn busy(&self, place: usize) -> Busy {
        if let Some(place) = self.0.get(place) {
            place.load.fetch_add(1, Ordering::Relaxed);
        }
        Busy {
            places: self.clone(),
            place,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(place) = self.places.0.get(self.place) {
            place.load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Serves each stream here or at a worker that has less to do.
#[derive(Clone, Debug)]
pub(crate) struct Spread<S> {
    inner: S,
    own: usize,
    /// `None` where streams stay at the worker of their tunnel.
    places: Option<Places>,
}

impl<S> Spread<S> {
    /// For the worker `own`.
    pub(crate) fn new(inner: S, own: usize, places: Option<Places>) -> Self {
        Self { inner, own, places }
    }
}

type Served = Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

impl<S> Service<Incoming> for Spread<S>
where
    S: Service<Incoming, Response = (), Error = Infallible, Future = Served>,
{
    type Response = ();
    type Error = Infallible;
    type Future = Served;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, incoming: Incoming) -> Served {
        let Some(places) = &self.places else {
            return self.inner.call(incoming);
        };
        let chosen = places.choose(self.own);
        let busy = places.busy(chosen);
        let other = places.0.get(chosen).filter(|_| chosen != self.own);
        let Some(other) = other else {
            let served = self.inner.call(incoming);
            return Box::pin(async move {
                let _busy = busy;
                served.await
            });
        };
        let (served, end) = oneshot::channel();
        // A worker that has ended drops the request, which answers 503.
        let _ = other.jobs.send(Job {
            incoming,
            served,
            busy,
        });
        Box::pin(async move {
            // Nothing is ever sent: an error is the end.
            let _ = end.await;
            Ok(())
        })
    }
}

impl Jobs {
    /// Serves what other workers send, until they have ended.
    pub(crate) async fn serve<S>(mut self, mut service: S)
    where
        S: Service<Incoming, Response = (), Error = Infallible, Future = Served>,
    {
        while let Some(Job {
            incoming,
            mut served,
            busy,
        }) = self.0.recv().await
        {
            let work = service.call(incoming);
            tokio::spawn(async move {
                let _busy = busy;
                tokio::select! {
                    _ = work => {}
                    // Its tunnel was cut off.
                    () = served.closed() => {}
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_elsewhere_when_another_worker_has_clearly_less_to_do() {
        let (places, _jobs) = Places::new(2);
        let mut busy = Vec::new();
        let mut chosen = Vec::new();
        for _ in 0..6 {
            let place = places.choose(0);
            chosen.push(place);
            busy.push(places.busy(place));
        }
        assert_eq!(chosen, [0, 0, 1, 0, 1, 0]);
        assert_eq!(places.choose(1), 1, "one that is not ahead keeps its own");
        drop(busy);
        assert_eq!(places.choose(0), 0);
    }
}
