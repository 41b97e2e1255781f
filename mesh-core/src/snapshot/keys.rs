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

    pub(super) fn pair(&self, namespace: &str, name: &str) -> u32 {
        upper(self.0.hash_one((namespace, name)))
    }

    pub(super) fn address(&self, network: &str, ip: IpAddr) -> u32 {
        upper(self.0.hash_one((network, ip)))
    }
}

fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}
