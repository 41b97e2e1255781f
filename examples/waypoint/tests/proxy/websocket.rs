//! WebSockets through the waypoint, with real frames (RFC 6455 §5).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::application::{PORT, head};
use crate::objects::{pod, service};
use crate::world::World;

/// RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// A frame; those of clients are masked.
fn frame(kind: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![kind];
    match payload.len() {
        short @ ..126 => frame.push(bit | short as u8),
        long => {
            frame.push(bit | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// Reads a frame: what it is, and its payload.
async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let second = stream.read_u8().await.ok()?;
    let length = match second & 0x7f {
        127 => stream.read_u64().await.ok()?,
        126 => stream.read_u16().await.ok()?.into(),
        short => short.into(),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        stream.read_exact(&mut mask).await.ok()?;
    }
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    let unmasked = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    Some((kind, unmasked.collect()))
}

/// What a server answers a key with; RFC 6455 §4.2.2.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let bits: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:08b}"))
        .collect();
    // 160 bits are 26 letters and 4 bits.
    let bits = bits + "00";
    let six = bits.as_bytes().chunks(6).map(|bits| {
        let number = bits
            .iter()
            .fold(0, |number, bit| number << 1 | usize::from(bit - b'0'));
        char::from(letters[number])
    });
    six.chain(['=']).collect()
}

/// Echoes frames until one closes.
async fn echo(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (_, headers) = head(&mut stream).await?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        accept(&headers["sec-websocket-key"])
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    while let Some((kind, payload)) = read_frame(&mut stream).await {
        stream.write_all(&frame(kind, &payload, None)).await.ok()?;
        if kind == CLOSE {
            break;
        }
    }
    Some(())
}

/// A world with an echo behind the service at 10.96.1.1.
async fn start() -> World {
    let objects = pod("chat", "chat", 4, "") + &service("chat", "10.96.1.1", "chat", "");
    let world = World::start(&objects).await;
    assert_eq!(accept(KEY), ACCEPT);
    let listener = TcpListener::bind((world.at(4), PORT)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    world
}

#[tokio::test]
async fn frames_come_back_until_the_connection_is_closed() {
    let world = start().await;
    let mut connection = world.client.connection("10.96.1.1".parse().unwrap()).await;
    let stream = &mut connection.0;
    let request = format!(
        "GET /chat HTTP/1.1\r\nhost: chat\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let (line, headers) = head(stream).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 101 "), "{line}");
    assert_eq!(
        (&*headers["sec-websocket-accept"], &*headers["upgrade"]),
        (ACCEPT, "websocket")
    );
    for payload in [b"hello".to_vec(), vec![7; 100_000], Vec::new()] {
        stream
            .write_all(&frame(TEXT, &payload, Some([1, 2, 3, 4])))
            .await
            .unwrap();
        assert_eq!(read_frame(stream).await, Some((TEXT, payload)));
    }
    stream
        .write_all(&frame(CLOSE, &[3, 232], Some([1, 2, 3, 4])))
        .await
        .unwrap();
    assert_eq!(read_frame(stream).await, Some((CLOSE, vec![3, 232])));
    assert_eq!(read_frame(stream).await, None);
    let logged = async || world.lines(&["\"GET /chat HTTP/1.1\" 101 -"]) == 1;
    world.until("a line of the access log", logged).await;
}

/// RFC 8441: a client of HTTP/2 reaches a server of HTTP/1.1.
#[tokio::test]
async fn frames_of_an_http2_client_come_back() {
    let world = start().await;
    let sender = world.client.http2("10.96.1.1".parse().unwrap()).await;
    let mut sender = sender.ready().await.unwrap();
    let allowed = async || sender.is_extended_connect_protocol_enabled();
    world.until("it is allowed", allowed).await;
    let request = Request::connect("http://chat/chat")
        .extension(h2::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13");
    let (response, mut sending) = sender
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    for text in ["hello", "again"] {
        let sent = frame(TEXT, text.as_bytes(), Some([9, 8, 7, 6]));
        sending.send_data(Bytes::from(sent), false).unwrap();
        let back = body.data().await.unwrap().unwrap();
        assert_eq!(back, frame(TEXT, text.as_bytes(), None));
    }
}
