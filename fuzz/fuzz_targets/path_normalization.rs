//! Request targets: a second normalisation changes nothing, and nothing is left to resolve.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_core::target::{
    EscapedSlashes, Host, PathNormalization, RequestForm, Target, TargetRules,
};

const MODES: [PathNormalization; 4] = [
    PathNormalization::None,
    PathNormalization::Base,
    PathNormalization::MergeSlashes,
    PathNormalization::DecodeAndMergeSlashes,
];

fuzz_target!(|raw: &[u8]| {
    for mode in MODES {
        let redirect = TargetRules {
            escaped_slashes: EscapedSlashes::Redirect,
            ..mode.into()
        };
        let _ = Target::normalize(raw, redirect);
        let Ok(once) = Target::normalize(raw, mode) else {
            continue;
        };
        let twice = Target::normalize(once.as_str().as_bytes(), mode);
        assert_eq!(twice.as_ref(), Ok(&once));
        let path = once.path();
        assert!(once.is_asterisk() || path.starts_with('/'));
        assert!(!path.contains(['?', '#']) && once.as_str().bytes().all(|b| b.is_ascii_graphic()));
        if mode != PathNormalization::None {
            let dot = |s: &str| matches!(s.split(';').next(), Some("." | ".."));
            assert!(!path.contains('\\') && !path.split('/').any(dot));
        }
        if mode == PathNormalization::DecodeAndMergeSlashes {
            let lower = path.to_ascii_lowercase();
            assert!(!path.contains("//") && !lower.contains("%2f") && !lower.contains("%5c"));
        }
    }
    for method in ["GET", "OPTIONS", "CONNECT"] {
        if let Ok(form) = RequestForm::parse(method, raw) {
            let _ = (form.host(), form.target(PathNormalization::Base));
        }
    }
    if let Ok(host) = Host::parse(raw) {
        assert!(host.as_str().starts_with(host.name()));
        assert_eq!(Host::parse(host.as_str().as_bytes()), Ok(host.clone()));
    }
});
