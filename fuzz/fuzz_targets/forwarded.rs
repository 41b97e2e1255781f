//! The `forwarded` header: what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_core::forwarded;

fuzz_target!(|value: &[u8]| {
    let (client, host) = (forwarded::client(value), forwarded::host(value));
    if let Some(host) = host {
        assert!(!host.is_empty() && host.is_ascii());
    }
    if let Some(client) = client {
        let written = forwarded::encode(client, host);
        let again = forwarded::client(written.as_bytes());
        assert_eq!(
            again.map(|a| (a.ip(), a.port())),
            Some((client.ip().to_canonical(), client.port()))
        );
        assert!(forwarded::host(written.as_bytes()).is_none_or(|again| Some(again) == host));
    }
});
