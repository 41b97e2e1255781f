//! The header lines of one head, seen one after the other.

use mesh_core::target::Host;

use super::bad_head::BadHead;
use super::connection::is_of_connection;
use super::framing::{Body, Version};
use super::rules::{HygieneRules, Underscores};
use super::syntax;

/// What the header lines of a head say about the message. Each line is checked as it comes.
pub(super) struct Fields<'r> {
    rules: &'r HygieneRules,
    /// Whether these are the lines of a request: `Host` and `Expect` mean something.
    request: bool,
    lines: usize,
    pub(super) host: bool,
    length: Option<u64>,
    coding: Coding,
    pub(super) close: bool,
    /// `Connection` names `Upgrade`.
    connection_upgrade: bool,
    upgrade: Upgrade,
    pub(super) expects_continue: bool,
    /// Whether there are lines that belong to the connection.
    pub(super) of_connection: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Coding {
    Absent,
    /// `chunked`, once, at the end; and whether others come before it.
    Chunked {
        others: bool,
    },
    /// Others, and no `chunked` yet.
    Others,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Upgrade {
    None,
    /// `h2c`: as if it were not there.
    Ignored,
    Allowed,
    Refused,
}

impl<'r> Fields<'r> {
    pub(super) fn of_request(rules: &'r HygieneRules) -> Self {
        Self::new(rules, true)
    }

    pub(super) fn of_response(rules: &'r HygieneRules) -> Self {
        Self::new(rules, false)
    }

    fn new(rules: &'r HygieneRules, request: bool) -> Self {
        Self {
            rules,
            request,
            lines: 0,
            host: false,
            length: None,
            coding: Coding::Absent,
            close: false,
            connection_upgrade: false,
            upgrade: Upgrade::None,
            expects_continue: false,
            of_connection: false,
        }
    }

    /// A header line: a name that is a token, and a value without spaces around it.
    pub(super) fn line(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadHead> {
        self.lines += 1;
        if self.lines > self.rules.lines {
            return Err(BadHead::TooManyLines {
                limit: self.rules.lines,
            });
        }
        if self.rules.underscores == Underscores::Reject && name.contains(&b'_') {
            return Err(BadHead::Underscore);
        }
        self.of_connection = self.of_connection || is_of_connection(name);
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("host") && self.request {
            self.host(value)
        } else if is("content-length") {
            self.length(value)
        } else if is("transfer-encoding") {
            self.coding(value)
        } else if is("connection") {
            self.connection(value)
        } else if is("upgrade") {
            self.upgrade(value);
            Ok(())
        } else if is("expect") && self.request {
            self.expect(value)
        } else {
            Ok(())
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), BadHead> {
        if self.host {
            return Err(BadHead::DuplicateHost);
        }
        self.host = true;
        Host::parse(value)?;
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), BadHead> {
        if self.length.is_some() {
            return Err(BadHead::DuplicateLength);
        }
        self.length = Some(syntax::number(value).ok_or(BadHead::Length)?);
        Ok(())
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), BadHead> {
        // Empty members are refused as well: other readers may stop at them.
        for coding in value.split(|&b| b == b',').map(syntax::trim) {
            let is = |other: &str| coding.eq_ignore_ascii_case(other.as_bytes());
            let known = ["gzip", "x-gzip", "deflate", "compress", "x-compress"];
            self.coding = match self.coding {
                // Nothing comes after `chunked`.
                Coding::Chunked { .. } => return Err(BadHead::Coding),
                before if is("chunked") => Coding::Chunked {
                    others: before == Coding::Others,
                },
                _ if known.into_iter().any(is) => Coding::Others,
                _ => return Err(BadHead::Coding),
            };
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), BadHead> {
        for option in syntax::list(value) {
            if !syntax::is_token(option) {
                return Err(BadHead::ConnectionOption);
            }
            let is = |other: &str| option.eq_ignore_ascii_case(other.as_bytes());
            if self.rules.protected.iter().any(|name| is(name.as_str())) {
                return Err(BadHead::ConnectionOption);
            }
            self.close |= is("close");
            self.connection_upgrade |= is("upgrade");
        }
        Ok(())
    }

    fn upgrade(&mut self, value: &[u8]) {
        for protocol in syntax::list(value) {
            let is = |other: &str| protocol.eq_ignore_ascii_case(other.as_bytes());
            let upgrade = match is("h2c") {
                true => Upgrade::Ignored,
                false if self.rules.upgrades.iter().any(|allowed| is(allowed)) => Upgrade::Allowed,
                false => Upgrade::Refused,
            };
            self.upgrade = match (self.upgrade, upgrade) {
                (Upgrade::Refused, _) | (_, Upgrade::Refused) => Upgrade::Refused,
                (Upgrade::Allowed, _) | (_, Upgrade::Allowed) => Upgrade::Allowed,
                _ => Upgrade::Ignored,
            };
        }
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), BadHead> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(BadHead::Expectation);
        }
        self.expects_continue = true;
        Ok(())
    }

    /// The upgrade that is asked for; it counts only when `Connection` names it (RFC 9110 §7.8).
    pub(super) fn asked_upgrade(&self) -> Upgrade {
        match self.connection_upgrade {
            true => self.upgrade,
            false => Upgrade::None,
        }
    }

    /// How the body is framed, after the last line; `None` when nothing is said about it.
    pub(super) fn body(&self, version: Version) -> Result<Option<Body>, BadHead> {
        match (self.coding, self.length) {
            (Coding::Absent, None) => Ok(None),
            (Coding::Absent, Some(0)) => Ok(Some(Body::None)),
            (Coding::Absent, Some(length)) => Ok(Some(Body::Length(length))),
            (_, Some(_)) => Err(BadHead::LengthAndCoding),
            (_, None) if version == Version::Http10 => Err(BadHead::CodingNotAllowed),
            (Coding::Others, None) => Err(BadHead::Coding),
            (Coding::Chunked { others: true }, None) => Err(BadHead::UnservedCoding),
            (Coding::Chunked { others: false }, None) => Ok(Some(Body::Chunked)),
        }
    }

    /// Whether another message may follow on a connection of this version. HTTP/1.0 is never kept
    /// alive: what its keep-alive means depends on who is asked.
    pub(super) fn persistent(&self, version: Version) -> bool {
        version == Version::Http11 && !self.close
    }
}
