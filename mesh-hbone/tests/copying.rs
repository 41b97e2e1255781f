//! Copying: ends, resets, partial reads and writes, counting, buffers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::outcome::Outcome;
use mesh_hbone::Incoming;
use mesh_hbone::copy::{CopyError, Meter, Plain, Side, copy};
use mesh_hbone::io::Socket;
use mesh_hbone::server::{Accepted, serve_authenticated};
use parking_lot::Mutex;
use proptest::prelude::*;
use support::frames::{self, GUARD, Wire, connect, frame};
use support::pipes::{endpoint, settle};
use support::relay::{Relay, tcp_pair};
use support::{Fn_, Mesh, echo, id};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes that differ from place to place.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

async fn read_to_end(io: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let read = timeout(GUARD, io.read_to_end(&mut all)).await;
    read.expect("no end came").unwrap();
    all
}

/// What reading says after a reset.
async fn reset_seen(io: &mut TcpStream) {
    let mut sink = Vec::new();
    let read = timeout(GUARD, io.read_to_end(&mut sink)).await;
    let error = read
        .expect("no reset came")
        .expect_err("an end in place of a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_server_may_speak_first() {
    let mut relay = Relay::new().await;
    relay.server.write_all(b"220 ready\r\n").await.unwrap();
    let mut greeting = [0; 11];
    relay.client.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 ready\r\n");
}

#[tokio::test]
async fn either_side_may_end_first_and_still_receive() {
    for client_first in [true, false] {
        let mut relay = Relay::new().await;
        let (request, answer) = (noise(10_000, 1), noise(300_000, 2));
        let (first, second) = if client_first {
            (&mut relay.client, &mut relay.server)
        } else {
            (&mut relay.server, &mut relay.client)
        };
        first.write_all(&request).await.unwrap();
        first.shutdown().await.unwrap();
        assert!(read_to_end(second).await == request);
        // The other direction is open as long as its sender likes.
        for part in answer.chunks(50_000) {
            second.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        let last = async {
            second.shutdown().await.unwrap();
        };
        let (got, ()) = tokio::join!(read_to_end(first), last);
        assert!(got == answer, "client first: {client_first}");
        relay.near_end().await.unwrap();
        let (far, to_server, to_client) = relay.far_end().await;
        far.unwrap();
        let expected = if client_first {
            (10_000, 300_000)
        } else {
            (300_000, 10_000)
        };
        assert_eq!((to_server, to_client), expected);
        let meter = &relay.near_meter;
        assert_eq!((meter.to_server(), meter.to_client()), expected);
        assert_eq!((relay.traffic.received(), relay.traffic.sent()), expected);
    }
}

#[tokio::test]
async fn a_reset_of_the_client_arrives_at_the_server_as_a_reset() {
    let mut relay = Relay::new().await;
    relay.client.write_all(b"x").await.unwrap();
    relay.server.read_exact(&mut [0]).await.unwrap();
    socket2::SockRef::from(&relay.client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    relay.client = tcp_pair().await.0;
    reset_seen(&mut relay.server).await;
    let near = relay.near_end().await.unwrap_err();
    assert!(
        matches!(
            near,
            CopyError::Reset {
                side: Side::Client,
                ..
            }
        ),
        "{near:?}"
    );
    assert_eq!(near.outcome(), Outcome::Reset);
    let far = relay.far_end().await.0.unwrap_err();
    assert!(
        matches!(
            far,
            CopyError::Reset {
                side: Side::Client,
                ..
            }
        ),
        "{far:?}"
    );
}

#[tokio::test]
async fn a_reset_of_the_server_arrives_at_the_client_as_a_reset() {
    let mut relay = Relay::new().await;
    relay.server.write_all(b"x").await.unwrap();
    relay.client.read_exact(&mut [0]).await.unwrap();
    socket2::SockRef::from(&relay.server)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    relay.server = tcp_pair().await.0;
    reset_seen(&mut relay.client).await;
    let far = relay.far_end().await.0.unwrap_err();
    assert!(
        matches!(
            far,
            CopyError::Reset {
                side: Side::Server,
                ..
            }
        ),
        "{far:?}"
    );
    let near = relay.near_end().await.unwrap_err();
    assert!(
        matches!(
            near,
            CopyError::Reset {
                side: Side::Server,
                ..
            }
        ),
        "{near:?}"
    );
}

#[tokio::test]
async fn a_reset_after_a_half_close_is_still_a_reset() {
    for client_ended in [true, false] {
        let mut relay = Relay::new().await;
        if client_ended {
            relay.client.shutdown().await.unwrap();
            assert!(read_to_end(&mut relay.server).await.is_empty());
            socket2::SockRef::from(&relay.server)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            relay.server = tcp_pair().await.0;
            reset_seen(&mut relay.client).await;
        } else {
            relay.server.shutdown().await.unwrap();
            assert!(read_to_end(&mut relay.client).await.is_empty());
            socket2::SockRef::from(&relay.client)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            relay.client = tcp_pair().await.0;
            reset_seen(&mut relay.server).await;
        }
        relay.near_end().await.unwrap_err();
        relay.far_end().await.0.unwrap_err();
    }
}

#[tokio::test]
async fn dropping_a_copy_resets_both_applications() {
    let mut relay = Relay::new().await;
    relay.client.write_all(b"x").await.unwrap();
    relay.server.read_exact(&mut [0]).await.unwrap();
    relay.near.abort();
    reset_seen(&mut relay.client).await;
    reset_seen(&mut relay.server).await;
    assert_eq!(
        relay.far_end().await.0.unwrap_err().outcome(),
        Outcome::Reset
    );
}

#[tokio::test]
async fn losing_the_tunnels_connection_resets_the_application() {
    let (wire, mut app, mut ended) = by_hand().await;
    drop(wire);
    reset_seen(&mut app).await;
    ended.recv().await.unwrap().unwrap_err();
}

type CopyEnds = tokio::sync::mpsc::UnboundedReceiver<Result<(), CopyError>>;

/// A copy between a tunnel whose peer is made by hand and a TCP socket.
async fn by_hand() -> (Wire<DuplexStream>, TcpStream, CopyEnds) {
    let (app, local) = tcp_pair().await;
    let (wire, ended) = by_hand_with(local).await;
    (wire, app, ended)
}

async fn by_hand_with<IO: Socket>(local: IO) -> (Wire<DuplexStream>, CopyEnds) {
    let mesh = Mesh::new();
    let layer = mesh.server_builder().build().unwrap();
    let (near, far) = duplex(4 * 1024 * 1024);
    let accepted = Accepted {
        io: far,
        peer: endpoint(2),
        local: endpoint(1),
    };
    let local = Arc::new(Mutex::new(Some(local)));
    let (report, ended) = tokio::sync::mpsc::unbounded_channel();
    let service = Fn_(move |incoming: Incoming| {
        let (report, local) = (report.clone(), local.lock().take().unwrap());
        async move {
            let tunnel = incoming.accept(http::HeaderMap::new())?;
            let _ = report.send(copy(tunnel, Plain::new(local), &Meter::default()).await);
            Ok(())
        }
    });
    tokio::spawn(async move { serve_authenticated(&layer, accepted, id("client"), service).await });
    let mut wire = Wire::client(near).await;
    wire.send(&connect(1, "10.0.0.1:80")).await;
    assert_eq!(wire.next_of(frames::HEADERS).await.status(), 200);
    (wire, ended)
}

#[tokio::test]
async fn a_tcp_reset_is_rst_stream_with_connect_error_on_the_wire() {
    let (mut wire, app, _ended) = by_hand().await;
    socket2::SockRef::from(&app)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(app);
    let reset = wire.next_of(frames::RST_STREAM).await;
    // RFC 9113 §8.5.
    assert_eq!((reset.stream, reset.code()), (1, frames::CONNECT_ERROR));
}

#[tokio::test]
async fn rst_stream_is_a_tcp_reset_whatever_its_code() {
    for code in [
        frames::CONNECT_ERROR,
        frames::CANCEL,
        frames::PROTOCOL_ERROR,
    ] {
        let (mut wire, mut app, mut ended) = by_hand().await;
        wire.send(&frame(frames::DATA, 0, 1, b"x")).await;
        app.read_exact(&mut [0]).await.unwrap();
        wire.send(&frames::reset(1, code)).await;
        reset_seen(&mut app).await;
        assert!(ended.recv().await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_peer_that_has_ended_and_wants_no_more_is_not_a_failure() {
    // RFC 9113 §8.1: after a whole answer a stream may be closed with NO_ERROR.
    let ended_and_closed = async || {
        let (mut wire, mut app, ended) = by_hand().await;
        wire.send(&frame(frames::DATA, frames::END_STREAM, 1, b"answer"))
            .await;
        wire.send(&frames::reset(1, frames::NO_ERROR)).await;
        assert_eq!(read_to_end(&mut app).await, b"answer");
        (wire, app, ended)
    };
    // The application has nothing more to say either.
    let (_wire, app, mut ended) = ended_and_closed().await;
    drop(app);
    ended.recv().await.unwrap().unwrap();
    // What it still says reaches nobody.
    let (_wire, mut app, mut ended) = ended_and_closed().await;
    app.write_all(b"more").await.unwrap();
    let error = ended.recv().await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Reset, "{error:?}");
}

#[tokio::test]
async fn ends_on_the_wire_are_end_stream_and_nothing_else() {
    let (mut wire, mut app, mut ended) = by_hand().await;
    app.shutdown().await.unwrap();
    let end = wire.next_of(frames::DATA).await;
    assert_eq!((end.flags & 1, end.payload.len()), (1, 0));
    wire.send(&frame(frames::DATA, frames::END_STREAM, 1, b"bye"))
        .await;
    assert_eq!(read_to_end(&mut app).await, b"bye");
    ended.recv().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reset_ends_a_copy_whose_application_does_not_read() {
    // Without this a peer makes copies, each with a window of bytes, that nothing counts any more.
    for (case, payload) in [("large frames", 16 * 1024), ("small frames", 100)] {
        let (_app, local) = duplex(1024);
        let (mut wire, mut ended) = by_hand_with(local).await;
        for _ in 0..20 {
            wire.send(&frame(frames::DATA, 0, 1, &vec![7; payload]))
                .await;
        }
        wire.send(&frames::reset(1, frames::CANCEL)).await;
        let end = timeout(Duration::from_secs(5), ended.recv()).await;
        let end = end.unwrap_or_else(|_| panic!("{case}: the copy goes on without its stream"));
        assert_eq!(
            end.unwrap().unwrap_err().outcome(),
            Outcome::Reset,
            "{case}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_or_loss_after_the_end_ends_a_copy_whose_application_does_not_read() {
    for (case, payload) in [("large frames", 16 * 1024), ("small frames", 100)] {
        for lost in [false, true] {
            let (_app, local) = duplex(1024);
            let (mut wire, mut ended) = by_hand_with(local).await;
            let data = vec![7; payload];
            for _ in 0..2 {
                wire.send(&frame(frames::DATA, 0, 1, &data)).await;
            }
            wire.send(&frame(frames::DATA, frames::END_STREAM, 1, &data))
                .await;
            settle().await;
            assert!(ended.is_empty(), "{case}");
            if lost {
                drop(wire);
            } else {
                wire.send(&frames::reset(1, frames::CANCEL)).await;
            }
            let end = timeout(Duration::from_secs(5), ended.recv()).await;
            let end = end.unwrap_or_else(|_| panic!("{case}, lost {lost}: the copy goes on"));
            let outcome = end.unwrap().unwrap_err().outcome();
            assert_eq!(outcome, Outcome::Reset, "{case}, lost {lost}");
        }
    }
}

/// A stream that reads and writes in pieces of random sizes, and waits at random.
#[derive(Debug)]
struct Choppy<S> {
    io: S,
    state: u64,
}

impl<S> Choppy<S> {
    fn new(io: S, seed: u64) -> Self {
        Self {
            io,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// Whether to say "not yet", having asked to be polled again.
    fn hesitates(&mut self, cx: &Context<'_>) -> bool {
        let hesitates = self.random().is_multiple_of(3);
        if hesitates {
            cx.waker().wake_by_ref();
        }
        hesitates
    }

    fn piece(&mut self, most: usize) -> usize {
        let scale = [3, 100, 5_000, 100_000][usize::try_from(self.random() % 4).unwrap()];
        (usize::try_from(self.random() % scale).unwrap() + 1).min(most)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Choppy<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.hesitates(cx) {
            return Poll::Pending;
        }
        let mut piece = vec![0; this.piece(buf.remaining())];
        let mut piece = ReadBuf::new(&mut piece);
        let result = Pin::new(&mut this.io).poll_read(cx, &mut piece);
        buf.put_slice(piece.filled());
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Choppy<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.hesitates(cx) {
            return Poll::Pending;
        }
        let piece = this.piece(buf.len());
        Pin::new(&mut this.io).poll_write(cx, &buf[..piece])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.hesitates(cx) {
            return Poll::Pending;
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.hesitates(cx) {
            return Poll::Pending;
        }
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl<S: Socket> Socket for Choppy<S> {}

/// Sends `up` and `down` through two applications' ends at once and checks what arrives.
async fn exchange(client: DuplexStream, server: DuplexStream, up: Vec<u8>, down: Vec<u8>) {
    async fn side(io: DuplexStream, say: Vec<u8>, hear: Vec<u8>) {
        let (mut read, mut write) = tokio::io::split(io);
        let write = async {
            write.write_all(&say).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let (got, ()) = tokio::join!(read_to_end(&mut read), write);
        assert!(got == hear, "{} bytes for {}", got.len(), hear.len());
    }
    tokio::join!(
        side(client, up.clone(), down.clone()),
        side(server, down, up)
    );
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_byte_arrives_between_choppy_sockets(
        seed in any::<u32>(),
        up in 0..400_000usize,
        down in 0..400_000usize,
        pipe in 1..100_000usize,
    ) {
        runtime().block_on(async {
            let (client, near) = duplex(pipe);
            let (server, far) = duplex(pipe);
            let meter = Meter::default();
            let copying = copy(
                Plain::new(Choppy::new(near, seed.into())),
                Plain::new(Choppy::new(far, u64::from(seed) + 1)),
                &meter,
            );
            let bytes = exchange(client, server, noise(up, seed), noise(down, !seed));
            let (result, ()) = tokio::join!(copying, bytes);
            result.unwrap();
            let counted = (meter.to_server(), meter.to_client());
            assert_eq!(counted, (up.try_into().unwrap(), down.try_into().unwrap()));
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_byte_arrives_through_a_tunnel_over_a_choppy_connection(
        seed in any::<u32>(),
        up in 0..600_000usize,
        down in 0..600_000usize,
        pipe in 20..100_000usize,
    ) {
        runtime().block_on(async {
            let mesh = Mesh::new();
            let (client_io, server_io) = duplex(pipe);
            let seed64 = u64::from(seed);
            let server_io = Choppy::new(server_io, seed64 + 2);
            let mut server = {
                use tower_layer::Layer;
                mesh.server_builder().build().unwrap().layer(Fn_(echo_once))
            };
            let accepted = Accepted { io: server_io, peer: endpoint(2), local: endpoint(1) };
            tokio::spawn(tower_service::Service::call(&mut server, accepted));
            let client = mesh.client();
            let over = Choppy::new(client_io, seed64 + 3);
            let tunnel = client.connect_over(over, mesh.target(endpoint(1))).await.unwrap();
            let (app, near) = duplex(pipe);
            let meter = Meter::default();
            let copying = copy(Plain::new(Choppy::new(near, seed64)), tunnel, &meter);
            let (up, down) = (noise(up, seed), noise(down, SEED_OF_ANSWER));
            let length = u32::try_from(down.len()).unwrap().to_be_bytes();
            let application = async move {
                let (mut read, mut write) = tokio::io::split(app);
                let say = async {
                    write.write_all(&length).await.unwrap();
                    write.write_all(&up).await.unwrap();
                    write.shutdown().await.unwrap();
                };
                let (got, ()) = tokio::join!(read_to_end(&mut read), say);
                let (sum, got) = got.split_at(8);
                assert_eq!(u64::from_be_bytes(sum.try_into().unwrap()), sum_of(&up));
                assert!(got == down, "{} bytes for {}", got.len(), down.len());
            };
            let (result, ()) = tokio::join!(copying, application);
            result.unwrap();
        });
    }
}

const SEED_OF_ANSWER: u32 = 77;

/// A checksum in which order matters.
fn sum_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(bytes.len() as u64, |sum, byte| {
        sum.rotate_left(7).wrapping_add(u64::from(*byte))
    })
}

/// Reads a length and everything, answers with a checksum and so much noise.
async fn echo_once(incoming: Incoming) -> Result<(), mesh_hbone::BoxError> {
    let mut tunnel = incoming.accept(http::HeaderMap::new())?;
    let length = usize::try_from(tunnel.read_u32().await?)?;
    let mut all = Vec::new();
    tunnel.read_to_end(&mut all).await?;
    tunnel.write_all(&sum_of(&all).to_be_bytes()).await?;
    tunnel.write_all(&noise(length, SEED_OF_ANSWER)).await?;
    tunnel.shutdown().await?;
    Ok(())
}

/// A socket whose reads are scripted and whose read buffers are remembered.
#[derive(Debug)]
struct Scripted {
    /// Bytes of the reads to come; then nothing comes.
    reads: Vec<usize>,
    offered: Arc<Mutex<Vec<usize>>>,
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(
            !self.reads.is_empty(),
            "a read, and with it a buffer, when nothing is readable"
        );
        self.offered.lock().push(buf.remaining());
        let length = self.reads.remove(0).min(buf.remaining());
        buf.put_slice(&vec![0; length]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(b.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Socket for Scripted {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reads.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn idle_copies_hold_no_buffer_and_buffers_grow_and_shrink_with_what_comes() {
    let all = usize::MAX;
    let offered = Arc::new(Mutex::new(Vec::new()));
    let busy = Scripted {
        reads: vec![100, all, all, all, all, 10, 10, 10],
        offered: offered.clone(),
    };
    let idle = Scripted {
        reads: Vec::new(),
        offered: Arc::default(),
    };
    let meter = Meter::default();
    let mut copying = Box::pin(copy(Plain::new(busy), Plain::new(idle), &meter));
    // The assertion inside of `Scripted` is what tests idleness.
    assert!(
        tokio_test::task::spawn(copying.as_mut())
            .poll()
            .is_pending()
    );
    let offered = offered.lock();
    let [small, large] = [offered[0], *offered.iter().max().unwrap()];
    assert!(small <= 4096, "{offered:?}");
    assert!(large > 8 * small && large <= 64 * 1024, "{offered:?}");
    assert!(
        offered.is_sorted_by(|a, b| a <= b) || offered[7] < large,
        "{offered:?}"
    );
    assert_eq!(offered[7], small, "back to small reads: {offered:?}");
}

#[tokio::test]
async fn a_copy_with_an_echo_over_one_tunnel_counts_both_directions() {
    let mesh = Mesh::new();
    let server = {
        use tower_layer::Layer;
        mesh.server_builder().build().unwrap().layer(Fn_(echo))
    };
    let (addr, _) = support::listen(server).await;
    let tunnel = mesh.client().connect(mesh.target(addr)).await.unwrap();
    let (app, near) = duplex(64 * 1024);
    let meter = Meter::default();
    let copying = copy(Plain::new(near), tunnel, &meter);
    let bytes = noise(2_000_000, 3);
    let application = async {
        let (mut read, mut write) = tokio::io::split(app);
        let say = async {
            write.write_all(&bytes).await.unwrap();
            write.shutdown().await.unwrap();
        };
        tokio::join!(read_to_end(&mut read), say).0
    };
    let (result, got) = tokio::join!(copying, application);
    result.unwrap();
    assert!(got == bytes);
    assert_eq!(
        (meter.to_server(), meter.to_client()),
        (2_000_000, 2_000_000)
    );
}
