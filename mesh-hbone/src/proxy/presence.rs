//! Clients that go away before they are served.

use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;

use super::Error;
use crate::io::Socket;

/// Does something for a client, until the client resets its connection.
///
/// One that only ended its side may still wait for an answer, or for a greeting if it has sent
/// nothing: nothing tells it from one that has gone.
pub(super) async fn unless_gone<T>(
    client: &(impl Socket + Sync),
    destination: SocketAddr,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let gone = async {
        if !poll_fn(|cx| client.poll_gone(cx)).await {
            pending::<()>().await;
        }
    };
    tokio::select! {
        // The work first: what is ready is of use even to a client that is about to go.
        biased;
        result = work => result,
        () = gone => Err(Error::ClientGone { destination }),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::Socket;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn a_socket_tells_a_reset_from_an_end() {
        for (name, spoke, reset, gone) in [
            ("half-closed or closed", false, false, false),
            ("reset", false, true, true),
            ("spoke", true, false, false),
        ] {
            let (mut client, server) = pair().await;
            if spoke {
                client.write_all(b"x").await.unwrap();
            }
            if reset {
                client.reset_on_drop();
            }
            drop(client);
            assert_eq!(poll_fn(|cx| server.poll_gone(cx)).await, gone, "{name}");
        }
    }

    #[tokio::test]
    async fn a_silent_client_is_there() {
        let (_client, server) = pair().await;
        let gone = poll_fn(|cx| server.poll_gone(cx));
        assert!(futures_util::FutureExt::now_or_never(gone).is_none());
    }
}
