//! Peers that misbehave get an answer or an end, and nobody else notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_core::authority::ConnectAuthority;
use mesh_core::outcome::Outcome;
use mesh_hbone::client::Error as ClientError;
use mesh_hbone::server::{Error, HandshakeGate};
use mesh_hbone::{Http2Config, Incoming, Refusal};
use support::frames::{self, Wire, connect, frame};
use support::peers::{Fixture, Healthy};
use support::{Ca, echo, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The identity that honest clients of these tests have.
fn client() -> String {
    id("client").to_string()
}

#[tokio::test]
async fn certificates_that_must_not_get_in_do_not() {
    let mut fixture = Fixture::echo().await;
    let foreign = "spiffe://elsewhere.example/ns/default/sa/client";
    let ca = &fixture.mesh.ca;
    for (case, credential) in [
        ("none", None),
        ("another trust domain", Some(ca.issue(foreign))),
        ("expired", Some(ca.issue_for(&client(), -10, 5))),
        ("not yet valid", Some(ca.issue_for(&client(), 5, 10))),
        ("another authority", Some(Ca::new().issue(&client()))),
    ] {
        let mut io = fixture.tls_as(credential.as_ref(), |_| ()).await;
        // RFC 8446 §4.4.2.4: the client learns of it from an alert, after its own handshake.
        let got = io.read(&mut [0; 64]).await;
        assert!(got.is_err(), "{case}: {got:?}");
        let end = fixture.end().await;
        assert!(
            matches!(end, Err(Error::Handshake { .. })),
            "{case}: {end:?}"
        );
        assert_eq!(end.unwrap_err().outcome(), Outcome::TlsFailure, "{case}");
        fixture.healthy.check().await;
    }
}

#[tokio::test]
async fn a_client_that_expects_another_identity_goes_away() {
    let mut fixture = Fixture::echo().await;
    let mesh = &fixture.mesh;
    let target = mesh_hbone::Target::new(
        fixture.addr,
        "10.0.0.1:80",
        id("client"),
        id("somebody-else"),
    );
    let error = mesh.client().connect(target).await.unwrap_err();
    assert!(matches!(error, ClientError::Dial(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::TlsFailure);
    assert_eq!(fixture.outcome().await, Outcome::TlsFailure);
}

#[tokio::test]
async fn plain_text_is_refused() {
    let mut fixture = Fixture::echo().await;
    for text in [
        &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..],
        frames::PREFACE,
        &[0; 100],
        &[0xff; 70_000],
    ] {
        let mut io = fixture.tcp().await;
        // The server may close before it has read all of it.
        let _ = io.write_all(text).await;
        assert_eq!(fixture.outcome().await, Outcome::TlsFailure);
    }
}

#[tokio::test]
async fn tls_1_2_is_refused_with_an_alert() {
    let mut fixture = Fixture::echo().await;
    let mut io = fixture.tcp().await;
    io.write_all(&client_hello_of_tls_1_2()).await.unwrap();
    let mut alert = Vec::new();
    io.read_to_end(&mut alert).await.unwrap();
    // A fatal (2) protocol_version (70) alert: RFC 8446 §6, appendix D.2.
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 70]);
    assert_eq!(fixture.outcome().await, Outcome::TlsFailure);
}

fn client_hello_of_tls_1_2() -> Vec<u8> {
    let mut extensions = Vec::new();
    for (kind, body) in [
        (10u16, &[0, 2, 0, 23][..]),
        (11, &[1, 0]),
        (13, &[0, 2, 4, 3]),
        (16, b"\0\x03\x02h2"),
        (23, &[]),
    ] {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        extensions.extend(body);
    }
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    // No session, ECDHE_ECDSA_AES_256_GCM and ECDHE_ECDSA_AES_128_GCM, no compression.
    hello.extend([0, 0, 4, 0xc0, 0x2c, 0xc0, 0x2b, 1, 0]);
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let length = u16::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(hello);
    record
}

#[tokio::test]
async fn clients_that_do_not_offer_http_2_are_refused() {
    let mut fixture = Fixture::echo().await;
    let credential = fixture.mesh.ca.issue(&client());
    for offered in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut config = support::peers::gullible(Some(&credential));
        config.alpn_protocols = offered;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = mesh_core::tls::server_name();
        // Depending on who notices first, the handshake or the first read fails.
        if let Ok(mut io) = connector.connect(name, fixture.tcp().await).await {
            assert!(io.read(&mut [0; 64]).await.is_err());
        }
        assert_eq!(fixture.outcome().await, Outcome::TlsFailure);
    }
}

