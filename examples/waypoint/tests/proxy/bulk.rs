//! Much data in constant memory, and clients that do not take it.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `MESH_TEST_WAYPOINT` | the binary that cargo built | the waypoint to test, such as a release build |
//! | `MESH_TEST_BYTES` | 96 MiB | bytes that are carried each way; a gibibyte is 1073741824 |

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::application::{PORT, head};
use crate::objects::{pod, policy, service};
use crate::world::World;

const BULK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 1, 1));
const MIB: u64 = 1 << 20;
/// What the process may occupy more than before. Windows, sockets and buffers of one stream are less.
const MORE: u64 = 24 * MIB;

fn size() -> u64 {
    let set = std::env::var("MESH_TEST_BYTES").ok();
    set.map_or(96 * MIB, |text| text.parse().unwrap())
}

/// What the application has read and sent, in bytes, and uploads that did not end.
#[derive(Debug, Default)]
struct Counts {
    read: AtomicU64,
    sent: AtomicU64,
    broken: AtomicU64,
}

/// Sends as many bytes as are asked for, the same each time; their digest.
async fn send<W: AsyncWrite + Unpin>(to: &mut W, size: u64, sent: &AtomicU64) -> Option<String> {
    let mut context = Context::new(&SHA256);
    let mut block = vec![0; 64 * 1024];
    let mut left = size;
    while left > 0 {
        // Another one each time: blocks that change places are noticed.
        block.fill((left >> 16) as u8);
        let next = left.min(block.len() as u64);
        let bytes = &block[..next as usize];
        to.write_all(bytes).await.ok()?;
        context.update(bytes);
        sent.fetch_add(next, Ordering::SeqCst);
        left -= next;
    }
    Some(hex(context))
}

/// Reads as many bytes; their digest.
async fn read<R: AsyncRead + Unpin>(
    from: &mut R,
    size: u64,
    counted: &AtomicU64,
) -> Option<String> {
    let mut context = Context::new(&SHA256);
    let mut block = vec![0; 64 * 1024];
    let mut limited = from.take(size);
    let mut left = size;
    while left > 0 {
        let read = limited
            .read(&mut block)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        context.update(&block[..read]);
        counted.fetch_add(read as u64, Ordering::SeqCst);
        left -= read as u64;
    }
    Some(hex(context))
}

fn hex(context: Context) -> String {
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Sends what a path says after `/`, and takes what is posted.
async fn serve(stream: TcpStream, counts: Arc<Counts>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (line, headers) = head(&mut stream).await?;
        let mut words = line.split(' ');
        if words.next()? == "POST" {
            let size = headers["content-length"].parse().unwrap();
            let Some(digest) = read(&mut stream, size, &counts.read).await else {
                counts.broken.fetch_add(1, Ordering::SeqCst);
                return None;
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{digest}",
                digest.len()
            );
            stream.write_all(answer.as_bytes()).await.ok()?;
        } else {
            let size: u64 = words.next()?.trim_start_matches('/').parse().unwrap();
            let lines = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
            stream.write_all(lines.as_bytes()).await.ok()?;
            send(&mut stream, size, &counts.sent).await?;
        }
    }
}

async fn start(more: &str) -> (World, Arc<Counts>) {
    let objects = pod("bulk", "bulk", 4, "") + &service("bulk", "10.96.1.1", "bulk", "") + more;
    let world = World::start(&objects).await;
    let address = SocketAddr::from((world.at(4), PORT));
    let listener = TcpListener::bind(address).await.unwrap();
    let counts = Arc::<Counts>::default();
    let counted = counts.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, counted.clone()));
        }
    });
    (world, counts)
}

/// The most memory that the process has occupied while a future ran.
async fn watched<T>(world: &World, future: impl Future<Output = T>) -> (T, u64) {
    let mut most = 0;
    let mut future = std::pin::pin!(future);
    loop {
        let pause = tokio::time::sleep(std::time::Duration::from_millis(5));
        tokio::select! {
            output = &mut future => return (output, most.max(world.memory())),
            () = pause => most = most.max(world.memory()),
        }
    }
}

