//! Bodies of requests that are sent more than once, and of responses that break off.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use mesh_l7::attempt::AttemptError;
use mesh_l7::body::Body;
use mesh_l7::hygiene::Admitted;
use mesh_l7::route::{RetryOn, RetryPolicy, Rule};

use crate::harness::{Client, Drip, Mesh, answer, ask, bytes, collect, forward, get, io, recorded};
use tower_service::Service as _;

fn retrying(buffer: usize) -> Rule {
    let mut rule = forward();
    rule.retry = Some(RetryPolicy {
        retries: 2,
        on: RetryOn::RESET,
        buffer,
        ..RetryPolicy::default()
    });
    rule
}

fn post(body: Body) -> Request<Body> {
    Request::post("/").header("host", "web").body(body).unwrap()
}

type Bodies = Arc<Mutex<Vec<(Bytes, Option<HeaderMap>)>>>;

/// Reads the whole body of each attempt; the first ones then end with a reset.
fn reading(failures: u32) -> (Client, Bodies) {
    let bodies = Bodies::default();
    let read = bodies.clone();
    let client = Client::new(move |attempt, request| {
        let read = read.clone();
        async move {
            let body = collect(request.into_body()).await.unwrap();
            read.lock().unwrap().push(body);
            match attempt <= failures {
                true => Err(AttemptError::Reset(io("eof"))),
                false => answer(200),
            }
        }
    });
    (client, bodies)
}

