//! Servers that misbehave cost the client no more than the tunnels that they carry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use mesh_core::credential::{CertificateError, CertificateSource, Credential, FixedSource};
use mesh_core::drain;
use mesh_core::identity::SpiffeId;
use mesh_core::outcome::Outcome;
use mesh_hbone::Tunnel;
use mesh_hbone::client::{ClientLayer, Error};
use support::frames::{
    self, END_STREAM, MAX_CONCURRENT_STREAMS, NO_ERROR, REFUSED_STREAM, frame, response,
};
use support::pipes::{PIPE, acceptor, endpoint, piped};
use support::{Ca, Fn_, Mesh, echo, id};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tower_layer::Layer;

#[tokio::test]
async fn anything_but_200_is_a_refusal_with_its_status() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let (dial, wire) = tokio::join!(client.connect(mesh.target(endpoint(1))), async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        wire.send(&response(stream, 301, END_STREAM)).await;
        wire.next_of(frames::RST_STREAM).await;
        wire
    },);
    let mut wire = wire;
    assert!(matches!(
        dial,
        Err(Error::Refused {
            status: StatusCode::MOVED_PERMANENTLY,
            ..
        })
    ));
    for (status, flags) in [
        (201, 0),
        (204, END_STREAM),
        (301, 0),
        (400, END_STREAM),
        (401, END_STREAM),
        (401, 0),
        (503, END_STREAM),
        (503, 0),
    ] {
        let connect = client.connect(mesh.target(endpoint(1)));
        let answer = async {
            let stream = wire.next_of(frames::HEADERS).await.stream;
            wire.send(&response(stream, status, flags)).await;
            stream
        };
        let (result, stream) = tokio::join!(connect, answer);
        let error = result.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Refused);
        match error {
            Error::Refused { status: got, .. } => assert_eq!(got, status),
            other => panic!("{status}: {other}"),
        }
        // The client is not going to use the stream any more and says so.
        let reset = wire.next_of(frames::RST_STREAM).await;
        assert_eq!(
            (reset.stream, reset.code()),
            (stream, frames::CANCEL),
            "{status} {flags}"
        );
    }
    assert_eq!(
        client.connections(),
        1,
        "a refusal is no fault of the connection"
    );
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        // RFC 9110 §15.2: any number of them before the final answer.
        for status in [100, 103, 103] {
            wire.send(&response(stream, status, 0)).await;
        }
        wire.send(&response(stream, 200, 0)).await;
        wire.send(&frame(frames::DATA, END_STREAM, stream, b"hello"))
            .await;
        wire
    };
    let (tunnel, _wire) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    let mut got = String::new();
    tunnel.unwrap().read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "hello");
}

#[tokio::test]
async fn a_200_that_ends_the_stream_is_a_tunnel_whose_peer_has_ended() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        wire.send(&response(stream, 200, END_STREAM)).await;
        wire
    };
    let (tunnel, mut wire) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    let mut tunnel = tunnel.unwrap();
    assert_eq!(tunnel.read(&mut [0; 8]).await.unwrap(), 0);
    tunnel.write_all(b"still sending").await.unwrap();
    assert_eq!(wire.next_of(frames::DATA).await.payload, b"still sending");
}

#[tokio::test]
async fn a_goaway_instead_of_an_answer_makes_the_client_ask_elsewhere() {
    // RFC 9113 §6.8: streams above the last identifier were not processed and can be retried.
    for (case, code) in [("clean", NO_ERROR), ("calm", frames::ENHANCE_YOUR_CALM)] {
        let mesh = Mesh::new();
        let (client, mut listener) = mesh.piped(|builder| builder);
        let server = async {
            let mut first = listener.accept_wire(&mesh, &[]).await;
            first.next_of(frames::HEADERS).await;
            first.send(&frames::go_away(0, code)).await;
            let mut second = listener.accept_wire(&mesh, &[]).await;
            let stream = second.next_of(frames::HEADERS).await.stream;
            second.send(&response(stream, 200, 0)).await;
            (first, second)
        };
        let (tunnel, _wires) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
        assert!(tunnel.is_ok(), "{case}: {tunnel:?}");
    }
}

