//! SOCKS5 handshakes: a client that sends what is wanted in any pieces never makes the server read too far.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_hbone::socks5::{Handshake, Step};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (piece, bytes) = input;
    let mut rest = bytes.as_slice();
    let mut handshake = Handshake::default();
    while !rest.is_empty() {
        let take = rest
            .len()
            .min(handshake.wants())
            .min(usize::from(piece).max(1));
        let (now, later) = rest.split_at(take);
        rest = later;
        match handshake.receive(now) {
            Ok(Step::Request(_)) => return assert_eq!(handshake.wants(), 0),
            Ok(_) => assert!(handshake.wants() > 0),
            Err(_) => return,
        }
    }
});
