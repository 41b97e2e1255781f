//! The buckets of one limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::request::Parts;
use mesh_core::limits::{BucketSettings, KeyedBuckets, TokenBucket};
use mesh_core::random::Random;

use super::key;
use super::settings::{Descriptor, Entry, LocalLimit, MainBucket, Standings, Wanted};
use super::standing::Standing;
use crate::matching::Head;

/// A limit with its buckets and counters, which it may share with the one that it replaces.
#[derive(Debug)]
pub(super) struct Buckets {
    pub(super) settings: LocalLimit,
    main: Arc<TokenBucket>,
    /// One for each descriptor.
    descriptors: Vec<Arc<KeyedBuckets<Vec<u8>>>>,
    pub(super) counts: Arc<Counts>,
}

/// What became of requests, since the limit was first there.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) passed: AtomicU64,
    pub(super) limited: AtomicU64,
    pub(super) unenforced: AtomicU64,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It does not count.
    Apart,
    /// There was a token.
    Passes(Option<Standing>),
    /// There was none, and it passes.
    Unenforced(Option<Standing>),
    /// There was none.
    Limited(Option<Standing>),
}

impl Buckets {
    /// New buckets, or those of a limit of the same name where their settings are the same.
    pub(super) fn new(settings: LocalLimit, before: Option<&Self>, now: Instant) -> Self {
        let same = |main: &&Self| *main.main.settings() == settings.bucket;
        let main = before.filter(same).map(|before| before.main.clone());
        let descriptors = settings.descriptors.iter().map(|descriptor| {
            let known = before.and_then(|before| before.descriptor(descriptor));
            known.unwrap_or_else(|| {
                let KeyedSettings { bucket, most } = KeyedSettings::of(descriptor);
                Arc::new(KeyedBuckets::new(bucket, most, now))
            })
        });
        Self {
            descriptors: descriptors.collect(),
            main: main.unwrap_or_else(|| Arc::new(TokenBucket::new(settings.bucket, now))),
            counts: before.map_or_else(Arc::default, |before| before.counts.clone()),
            settings,
        }
    }

    fn descriptor(&self, wanted: &Descriptor) -> Option<Arc<KeyedBuckets<Vec<u8>>>> {
        let mut known = self.settings.descriptors.iter().zip(&self.descriptors);
        let (_, buckets) = known.find(|(descriptor, _)| *descriptor == wanted)?;
        Some(buckets.clone())
    }

    /// Decides about a request. Its service is looked at before.
    pub(super) fn decide(&self, parts: &Parts, now: Instant, random: &mut impl Random) -> Verdict {
        let settings = &self.settings;
        let counts = settings.matches.is_empty() || {
            let head = Head::of(parts);
            settings
                .matches
                .iter()
                .any(|matches| matches.matches(&head))
        };
        if !counts || !settings.enabled.draw(random) {
            return Verdict::Apart;
        }
        let Some((there, standing)) = self.take(parts, now) else {
            return Verdict::Apart;
        };
        let (verdict, counter) = match there {
            true => (Verdict::Passes(standing), &self.counts.passed),
            false if settings.enforced.draw(random) => {
                (Verdict::Limited(standing), &self.counts.limited)
            }
            false => (Verdict::Unenforced(standing), &self.counts.unenforced),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        verdict
    }

    /// Whether there was a token everywhere, and what is left of the bucket with the least; `None` when none was
    /// asked for one.
    fn take(&self, parts: &Parts, now: Instant) -> Option<(bool, Option<Standing>)> {
        let mut standing = None;
        let mut met = false;
        let said = self.settings.standings == Standings::Sent;
        let mut take = |bucket: &TokenBucket| {
            let there = bucket.take(now);
            if said {
                standing = Some(Standing::of(bucket, now).tighter(standing));
            }
            there
        };
        let descriptors = self.settings.descriptors.iter().zip(&self.descriptors);
        let mut there = true;
        for (descriptor, buckets) in descriptors {
            let Some(key) = key::combination(&descriptor.entries, parts) else {
                continue;
            };
            met = true;
            there = there && take(&buckets.bucket(key.as_slice()));
        }
        let main = match self.settings.main {
            MainBucket::Always => true,
            MainBucket::Unmatched => !met,
            MainBucket::Never if !met => return None,
            MainBucket::Never => false,
        };
        if main {
            there = there && take(&self.main);
        }
        Some((there, standing))
    }
}

struct KeyedSettings {
    bucket: BucketSettings,
    most: usize,
}

impl KeyedSettings {
    /// Where no values are told apart there is one bucket.
    fn of(descriptor: &Descriptor) -> Self {
        let is = |entry: &Entry| matches!(entry.wanted, Wanted::Is(_));
        let any = !descriptor.entries.iter().all(is);
        Self {
            bucket: descriptor.bucket,
            most: if any { descriptor.most } else { 1 },
        }
    }
}