#[tokio::test(start_paused = true)]
async fn the_whole_body_and_its_trailers_are_sent_again() {
    let (client, bodies) = reading(2);
    let body = Body::new(Drip::new([0, 5, 5]).with_trailers());
    let (response, _) = ask(Mesh::new(retrying(1024)).router(&client), post(body)).await;
    assert_eq!(response.status(), 200);
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies.len(), 3);
    for (body, trailers) in bodies.iter() {
        assert_eq!(body, "...");
        assert_eq!(trailers.as_ref().unwrap()["x-end"], "1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_buffer_is_passed_on_and_not_sent_again() {
    let (client, bodies) = reading(1);
    let body = Body::new(Drip::new([0, 5, 5]));
    let (response, entry) = ask(Mesh::new(retrying(2)).router(&client), post(body)).await;
    assert_eq!(response.status(), 503);
    assert_eq!(entry.not_retried, Some("body_too_large"));
    assert_eq!(entry.flags.to_string(), "UC");
    assert_eq!(bodies.lock().unwrap()[0].0, "...", "all of it");
    assert_eq!(client.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn bodies_of_all_requests_together_are_bounded() {
    let (client, _) = reading(1);
    let mut mesh = Mesh::new(retrying(1024));
    mesh.router.replay_memory = 2;
    let (response, entry) = ask(mesh.router(&client), post("abc".into())).await;
    assert_eq!(response.status(), 503);
    assert_eq!(entry.not_retried, Some("body_too_large"));
    // What was kept is given back: the bodies of three requests fit one after the other.
    let client = Client::new(|_, request: Request<Body>| async move {
        let first = request.headers()["x-envoy-attempt-count"] == "1";
        bytes(request.into_body()).await.unwrap();
        match first {
            true => Err(AttemptError::Reset(io("eof"))),
            false => answer(200),
        }
    });
    let router = mesh.router(&client);
    for _ in 0..3 {
        let (response, _) = ask(router.clone(), post("ab".into())).await;
        assert_eq!(response.status(), 200);
    }
    assert_eq!(client.attempts(), 6);
}

/// The retry begins before the client has sent all, and goes on with what comes.
#[tokio::test(start_paused = true)]
async fn a_retry_may_begin_before_the_body_has_ended() {
    let bodies = Bodies::default();
    let read = bodies.clone();
    let client = Client::new(move |attempt, request: Request<Body>| {
        let read = read.clone();
        async move {
            if attempt == 1 {
                let mut body = request.into_body();
                let first = crate::harness::frame(&mut body).await;
                assert_eq!(first.unwrap().unwrap().into_data().unwrap(), ".");
                return Err(AttemptError::Reset(io("eof")));
            }
            let body = collect(request.into_body()).await.unwrap();
            read.lock().unwrap().push(body);
            answer(200)
        }
    });
    let body = Body::new(Drip::new([0, 500, 500]));
    let (response, _) = ask(Mesh::new(retrying(1024)).router(&client), post(body)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(bodies.lock().unwrap()[0].0, "...");
}

/// A client may keep the body of an attempt that was given up; it must not eat what the next one needs.
#[tokio::test(start_paused = true)]
async fn the_body_of_an_attempt_that_was_given_up_reads_nothing_more() {
    let stale: Arc<Mutex<Option<Body>>> = Arc::default();
    let keep = stale.clone();
    let client = Client::new(move |attempt, request: Request<Body>| {
        let keep = keep.clone();
        async move {
            if attempt == 1 {
                *keep.lock().unwrap() = Some(request.into_body());
                return Err(AttemptError::Reset(io("eof")));
            }
            let old = keep.lock().unwrap().take().unwrap();
            assert!(bytes(old).await.is_err());
            assert_eq!(bytes(request.into_body()).await.unwrap(), "...");
            answer(200)
        }
    });
    let body = Body::new(Drip::new([0, 5, 5]));
    let (response, _) = ask(Mesh::new(retrying(1024)).router(&client), post(body)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(client.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_length_of_a_body_is_known_to_every_attempt() {
    use http_body::Body as _;
    let client = Client::new(|attempt, request: Request<Body>| async move {
        assert_eq!(request.body().size_hint().exact(), Some(5));
        assert_eq!(bytes(request.into_body()).await.unwrap(), "hello");
        match attempt {
            1 => Err(AttemptError::Reset(io("eof"))),
            _ => answer(200),
        }
    });
    let (response, _) = ask(
        Mesh::new(retrying(1024)).router(&client),
        post("hello".into()),
    )
    .await;
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_breaks_off_is_noted_and_frees_its_host() {
    let client =
        Client::new(|_, _| async { Ok(Response::new(Body::new(Drip::new([0]).broken()))) });
    let mesh = Mesh::new(forward());
    let upstream = mesh.upstream();
    let mut router = mesh.router_over(std::slice::from_ref(&upstream), &client);
    let (request, record) = recorded(get());
    let Ok(response) = router.call(request).await;
    assert!(bytes(response.into_body()).await.is_err());
    let noted = record.note(|entry| (entry.flags.to_string(), entry.detail));
    let detail = "upstream_reset_after_response_started{connection_termination}";
    assert_eq!(noted, ("UC".to_owned(), detail));
    assert_eq!(
        upstream
            .breaker
            .limits()
            .map(|(_, limit)| limit.in_use())
            .sum::<u32>(),
        0
    );
}

fn upgrade(body: Body) -> Request<Body> {
    let mut request = Request::get("/")
        .header("host", "web")
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    let extensions = request.extensions_mut().unwrap();
    let mut admitted = Admitted::default();
    admitted.upgrade = Some("websocket".parse().unwrap());
    extensions.insert(admitted);
    request.body(body).unwrap()
}

/// Of what follows a switch nothing is kept, so it is tried again before it and never after.
#[tokio::test(start_paused = true)]
async fn a_switch_of_protocols_is_tried_again_until_something_follows() {
    for (read, attempts) in [(false, 2), (true, 1)] {
        let client = Client::new(move |attempt, request: Request<Body>| async move {
            let mut body = request.into_body();
            if read {
                crate::harness::frame(&mut body).await.unwrap().unwrap();
            }
            match attempt {
                1 => Err(AttemptError::Reset(io("eof"))),
                _ => answer(101),
            }
        });
        let request = upgrade(Body::new(Drip::new([0, 5, 5])));
        ask(Mesh::new(retrying(1024)).router(&client), request).await;
        assert_eq!(client.attempts(), attempts, "read: {read}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_switch_of_protocols_the_routes_time_is_not_counted() {
    let mut rule = forward();
    rule.timeouts.request = Some(crate::harness::millis(1_000));
    let client = Client::new(|_, _| async {
        let switched = Response::builder().status(101);
        Ok(switched
            .body(Body::new(Drip::new([900, 900, 900])))
            .unwrap())
    });
    let request = upgrade(Body::new(Drip::new([0])));
    let (response, _) = ask(Mesh::new(rule).router(&client), request).await;
    assert_eq!(response.status(), 101);
    assert_eq!(bytes(response.into_body()).await.unwrap(), "...");
}