#[tokio::test]
async fn a_goaway_in_place_of_settings_ends_the_request_in_bounded_tries() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut dials = 0;
        loop {
            let mut wire = listener.accept_wire(&mesh, &[]).await;
            dials += 1;
            assert!(dials < 20, "the client never gives up");
            wire.try_send(&frames::go_away(0, NO_ERROR)).await;
        }
    };
    let error = tokio::select! {
        result = client.connect(mesh.target(endpoint(1))) => result.unwrap_err(),
        () = server => panic!("endless"),
    };
    assert_eq!(error.outcome(), Outcome::Http2Failure, "{error}");
}

#[tokio::test]
async fn tunnels_outlive_a_goaway_and_new_ones_go_elsewhere() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        wire.send(&response(stream, 200, 0)).await;
        wire
    };
    let (tunnel, mut old) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    let mut tunnel = tunnel.unwrap();
    old.send(&frames::go_away(1, NO_ERROR)).await;
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        wire.send(&response(stream, 200, 0)).await;
        wire
    };
    let (second, _new) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    second.unwrap();
    tunnel.write_all(b"goes on").await.unwrap();
    assert_eq!(old.next_of(frames::DATA).await.payload, b"goes on");
    old.send(&frame(frames::DATA, END_STREAM, 1, b"and ends"))
        .await;
    let mut got = String::new();
    tunnel.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "and ends");
}

#[tokio::test]
async fn connections_that_were_sent_away_do_not_fail_the_next_tunnel_however_many_they_are() {
    let mesh = Mesh::new();
    let (client, listener) = mesh.piped(|builder| builder.max_streams_per_connection(4));
    let say = listener
        .answer_all(&mesh, &[(MAX_CONCURRENT_STREAMS, 2)])
        .await;
    let mut tunnels = Vec::new();
    while tunnels.len() < 12 {
        tunnels.push(client.connect(mesh.target(endpoint(1))).await.unwrap());
    }
    assert!(client.connections() >= 6, "{}", client.connections());
    // There is room on all of them now, if they were not going away.
    say.send(frames::settings(&[(MAX_CONCURRENT_STREAMS, 100)]))
        .unwrap();
    say.send(frames::go_away(3, NO_ERROR)).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    client.connect(mesh.target(endpoint(1))).await.unwrap();
}

type ServerWire = support::frames::Wire<tokio_rustls::server::TlsStream<tokio::io::DuplexStream>>;

#[tokio::test]
async fn refused_streams_are_tried_again_a_few_times() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut first = listener.accept_wire(&mesh, &[]).await;
        let stream = first.next_of(frames::HEADERS).await.stream;
        first.send(&frames::reset(stream, REFUSED_STREAM)).await;
        let mut second = listener.accept_wire(&mesh, &[]).await;
        let stream = second.next_of(frames::HEADERS).await.stream;
        second.send(&response(stream, 200, 0)).await;
        (first, second)
    };
    let (tunnel, _wires) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    tunnel.unwrap();

    let server = async {
        let mut refused = 0;
        loop {
            let mut wire = listener.accept_wire(&mesh, &[]).await;
            let stream = wire.next_of(frames::HEADERS).await.stream;
            wire.send(&frames::reset(stream, REFUSED_STREAM)).await;
            refused += 1;
            assert!(refused < 20, "the client never gives up");
        }
    };
    let error = tokio::select! {
        result = client.connect(mesh.target(endpoint(2))) => result.unwrap_err(),
        () = server => panic!("endless"),
    };
    assert_eq!(error.outcome(), Outcome::Http2Failure);
}

#[tokio::test]
async fn other_resets_of_the_request_are_final() {
    // The peer may have acted on it: asking again could act twice.
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        wire.send(&frames::reset(stream, frames::CANCEL)).await;
        wire
    };
    let (result, _wire) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    assert_eq!(result.unwrap_err().outcome(), Outcome::Http2Failure);
    assert_eq!(listener.waiting(), 0);
}

