//! Tunnels between a client and a server over loopback sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use http::{HeaderMap, HeaderValue, StatusCode};
use mesh_hbone::client::Error;
use mesh_hbone::{Incoming, Refusal};
use support::{Fn_, Mesh, echo, id, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_layer::Layer;

#[tokio::test]
async fn both_ends_know_each_other_and_bytes_come_back() {
    let mesh = Mesh::new();
    let service = Fn_(|incoming: Incoming| async move {
        assert_eq!(incoming.authority(), "10.0.0.1:80");
        assert_eq!(incoming.peer().identity(), &id("client"));
        assert_eq!(incoming.headers()["baggage"], "k8s.namespace.name=default");
        let mut headers = HeaderMap::new();
        headers.insert("baggage", HeaderValue::from_static("answer"));
        let mut tunnel = incoming.accept(headers)?;
        let mut greeting = [0; 5];
        tunnel.read_exact(&mut greeting).await?;
        tunnel.write_all(&greeting).await?;
        tunnel.shutdown().await?;
        Ok(())
    });
    let (addr, _) = listen(mesh.server_builder().build().unwrap().layer(service)).await;
    let mut headers = HeaderMap::new();
    headers.insert(
        "baggage",
        HeaderValue::from_static("k8s.namespace.name=default"),
    );
    let mut tunnel = mesh
        .client()
        .connect(mesh.target(addr).with_headers(headers))
        .await
        .unwrap();
    assert_eq!(tunnel.peer().identity(), &id("server"));
    assert_eq!(tunnel.response_headers().unwrap()["baggage"], "answer");
    tunnel.write_all(b"hello").await.unwrap();
    let mut answer = Vec::new();
    tunnel.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"hello");
}

#[tokio::test]
async fn a_megabyte_each_way_arrives_with_half_closes() {
    let mesh = Mesh::new();
    let (addr, _) = listen(mesh.server_builder().build().unwrap().layer(Fn_(echo))).await;
    let tunnel = mesh.client().connect(mesh.target(addr)).await.unwrap();
    let (mut read, mut write) = tokio::io::split(tunnel);
    let sent: Vec<u8> = (0..5_000_000u32)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2])
        .collect();
    let expected = sent.clone();
    let sender = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got).await.unwrap();
    sender.await.unwrap();
    assert!(got == expected);
}

#[tokio::test]
async fn refusals_and_drops_have_their_statuses() {
    let mesh = Mesh::new();
    for (refusal, status) in [
        (Some(Refusal::BadRequest), StatusCode::BAD_REQUEST),
        (Some(Refusal::Unauthorized), StatusCode::UNAUTHORIZED),
        (Some(Refusal::Unavailable), StatusCode::SERVICE_UNAVAILABLE),
        (None, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let service = Fn_(move |incoming: Incoming| async move {
            match refusal {
                Some(refusal) => incoming.refuse(refusal),
                None => drop(incoming),
            }
            Ok(())
        });
        let (addr, _) = listen(mesh.server_builder().build().unwrap().layer(service)).await;
        match mesh.client().connect(mesh.target(addr)).await {
            Err(Error::Refused { status: got, .. }) => assert_eq!(got, status),
            other => panic!("{other:?}"),
        }
    }
}
