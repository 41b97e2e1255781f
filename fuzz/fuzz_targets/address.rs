//! Workloads and services: any bytes are one or the other, or an error that says why; what is read
//! in place is what the decoder says; whatever is taken over is the same after it has been sent on.
#![no_main]

use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use mesh_core::model::{ServiceSpec, WorkloadSpec};
use mesh_core::store::{Batch, Update};
use mesh_xds::apply::{Apply, Rejection};
use mesh_xds::convert::{Addresses, ConvertError, Converter, service_address, workload_address};
use mesh_xds::delta::{Change, Incoming, Resources};
use mesh_xds::wire::workload::{Address, address::Type};
use prost::Message;

/// Keeps the batch that it gets.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Batch>>);

impl Apply<Batch> for Sink {
    fn apply(&self, batch: Batch) -> Vec<Rejection> {
        *self.0.lock().unwrap() = batch;
        Vec::new()
    }
}

/// What a client makes of a resource with this name.
fn taken(name: &str, bytes: &[u8]) -> Result<Batch, String> {
    let sink = Sink::default();
    let incoming = Incoming {
        name: name.into(),
        body: bytes.to_vec().into(),
        known: false,
    };
    let mut applied = Addresses::new(sink.clone()).apply(Change::new(Vec::new(), vec![incoming]));
    let batch = std::mem::take(&mut *sink.0.lock().unwrap());
    applied
        .rejected
        .pop()
        .map_or(Ok(batch), |rejection| Err(rejection.reason))
}

fn workload(bytes: &[u8], spec: Result<WorkloadSpec, ConvertError>, uid: &str) {
    let Ok(spec) = spec else {
        assert!(!taken(uid, bytes).unwrap_err().is_empty());
        return;
    };
    assert_eq!(
        taken(uid, bytes).unwrap().workloads,
        [Update::Upsert(spec.clone())]
    );
    let sent = workload_address(&spec).encode_to_vec();
    assert_eq!(taken(uid, &sent).unwrap().workloads, [Update::Upsert(spec)]);
}

fn service(bytes: &[u8], spec: Result<ServiceSpec, ConvertError>, key: &str) {
    let Ok(spec) = spec else {
        assert!(!taken(key, bytes).unwrap_err().is_empty());
        return;
    };
    assert_eq!(
        taken(key, bytes).unwrap().services,
        [Update::Upsert(spec.clone())]
    );
    let sent = service_address(&spec).encode_to_vec();
    assert_eq!(taken(key, &sent).unwrap().services, [Update::Upsert(spec)]);
}

fuzz_target!(|bytes: &[u8]| {
    let address = Address::decode(bytes)
        .ok()
        .and_then(|address| address.r#type);
    match address {
        Some(Type::Workload(message)) => {
            let uid = message.uid.clone();
            workload(bytes, Converter::new().workload(message, None), &uid);
        }
        Some(Type::Service(message)) => {
            let key = format!("{}/{}", message.namespace, message.hostname);
            // A namespace with a slash has no key that leads back to it.
            let is_key = !message.namespace.contains('/');
            if is_key {
                service(bytes, Converter::new().service(message, None), &key);
            }
        }
        None => assert!(taken("name", bytes).is_err()),
    }
});
