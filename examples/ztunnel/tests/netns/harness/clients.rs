//! Clients as applications write them.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// Runs a client for as long as the tests wait at most.
pub(crate) async fn patiently<T>(client: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, client).await?
}

/// Sends bytes, closes its half, and reads the answer to the end.
pub(crate) async fn ask(to: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    patiently(async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(request).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    })
    .await
}

/// Sends bytes and reads as many back, without closing.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    patiently(async {
        stream.write_all(request).await?;
        let mut answer = vec![0; request.len()];
        stream.read_exact(&mut answer).await?;
        assert_eq!(answer, request);
        Ok(())
    })
    .await
}

/// Gets a page over HTTP/1; its whole answer, head included.
pub(crate) async fn get(from: SocketAddr, path: &str) -> io::Result<String> {
    patiently(async {
        let mut stream = TcpStream::connect(from).await?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {from}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    })
    .await
}

/// How a connection of an application comes to its end when it says something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// The kernel refused it.
    Refused,
    /// It was accepted and closed, or reset, without an answer.
    Closed,
    /// Something answered.
    Answered,
}

/// Says something and looks what happens.
pub(crate) async fn fate(to: SocketAddr) -> Fate {
    let request = format!("GET / HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n");
    let talk = patiently(async {
        let mut stream = match TcpStream::connect(to).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Ok(Fate::Refused);
            }
            // So quickly that the application had not noticed that it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok(Fate::Closed);
            }
            Err(error) => return Err(error),
        };
        let mut answer = Vec::new();
        let talk = async {
            stream.write_all(request.as_bytes()).await?;
            stream.read_to_end(&mut answer).await
        };
        match talk.await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(error),
            // The alert of a TLS server that does not understand is no answer.
            _ if answer.starts_with(b"HTTP/") => Ok(Fate::Answered),
            _ => Ok(Fate::Closed),
        }
    });
    talk.await.unwrap_or_else(|error| panic!("{to}: {error}"))
}
