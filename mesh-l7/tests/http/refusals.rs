//! Whoever is to be told of requests that are refused is told once of each.

use std::sync::{Arc, Mutex};

use mesh_core::drain;
use mesh_l7::record::{Entry, Observer};
use mesh_l7::serve::{Server, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::proxy::downstream;
use crate::raw::Recorder;

/// Status, flags, detail, path and bytes of each.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn ended(&self, entry: &mut Entry) {
        assert!(entry.downstream.is_some() && entry.ended.is_some());
        let status = entry.status.unwrap();
        let path = entry.request.as_ref().map_or("-", |head| head.target());
        let said = (
            status.as_u16(),
            entry.flags,
            entry.detail,
            path,
            entry.response_bytes,
        );
        let (status, flags, detail, path, bytes) = said;
        let line = format!("{status} {flags} {detail} {path} {bytes}");
        self.0.lock().unwrap().push(line);
    }
}

async fn told(sent: &str) -> (Vec<String>, String) {
    let told = Arc::new(Told::default());
    let mut settings = ServerSettings::default();
    settings.refusals = Some(told.clone());
    let (mut client, io) = tokio::io::duplex(4096);
    let (_trigger, drain) = drain::channel();
    let server = Server::new(settings);
    let serving = tokio::spawn(async move {
        server
            .serve(io, downstream(), Recorder::default(), drain)
            .await
    });
    client.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    drop(client);
    let _ = serving.await.unwrap();
    let lines = told.0.lock().unwrap().clone();
    (lines, answer)
}

/// l7.md 2.15; the words are Envoy's. Sizes are those of the texts that are answered.
#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told() {
    let close = "connection: close\r\n\r\n";
    let rows = [
        (
            "good",
            format!("GET /a HTTP/1.1\r\nhost: a\r\n{close}"),
            None,
        ),
        (
            "two hosts",
            format!("GET /a HTTP/1.1\r\nhost: a\r\nhost: a\r\n{close}"),
            Some("400 DPE http1.codec_error -"),
        ),
        (
            "a head that does not end",
            "GET /a HTTP/1.1\r\nhost: a\r\n".to_owned(),
            Some("408 - request_header_timeout -"),
        ),
        (
            "a path with %00",
            format!("GET /a%00 HTTP/1.1\r\nhost: a\r\n{close}"),
            Some("400 - path_normalization_failed "),
        ),
        (
            "another upgrade",
            "GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: b\r\n\r\n"
                .to_owned(),
            Some("403 - upgrade_failed "),
        ),
    ];
    for (name, sent, expected) in rows {
        let (lines, answer) = told(&sent).await;
        let Some(expected) = expected else {
            assert!(
                lines.is_empty() && answer.starts_with("HTTP/1.1 200"),
                "{name}"
            );
            continue;
        };
        let [line] = &*lines else {
            panic!("{name}: {lines:?}");
        };
        assert!(line.starts_with(expected), "{name}: {line}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            line.ends_with(&format!(" {}", body.len())),
            "{name}: {line} {body}"
        );
        assert!(!body.is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_request_before_it_is_nobodys_refusal() {
    let two = "GET /a HTTP/1.1\r\nhost: a\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n";
    let (lines, answer) = told(two).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("HTTP/1.1 400"));
}
