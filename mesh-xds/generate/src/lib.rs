//! From `.proto` files to the text of Rust modules.

use std::collections::BTreeMap;
use std::error::Error;

use prost_build::Module;

/// The folder of the crate that the code is made for.
pub const CRATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The files, the first that others import.
const FILES: [&str; 4] = [
    "workload.proto",
    "authorization.proto",
    "discovery.proto",
    "ca.proto",
];

/// The generated modules: file name and text.
///
/// # Errors
/// When a `.proto` file is malformed.
pub fn generate() -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let descriptors = protox::compile(FILES, [format!("{CRATE}/proto")])?;
    let mut config = prost_build::Config::new();
    // Payloads stay parts of the received message instead of being copied.
    config.bytes([
        ".envoy.service.discovery.v3.Any",
        ".istio.workload",
        ".istio.security",
    ]);
    // The code calls tonic by features: the client always, the server where one is wanted.
    let services = tonic_prost_build::configure()
        .build_transport(false)
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .service_generator();
    config.service_generator(services);
    let requests = descriptors
        .file
        .into_iter()
        .map(|file| (Module::from_protobuf_package_name(file.package()), file))
        .collect();
    let generated = config.generate(requests)?;
    Ok(generated
        .into_iter()
        .map(|(module, code)| (module.to_file_name_or("wire"), code))
        // What is well known comes from `prost-types`.
        .filter(|(name, _)| !name.starts_with("google"))
        .collect())
}
