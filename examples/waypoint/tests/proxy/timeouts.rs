//! Time limits of clients' connections and requests, by the environment.

use tokio::io::AsyncWriteExt;

use crate::objects::routes;
use crate::world::{API, World};

async fn limited(variable: &'static str, value: &str) -> World {
    // Without Istio's retries, of which there are none for what is late anyway.
    let once = routes(
        "api",
        "[{retries: {attempts: 0}, route: [{destination: {host: api}}]}]",
    );
    World::with(&once, &[(variable, value)]).await
}

#[tokio::test]
async fn a_request_in_which_nothing_moves_is_given_up() {
    let world = limited("MESH_HTTP_STREAM_IDLE_TIMEOUT", "400ms").await;
    let answer = world.client.get(API, "/hold").await;
    assert_eq!((answer.status, &*answer.body), (504, "stream timeout"));
    let mut connection = world.client.connection(API).await;
    let length = "content-length: 9\r\n";
    let answer = connection.send_body("POST", "/part", length, b"some").await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, &*answer.body), (408, "stream timeout"));
    let gone = async || world.api.abandoned() == 1;
    world.until("the application to be told", gone).await;
    for line in [
        "\"GET /hold HTTP/1.1\" 504 SI stream_idle_timeout",
        "\"POST /part HTTP/1.1\" 408 SI stream_idle_timeout",
    ] {
        world.until(line, async || world.lines(&[line]) == 1).await;
    }
    assert_eq!(world.client.get(API, "/").await.status, 200);
}

#[tokio::test]
async fn a_request_that_is_there_for_too_long_is_given_up() {
    let world = limited("MESH_HTTP_MAX_STREAM_DURATION", "400ms").await;
    let answer = world.client.get(API, "/hold").await;
    let late = "downstream duration timeout";
    assert_eq!((answer.status, &*answer.body), (504, late));
    let line = "\"GET /hold HTTP/1.1\" 504 DT max_duration_timeout";
    world.until(line, async || world.lines(&[line]) == 1).await;
    let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
    assert!(page.contains("response_flags=\"DT\""), "{page}");
    assert_eq!(world.client.get(API, "/").await.status, 200);
}

#[tokio::test]
async fn a_head_must_come_in_time() {
    let world = limited("MESH_HTTP_HEAD_TIMEOUT", "300ms").await;
    let mut connection = world.client.connection(API).await;
    connection
        .0
        .write_all(b"GET / HTTP/1.1\r\nho")
        .await
        .unwrap();
    let answer = connection.answer("GET").await.unwrap();
    assert_eq!(answer.status, 408);
    assert!(connection.ended().await);
    assert_eq!(world.api.requests(), 0);
}

#[tokio::test]
async fn connections_end_when_nothing_comes_or_when_they_are_old() {
    for variable in [
        "MESH_HTTP_IDLE_TIMEOUT",
        "MESH_HTTP_MAX_CONNECTION_DURATION",
    ] {
        let world = limited(variable, "400ms").await;
        let mut connection = world.client.connection(API).await;
        let answer = connection.send("GET", "/", "").await.unwrap();
        assert_eq!(answer.status, 200, "{variable}");
        assert!(connection.ended().await, "{variable}");
        let http2 = world.client.http2(API).await;
        let ended = async || http2.clone().ready().await.is_err();
        world.until(variable, ended).await;
    }
}
