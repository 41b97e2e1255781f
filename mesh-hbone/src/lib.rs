//! HBONE: HTTP/2 CONNECT over mutual TLS, the transport of Istio's ambient mode.
#![forbid(unsafe_code)]

pub mod proxy_protocol;
pub mod sock;
pub mod socks5;
