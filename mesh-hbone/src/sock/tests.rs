//! Over loopback; what needs a privilege is marked so.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::connect::bind_foreign;
use super::{
    Connector, HostSockets, Keepalive, ListenOptions, LocalAddress, SocketOptions, Transparency,
    canonical, listen, original_destination, reset_on_drop, wildcard,
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(address: impl Into<SocketAddr>, options: &ListenOptions) -> std::io::Result<TcpListener> {
    let every = SocketOptions::default();
    Ok(listen(&HostSockets, address.into(), options, &every)?.socket)
}

fn loopback() -> TcpListener {
    at(([127, 0, 0, 1], 0), &ListenOptions::default()).unwrap()
}

async fn pair(options: SocketOptions) -> (TcpStream, TcpStream) {
    let listener = loopback();
    let connector = Connector::new(options);
    let dialled = connector.connect(listener.local_addr().unwrap());
    let (dialled, accepted) = tokio::join!(dialled, listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn dialled_and_accepted_sockets_have_the_options() {
    let keepalive = Keepalive {
        idle: Duration::from_secs(11),
        interval: Duration::from_secs(7),
        probes: 3,
    };
    let options = SocketOptions {
        keepalive: Some(keepalive),
        user_timeout: Some(keepalive.total()),
        ..SocketOptions::default()
    };
    let (dialled, accepted) = pair(options).await;
    options.apply(&accepted).unwrap();
    for (name, socket) in [("dialled", &dialled), ("accepted", &accepted)] {
        let socket = SockRef::from(socket);
        assert!(socket.tcp_nodelay().unwrap(), "{name}");
        assert!(socket.keepalive().unwrap(), "{name}");
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 11, "{name}");
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap().as_secs(),
            7,
            "{name}"
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3, "{name}");
        let timeout = socket.tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(Duration::from_secs(11 + 3 * 7)), "{name}");
    }
}

#[test]
fn the_defaults_are_those_of_istio() {
    let keepalive = SocketOptions::default().keepalive.unwrap();
    assert_eq!(keepalive.idle, Duration::from_secs(180));
    assert_eq!(keepalive.interval, Duration::from_secs(180));
    assert_eq!(keepalive.probes, 9);
    assert_eq!(keepalive.total(), Duration::from_secs(180 + 9 * 180));
}

#[tokio::test]
async fn keepalive_can_be_off() {
    let options = SocketOptions {
        keepalive: None,
        ..SocketOptions::default()
    };
    let (dialled, _) = pair(options).await;
    assert!(!SockRef::from(&dialled).keepalive().unwrap());
}

#[tokio::test]
async fn the_original_destination_of_a_direct_connection_is_the_local_address() {
    let (dialled, accepted) = pair(SocketOptions::default()).await;
    let destination = original_destination(&accepted).unwrap();
    assert_eq!(destination, dialled.peer_addr().unwrap());
}