#[tokio::test]
async fn a_thousand_handshakes_that_stop_half_way_end_in_time() {
    let mut fixture = Fixture::with(
        |builder| builder.handshake_timeout(Duration::from_secs(2)),
        echo,
    )
    .await;
    let hello = client_hello_of_tls_1_2();
    let mut sockets = Vec::new();
    for n in 0..1000 {
        let mut io = fixture.tcp().await;
        // Some say nothing, some a part of a record.
        io.write_all(&hello[..n % 60]).await.unwrap();
        sockets.push(io);
    }
    Healthy::open(&fixture.mesh, fixture.addr).await;
    for _ in 0..1000 {
        // The honest one above ends as well, with success.
        if let Err(error) = fixture.end().await {
            assert!(matches!(error, Error::HandshakeTimeout { .. }), "{error}");
            assert_eq!(error.outcome(), Outcome::TlsFailure);
        }
    }
    fixture.healthy.check().await;
}

#[tokio::test]
async fn when_the_gate_is_full_the_oldest_handshakes_give_way_and_honest_peers_get_in() {
    let gate = HandshakeGate::new(16);
    let shared = gate.clone();
    let mut fixture = Fixture::with(|builder| builder.handshake_gate(shared), echo).await;
    let mut sockets = Vec::new();
    for n in 0..64 {
        sockets.push(fixture.tcp().await);
        if n % 16 == 0 {
            Healthy::open(&fixture.mesh, fixture.addr).await;
        }
    }
    let mut shed = 0;
    while shed < 48 {
        match fixture.end().await {
            Ok(()) => {}
            Err(Error::HandshakeShed { .. }) => shed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(gate.under_way() <= 16, "{}", gate.under_way());
    Healthy::open(&fixture.mesh, fixture.addr).await;
    fixture.healthy.check().await;
}

/// Accepts what names a host and a port, as the node proxy does.
async fn parse(incoming: Incoming) -> Result<(), mesh_hbone::BoxError> {
    if incoming.authority().parse::<ConnectAuthority>().is_err() {
        incoming.refuse(Refusal::BadRequest);
        return Ok(());
    }
    echo(incoming).await
}

#[tokio::test]
async fn an_authority_without_port_is_answered_400() {
    let mut fixture = Fixture::with(|builder| builder, parse).await;
    let mut wire = Wire::client(fixture.tls().await).await;
    for (n, authority) in ["10.0.0.1", "web.default.svc", "[::1]"].iter().enumerate() {
        let stream = 1 + 2 * u32::try_from(n).unwrap();
        wire.send(&connect(stream, authority)).await;
        let answer = wire.next_of(frames::HEADERS).await;
        assert_eq!(
            (answer.stream, answer.status()),
            (stream, 400),
            "{authority}"
        );
        assert_eq!(
            answer.flags & frames::END_STREAM,
            1,
            "status only, with END_STREAM"
        );
    }
    wire.send(&connect(21, "10.0.0.1:80")).await;
    assert_eq!(wire.next_of(frames::HEADERS).await.status(), 200);
    fixture.healthy.check().await;
}

#[tokio::test]
async fn an_authority_of_percent_signs_resets_the_stream_only() {
    let mut fixture = Fixture::with(|builder| builder, parse).await;
    let mut wire = Wire::client(fixture.tls().await).await;
    wire.send(&connect(1, "%%%%%%%%")).await;
    let reset = wire.next_of(frames::RST_STREAM).await;
    assert_eq!((reset.stream, reset.code()), (1, frames::PROTOCOL_ERROR));
    wire.send(&connect(3, "10.0.0.1:80")).await;
    assert_eq!(wire.next_of(frames::HEADERS).await.status(), 200);
    fixture.healthy.check().await;
}

#[tokio::test]
async fn get_is_answered_400_and_reported() {
    let mut fixture = Fixture::echo().await;
    let mut wire = Wire::client(fixture.tls().await).await;
    wire.send(&frames::get(1)).await;
    let answer = wire.next_of(frames::HEADERS).await;
    assert_eq!((answer.stream, answer.status()), (1, 400));
    assert_eq!(fixture.recorder.rejections(), [Outcome::BadRequest]);
    wire.send(&connect(3, "10.0.0.1:80")).await;
    assert_eq!(wire.next_of(frames::HEADERS).await.status(), 200);
    fixture.healthy.check().await;
}

/// A header block of a CONNECT request and a header of so many bytes (RFC 7541 §5.1, §6.2.2).
fn large_block(bytes: usize) -> Vec<u8> {
    let mut block = frames::connect_block("10.0.0.1:80");
    block.extend([0, 1, b'x', 127]);
    let mut rest = bytes - 127;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
    block.resize(block.len() + bytes, b'a');
    block
}

#[tokio::test]
async fn oversized_headers_end_their_own_connection_or_stream() {
    let mut fixture = Fixture::echo().await;
    let mut wire = Wire::client(fixture.tls().await).await;
    let block = large_block(200_000);
    let mut parts = block.chunks(16_384).peekable();
    wire.try_send(&frame(frames::HEADERS, 0, 1, parts.next().unwrap()))
        .await;
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() {
            frames::END_HEADERS
        } else {
            0
        };
        wire.try_send(&frame(frames::CONTINUATION, flags, 1, part))
            .await;
    }
    // Either the stream is answered 431 or reset, or the connection ends.
    loop {
        match wire.next().await {
            Some(answer) if answer.kind == frames::HEADERS => {
                assert_ne!(answer.payload[0], 0x88, "accepted");
                break;
            }
            Some(end) if [frames::RST_STREAM, frames::GOAWAY].contains(&end.kind) => break,
            Some(_) => {}
            None => break,
        }
    }
    fixture.healthy.check().await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_its_own_connection() {
    let mut fixture = Fixture::echo().await;
    let mut wire = Wire::client(fixture.tls().await).await;
    wire.send(&frame(
        frames::HEADERS,
        0,
        1,
        &frames::connect_block("10.0.0.1:80"),
    ))
    .await;
    let mut sent = 0;
    // One byte each, then nothing at all in each: neither adds to the size of the list.
    while sent < 100_000 && wire.try_send(&frame(frames::CONTINUATION, 0, 1, &[])).await {
        sent += 1;
    }
    assert!(
        sent < 100_000,
        "the server takes CONTINUATION frames for ever"
    );
    assert_eq!(fixture.outcome().await, Outcome::Http2Failure);
}

/// Echoes, but handles requests for `slow:80` until their peer gives them up. Counts those that are
/// being handled, and how many there were at once.
#[derive(Clone, Default)]
struct Handlers {
    live: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Handlers {
    async fn fixture(&self) -> Fixture {
        let handlers = self.clone();
        let service = move |incoming| handlers.clone().handle(incoming);
        Fixture::with(|builder| builder, service).await
    }

    async fn handle(self, mut incoming: Incoming) -> Result<(), mesh_hbone::BoxError> {
        let live = self.live.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(live, Ordering::SeqCst);
        let result = match incoming.authority() {
            "slow:80" => {
                incoming.closed().await;
                Ok(())
            }
            _ => echo(incoming).await,
        };
        self.live.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Waits until only the healthy tunnel is left.
    async fn settled(&self) {
        while self.live.load(Ordering::SeqCst) > 1 {
            tokio::task::yield_now().await;
        }
    }
}

/// Opens stream number `n` and resets it in the same breath.
fn opened_and_reset(n: u32) -> Vec<u8> {
    let stream = 1 + 2 * n;
    let mut both = connect(stream, "slow:80");
    both.extend(frames::reset(stream, frames::CANCEL));
    both
}

#[tokio::test]
async fn ten_thousand_rapid_resets_end_their_own_connections_and_leave_no_handlers() {
    let handlers = Handlers::default();
    let mut fixture = handlers.fixture().await;
    let (mut sent, mut closed) = (0, 0);
    while sent < 10_000 {
        let mut wire = Wire::client(fixture.tls().await).await;
        let before = sent;
        while sent < 10_000 && wire.try_send(&opened_and_reset(sent - before)).await {
            sent += 1;
        }
        // The last connection may not have come to its limit.
        if sent < 10_000 {
            assert_eq!(wire.ended_with().await, Some(frames::ENHANCE_YOUR_CALM));
            assert_eq!(fixture.outcome().await, Outcome::Http2Failure);
            closed += 1;
        }
    }
    assert!(closed > 0, "one connection took them all");
    // What the metric of failed connections counts.
    let rejections = vec![Outcome::Http2Failure; closed];
    assert_eq!(fixture.recorder.rejections()[..closed], rejections);
    let most = handlers.most.load(Ordering::SeqCst);
    assert!(most <= 401, "{most} handlers at once");
    fixture.healthy.check().await;
    handlers.settled().await;
}

#[tokio::test]
async fn ten_thousand_resets_of_streams_that_were_taken_cost_nothing() {
    let handlers = Handlers::default();
    let mut fixture = handlers.fixture().await;
    let mut wire = Wire::client(fixture.tls().await).await;
    for n in 0..10_000 {
        wire.send(&opened_and_reset(n)).await;
        // Few enough at a time to be no flood: the answer comes when all before it was read.
        if n % 10 == 9 {
            wire.send(&frame(frames::PING, 0, 0, &[0; 8])).await;
            wire.next_of(frames::PING).await;
        }
    }
    fixture.healthy.check().await;
    handlers.settled().await;
    // The connection itself is as good as new.
    wire.send(&connect(20_001, "10.0.0.1:80")).await;
    assert_eq!(wire.next_of(frames::HEADERS).await.status(), 200);
    let most = handlers.most.load(Ordering::SeqCst);
    assert!(most <= 401, "{most} handlers at once");
}

#[tokio::test]
async fn streams_that_are_reset_after_they_were_accepted_do_not_pile_up_handlers() {
    // A handler that does not look: it dials something that does not answer.
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    let service = |incoming: Incoming| async move {
        if incoming.authority() == "slow:80" {
            LIVE.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        echo(incoming).await
    };
    let mut fixture = Fixture::with(|builder| builder, service).await;
    let mut wire = Wire::client(fixture.tls().await).await;
    for n in 0..1000u32 {
        let stream = 1 + 2 * n;
        if !wire.try_send(&connect(stream, "slow:80")).await {
            break;
        }
        // The answer to a PING says that the stream before it was seen.
        let mut ping = frame(frames::PING, 0, 0, &[7; 8]);
        ping.extend(frames::reset(stream, frames::CANCEL));
        if !wire.try_send(&ping).await {
            break;
        }
        while wire.next().await.is_some_and(|f| f.kind != frames::PING) {}
    }
    // 200 streams are allowed; a handler for each that was ever opened are 1,000.
    let live = LIVE.load(Ordering::SeqCst);
    assert!(live <= 400, "{live} handlers of streams that are gone");
    fixture.healthy.check().await;
}

#[tokio::test]
async fn floods_of_settings_and_pings_do_not_disturb_others() {
    let mut fixture = Fixture::echo().await;
    for flood in [
        frames::settings(&[]),
        frame(frames::PING, 0, 0, &[1; 8]),
        frame(frames::PING, frames::ACK, 0, &[1; 8]),
        frame(frames::SETTINGS, frames::ACK, 0, &[]),
    ] {
        let mut wire = Wire::client(fixture.tls().await).await;
        let many = flood.repeat(1000);
        let mut open = true;
        for _ in 0..20 {
            open = open && wire.try_send(&many).await;
            fixture.healthy.check().await;
        }
        drop(wire);
        // Closed by either side, without harm.
        drop(fixture.end().await);
    }
    fixture.healthy.check().await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_and_the_rest_lives() {
    let http2 = Http2Config::builder()
        .max_concurrent_streams(10)
        .build()
        .unwrap();
    let mut fixture = Fixture::with(|builder| builder.http2(http2), echo).await;
    let mut wire = Wire::client(fixture.tls().await).await;
    for n in 0..15u32 {
        wire.send(&connect(1 + 2 * n, "10.0.0.1:80")).await;
    }
    let (mut answered, mut refused) = (0, 0);
    while answered + refused < 15 {
        let frame = wire.next().await.expect("the connection lives");
        match frame.kind {
            frames::HEADERS => {
                assert_eq!(frame.status(), 200);
                answered += 1;
            }
            // RFC 9113 §5.1.2.
            frames::RST_STREAM => {
                assert!([frames::REFUSED_STREAM, frames::PROTOCOL_ERROR].contains(&frame.code()));
                refused += 1;
            }
            _ => {}
        }
    }
    assert_eq!((answered, refused), (10, 5));
    wire.send(&frame(frames::DATA, 0, 1, b"still")).await;
    assert_eq!(wire.next_of(frames::DATA).await.payload, b"still");
    fixture.healthy.check().await;
}

#[tokio::test]
async fn data_after_the_end_of_a_stream_is_an_error_of_that_stream_or_connection() {
    let mut fixture = Fixture::echo().await;
    let mut wire = Wire::client(fixture.tls().await).await;
    wire.send(&connect(1, "10.0.0.1:80")).await;
    wire.next_of(frames::HEADERS).await;
    let mut bytes = frame(frames::DATA, frames::END_STREAM, 1, b"the end");
    bytes.extend(frame(frames::DATA, 0, 1, b"not quite"));
    wire.send(&bytes).await;
    // RFC 9113 §5.1, half-closed (remote): an error of the stream or the connection. The code
    // shall be STREAM_CLOSED (5); the library says PROTOCOL_ERROR, which §5.4.1 permits.
    loop {
        let frame = wire.next().await.expect("a word about it");
        if [frames::RST_STREAM, frames::GOAWAY].contains(&frame.kind) {
            assert!(
                [5, frames::PROTOCOL_ERROR].contains(&frame.code()),
                "{frame:?}"
            );
            break;
        }
        assert_ne!(frame.payload, b"not quite");
    }
    fixture.healthy.check().await;
}

#[tokio::test]
async fn frames_that_break_the_protocol_end_their_own_connection() {
    let mut fixture = Fixture::echo().await;
    let too_large = frame(frames::DATA, 0, 1, &vec![0; 64 * 1024 + 1]);
    let half_a_setting = frame(frames::SETTINGS, 0, 0, &[0; 5]);
    let short_ping = frame(frames::PING, 0, 0, &[0; 7]);
    let long_reset = frame(frames::RST_STREAM, 0, 1, &[0; 5]);
    let short_update = frame(frames::WINDOW_UPDATE, 0, 0, &[0; 3]);
    let data_on_zero = frame(frames::DATA, 0, 0, b"x");
    let even_stream = connect(2, "10.0.0.1:80");
    let lone_continuation = frame(frames::CONTINUATION, frames::END_HEADERS, 1, &[]);
    let bad_hpack = frame(frames::HEADERS, frames::END_HEADERS, 3, &[0xff; 20]);
    let no_window = frame(frames::WINDOW_UPDATE, 0, 0, &[0; 4]);
    let push = frame(5, frames::END_HEADERS, 1, &[0, 0, 0, 2, 0x82]);
    let overflow = [
        frames::window_update(0, 0x7fff_ffff),
        frames::window_update(0, 0x7fff_ffff),
    ];
    for (case, bytes) in [
        ("a frame larger than allowed", too_large),
        ("SETTINGS of 5 bytes", half_a_setting),
        ("PING of 7 bytes", short_ping),
        ("RST_STREAM of 5 bytes", long_reset),
        ("WINDOW_UPDATE of 3 bytes", short_update),
        ("DATA on stream 0", data_on_zero),
        ("a stream with an even number", even_stream),
        ("CONTINUATION without HEADERS", lone_continuation),
        ("a header block that is none", bad_hpack),
        ("WINDOW_UPDATE of 0", no_window),
        ("PUSH_PROMISE by a client", push),
        ("a window beyond 2^31-1", overflow.concat()),
        ("garbage", vec![0xa5; 50_000]),
    ] {
        let mut wire = Wire::client(fixture.tls().await).await;
        wire.send(&connect(1, "10.0.0.1:80")).await;
        wire.next_of(frames::HEADERS).await;
        wire.try_send(&bytes).await;
        let frames = wire.ended().await;
        let last = frames.last().map(|frame| frame.kind);
        assert_eq!(last, Some(frames::GOAWAY), "{case}");
        assert_ne!(frames.last().map(frames::Frame::code), Some(0), "{case}");
        assert_eq!(fixture.outcome().await, Outcome::Http2Failure, "{case}");
    }
}

#[tokio::test]
async fn a_preface_that_is_none_or_never_comes_ends_the_connection() {
    let short = |builder: mesh_hbone::server::ServerBuilder| {
        builder.handshake_timeout(Duration::from_millis(500))
    };
    let mut fixture = Fixture::with(short, echo).await;
    let mut io = fixture.tls().await;
    io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(fixture.outcome().await, Outcome::Http2Failure);
    let silent = fixture.tls().await;
    let end = fixture.end().await.unwrap_err();
    assert!(matches!(end, Error::HandshakeTimeout { .. }), "{end}");
    drop(silent);
    fixture.healthy.check().await;
}

#[tokio::test]
async fn a_flood_of_empty_data_frames_ends_its_own_connection() {
    let mut fixture = Fixture::echo().await;
    let mut wire = Wire::client(fixture.tls().await).await;
    wire.send(&connect(1, "10.0.0.1:80")).await;
    wire.next_of(frames::HEADERS).await;
    let empty = frame(frames::DATA, 0, 1, &[]).repeat(1000);
    let mut sent = 0;
    while sent < 1000 && wire.try_send(&empty).await {
        sent += 1;
    }
    assert!(sent < 1000, "a million empty frames were taken");
    assert_eq!(fixture.outcome().await, Outcome::Http2Failure);
}
