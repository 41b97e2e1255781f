//! Draining: GOAWAY, running tunnels finish, the deadline cuts. Time stands still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::drain::{self, Trigger};
use mesh_core::outcome::Outcome;
use mesh_hbone::copy::{Meter, Plain, copy};
use mesh_hbone::server::{Accepted, Error, ServerLayer, serve_authenticated};
use parking_lot::Mutex;
use support::frames::{self, END_STREAM, Wire, connect, frame};
use support::pipes::{endpoint, settle};
use support::{Fn_, Mesh, echo, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tower_layer::Layer;
use tower_service::Service;

fn layer(mesh: &Mesh) -> (Trigger, ServerLayer) {
    let (trigger, drain) = drain::channel();
    (trigger, mesh.server_builder().drain(drain).build().unwrap())
}

fn accepted<IO>(io: IO) -> Accepted<IO> {
    Accepted {
        io,
        peer: endpoint(2),
        local: endpoint(1),
    }
}

type Served = JoinHandle<Result<(), Error>>;

/// A server of echoes, and its peer by hand.
async fn by_hand() -> (Trigger, Wire<DuplexStream>, Served) {
    let (trigger, layer) = layer(&Mesh::new());
    let (peer, io) = duplex(256 * 1024);
    let served = tokio::spawn(async move {
        serve_authenticated(&layer, accepted(io), id("client"), Fn_(echo)).await
    });
    (trigger, Wire::client(peer).await, served)
}

/// Answers the PING that belongs to a GOAWAY, as every peer does.
async fn pong(wire: &mut Wire<DuplexStream>) {
    let ping = wire.next_of(frames::PING).await;
    wire.send(&frame(frames::PING, frames::ACK, 0, &ping.payload))
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_sent_goaway_and_ends() {
    let (trigger, mut wire, served) = by_hand().await;
    wire.next_of(frames::SETTINGS).await;
    trigger.drain();
    let goaway = wire.next_of(frames::GOAWAY).await;
    assert_eq!(goaway.code(), frames::NO_ERROR);
    // RFC 9113 §6.8: first with the largest identifier, as streams may be under way.
    assert_eq!(goaway.payload[..4], [0x7f, 0xff, 0xff, 0xff]);
    pong(&mut wire).await;
    served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_crossed_the_goaway_is_served_and_later_ones_are_not() {
    let (trigger, mut wire, served) = by_hand().await;
    wire.send(&connect(1, "10.0.0.1:80")).await;
    wire.next_of(frames::HEADERS).await;
    trigger.drain();
    wire.next_of(frames::GOAWAY).await;
    let ping = wire.next_of(frames::PING).await;
    wire.send(&connect(3, "10.0.0.1:80")).await;
    assert_eq!(wire.next_of(frames::HEADERS).await.stream, 3);
    wire.send(&frame(frames::PING, frames::ACK, 0, &ping.payload))
        .await;
    let last = wire.next_of(frames::GOAWAY).await;
    assert_eq!(
        (last.code(), &last.payload[..4]),
        (frames::NO_ERROR, &[0, 0, 0, 3][..])
    );
    wire.send(&connect(5, "10.0.0.1:80")).await;
    wire.send(&frame(frames::DATA, END_STREAM, 5, b"no")).await;
    for stream in [1, 3] {
        sleep(Duration::from_secs(5)).await;
        wire.send(&frame(frames::DATA, END_STREAM, stream, b"yes"))
            .await;
        let data = wire.next_of(frames::DATA).await;
        assert_eq!((data.stream, &data.payload[..]), (stream, &b"yes"[..]));
        if data.flags & END_STREAM == 0 {
            // The end may come in a frame of its own.
            let end = wire.next_of(frames::DATA).await;
            assert_eq!((end.stream, end.flags & END_STREAM), (stream, END_STREAM));
        }
    }
    served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn running_tunnels_finish_and_then_the_connection_ends() {
    let mesh = Mesh::new();
    let (trigger, layer) = layer(&mesh);
    let (client, listener) = mesh.piped(|builder| builder);
    let mut ended = listener.serve(layer.layer(Fn_(echo)));
    let mut tunnel = client.connect(mesh.target(endpoint(1))).await.unwrap();
    trigger.drain();
    for _ in 0..50 {
        sleep(Duration::from_secs(5)).await;
        tunnel.write_all(b"still").await.unwrap();
        tunnel.read_exact(&mut [0; 5]).await.unwrap();
    }
    assert!(ended.is_empty());
    tunnel.shutdown().await.unwrap();
    assert_eq!(tunnel.read(&mut [0; 8]).await.unwrap(), 0);
    ended.recv().await.unwrap().unwrap();
    settle().await;
    assert_eq!(client.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_running_tunnels() {
    let mesh = Mesh::new();
    let (trigger, layer) = layer(&mesh);
    let (client, listener) = mesh.piped(|builder| builder);
    let mut ended = listener.serve(layer.layer(Fn_(echo)));
    let mut tunnel = client.connect(mesh.target(endpoint(1))).await.unwrap();
    trigger.drain();
    sleep(Duration::from_secs(5)).await;
    let start = Instant::now();
    trigger.force();
    let error = ended.recv().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Drained { .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::Drained);
    assert_eq!(error.outcome().response_flags(), "-");
    tunnel
        .read(&mut [0; 8])
        .await
        .expect_err("an end in place of an error");
    assert!(
        start.elapsed() <= Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_a_peer_that_does_not_read() {
    let (trigger, layer) = layer(&Mesh::new());
    let (mut peer, io) = duplex(1024);
    let service = Fn_(|incoming: mesh_hbone::Incoming| async move {
        let mut tunnel = incoming.accept(http::HeaderMap::new())?;
        loop {
            tunnel.write_all(&[7; 10_000]).await?;
        }
    });
    let served = tokio::spawn(async move {
        serve_authenticated(&layer, accepted(io), id("client"), service).await
    });
    peer.write_all(frames::PREFACE).await.unwrap();
    peer.write_all(&frames::settings(&[])).await.unwrap();
    peer.write_all(&connect(1, "10.0.0.1:80")).await.unwrap();
    settle().await;
    let start = Instant::now();
    trigger.force();
    let error = served.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Drained { .. }), "{error}");
    // The last bytes have a second.
    assert!(
        start.elapsed() <= Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_handshakes_wherever_they_are() {
    let mesh = Mesh::new();
    for case in ["before TLS", "before the preface", "in the preface"] {
        let (trigger, layer) = layer(&mesh);
        let (mut peer, io) = duplex(1024);
        let mut server = layer.layer(Fn_(echo));
        let served: Served = if case == "before TLS" {
            tokio::spawn(server.call(accepted(io)))
        } else {
            tokio::spawn(async move {
                serve_authenticated(&layer, accepted(io), id("client"), Fn_(echo)).await
            })
        };
        if case == "in the preface" {
            peer.write_all(&frames::PREFACE[..10]).await.unwrap();
        }
        settle().await;
        let start = Instant::now();
        trigger.force();
        let error = served.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Drained { .. }), "{case}: {error}");
        assert!(
            start.elapsed() <= Duration::from_secs(2),
            "{case}: {:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn connections_during_a_drain_are_told_to_go() {
    let (trigger, layer) = layer(&Mesh::new());
    trigger.drain();
    let (peer, io) = duplex(256 * 1024);
    let served = tokio::spawn(async move {
        serve_authenticated(&layer, accepted(io), id("client"), Fn_(echo)).await
    });
    let mut wire = Wire::client(peer).await;
    assert_eq!(wire.next_of(frames::GOAWAY).await.code(), frames::NO_ERROR);
    pong(&mut wire).await;
    served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ignores_the_goaway_is_ended_by_its_silence_or_the_deadline() {
    let (trigger, mut wire, served) = by_hand().await;
    wire.send(&connect(1, "10.0.0.1:80")).await;
    wire.next_of(frames::HEADERS).await;
    trigger.drain();
    let start = Instant::now();
    let error = served.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error}");
    assert!(
        start.elapsed() <= Duration::from_secs(45),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_keeps_a_drain_from_finishing() {
    let (trigger, layer) = layer(&Mesh::new());
    let mut ends = Vec::new();
    for _ in 0..20 {
        let (peer, io) = duplex(256 * 1024);
        let layer = layer.clone();
        ends.push(tokio::spawn(async move {
            serve_authenticated(&layer, accepted(io), id("client"), Fn_(echo)).await
        }));
        let mut wire = Wire::client(peer).await;
        wire.send(&connect(1, "10.0.0.1:80")).await;
        wire.next_of(frames::HEADERS).await;
        tokio::spawn(async move { while wire.next_or_pending().await.is_some() {} });
    }
    drop(layer);
    trigger.drain();
    sleep(Duration::from_secs(5)).await;
    trigger.force();
    tokio::time::timeout(Duration::from_secs(5), trigger.finished())
        .await
        .unwrap();
    assert_eq!(trigger.participants(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_bytes_that_a_slow_application_has_yet_to_take_until_the_deadline() {
    for forced in [false, true] {
        let (trigger, layer) = layer(&Mesh::new());
        let (peer, io) = duplex(256 * 1024);
        let (mut app, local) = duplex(1024);
        let local = Arc::new(Mutex::new(Some(local)));
        let service = Fn_(move |incoming: mesh_hbone::Incoming| {
            let local = local.lock().take().unwrap();
            async move {
                let tunnel = incoming.accept(http::HeaderMap::new())?;
                copy(tunnel, Plain::new(local), &Meter::default()).await?;
                Ok(())
            }
        });
        let served = tokio::spawn(async move {
            serve_authenticated(&layer, accepted(io), id("client"), service).await
        });
        let mut wire = Wire::client(peer).await;
        wire.send(&connect(1, "10.0.0.1:80")).await;
        wire.next_of(frames::HEADERS).await;
        app.shutdown().await.unwrap();
        assert_eq!(wire.next_of(frames::DATA).await.flags, END_STREAM);
        wire.send(&frame(frames::DATA, 0, 1, &[1; 16_000])).await;
        wire.send(&frame(frames::DATA, END_STREAM, 1, &[1; 16_000]))
            .await;
        settle().await;
        trigger.drain();
        pong(&mut wire).await;
        served.await.unwrap().unwrap();
        drop(wire);
        sleep(Duration::from_secs(100)).await;
        assert!(
            trigger.participants() > 0,
            "forced {forced}: not waited for"
        );
        let mut got = Vec::new();
        if forced {
            trigger.force();
        } else {
            app.read_to_end(&mut got).await.unwrap();
            assert_eq!(got.len(), 32_000);
        }
        timeout(Duration::from_secs(5), trigger.finished())
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_drops_handlers_before_they_see_an_error() {
    let (trigger, layer) = layer(&Mesh::new());
    let (peer, io) = duplex(256 * 1024);
    let (report, mut reads) = tokio::sync::mpsc::unbounded_channel();
    let service = Fn_(move |incoming: mesh_hbone::Incoming| {
        let report = report.clone();
        async move {
            let mut tunnel = incoming.accept(http::HeaderMap::new())?;
            let _ = report.send(tunnel.read(&mut [0]).await);
            Ok(())
        }
    });
    let served = tokio::spawn(async move {
        serve_authenticated(&layer, accepted(io), id("client"), service).await
    });
    let mut wire = Wire::client(peer).await;
    for stream in [1, 3, 5] {
        wire.send(&connect(stream, "10.0.0.1:80")).await;
        wire.next_of(frames::HEADERS).await;
    }
    trigger.drain();
    settle().await;
    trigger.force();
    served.await.unwrap().unwrap_err();
    // All have gone, and none has read anything.
    let read = timeout(Duration::from_secs(5), reads.recv()).await;
    assert!(matches!(read, Ok(None)), "{read:?}");
    timeout(Duration::from_secs(5), trigger.finished())
        .await
        .unwrap();
}
