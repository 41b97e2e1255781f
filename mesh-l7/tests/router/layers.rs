//! Retries and time limits as layers of their own, around a service that is a function.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use mesh_core::limits::RetryBudget;
use mesh_l7::body::Body;
use mesh_l7::record::Record;
use mesh_l7::route::{NoResponse, RetryOn, RetryPolicy};
use mesh_l7::router::{RetryLayer, TimeoutLayer};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::harness::{Drip, bytes, get, grpc, millis, recorded};

#[derive(Clone, Debug, PartialEq)]
enum Wrong {
    Connect,
    Ours,
}

type Answer = Result<Response<Body>, Wrong>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A service that takes one request each time that it was ready.
struct Inner {
    answer: Arc<dyn Fn(u32, Request<Body>) -> Answering + Send + Sync>,
    calls: Arc<AtomicU32>,
    ready: bool,
}

impl Inner {
    fn new<T>(answer: impl Fn(u32, Request<Body>) -> T + Send + Sync + 'static) -> Self
    where
        T: Future<Output = Answer> + Send + 'static,
    {
        Self {
            answer: Arc::new(move |call, request| Box::pin(answer(call, request))),
            calls: Arc::default(),
            ready: false,
        }
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// A clone has reserved nothing.
impl Clone for Inner {
    fn clone(&self) -> Self {
        Self {
            answer: self.answer.clone(),
            calls: self.calls.clone(),
            ready: false,
        }
    }
}

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Wrong;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Wrong>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being ready"
        );
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        (self.answer)(call, request)
    }
}

fn response(status: u16) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}

