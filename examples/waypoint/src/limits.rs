//! Local rate limits, from annotations of services.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mesh_core::limits::BucketSettings;
use mesh_core::name::Name;
use mesh_core::watch::{self, Publisher};
use mesh_l7::limit::{LocalLimit, RateLimits};
use mesh_l7::target::ServiceTarget;
use mesh_xds::manifest::Inventory;
use parking_lot::Mutex;
use process::duration;

/// Annotation of a `Service`: requests that each of its ports takes in a time, in each waypoint process, such
/// as `100/1s`.
pub(crate) const ANNOTATION: &str = "ratelimit.waypoint/requests";

/// The limits that are in force.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) table: Publisher<RateLimits>,
    /// The last good value of each service, by namespace and name.
    good: Mutex<HashMap<(Name, Name), BucketSettings>>,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            table: watch::channel(RateLimits::new([], Instant::now())).0,
            good: Mutex::default(),
        }
    }

    /// Takes over the annotations of an inventory. A value that is wrong keeps the last good one.
    pub(crate) fn take(&self, inventory: &Inventory, domain: &str) {
        let mut good = self.good.lock();
        let before = std::mem::take(&mut *good);
        let mut limits = Vec::new();
        for service in inventory.services.iter() {
            let Some(text) = service.metadata().annotations.get(ANNOTATION) else {
                continue;
            };
            let key = (service.namespace().clone(), service.name().clone());
            let bucket = parse(text).or_else(|expected| {
                let path = format!("metadata.annotations.{ANNOTATION}");
                let text = format!("`{text}`, expected {expected}");
                let problem = service.document.problem(&path, text);
                tracing::error!(%problem, "rate limit not accepted, the last good one stays in force");
                before.get(&key).copied().ok_or(())
            });
            let Ok(bucket) = bucket else { continue };
            let (namespace, name) = &key;
            let host = format!("{name}.{namespace}.svc.{domain}");
            for port in &service.spec.ports {
                let port = port.port.get();
                let name = format!("{namespace}/{name}:{port}");
                let mut limit = LocalLimit::new(name, bucket);
                limit.service = Some(ServiceTarget {
                    namespace: namespace.clone(),
                    hostname: host.as_str().into(),
                    port,
                    subset: None,
                });
                limits.push(limit);
            }
            good.insert(key, bucket);
        }
        let table = self.table.load().replaced(limits, Instant::now());
        self.table.publish(table);
    }
}

/// `requests/time`.
fn parse(text: &str) -> Result<BucketSettings, String> {
    let expected = || "requests/time, such as 100/1s".to_owned();
    let (requests, time) = text.split_once('/').ok_or_else(expected)?;
    let requests: u32 = requests.trim().parse().map_err(|_| expected())?;
    let time: Duration = duration::parse(time.trim()).ok_or_else(expected)?;
    BucketSettings::new(requests, requests, time).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_requests_in_a_time() {
        for text in ["100/1s", "1/1m", " 5 / 500ms "] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["", "100", "0/1s", "-1/1s", "1/0s", "1/1ms", "a/1s", "1/x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