/// A tunnel and the server's end of its connection.
async fn tunnel() -> (Mesh, mesh_hbone::Tunnel, ServerWire, impl Sized) {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        wire.send(&response(stream, 200, 0)).await;
        wire.send(&frame(frames::DATA, 0, stream, b"hello")).await;
        wire
    };
    let (tunnel, wire) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    let mut tunnel = tunnel.unwrap();
    tunnel.read_exact(&mut [0; 5]).await.unwrap();
    (mesh, tunnel, wire, (client, listener))
}

#[tokio::test]
async fn a_connection_that_closes_in_the_middle_is_an_error_and_no_end() {
    let (_mesh, mut tunnel, wire, _rest) = tunnel().await;
    drop(wire);
    tunnel.read(&mut [0; 8]).await.unwrap_err();
    assert!(tunnel.write_all(b"x").await.is_err());
}

#[tokio::test]
async fn a_reset_in_the_middle_is_a_reset_of_the_tunnel() {
    for code in [
        frames::CANCEL,
        frames::CONNECT_ERROR,
        frames::PROTOCOL_ERROR,
    ] {
        let (_mesh, mut tunnel, mut wire, _rest) = tunnel().await;
        wire.send(&frames::reset(1, code)).await;
        let error = tunnel.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{code}");
        let error = tunnel.write_all(b"x").await.unwrap_err();
        assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()));
    }
}

#[tokio::test]
async fn a_push_promise_or_a_header_of_200_000_bytes_ends_the_connection_or_stream_only() {
    let push = frame(5, frames::END_HEADERS, 1, &[0, 0, 0, 2, 0x82, 0x86, 0x84]);
    let (_mesh, mut first, mut wire, _rest) = tunnel().await;
    wire.send(&push).await;
    assert!(first.read(&mut [0; 8]).await.is_err());
    assert_eq!(wire.ended_with().await, Some(frames::PROTOCOL_ERROR));

    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut wire = listener.accept_wire(&mesh, &[]).await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        // :status 200 and x: 200,000 times a (RFC 7541 §5.1: 127 + 65 + 14 * 128 + 12 * 16384).
        let mut block = vec![0x88, 0, 1, b'x', 127];
        let length = 200_000 - 127;
        block.extend(
            [length % 128 + 128, length / 128 % 128 + 128, length / 16384].map(|n| n as u8),
        );
        block.resize(block.len() + 200_000, b'a');
        let mut parts = block.chunks(16_384);
        wire.send(&frame(frames::HEADERS, 0, stream, parts.next().unwrap()))
            .await;
        for part in parts {
            wire.try_send(&frame(frames::CONTINUATION, 0, stream, part))
                .await;
        }
        wire.try_send(&frame(
            frames::CONTINUATION,
            frames::END_HEADERS,
            stream,
            &[],
        ))
        .await;
        wire
    };
    let (result, _wire) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    assert_eq!(result.unwrap_err().outcome(), Outcome::Http2Failure);
}

#[tokio::test]
async fn a_limit_of_one_stream_makes_a_connection_for_each_tunnel() {
    let mesh = Mesh::new();
    let (client, listener) = mesh.piped(|builder| builder);
    listener
        .answer_all(&mesh, &[(MAX_CONCURRENT_STREAMS, 1)])
        .await;
    let mut tunnels = Vec::new();
    for _ in 0..4 {
        tunnels.push(client.connect(mesh.target(endpoint(1))).await.unwrap());
    }
    // One more may have been opened for the next.
    assert!(
        (4..=5).contains(&client.connections()),
        "{}",
        client.connections()
    );
}

