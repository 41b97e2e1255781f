//! The server name that a client asks for, read from its connection.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use super::client_hello::{ClientHello, client_hello};

/// Bytes that are read for a `ClientHello`, and the time for it. Source: Envoy's TLS inspector, which reads as much.
const BYTES: usize = 64 << 10;
const TIME: Duration = Duration::from_secs(10);

/// Reads a connection until it is known what it is: the bytes that were read, and the server name.
///
/// What says nothing within 10 s, or no whole message within 64 KiB, has none.
///
/// # Errors
/// Those of the connection.
///
/// # Cancellation
/// Dropping the future loses what was read.
pub async fn read_server_name<IO: AsyncRead + Unpin>(
    io: &mut IO,
    mut bytes: BytesMut,
) -> io::Result<(BytesMut, Option<String>)> {
    let end = Instant::now() + TIME;
    loop {
        match client_hello(&bytes) {
            ClientHello::Tls(name) => return Ok((bytes, name)),
            ClientHello::Other => return Ok((bytes, None)),
            ClientHello::Incomplete if bytes.len() >= BYTES => return Ok((bytes, None)),
            ClientHello::Incomplete => {}
        }
        match timeout_at(end, io.read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => {}
            Ok(Err(error)) => return Err(error),
            Ok(Ok(0)) | Err(_) => return Ok((bytes, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `ClientHello` without extensions but the server name `a.b`, in two records: RFC 8446 §4.1.2 and §5.1.
    fn hello() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
        body.extend_from_slice(&[0, 12, 0, 0, 0, 8, 0, 6, 0, 0, 3]);
        body.extend_from_slice(b"a.b");
        let mut message = vec![1, 0, 0, body.len() as u8];
        message.extend_from_slice(&body);
        let records = message.chunks(20).flat_map(|part| {
            let mut record = vec![22, 3, 1, 0, part.len() as u8];
            record.extend_from_slice(part);
            record
        });
        records.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_read_until_it_is_known() {
        let bytes = hello();
        let mut split = tokio_test::io::Builder::new()
            .read(&bytes[..30])
            .read(&bytes[30..])
            .build();
        let read = read_server_name(&mut split, BytesMut::new()).await.unwrap();
        assert_eq!(read.0, bytes);
        assert_eq!(read.1.as_deref(), Some("a.b"));
        let (mut silent, _client) = tokio::io::duplex(1);
        let began = Instant::now();
        let read = read_server_name(&mut silent, BytesMut::new())
            .await
            .unwrap();
        assert_eq!((read.1, began.elapsed().as_secs()), (None, 10));
    }
}
