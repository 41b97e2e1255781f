//! SPIFFE IDs from certificates and headers: what is accepted is written back as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_core::identity::{SpiffeId, TrustDomain};

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<SpiffeId>() {
        assert_eq!(id.to_string(), text);
        let built = SpiffeId::new(
            id.trust_domain().clone(),
            id.namespace().as_str(),
            id.service_account().as_str(),
        );
        assert_eq!(built.as_ref(), Ok(&id));
    }
    if let Ok(domain) = text.parse::<TrustDomain>() {
        assert_eq!(domain.as_str(), text);
    }
});
