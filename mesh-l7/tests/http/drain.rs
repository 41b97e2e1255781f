//! The end of a server: what runs is finished.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use mesh_l7::body::Body;
use mesh_l7::serve::ServeError;
use tokio::sync::oneshot;

use crate::proxy::{Http, Proxy, Sender};

/// An upstream that answers when it is told to.
fn slow(up: Http) -> (Proxy, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let (go, gone) = oneshot::channel::<()>();
    let (asked, was_asked) = oneshot::channel::<()>();
    let both = std::sync::Arc::new(parking_lot::Mutex::new(Some((asked, gone))));
    let proxy = Proxy::start(up, move |_| {
        let both = both.lock().take();
        async move {
            if let Some((asked, gone)) = both {
                let _ = asked.send(());
                let _ = gone.await;
            }
            Response::new(Body::from("done"))
        }
    });
    (proxy, go, was_asked)
}

#[tokio::test]
async fn a_request_that_runs_is_finished_and_the_connection_then_closed() {
    for down in [Http::One, Http::Two] {
        let (proxy, go, was_asked) = slow(Http::One);
        let (io, served) = proxy.accept();
        let mut client = Sender::new(down, io).await;
        let request = Request::get("/").body(Body::empty()).unwrap();
        let asking = tokio::spawn(async move { (client.send(request).await, client) });
        was_asked.await.unwrap();
        proxy.trigger.drain();
        go.send(()).unwrap();
        let (response, client) = asking.await.unwrap();
        let response = response.unwrap();
        assert_eq!(
            response.headers().get("connection").is_some(),
            down == Http::One
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, Bytes::from("done"), "{down:?}");
        assert!(served.await.unwrap().is_ok(), "{down:?}");
        drop(client);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_at_once() {
    for down in [Http::One, Http::Two] {
        let proxy = Proxy::start(Http::One, |_| async { Response::new(Body::empty()) });
        let (io, served) = proxy.accept();
        let mut client = Sender::new(down, io).await;
        let request = Request::get("/").body(Body::empty()).unwrap();
        client.send(request).await.unwrap();
        proxy.trigger.drain();
        assert!(served.await.unwrap().is_ok(), "{down:?}");
    }
}

#[tokio::test]
async fn a_forced_end_does_not_wait() {
    for down in [Http::One, Http::Two] {
        let (proxy, _go, was_asked) = slow(Http::One);
        let (io, served) = proxy.accept();
        let mut client = Sender::new(down, io).await;
        let request = Request::get("/").body(Body::empty()).unwrap();
        let asking = tokio::spawn(async move { client.send(request).await.map(drop) });
        was_asked.await.unwrap();
        proxy.trigger.drain();
        proxy.trigger.force();
        let ended = served.await.unwrap();
        assert!(matches!(ended, Err(ServeError::Forced)), "{down:?}");
        assert!(asking.await.unwrap().is_err(), "{down:?}");
    }
}
