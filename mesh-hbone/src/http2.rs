//! HTTP/2 for tunnels (RFC 9113): CONNECT requests and the bytes of their streams, both sides of a connection.
//!
//! Why not a general library: a node proxy moves small messages, and most of what a general one does for each of them
//! (requests of all kinds, trailers, pushes, priorities, a queue of frames in pieces) is not needed by tunnels. Here,
//! payload of DATA frames goes to its stream as it comes, whatever the frame's size, and from the stream's queue into
//! TLS records without another copy; a connection is one state behind one lock, and one task that moves its bytes.
//!
//! - `state`, `stream`: what is known of a connection and its streams; no IO.
//! - `deframer`, `place`, `receive`, `headers`, `message`: what the peer's bytes mean.
//! - `send`, `handle`: what streams have to send; streams in the hands of whoever uses them.
//! - `channel`, `connection`: TLS records, and the task's side.
//!
//! # Bounds
//!
//! Of what a peer sends, a connection holds at most the window of each stream and a read buffer of 64 KiB with it, one header block, and answers to
//! control frames of 16 KiB: while more wait for the socket, nothing is read. Floods that cost more than they carry
//! (resets, errors of streams, empty frames, endless header blocks) end the connection with `ENHANCE_YOUR_CALM`.

mod channel;
mod connection;
mod deframer;
mod frame;
mod handle;
mod headers;
mod hpack;
mod message;
mod place;
mod reason;
mod receive;
mod received;
mod send;
mod settings;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use connection::Connection;
pub(crate) use handle::{Core, Handle};
pub(crate) use message::Request;
pub use reason::{Http2Error, Reason};
pub(crate) use settings::Local;
