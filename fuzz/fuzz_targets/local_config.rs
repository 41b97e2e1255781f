//! Local configuration files: any text is a configuration or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = mesh_xds::local::parse(text, "fuzz.yaml") {
        assert!(!error.to_string().is_empty());
    }
});
