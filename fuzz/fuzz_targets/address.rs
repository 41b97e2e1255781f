//! Workloads and services: any bytes are one or the other, or an error that says why; whatever is
//! taken over is the same after it has been sent on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_xds::convert::{Converter, service_address, workload_address};
use mesh_xds::wire::workload::{Address, address::Type};
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(address) = Address::decode(bytes) else {
        return;
    };
    let mut converter = Converter::new();
    match address.r#type {
        Some(Type::Workload(message)) => match converter.workload(message, None) {
            Ok(spec) => {
                let sent = workload_address(&spec).encode_to_vec();
                let Some(Type::Workload(again)) = Address::decode(&*sent).unwrap().r#type else {
                    panic!("not a workload any more");
                };
                assert_eq!(converter.workload(again, None), Ok(spec));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        },
        Some(Type::Service(message)) => match converter.service(message, None) {
            Ok(spec) => {
                let sent = service_address(&spec).encode_to_vec();
                let Some(Type::Service(again)) = Address::decode(&*sent).unwrap().r#type else {
                    panic!("not a service any more");
                };
                assert_eq!(converter.service(again, None), Ok(spec));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        },
        None => {}
    }
});
