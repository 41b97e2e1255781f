//! The keys under which the indexes of a snapshot hold things.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;

/// Computes keys, with a seed that an author of resources does not know.
#[derive(Clone, Debug)]
pub(super) struct Keys(pub(super) RandomState);

impl Keys {
    pub(super) fn text(&self, text: &str) -> u32 {
        upper(self.0.hash_one(text))
    }

    /// A unique id goes by its last two parts, so that one that ends with `namespace/name`, as those
    /// of pods do, has the key of that [pair](Self::pair).
    pub(super) fn uid(&self, uid: &str) -> u32 {
        match tail(uid) {
            Some((namespace, name)) => self.pair(namespace, name),
            None => self.text(uid),
        }
    }

    pub(super) fn pair(&self, namespace: &str, name: &str) -> u32 {
        upper(self.0.hash_one((namespace, name)))
    }

    pub(super) fn address(&self, network: &str, ip: IpAddr) -> u32 {
        upper(self.0.hash_one((network, ip)))
    }
}

/// The last two parts of a unique id.
pub(super) fn tail(uid: &str) -> Option<(&str, &str)> {
    let (rest, name) = uid.rsplit_once('/')?;
    let (_, namespace) = rest.rsplit_once('/')?;
    Some((namespace, name))
}

fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}
