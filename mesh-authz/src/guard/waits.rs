//! Policies that are missing, as one guard has met them.

use std::collections::HashMap;
use std::time::Instant;

use mesh_core::name::Name;

use super::missing::MissingPolicies;

/// What is waited for, by the unique id of the workload that names it.
#[derive(Debug)]
pub(super) struct Waits {
    missing: MissingPolicies,
    by_workload: HashMap<Box<str>, Vec<Wait>>,
}

#[derive(Debug)]
struct Wait {
    key: Name,
    /// The end of the grace; `None` for one beyond all times.
    until: Option<Instant>,
    /// Whether [`Waits::expire`] has reported the end.
    reported: bool,
}

impl Waits {
    pub(super) fn new(missing: MissingPolicies) -> Self {
        Self {
            missing,
            by_workload: HashMap::new(),
        }
    }

    /// Notes that a workload names a policy that is not known; whether its grace has ended.
    pub(super) fn note(&mut self, uid: &str, key: &Name, now: Instant) -> bool {
        let waits = match self.by_workload.get_mut(uid) {
            Some(waits) => waits,
            None => self.by_workload.entry(uid.into()).or_default(),
        };
        let over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        if let Some(wait) = waits.iter().find(|wait| wait.key == *key) {
            return over(wait.until);
        }
        let until = self.missing.enter(uid, key, now);
        waits.push(Wait {
            key: key.clone(),
            until,
            reported: false,
        });
        over(until)
    }

    /// Forgets what is not missing any more.
    pub(super) fn retain(&mut self, mut is_missing: impl FnMut(&str, &Name) -> bool) {
        let missing = &self.missing;
        self.by_workload.retain(|uid, waits| {
            waits.retain(|wait| {
                let stays = is_missing(uid, &wait.key);
                if !stays {
                    missing.leave(uid, &wait.key);
                }
                stays
            });
            !waits.is_empty()
        });
    }

    /// Whether any grace has ended since the last call.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let waits = self.by_workload.values_mut().flatten();
        let mut any = false;
        for wait in waits.filter(|wait| !wait.reported) {
            wait.reported = wait.until.is_some_and(|until| until <= now);
            any |= wait.reported;
        }
        any
    }

    /// The end of the next grace.
    pub(super) fn next(&self) -> Option<Instant> {
        let waits = self.by_workload.values().flatten();
        let waits = waits.filter(|wait| !wait.reported);
        waits.filter_map(|wait| wait.until).min()
    }

    /// What this guard shares with others.
    pub(super) fn missing(&self) -> &MissingPolicies {
        &self.missing
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.retain(|_, _| false);
    }
}
