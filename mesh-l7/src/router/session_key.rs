//! The key of tokens of sessions.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// What tokens of sessions are made with, 128 bits.
///
/// Proxies that have the same key know each other's tokens, so all replicas of a proxy want the same one. With a key
/// that clients do not know, they can make no token of their own. The default is the same everywhere: tokens say
/// nothing about a host to those who read them, but who knows its address can choose it.
///
/// `Debug` does not show it.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct SessionKey([u8; 16]);

impl SessionKey {
    /// A key.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// A keyed digest (SipHash-2-4) of a host and the end of a session.
    pub(super) fn digest(&self, host: &str, end: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&end.to_le_bytes());
        hasher.write(host.as_bytes());
        hasher.finish()
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}
