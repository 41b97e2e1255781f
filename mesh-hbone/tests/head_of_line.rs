//! Tunnels that nobody reads do not stop their neighbours on the same connection, and hold no more
//! than their window. Time stands still where everything is in the process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_hbone::copy::{Meter, Plain, copy};
use mesh_hbone::{BoxError, Client, Http2Config, Incoming, Target, Tunnel};
use support::pipes::{Piped, endpoint, settle};
use support::relay::tcp_pair;
use support::{Fn_, Mesh, echo, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::task::JoinHandle;
use tower_layer::Layer;

const STALLED: usize = 12;
const OTHERS: usize = 10;

/// Bytes that the process holds, as the kernel counts them.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Serves by authority: stalls in three ways, fills, or echoes.
async fn serve(mut incoming: Incoming) -> Result<(), BoxError> {
    let kind = incoming.authority().to_owned();
    match kind.as_str() {
        "unread:80" => {
            let _held = incoming.accept(http::HeaderMap::new())?;
            std::future::pending().await
        }
        "copied:80" => {
            let (_app, local) = duplex(1024);
            let tunnel = incoming.accept(http::HeaderMap::new())?;
            Ok(copy(tunnel, Plain::new(local), &Meter::default()).await?)
        }
        "tcp:80" => {
            let (_app, local) = tcp_pair().await;
            let tunnel = incoming.accept(http::HeaderMap::new())?;
            Ok(copy(tunnel, Plain::new(local), &Meter::default()).await?)
        }
        "unanswered:80" => {
            incoming.closed().await;
            Ok(())
        }
        "filling:80" => {
            let mut tunnel = incoming.accept(http::HeaderMap::new())?;
            loop {
                tunnel.write_all(&[7; 50_000]).await?;
            }
        }
        "filling-copied:80" => {
            let (mut app, local) = duplex(64 * 1024);
            let tunnel = incoming.accept(http::HeaderMap::new())?;
            tokio::spawn(async move { while app.write_all(&[7; 50_000]).await.is_ok() {} });
            Ok(copy(tunnel, Plain::new(local), &Meter::default()).await?)
        }
        _ => echo(incoming).await,
    }
}

fn target(mesh: &Mesh, authority: &str) -> Target {
    let mut target = mesh.target(endpoint(1));
    target.authority = authority.into();
    target
}

struct Setup {
    mesh: Mesh,
    client: Client<Piped>,
    dials: Arc<AtomicUsize>,
}

impl Setup {
    fn new(window: u32) -> Self {
        let http2 = Http2Config::builder()
            .stream_window(window)
            .build()
            .unwrap();
        let mesh = Mesh::new();
        let (client, listener) = mesh.piped(|builder| builder.http2(http2.clone()));
        let dials = listener.dials();
        let layer = mesh.server_builder().http2(http2).build().unwrap();
        let _ = listener.serve(layer.layer(Fn_(serve)));
        Self {
            mesh,
            client,
            dials,
        }
    }

    async fn open(&self, authority: &str) -> Tunnel {
        self.client
            .connect(target(&self.mesh, authority))
            .await
            .unwrap()
    }

    /// Ten exchanges, larger than what lies around in buffers, on the same connection.
    async fn exchanges(&self) {
        for n in 0..OTHERS {
            exchange(self.open("echo:80").await, 300_000 + n).await;
        }
        assert_eq!(
            self.dials.load(Ordering::SeqCst),
            1,
            "all of it on one connection"
        );
    }
}

async fn exchange(tunnel: Tunnel, length: usize) {
    let (mut read, mut write) = tokio::io::split(tunnel);
    let say = async {
        write.write_all(&vec![5; length]).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let (read, ()) = tokio::join!(read.read_to_end(&mut got), say);
    assert_eq!((read.unwrap(), got.len()), (length, length));
}

/// Writes pieces of a size for ever; how many bytes were taken is counted.
fn fill(mut tunnel: Tunnel, piece: usize) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let bytes = vec![7; piece];
    let task = tokio::spawn(async move {
        while let Ok(n) = tunnel.write(&bytes).await {
            count.fetch_add(n, Ordering::SeqCst);
        }
    });
    (task, taken)
}

#[tokio::test(start_paused = true)]
async fn twelve_readers_that_stall_hold_their_windows_and_ten_exchanges_complete() {
    for (authority, window, piece) in [
        ("unread:80", 2 * 1024 * 1024, 100_000),
        ("unread:80", 1024 * 1024, 100_000),
        ("unread:80", 16 * 1024, 1_000),
        ("copied:80", 1024 * 1024, 100_000),
        ("copied:80", 64 * 1024, 10),
        ("copied:80", 16 * 1024, 1),
    ] {
        let case = format!("{authority} {window} {piece}");
        let setup = Setup::new(window);
        let before = resident();
        let mut filling = Vec::new();
        for _ in 0..STALLED {
            filling.push(fill(setup.open(authority).await, piece));
        }
        settle().await;
        setup.exchanges().await;
        let window = usize::try_from(window).unwrap();
        for (task, taken) in &filling {
            assert!(!task.is_finished(), "{case}: the tunnel broke");
            let taken = taken.load(Ordering::SeqCst);
            // What the copy has put into the pipe is gone from the window, piece by piece.
            assert!(
                taken >= window && taken <= window + 80 * 1024,
                "{case}: {taken}"
            );
        }
        let grown = resident().saturating_sub(before);
        assert!(
            grown < STALLED * window + (48 << 20),
            "{case}: {grown} bytes more"
        );
        setup.exchanges().await;
    }
}

#[tokio::test(start_paused = true)]
async fn twelve_stalled_readers_of_the_clients_side_hold_their_windows() {
    for authority in ["filling:80", "filling-copied:80"] {
        let setup = Setup::new(256 * 1024);
        let before = resident();
        let mut held = Vec::new();
        for _ in 0..STALLED {
            held.push(setup.open(authority).await);
        }
        settle().await;
        setup.exchanges().await;
        let grown = resident().saturating_sub(before);
        assert!(
            grown < STALLED * 256 * 1024 + (48 << 20),
            "{authority}: {grown} bytes more"
        );
        // They go on where they stopped.
        for tunnel in &mut held {
            let mut sink = vec![0; 1_000_000];
            tunnel.read_exact(&mut sink).await.unwrap();
            assert!(sink.iter().all(|byte| *byte == 7));
        }
        setup.exchanges().await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_nobody_answers_do_not_stop_their_neighbours() {
    let setup = Setup::new(64 * 1024);
    let waiting: Vec<_> = (0..STALLED)
        .map(|_| {
            let (client, target) = (setup.client.clone(), target(&setup.mesh, "unanswered:80"));
            tokio::spawn(async move { client.connect(target).await.map(drop) })
        })
        .collect();
    settle().await;
    setup.exchanges().await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
}

#[tokio::test]
async fn sockets_that_nobody_reads_do_not_stop_their_neighbours() {
    let mesh = Mesh::new();
    let (addr, _) = listen(mesh.server_builder().build().unwrap().layer(Fn_(serve))).await;
    let client = mesh.client();
    let open = async |authority: &str| {
        let mut target = mesh.target(addr);
        target.authority = authority.into();
        client.connect(target).await.unwrap()
    };
    let mut filling = Vec::new();
    for n in 0..STALLED {
        filling.push(fill(
            open("tcp:80").await,
            if n % 2 == 0 { 100_000 } else { 4_000 },
        ));
    }
    for n in 0..OTHERS {
        exchange(open("echo:80").await, 500_000 + n).await;
    }
    assert_eq!(client.connections(), 1);
    assert!(filling.iter().all(|(task, _)| !task.is_finished()));
}
