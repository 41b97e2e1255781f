//! Time is paused: it passes only where everybody waits.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::drain;
use mesh_core::telemetry::Direction;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tower_service::Service;

use super::{Accept, AcceptOptions, serve};
use crate::BoxFuture;
use crate::proxy::testing::{Recorder, Seen, addr};
use crate::server::Accepted;

/// Answers from a list, then waits for ever; tells when it was asked.
struct TestListener {
    answers: VecDeque<io::Result<u32>>,
    asked: mpsc::UnboundedSender<Instant>,
}

impl Accept for TestListener {
    type Io = u32;

    async fn accept(&mut self) -> io::Result<Accepted<u32>> {
        let _ = self.asked.send(Instant::now());
        let Some(answer) = self.answers.pop_front() else {
            return std::future::pending().await;
        };
        Ok(Accepted {
            io: answer?,
            peer: addr("10.0.0.1:40000"),
            local: addr("10.0.0.2:15001"),
        })
    }
}

/// Connections that end when they are told to.
#[derive(Clone)]
struct TestService {
    began: mpsc::UnboundedSender<u32>,
    end: Arc<Notify>,
}

impl Service<Accepted<u32>> for TestService {
    type Response = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, accepted: Accepted<u32>) -> Self::Future {
        let Self { began, end } = self.clone();
        Box::pin(async move {
            began.send(accepted.io).unwrap();
            end.notified().await;
            Ok(())
        })
    }
}

struct Bench {
    recorder: Arc<Recorder>,
    asked: mpsc::UnboundedReceiver<Instant>,
    began: mpsc::UnboundedReceiver<u32>,
    end: Arc<Notify>,
    trigger: drain::Trigger,
    serving: tokio::task::JoinHandle<()>,
}

fn begin(answers: impl IntoIterator<Item = io::Result<u32>>, connections: usize) -> Bench {
    let recorder = Arc::<Recorder>::default();
    let (ask, asked) = mpsc::unbounded_channel();
    let (begin, began) = mpsc::unbounded_channel();
    let end = Arc::<Notify>::default();
    let listener = TestListener {
        answers: answers.into_iter().collect(),
        asked: ask,
    };
    let service = TestService {
        began: begin,
        end: end.clone(),
    };
    let mut options = AcceptOptions::new(Direction::Outbound, recorder.clone());
    options.connections = connections;
    let (trigger, drain) = drain::channel();
    Bench {
        recorder,
        asked,
        began,
        end,
        trigger,
        serving: tokio::spawn(serve(listener, service, options, drain)),
    }
}

fn exhausted() -> io::Result<u32> {
    Err(io::Error::other("too many open files"))
}

#[tokio::test(start_paused = true)]
async fn a_failing_listener_is_asked_again_after_growing_pauses() {
    let mut bench = begin((0..9).map(|_| exhausted()).chain([Ok(1), exhausted()]), 9);
    let mut last = bench.asked.recv().await.unwrap();
    for millis in [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 0, 10] {
        let next = bench.asked.recv().await.unwrap();
        assert_eq!(next - last, Duration::from_millis(millis));
        last = next;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ended_too_early_causes_no_pause() {
    let began = Instant::now();
    let aborted = Err(io::ErrorKind::ConnectionAborted.into());
    let mut bench = begin([aborted, Ok(7)], 9);
    assert_eq!(bench.began.recv().await, Some(7));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_wait() {
    let mut bench = begin([Ok(1), Ok(2), Ok(3)], 2);
    assert_eq!(bench.began.recv().await, Some(1));
    assert_eq!(bench.began.recv().await, Some(2));
    let early = tokio::time::timeout(Duration::from_secs(60), bench.began.recv()).await;
    assert!(early.is_err(), "{early:?}");
    bench.end.notify_one();
    assert_eq!(bench.began.recv().await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn sockets_are_reported_as_opened_and_closed() {
    let mut bench = begin([Ok(1)], 9);
    bench.began.recv().await.unwrap();
    assert_eq!(bench.recorder.seen(), [Seen::Socket(1)]);
    bench.end.notify_one();
    bench.trigger.drain();
    bench.trigger.finished().await;
    assert_eq!(bench.recorder.seen(), [Seen::Socket(1), Seen::Socket(-1)]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_closes_the_listener_and_its_deadline_the_connections() {
    let mut bench = begin([Ok(1)], 9);
    bench.began.recv().await.unwrap();
    bench.trigger.drain();
    bench.serving.await.unwrap();
    assert_eq!(bench.trigger.participants(), 1, "the connection goes on");
    bench.trigger.force();
    bench.trigger.finished().await;
    assert_eq!(bench.recorder.seen(), [Seen::Socket(1), Seen::Socket(-1)]);
}
