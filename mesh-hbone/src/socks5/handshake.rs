//! The protocol as a state machine: bytes in, steps out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Host, Reply, Request};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;

/// What to do next in a handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Read on.
    Read,
    /// Send these bytes, then read on.
    Send([u8; 2]),
    /// The handshake waits for the outcome of this request. No more may be read before success
    /// was answered.
    Request(Request),
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The client speaks another version, or another protocol.
    #[error("the client does not speak SOCKS version 5")]
    Version,
    /// The client does not offer to go without authentication.
    #[error("the client offers no authentication method that the server has")]
    Method,
    /// The command is not CONNECT.
    #[error("the client asks for another command than CONNECT")]
    Command,
    /// The address type is not one of RFC 1928.
    #[error("the client gives an address of an unknown type")]
    AddressType,
    /// The reserved byte is not 0, or the domain name is empty or not of visible ASCII characters.
    #[error("the client's request is malformed")]
    Malformed,
    /// More bytes came than the handshake needed, or they came after its end.
    #[error("more bytes than the handshake needs")]
    Excess,
}

impl ProtocolError {
    /// The bytes to send before closing; `None` where the client would not understand any.
    #[must_use]
    pub fn answer(self) -> Option<Vec<u8>> {
        let reply = match self {
            Self::Version => return None,
            Self::Method => return Some(vec![VERSION, 0xFF]),
            Self::Command => Reply::CommandNotSupported,
            Self::AddressType => Reply::AddressTypeNotSupported,
            Self::Malformed | Self::Excess => Reply::GeneralFailure,
        };
        Some(reply.encode(None))
    }
}

/// The server's side of one handshake. Holds at most 262 bytes.
///
/// # Example
/// ```
/// use mesh_hbone::socks5::{Handshake, Step};
///
/// let mut handshake = Handshake::default();
/// assert_eq!(handshake.receive(&[5, 1])?, Step::Read);
/// assert_eq!(handshake.receive(&[0])?, Step::Send([5, 0]));
/// assert_eq!(handshake.receive(&[5, 1, 0, 1, 10])?, Step::Read);
/// let Step::Request(request) = handshake.receive(&[0, 0, 7, 0, 80])? else {
///     panic!("the request is complete");
/// };
/// assert_eq!(request.to_string(), "10.0.0.7:80");
/// # Ok::<_, mesh_hbone::socks5::ProtocolError>(())
/// ```
#[derive(Debug, Default)]
pub struct Handshake {
    buffer: Vec<u8>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    #[default]
    Greeting,
    Request,
    Done,
}

impl Handshake {
    /// The most bytes that may be read next: what is certain to belong to the handshake. 0 at its
    /// end.
    #[must_use]
    pub fn wants(&self) -> usize {
        let needed = match (self.phase, self.buffer.as_slice()) {
            (Phase::Greeting, [_, methods, ..]) => 2 + usize::from(*methods),
            (Phase::Greeting, _) => 2,
            (Phase::Request, [_, _, _, 1, ..]) => 4 + 4 + 2,
            (Phase::Request, [_, _, _, 3, length, ..]) => 5 + usize::from(*length) + 2,
            (Phase::Request, [_, _, _, 4, ..]) => 4 + 16 + 2,
            // No request is shorter than one for a domain name of one character.
            (Phase::Request, _) => 5 + 1 + 2,
            (Phase::Done, _) => 0,
        };
        needed.saturating_sub(self.buffer.len())
    }

    /// Takes bytes from the client, at most [`Handshake::wants`].
    ///
    /// # Errors
    /// When the client cannot be served; [`ProtocolError::answer`] is what to tell it.
    pub fn receive(&mut self, input: &[u8]) -> Result<Step, ProtocolError> {
        if input.len() > self.wants() {
            return Err(ProtocolError::Excess);
        }
        self.buffer.extend_from_slice(input);
        self.check()?;
        if self.wants() > 0 {
            return Ok(Step::Read);
        }
        match self.phase {
            Phase::Greeting => {
                let methods = self.buffer.get(2..).unwrap_or_default();
                if !methods.contains(&NO_AUTHENTICATION) {
                    return Err(ProtocolError::Method);
                }
                self.buffer.clear();
                self.phase = Phase::Request;
                Ok(Step::Send([VERSION, NO_AUTHENTICATION]))
            }
            Phase::Request => {
                let request = parse(&self.buffer).ok_or(ProtocolError::Malformed)?;
                self.buffer = Vec::new();
                self.phase = Phase::Done;
                Ok(Step::Request(request))
            }
            Phase::Done => Err(ProtocolError::Excess),
        }
    }

    /// Refuses what cannot become a valid message, as early as possible.
    fn check(&self) -> Result<(), ProtocolError> {
        match (self.phase, self.buffer.as_slice()) {
            (_, [version, ..]) if *version != VERSION => Err(ProtocolError::Version),
            (Phase::Request, [_, command, ..]) if *command != CONNECT => {
                Err(ProtocolError::Command)
            }
            (Phase::Request, [_, _, reserved, ..]) if *reserved != 0 => {
                Err(ProtocolError::Malformed)
            }
            (Phase::Request, [_, _, _, kind, ..]) if ![1, 3, 4].contains(kind) => {
                Err(ProtocolError::AddressType)
            }
            (Phase::Request, [_, _, _, 3, 0, ..]) => Err(ProtocolError::Malformed),
            _ => Ok(()),
        }
    }
}

/// A whole request. `None` = malformed.
fn parse(buffer: &[u8]) -> Option<Request> {
    let (&[_, _, _, kind], rest) = buffer.split_first_chunk()?;
    let (rest, port) = rest.split_last_chunk()?;
    let host = match kind {
        1 => address(Ipv4Addr::from(<[u8; 4]>::try_from(rest).ok()?)),
        4 => address(Ipv6Addr::from(<[u8; 16]>::try_from(rest).ok()?)),
        _ => Host::Name(name(rest.get(1..)?)?.into()),
    };
    Some(Request {
        host,
        port: u16::from_be_bytes(*port),
    })
}

fn address(ip: impl Into<IpAddr>) -> Host {
    Host::Address(ip.into().to_canonical())
}

fn name(bytes: &[u8]) -> Option<&str> {
    let visible = bytes.iter().all(u8::is_ascii_graphic);
    (visible && !bytes.is_empty())
        .then(|| std::str::from_utf8(bytes).ok())
        .flatten()
}
