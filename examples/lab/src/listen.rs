//! Listening sockets on loopback, and the loop that serves them.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

const BACKLOG: i32 = 1024;

/// Opens `count` sockets that listen on one fresh loopback port; the kernel spreads connections over them.
///
/// # Errors
/// When the operating system refuses a socket.
pub fn listeners(count: usize) -> io::Result<(SocketAddr, Vec<StdListener>)> {
    listeners_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), count)
}

/// The same at an address; a port of 0 is a fresh one.
///
/// # Errors
/// As [`listeners`].
pub fn listeners_at(
    address: SocketAddr,
    count: usize,
) -> io::Result<(SocketAddr, Vec<StdListener>)> {
    let first = listener(address)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(listener(address)?);
    }
    Ok((address, all))
}

fn listener(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections for ever, sets `TCP_NODELAY`, and spawns `handle` for each; its errors end that connection only.
pub async fn serve<H, F>(listener: StdListener, handle: H)
where
    H: Fn(TcpStream) -> F,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("cannot listen: {error}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(handle(stream));
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                tokio::task::yield_now().await;
            }
        }
    }
}
