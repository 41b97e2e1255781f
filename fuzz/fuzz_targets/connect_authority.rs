//! The `:authority` of CONNECT requests: what is accepted means the same after writing and reading it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_core::authority::ConnectAuthority;

fuzz_target!(|text: &str| {
    if let Ok(authority) = text.parse::<ConnectAuthority>() {
        let written = authority.to_string();
        assert_eq!(written.parse::<ConnectAuthority>().as_ref(), Ok(&authority));
    }
});
