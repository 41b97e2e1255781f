//! The first bytes of a connection: what is said about them stays the same when more come, and a server name is
//! a short text in lower case.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_l7::tcp::{ClientHello, client_hello};

fuzz_target!(|bytes: &[u8]| {
    let whole = client_hello(bytes);
    if let ClientHello::Tls(Some(name)) = &whole {
        assert!(!name.is_empty() && name.len() <= 255 && name.is_ascii());
        assert_eq!(*name, name.to_ascii_lowercase());
    }
    for end in [bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let part = bytes.get(..end).unwrap_or_default();
        match client_hello(part) {
            ClientHello::Incomplete => {}
            said => assert_eq!(said, whole),
        }
    }
});
