//! Annotations about rates, of node proxies and of waypoints: what is read is the same when its words are read
//! again, and stays within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_xds::manifest::annotations::{self, MOST_KEYS, MOST_RULES};

fuzz_target!(|text: &str| {
    if let Ok(bucket) = annotations::rate(text) {
        assert!(bucket.max_tokens() >= 1);
        // Where it stands on one line, it is a rule, too.
        if !text.contains('\n') {
            let limits = annotations::request_limits(text).unwrap();
            assert_eq!((limits.len(), limits[0].bucket), (1, bucket));
        }
    }
    let Ok(limits) = annotations::request_limits(text) else {
        return;
    };
    assert!((1..=MOST_RULES).contains(&limits.len()));
    for limit in &limits {
        assert!(limit.service.is_none());
        assert!(limit.bucket.max_tokens() >= 1);
        for descriptor in &limit.descriptors {
            assert!(!descriptor.entries.is_empty());
            assert!((1..=MOST_KEYS as usize).contains(&descriptor.most));
            assert_eq!(descriptor.bucket, limit.bucket);
        }
    }
    let words: Vec<&str> = limits.iter().map(|limit| limit.name.as_str()).collect();
    assert_eq!(
        annotations::request_limits(&words.join(";")).unwrap(),
        limits
    );
});
