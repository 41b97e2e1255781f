//! Requests that are sent to another host as well when the first one takes long.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use mesh_core::limits::RetryBudget;
use mesh_l7::attempt::{Attempt, AttemptError};
use mesh_l7::body::Body;
use mesh_l7::router::{Chance, Hedge};
use mesh_l7::upstream::Upstream;
use tower_service::Service;

use crate::harness::{Answer, Client, Mesh, answer, bytes, forward, get, io, millis, recorded};

/// What each copy does: the time until its answer, and its status; 0 for no connection.
type Copies = [(u64, u16); 2];

fn client(copies: Copies) -> Client {
    Client::new(move |number, _| async move {
        let (wait, status) = copies[number as usize - 1];
        tokio::time::sleep(millis(wait)).await;
        match status {
            0 => Err(AttemptError::Connect(io("refused"))),
            status => answer(status),
        }
    })
}

fn mesh() -> Mesh {
    let mut mesh = Mesh::new(forward());
    mesh.settings.hedge = Some(millis(100));
    mesh
}

fn attempt(upstream: &Arc<Upstream<()>>, request: Request<Body>) -> Attempt<()> {
    Attempt {
        upstream: upstream.clone(),
        host: upstream.cluster.hosts().hosts()[0].clone(),
        request,
    }
}

async fn ask(
    upstream: &Arc<Upstream<()>>,
    client: &Client,
    request: Request<Body>,
) -> (Answer, Duration) {
    let mut service = Hedge::with_chance(client.clone(), Chance::of(|| u64::MAX / 2));
    let begin = tokio::time::Instant::now();
    let answer = service.call(attempt(upstream, request)).await;
    (answer, begin.elapsed())
}

/// l7.md 2.11.
#[tokio::test(start_paused = true)]
async fn the_first_good_answer_counts() {
    // Status, and when it was there; how many copies there were.
    let cases: [(&str, Copies, u16, u64, usize); 8] = [
        ("in time", [(50, 200), (0, 200)], 200, 50, 1),
        ("in time, and bad", [(50, 503), (0, 200)], 503, 50, 1),
        ("the copy is sooner", [(1_000, 200), (10, 201)], 201, 110, 2),
        ("the first is sooner", [(150, 200), (900, 201)], 200, 150, 2),
        (
            "the first fails later",
            [(150, 503), (200, 201)],
            201,
            300,
            2,
        ),
        ("the copy fails", [(400, 200), (10, 503)], 200, 400, 2),
        ("both fail", [(150, 500), (200, 503)], 500, 300, 2),
        ("the copy finds nobody", [(400, 404), (10, 0)], 404, 400, 2),
    ];
    for (name, copies, status, after, sent) in cases {
        let (upstream, client) = (mesh().upstream(), client(copies));
        let (answer, took) = ask(&upstream, &client, get()).await;
        assert_eq!(answer.unwrap().status(), status, "{name}");
        assert_eq!((took, client.attempts()), (millis(after), sent), "{name}");
        let hosts: Vec<String> = {
            let seen = client.seen.lock().unwrap();
            seen.iter().map(|one| one.host.clone()).collect()
        };
        assert!(hosts.len() < 2 || hosts[0] != hosts[1], "{name}: {hosts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_copy_says_which_attempt_it_is_and_the_record_whose_answer_it_was() {
    let (upstream, client) = (mesh().upstream(), client([(1_000, 200), (10, 200)]));
    let (mut request, record) = recorded(get());
    request
        .headers_mut()
        .insert("x-envoy-attempt-count", "1".parse().unwrap());
    record.note(|entry| entry.attempts = 1);
    let (answer, _) = ask(&upstream, &client, request).await;
    assert_eq!(answer.unwrap().status(), 200);
    let seen = client.seen.lock().unwrap();
    assert_eq!(seen[1].headers["x-envoy-attempt-count"], "2");
    let (host, attempts) = record.note(|entry| (entry.host.clone(), entry.attempts));
    assert_eq!((host.unwrap().as_str(), attempts), (&*seen[1].host, 2));
}

#[tokio::test(start_paused = true)]
async fn only_what_changes_nothing_and_has_no_body_is_sent_twice() {
    let slow = || client([(500, 200), (0, 200)]);
    let requests = [
        ("get", get(), 2),
        ("head", Request::head("/").body(Body::empty()).unwrap(), 2),
        ("post", Request::post("/").body(Body::empty()).unwrap(), 1),
        (
            "delete",
            Request::delete("/").body(Body::empty()).unwrap(),
            1,
        ),
        ("a body", get().map(|_| Body::from("body")), 1),
        (
            "an upgrade",
            Request::get("/")
                .header("upgrade", "websocket")
                .body(Body::empty())
                .unwrap(),
            1,
        ),
        (
            "a method of its own",
            Request::builder()
                .method(Method::from_bytes(b"READ").unwrap())
                .uri("/")
                .body(Body::empty())
                .unwrap(),
            1,
        ),
    ];
    for (name, request, copies) in requests {
        let client = slow();
        let (answer, _) = ask(&mesh().upstream(), &client, request).await;
        assert_eq!(answer.unwrap().status(), 200, "{name}");
        assert_eq!(client.attempts(), copies, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_setting_another_host_or_room_there_is_no_copy() {
    type Change = fn(&mut Mesh);
    let cases: [(&str, Change, usize); 4] = [
        ("all is there", |_| (), 2),
        ("nothing is said", |mesh| mesh.settings.hedge = None, 1),
        ("one host", |mesh| mesh.hosts = 1, 1),
        (
            "no budget",
            |mesh| {
                mesh.breaker.budget = Some(RetryBudget {
                    percent: 0.0,
                    min_concurrency: 0,
                });
            },
            1,
        ),
    ];
    for (name, change, copies) in cases {
        let mut mesh = mesh();
        change(&mut mesh);
        let client = client([(500, 200), (0, 200)]);
        let (answer, _) = ask(&mesh.upstream(), &client, get()).await;
        assert_eq!(answer.unwrap().status(), 200, "{name}");
        assert_eq!(client.attempts(), copies, "{name}");
    }
}

/// Places in the circuit breaker come back, whoever has answered.
#[tokio::test(start_paused = true)]
async fn nothing_is_held_in_the_end() {
    for copies in [
        [(1_000, 200), (10, 200)],
        [(150, 200), (900, 200)],
        [(400, 200), (10, 503)],
    ] {
        let upstream = mesh().upstream();
        let (answer, _) = ask(&upstream, &client(copies), get()).await;
        bytes(answer.unwrap().into_body()).await.unwrap();
        for (name, limit) in upstream.breaker.limits() {
            assert_eq!(limit.in_use(), 0, "{name} {copies:?}");
        }
        let hosts = upstream.cluster.hosts();
        let active: u32 = hosts.hosts().iter().map(|host| host.active()).sum();
        assert_eq!(active, 0, "{copies:?}");
    }
}
