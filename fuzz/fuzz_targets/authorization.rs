//! Policies: any bytes are a policy or are rejected, and then replaced or left out; one that is
//! accepted is compiled, and the same after it has been sent on.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mesh_authz::store::PolicyStore;
use mesh_xds::convert::{Converter, Policies, authorization};
use mesh_xds::delta::{Change, Incoming, Resources};
use mesh_xds::wire::security::Authorization;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let store = Arc::new(PolicyStore::new());
    let mut policies = Policies::new(store.clone());
    let key = Authorization::decode(bytes)
        .map(|message| format!("{}/{}", message.namespace, message.name))
        .unwrap_or_else(|_| "ns/name".to_owned());
    let incoming = Incoming {
        name: key.as_str().into(),
        body: bytes.to_vec().into(),
        known: false,
    };
    let applied = policies.apply(Change::new(Vec::new(), vec![incoming]));
    let known = store.index().policy(&key).is_some();
    let accepted = applied.rejected.is_empty();
    let replaced = !applied.replaced.is_empty();
    assert_eq!(known, accepted || replaced, "{:?}", applied.rejected);
    if accepted {
        let message = Authorization::decode(bytes).unwrap();
        let spec = Converter::new().policy(message).unwrap();
        let again = Converter::new().policy(authorization(&spec));
        assert_eq!(again, Ok(spec));
    }
});