#[tokio::test]
async fn a_burst_on_a_server_that_allows_one_stream_each_is_spread_in_time() {
    // The limit is learnt with the first SETTINGS; tunnels that came before must not wait for it.
    let mesh = Mesh::new();
    let (client, listener) = mesh.piped(|builder| builder);
    listener
        .answer_all(&mesh, &[(MAX_CONCURRENT_STREAMS, 1)])
        .await;
    let burst = (0..8).map(|_| {
        let (client, target) = (client.clone(), mesh.target(endpoint(1)));
        tokio::spawn(async move { client.connect(target).await })
    });
    for tunnel in burst.collect::<Vec<_>>() {
        std::mem::forget(tunnel.await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn a_limit_that_is_lowered_later_sends_new_tunnels_elsewhere() {
    let mesh = Mesh::new();
    let (client, listener) = mesh.piped(|builder| builder);
    let say = listener.answer_all(&mesh, &[]).await;
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        tunnels.push(client.connect(mesh.target(endpoint(1))).await.unwrap());
    }
    assert_eq!(client.connections(), 1);
    say.send(frames::settings(&[(MAX_CONCURRENT_STREAMS, 2)]))
        .unwrap();
    say.send(frame(frames::DATA, 0, 5, b"x")).unwrap();
    tunnels[2].read_exact(&mut [0]).await.unwrap();
    client.connect(mesh.target(endpoint(1))).await.unwrap();
    assert!(client.connections() >= 2);
    say.send(frame(frames::DATA, 0, 1, b"y")).unwrap();
    tunnels[0].read_exact(&mut [0]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_no_stream_is_waited_for() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    let server = async {
        let mut wire = listener
            .accept_wire(&mesh, &[(MAX_CONCURRENT_STREAMS, 0)])
            .await;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        wire.send(&frames::settings(&[(MAX_CONCURRENT_STREAMS, 1)]))
            .await;
        let stream = wire.next_of(frames::HEADERS).await.stream;
        wire.send(&response(stream, 200, 0)).await;
        wire
    };
    let (tunnel, _wire) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
    tunnel.unwrap();
}

/// A source that takes its time, in which a connection may end.
#[derive(Debug)]
struct Slow(FixedSource, Duration);

#[async_trait]
impl CertificateSource for Slow {
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        tokio::time::sleep(self.1).await;
        self.0.credential(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_turned_away_after_the_handshake_is_shown_at_most_three_times() {
    // RFC 8446 §4.4.2.4: the client has finished its side by then.
    for (case, delay) in [("the request is on its way", 0), ("before the request", 5)] {
        let mesh = Mesh::new();
        let stranger = Ca::new().issue_trusting(&id("client").to_string(), &[&mesh.ca]);
        let (dialer, mut listener) = piped();
        let dials = listener.dials();
        let certs = Arc::new(Slow(
            FixedSource::new([stranger]),
            Duration::from_millis(delay),
        ));
        let client = ClientLayer::builder(certs, mesh.tls.clone());
        let client = client.build().unwrap().layer(dialer);
        let acceptor = acceptor(&mesh).await;
        let server = async {
            loop {
                let io = listener.accept().await;
                acceptor.accept(io).await.map(drop).unwrap_err();
            }
        };
        let error = tokio::select! {
            result = client.connect(mesh.target(endpoint(1))) => result.unwrap_err(),
            () = server => panic!("endless"),
        };
        assert_eq!(error.outcome(), Outcome::TlsFailure, "{case}: {error:?}");
        let dials = dials.load(Ordering::SeqCst);
        assert!((1..=3).contains(&dials), "{case}: {dials} dials");
    }
}

/// A server that has answered one request and ended its side, and reads nothing more for now.
async fn reluctant<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) -> IO {
    let mut preface = vec![0; frames::PREFACE.len()];
    io.read_exact(&mut preface).await.unwrap();
    let window = 1024 * 1024;
    let mut say = frames::settings(&[(frames::INITIAL_WINDOW_SIZE, window)]);
    say.extend(frames::window_update(0, window));
    io.write_all(&say).await.unwrap();
    while frames::read_frame(&mut io).await.unwrap().kind != frames::HEADERS {}
    io.write_all(&response(1, 200, END_STREAM)).await.unwrap();
    io.flush().await.unwrap();
    io
}

/// Ends a tunnel behind as many bytes as go in.
async fn fill(mut tunnel: Tunnel) -> usize {
    assert_eq!(tunnel.read(&mut [0]).await.unwrap(), 0);
    let mut sent = 0;
    let moment = Duration::from_millis(1);
    while let Ok(written) = timeout(moment, tunnel.write(&[7; 16_384])).await {
        sent += written.unwrap();
    }
    assert!(sent > PIPE, "{sent}");
    tunnel.shutdown().await.unwrap();
    sent
}

/// Reads slowly until the stream ends and then the connection; how many bytes the stream had.
async fn read_slowly<IO: AsyncRead + Unpin>(mut io: IO) -> usize {
    let mut got = 0;
    loop {
        // More than the time for parting words.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let frame = timeout(frames::GUARD, frames::read_frame(&mut io)).await;
        let frame = frame.expect("no frame came");
        let frame = frame.unwrap_or_else(|_| panic!("the connection ended after {got} bytes"));
        got += if frame.kind == frames::DATA {
            frame.payload.len()
        } else {
            0
        };
        if frame.kind == frames::DATA && frame.flags & END_STREAM != 0 {
            break;
        }
    }
    let rest = timeout(frames::GUARD, io.read_to_end(&mut Vec::new())).await;
    rest.expect("the connection does not end").unwrap();
    got
}

#[tokio::test(start_paused = true)]
async fn bytes_that_wait_for_a_slow_server_outlive_their_tunnel_and_its_retired_connection() {
    let mesh = Mesh::new();
    let (client, mut listener) = mesh.piped(|builder| builder);
    for case in ["not pooled", "replaced", "without its pool"] {
        let target = mesh.target(endpoint(1));
        let (near, far) = tokio::io::duplex(PIPE);
        let far = async {
            reluctant(if case == "not pooled" {
                acceptor(&mesh).await.accept(far).await.unwrap()
            } else {
                listener.accept_tls(&mesh).await
            })
            .await
        };
        let connect = async {
            if case == "not pooled" {
                client.connect_over(near, target).await
            } else {
                client.connect(target).await
            }
        };
        let (tunnel, io) = tokio::join!(connect, far);
        let tunnel = tunnel.unwrap();
        let mut next = None;
        if case != "not pooled" {
            mesh.certs.replace(mesh.ca.issue(&id("client").to_string()));
            let server = async { reluctant(listener.accept_tls(&mesh).await).await };
            next = Some(tokio::join!(
                client.connect(mesh.target(endpoint(1))),
                server
            ));
        }
        let sent = fill(tunnel).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(read_slowly(io).await, sent, "{case}");
        mesh.certs.replace(mesh.ca.issue(&id("client").to_string()));
        drop(next);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_bytes_that_a_slow_server_has_yet_to_take_until_the_deadline() {
    for forced in [false, true] {
        let mesh = Mesh::new();
        let (trigger, drain) = drain::channel();
        let (client, mut listener) = mesh.piped(|builder| builder.drain(drain));
        let server = async { reluctant(listener.accept_tls(&mesh).await).await };
        let (tunnel, io) = tokio::join!(client.connect(mesh.target(endpoint(1))), server);
        let sent = fill(tunnel.unwrap()).await;
        drop(client);
        trigger.drain();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(trigger.participants() > 0, "bytes are lost");
        if forced {
            trigger.force();
        } else {
            assert_eq!(read_slowly(io).await, sent);
        }
        let finished = timeout(Duration::from_secs(5), trigger.finished()).await;
        finished.unwrap_or_else(|_| panic!("forced {forced}: the drain does not finish"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closes_soon_after_a_drain_begins_and_a_busy_one_with_its_tunnel() {
    let mesh = Mesh::new();
    let (trigger, drain) = drain::channel();
    let (client, listener) = mesh.piped(|builder| builder.drain(drain));
    let mut ended = listener.serve(mesh.server_builder().build().unwrap().layer(Fn_(echo)));
    let mut idle = client.connect(mesh.target(endpoint(1))).await.unwrap();
    idle.shutdown().await.unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    drop(idle);
    let mut busy = client.connect(mesh.target(endpoint(2))).await.unwrap();
    trigger.drain();
    tokio::time::sleep(Duration::from_secs(1)).await;
    ended.try_recv().expect("the idle one stays").unwrap();
    assert_eq!(client.connections(), 1);
    tokio::time::sleep(Duration::from_secs(100)).await;
    busy.write_all(b"still").await.unwrap();
    busy.read_exact(&mut [0; 5]).await.unwrap();
    busy.shutdown().await.unwrap();
    assert_eq!(busy.read(&mut [0]).await.unwrap(), 0);
    drop((busy, client));
    let finished = timeout(Duration::from_secs(5), trigger.finished()).await;
    finished.expect("the drain does not finish");
}