async fn ask<S>(service: &mut S, request: Request<Body>) -> Answer
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Wrong>,
{
    std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

fn policy(retries: u32, on: RetryOn) -> RetryPolicy {
    RetryPolicy {
        retries,
        on,
        ..RetryPolicy::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_tries_again_as_often_as_its_policy_says() {
    for (retries, good_at, status, calls) in [
        (2, 3, 200, 3),
        (2, 4, 503, 3),
        (0, 2, 503, 1),
        (5, 2, 200, 2),
    ] {
        let inner = Inner::new(move |call, _| async move {
            Ok(response(if call < good_at { 503 } else { 200 }))
        });
        let mut service =
            RetryLayer::new(policy(retries, RetryOn::GATEWAY_ERROR)).layer(inner.clone());
        let (request, record) = recorded(get());
        let answer = ask(&mut service, request).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), inner.calls()),
            (status, calls),
            "{retries} {good_at}"
        );
        assert_eq!(record.note(|entry| entry.retries), calls - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_are_sent_again_as_long_as_they_fit_and_extensions_with_them() {
    for (size, status, calls) in [(10, 200, 2), (100, 503, 1)] {
        let inner = Inner::new(move |call, request: Request<Body>| async move {
            assert!(Record::of(request.extensions()).is_some());
            assert_eq!(request.extensions().get::<u8>(), Some(&7));
            assert_eq!(bytes(request.into_body()).await.unwrap().len(), size);
            Ok(response(if call == 1 { 503 } else { 200 }))
        });
        let policy = RetryPolicy {
            buffer: 50,
            ..policy(1, RetryOn::GATEWAY_ERROR)
        };
        let mut service = RetryLayer::new(policy).layer(inner.clone());
        let (mut request, _record) = recorded(get().map(|_| Body::new(Drip::new(vec![0; size]))));
        request.extensions_mut().insert(7_u8);
        let answer = ask(&mut service, request).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), inner.calls()),
            (status, calls),
            "{size}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_tried_again_where_somebody_says_what_they_mean() {
    let inner = |wrong: Wrong| Inner::new(move |_, _| std::future::ready(Err(wrong.clone())));
    let layer = || RetryLayer::new(policy(2, RetryOn::CONNECT_FAILURE));
    let unknown = inner(Wrong::Connect);
    let answer = ask(&mut layer().layer(unknown.clone()), get()).await;
    assert_eq!((answer.err(), unknown.calls()), (Some(Wrong::Connect), 1));
    for (wrong, calls) in [(Wrong::Connect, 3), (Wrong::Ours, 1)] {
        let inner = inner(wrong.clone());
        let layer = layer().with_failures(|wrong: &Wrong| match wrong {
            Wrong::Connect => Some(NoResponse::Connect),
            Wrong::Ours => None,
        });
        let answer = ask(&mut layer.layer(inner.clone()), get()).await;
        assert_eq!((answer.err(), inner.calls()), (Some(wrong), calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_bounds_the_retries_of_all_requests_together() {
    let inner = Inner::new(|_, _| async {
        tokio::time::sleep(millis(100)).await;
        Ok(response(503))
    });
    let budget = RetryBudget {
        percent: 20.0,
        min_concurrency: 0,
    };
    let layer = RetryLayer::with_budget(policy(1, RetryOn::GATEWAY_ERROR), budget);
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let mut service = layer.layer(inner.clone());
            tokio::spawn(async move { ask(&mut service, get()).await.unwrap().status() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 503);
    }
    // A fifth of those that are there at each moment: 10 of 50, and of what is left later less.
    assert!((51..=60).contains(&inner.calls()), "{}", inner.calls());
}

#[tokio::test(start_paused = true)]
async fn what_asks_to_wait_is_waited_for() {
    let inner = Inner::new(|call, _| async move {
        let mut answer = response(if call == 1 { 503 } else { 200 });
        answer
            .headers_mut()
            .insert("retry-after", "3".parse().unwrap());
        Ok(answer)
    });
    let mut service = RetryLayer::new(policy(1, RetryOn::GATEWAY_ERROR)).layer(inner);
    let begin = tokio::time::Instant::now();
    assert_eq!(ask(&mut service, get()).await.unwrap().status(), 200);
    // l7.md 2.10: up to half as long again.
    assert!((3_000..=4_500).contains(&begin.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_answers_and_drops_what_was_asked() {
    struct Dropped(Arc<AtomicU32>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicU32::new(0));
    let told = dropped.clone();
    let inner = Inner::new(move |_, _| {
        let guard = Dropped(told.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(response(200))
        }
    });
    let mut service = TimeoutLayer::new(millis(300)).layer(inner);
    let (request, record) = recorded(get());
    let answer = ask(&mut service, request).await.unwrap();
    assert_eq!(answer.status(), 504);
    assert_eq!(
        bytes(answer.into_body()).await.unwrap(),
        "upstream request timeout"
    );
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    let noted = record.note(|entry| (entry.flags.to_string(), entry.detail));
    assert_eq!(noted, ("UT".to_owned(), "response_timeout"));
    // A call is told by its own status, and by the nearer of both limits.
    let begin = tokio::time::Instant::now();
    let mut call = grpc();
    call.headers_mut()
        .insert("grpc-timeout", "100m".parse().unwrap());
    let answer = ask(&mut service, call).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["grpc-status"]),
        (200, &"4".parse().unwrap())
    );
    assert_eq!(begin.elapsed(), millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_holds_to_the_end_of_the_body() {
    let drip = |waits: &'static [u64]| {
        Inner::new(
            move |_, _| async move { Ok(Response::new(Body::new(Drip::new(waits.to_vec())))) },
        )
    };
    let in_all = TimeoutLayer::new(millis(500));
    let idle = TimeoutLayer::new(millis(0)).with_idle(millis(300));
    let cases: [(&str, TimeoutLayer, &[u64], bool); 4] = [
        ("in all, in time", in_all, &[200, 200], true),
        ("in all, late", in_all, &[200, 200, 200], false),
        ("idle, moving", idle, &[200, 200, 200], true),
        ("idle, silent", idle, &[200, 400], false),
    ];
    for (name, layer, waits, whole) in cases {
        let answer = ask(&mut layer.layer(drip(waits)), get()).await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(bytes(answer.into_body()).await.is_ok(), whole, "{name}");
    }
}

/// l7.md 2.9: each attempt has its own time within that of all.
#[tokio::test(start_paused = true)]
async fn limits_nest_around_retries() {
    let inner = Inner::new(|_, _| std::future::pending());
    let each = TimeoutLayer::new(millis(100)).layer(inner.clone());
    let retried = RetryLayer::new(policy(9, RetryOn::GATEWAY_ERROR)).layer(each);
    let mut all = TimeoutLayer::new(millis(1_000)).layer(retried);
    let begin = tokio::time::Instant::now();
    let answer = ask(&mut all, get()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), begin.elapsed()),
        (504, millis(1_000))
    );
    assert!((3..=9).contains(&inner.calls()), "{}", inner.calls());
}