#[tokio::test]
async fn a_dual_stack_listener_takes_both_families_and_names_ipv4_plainly() {
    let listener = at(wildcard(0, true), &ListenOptions::default()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connector = Connector::new(SocketOptions::default());
    for host in ["127.0.0.1", "::1"] {
        let to = SocketAddr::new(ip(host), port);
        let (dialled, accepted) = tokio::join!(connector.connect(to), listener.accept());
        let (_keep, accepted) = (dialled.unwrap(), accepted.unwrap().0);
        assert_eq!(original_destination(&accepted).unwrap(), to, "{host}");
    }
}

#[tokio::test]
async fn a_listener_of_one_family_leaves_the_other_alone() {
    let v4 = at(wildcard(0, false), &ListenOptions::default()).unwrap();
    let port = v4.local_addr().unwrap().port();
    let address = SocketAddr::new(ip("::1"), port);
    assert!(at(address, &ListenOptions::default()).is_ok());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_is_shared_exactly_when_asked() {
    for shared in [true, false] {
        let options = ListenOptions {
            reuse_port: shared,
            ..ListenOptions::default()
        };
        let first = at(([127, 0, 0, 1], 0), &options).unwrap();
        let second = at(first.local_addr().unwrap(), &options);
        assert_eq!(second.is_ok(), shared, "reuse_port {shared}");
    }
}

#[tokio::test]
async fn the_source_is_not_preserved_where_it_cannot_be() {
    let listener = loopback();
    let to = listener.local_addr().unwrap();
    let connector = Connector::new(SocketOptions::default());
    type Expected = fn(&LocalAddress) -> bool;
    let cases: [(&str, &str, Expected); 3] = [
        ("itself", "127.0.0.1", |local| {
            matches!(local, LocalAddress::Hairpin)
        }),
        ("itself, mapped", "::ffff:127.0.0.1", |local| {
            matches!(local, LocalAddress::Hairpin)
        }),
        ("IPv6 to IPv4", "2001:db8::1", |local| {
            matches!(local, LocalAddress::OtherFamily)
        }),
    ];
    for (name, source, expected) in cases {
        let connected = connector.connect_as(ip(source), to).await.unwrap();
        assert!(expected(&connected.local), "{name}: {:?}", connected.local);
        let from = connected.stream.local_addr().unwrap();
        assert_eq!(from.ip(), ip("127.0.0.1"), "{name}");
    }
}

#[tokio::test]
async fn a_connection_from_loopback_has_that_address() {
    for host in ["127.0.0.1", "::1"] {
        let listener = at((ip(host), 0), &ListenOptions::default()).unwrap();
        let connector = Connector::new(SocketOptions::default());
        let to = listener.local_addr().unwrap();
        let stream = connector.connect_from_loopback(to).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), ip(host));
    }
}

#[tokio::test]
async fn a_reset_reaches_the_peer_as_one() {
    let (dialled, mut accepted) = pair(SocketOptions::default()).await;
    reset_on_drop(&dialled);
    drop(dialled);
    let error = accepted.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn canonical_addresses_keep_the_scope_of_ipv6() {
    let link_local: SocketAddr = "[fe80::1%3]:80".parse().unwrap();
    assert_eq!(canonical(link_local), link_local);
    let mapped: SocketAddr = "[::ffff:10.0.0.1]:80".parse().unwrap();
    assert_eq!(canonical(mapped), "10.0.0.1:80".parse().unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs CAP_NET_ADMIN"]
async fn the_destination_sees_the_preserved_source() {
    let listener = loopback();
    let to = listener.local_addr().unwrap();
    let connector = Connector::new(SocketOptions::default());
    let source = ip("127.9.9.9");
    let (dialled, accepted) = tokio::join!(connector.connect_as(source, to), listener.accept());
    assert!(matches!(dialled.unwrap().local, LocalAddress::Preserved));
    assert_eq!(accepted.unwrap().1.ip(), source);
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs CAP_NET_ADMIN"]
async fn a_foreign_address_of_either_family_can_be_bound() {
    let v4 = TcpSocket::new_v4().unwrap();
    let v6 = TcpSocket::new_v6().unwrap();
    for (socket, source) in [(v4, "192.0.2.77"), (v6, "2001:db8::77")] {
        bind_foreign(&socket, ip(source)).unwrap();
        assert_eq!(socket.local_addr().unwrap().ip(), ip(source));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs CAP_NET_ADMIN"]
async fn a_dual_stack_listener_is_transparent_for_both_families_and_marked() {
    let options = ListenOptions {
        transparency: Transparency::Require,
        ..ListenOptions::default()
    };
    let every = SocketOptions {
        mark: Some(0x539),
        ..SocketOptions::default()
    };
    let listener = listen(&HostSockets, wildcard(0, true), &options, &every).unwrap();
    assert!(listener.transparent);
    let socket = SockRef::from(&listener.socket);
    assert!(socket.ip_transparent_v4().unwrap());
    assert!(socket.ip_transparent_v6().unwrap());
    let port = listener.socket.local_addr().unwrap().port();
    let dialled = Connector::new(every)
        .connect(SocketAddr::new(ip("127.0.0.1"), port))
        .await
        .unwrap();
    let (accepted, _) = listener.socket.accept().await.unwrap();
    for (name, socket) in [("dialled", &dialled), ("accepted", &accepted)] {
        assert_eq!(SockRef::from(socket).mark().unwrap(), 0x539, "{name}");
    }
}
