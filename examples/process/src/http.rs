//! The small HTTP/1 servers for people and scrapers: short answers, no bodies read.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_hbone::sock::{HostSockets, ListenOptions, SocketOptions, listen};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Time that a client has to send its request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// Time that a connection has in all, so that a client that does not read gives its place back.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that a request's headers may have.
const BUFFER: usize = 8 * 1024;
/// Connections of one server at once; further ones wait.
const CONNECTIONS: usize = 64;
/// Pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An answer whose body is known as a whole.
pub type Answer = Response<Full<Bytes>>;

/// Listens for one of the servers. Must be called in a tokio runtime.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let options = ListenOptions::default();
    let listener = listen(&HostSockets, address, &options, &SocketOptions::default())?;
    Ok(listener.socket)
}

/// Answers requests until the future is dropped, which closes the listener.
pub async fn serve<F>(
    listener: TcpListener,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = Answer> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = room.clone().acquire_owned().await.ok();
        match listener.accept().await {
            Ok((stream, _)) => {
                let answer = answer.clone();
                tokio::spawn(async move {
                    serve_connection(stream, answer).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one request.
async fn serve_connection<S, F>(stream: S, answer: impl Fn(Request<Incoming>) -> F + Send)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    F: Future<Output = Answer> + Send,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BUFFER)
        .half_close(true)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIMEOUT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "HTTP connection ended early"),
        Err(_) => tracing::debug!("HTTP connection took too long"),
    }
}

/// An answer with a text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", body)
}

/// An answer with a content type.
pub fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

/// The answer for a path that is not there.
pub fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "not found\n")
}

/// The answer for a method that the path does not take.
pub fn method_not_allowed() -> Answer {
    text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: proxy\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_gives_its_place_back() {
        let (mut client, server) = duplex(1024);
        client.write_all(REQUEST).await.unwrap();
        let served = serve_connection(server, |_| async {
            text(StatusCode::OK, vec![b'.'; 64 * 1024])
        });
        let end = timeout(CONNECTION_TIMEOUT * 2, served).await;
        assert!(end.is_ok(), "the connection is still served");
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_for_one_request() {
        let (mut client, server) = duplex(1024);
        client.write_all(&REQUEST.repeat(3)).await.unwrap();
        serve_connection(server, |_| async { text(StatusCode::OK, "ready\n") }).await;
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 1, "{answers}");
        assert!(answers.contains("connection: close"), "{answers}");
    }
}
