//! What both sides of the proxy do with the bytes of a connection.

mod date;
mod random;
mod send;
mod sha1;
mod tunnel;
mod websocket;

pub(crate) use date::http_date;
pub(crate) use random::random;
pub(crate) use send::{SendBody, SendError};
pub(crate) use tunnel::{Reading, write_all};
pub(crate) use websocket::{accept_value, new_key};