async fn download(world: &World, size: u64) -> u64 {
    let counted = AtomicU64::new(0);
    let mut stream = world.client.connection(BULK).await.0;
    let request = format!("GET /{size} HTTP/1.1\r\nhost: bulk\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (line, _) = head(&mut stream).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    let received = read(&mut stream, size, &counted);
    let (received, most) = watched(world, received).await;
    // What would have been sent is the same each time.
    let mut nowhere = tokio::io::sink();
    assert_eq!(received, send(&mut nowhere, size, &AtomicU64::new(0)).await);
    most
}

async fn upload(world: &World, size: u64) -> u64 {
    let mut connection = world.client.connection(BULK).await;
    let head = format!("POST / HTTP/1.1\r\nhost: bulk\r\ncontent-length: {size}\r\n\r\n");
    connection.0.write_all(head.as_bytes()).await.unwrap();
    let counted = AtomicU64::new(0);
    let sent = send(&mut connection.0, size, &counted);
    let (sent, most) = watched(world, sent).await;
    connection.0.flush().await.unwrap();
    let answer = connection.answer("POST").await.unwrap();
    assert_eq!((answer.status, Some(answer.body)), (200, sent));
    most
}

#[tokio::test]
async fn much_is_carried_both_ways_in_constant_memory() {
    let (world, counts) = start("").await;
    // Buffers are made.
    download(&world, 4 * MIB).await;
    upload(&world, 4 * MIB).await;
    let before = world.memory();
    let down = download(&world, size()).await;
    let up = upload(&world, size()).await;
    println!("before {before}, most down {down}, most up {up} bytes");
    assert!(down < before + MORE, "{before}, then {down}");
    assert!(up < before + MORE, "{before}, then {up}");
    assert_eq!(counts.sent.load(Ordering::SeqCst), 4 * MIB + size());
    assert_eq!(counts.read.load(Ordering::SeqCst), 4 * MIB + size());
}

#[tokio::test]
async fn what_nobody_takes_is_not_asked_for() {
    let (world, counts) = start("").await;
    let mut stream = world.client.connection(BULK).await.0;
    let endless = 1_u64 << 40;
    let request = format!("GET /{endless} HTTP/1.1\r\nhost: bulk\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    head(&mut stream).await.unwrap();
    let before = world.memory();
    let sent = || counts.sent.load(Ordering::SeqCst);
    let stopped = async || {
        let before = sent();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        before > 0 && sent() == before
    };
    world.until("the upstream is stopped", stopped).await;
    // The kernel's buffers of two connections are the most of it.
    assert!(sent() < 64 * MIB, "{}", sent());
    assert!(
        world.memory() < before + MORE,
        "{before}, then {}",
        world.memory()
    );
    // Who goes on is served on.
    let at = sent();
    read(&mut stream, 2 * sent(), &AtomicU64::new(0))
        .await
        .unwrap();
    assert!(sent() > at);
}

#[tokio::test]
async fn a_client_that_vanishes_frees_the_upstream_and_its_place() {
    let one = policy("bulk", "{connectionPool: {http: {http2MaxRequests: 1}}}");
    let (world, counts) = start(&one).await;
    // In the middle of its request.
    let mut connection = world.client.connection(BULK).await;
    let head_of_upload = "POST / HTTP/1.1\r\nhost: bulk\r\ncontent-length: 1000000\r\n\r\n";
    connection
        .0
        .write_all(head_of_upload.as_bytes())
        .await
        .unwrap();
    connection.0.write_all(&[7; 1000]).await.unwrap();
    connection.0.flush().await.unwrap();
    let arrived = async || counts.read.load(Ordering::SeqCst) == 1000;
    world.until("a part arrives", arrived).await;
    assert_eq!(world.client.get(BULK, "/1").await.status, 503);
    drop(connection);
    let broken = async || counts.broken.load(Ordering::SeqCst) == 1;
    world.until("the upstream sees the end", broken).await;
    let free = async || world.client.get(BULK, "/1").await.status == 200;
    world.until("there is a place again", free).await;

    // In the middle of its answer.
    let mut stream = world.client.connection(BULK).await.0;
    let request = format!("GET /{} HTTP/1.1\r\nhost: bulk\r\n\r\n", 1_u64 << 40);
    stream.write_all(request.as_bytes()).await.unwrap();
    head(&mut stream).await.unwrap();
    assert_eq!(world.client.get(BULK, "/1").await.status, 503);
    drop(stream);
    world.until("there is a place again", free).await;
    for request in ["\"POST / HTTP/1.1\"", "\"GET /1099511627776 HTTP/1.1\" 200"] {
        let logged = async || world.lines(&[request, " DC "]) == 1;
        world.until(request, logged).await;
    }
}
