//! Hashes that requests are placed by.

use std::net::IpAddr;

use xxhash_rust::xxh64::xxh64;

/// What decides where a request goes when hosts are chosen by hash: values of the request, combined in
/// the order in which they are added.
///
/// Equal to Envoy's: each value is hashed with xxHash64, and combined by rotating what is there by
/// one bit and adding the new one without carry.
///
/// ```
/// use mesh_core::lb::RequestHash;
///
/// let mut hash = RequestHash::default();
/// assert_eq!(hash.value(), None);
/// hash.add(b"alice");
/// assert!(hash.value().is_some());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RequestHash(Option<u64>);

impl RequestHash {
    /// Adds a header's value, a cookie's or a query parameter's.
    pub fn add(&mut self, value: &[u8]) {
        self.add_hash(xxh64(value, 0));
    }

    /// Adds the address of the client: its text, without a port.
    pub fn add_address(&mut self, address: IpAddr) {
        self.add(address.to_canonical().to_string().as_bytes());
    }

    /// Adds what is a hash already.
    pub fn add_hash(&mut self, hash: u64) {
        self.0 = Some(match self.0 {
            None => hash,
            Some(before) => before.rotate_left(1) ^ hash,
        });
    }

    /// The hash; `None` when nothing was added: any host will do.
    #[must_use]
    pub fn value(&self) -> Option<u64> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference vectors of xxHash64 for an empty input and for "a", seeds 0 and 0.
    #[test]
    fn one_value_is_its_xx_hash() {
        for (text, hash) in [("", 0xef46_db37_51d8_e999), ("a", 0xd24e_c4f1_a98c_6e5b)] {
            let mut combined = RequestHash::default();
            combined.add(text.as_bytes());
            assert_eq!(combined.value(), Some(hash));
        }
    }

    #[test]
    fn a_second_value_rotates_the_first() {
        let mut combined = RequestHash::default();
        combined.add_hash(0x8000_0000_0000_0001);
        combined.add_hash(0x10);
        assert_eq!(combined.value(), Some(0x3 ^ 0x10));
    }

    #[test]
    fn a_mapped_address_counts_as_the_one_it_maps() {
        let [mut mapped, mut plain] = [RequestHash::default(); 2];
        mapped.add_address("::ffff:10.0.0.1".parse().unwrap());
        plain.add_address("10.0.0.1".parse().unwrap());
        assert_eq!(mapped, plain);
    }
}
