//! A bucket for each key, for a bounded number of keys.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::{BucketSettings, TokenBucket};

/// One [`TokenBucket`] for each key (an identity, a header's value), made when the key is first seen.
///
/// When there are as many keys as may be, the one that was not asked for the longest is forgotten: it
/// starts with a full bucket when it comes again. Keys are chosen by clients, so the bound is what
/// keeps the memory; it should be well above the number of clients that are to be told apart.
#[derive(Debug)]
pub struct KeyedBuckets<K> {
    settings: BucketSettings,
    start: Instant,
    capacity: usize,
    keys: Mutex<Keys<K>>,
}

#[derive(Debug)]
struct Keys<K> {
    buckets: HashMap<K, Entry, foldhash::fast::RandomState>,
    /// Counts questions: an entry's order of use.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    bucket: Arc<TokenBucket>,
    used: u64,
}

impl<K: Clone + Eq + Hash> KeyedBuckets<K> {
    /// Buckets with these settings for at most `capacity` keys (at least 1), their intervals counted
    /// from `start`.
    #[must_use]
    pub fn new(settings: BucketSettings, capacity: usize, start: Instant) -> Self {
        Self {
            settings,
            start,
            capacity: capacity.max(1),
            keys: Mutex::new(Keys {
                buckets: HashMap::default(),
                clock: 0,
            }),
        }
    }

    /// Takes a token of a key's bucket, if there is one at `now`.
    #[must_use]
    pub fn take<Q>(&self, key: &Q, now: Instant) -> bool
    where
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        K: std::borrow::Borrow<Q>,
    {
        self.bucket(key).take(now)
    }

    /// The bucket of a key.
    #[must_use]
    pub fn bucket<Q>(&self, key: &Q) -> Arc<TokenBucket>
    where
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
        K: std::borrow::Borrow<Q>,
    {
        let mut keys = self.keys.lock();
        keys.clock += 1;
        let used = keys.clock;
        if let Some(entry) = keys.buckets.get_mut(key) {
            entry.used = used;
            return entry.bucket.clone();
        }
        if keys.buckets.len() >= self.capacity {
            keys.forget_eldest();
        }
        let bucket = Arc::new(TokenBucket::new(self.settings, self.start));
        let entry = Entry {
            bucket: bucket.clone(),
            used,
        };
        keys.buckets.insert(key.to_owned(), entry);
        bucket
    }

    /// The number of keys that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.lock().buckets.len()
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Clone + Eq + Hash> Keys<K> {
    /// Forgets one of a few keys, the one of them that was not asked for the longest: looking at all
    /// of them would let a client that always sends new keys make every question dear.
    fn forget_eldest(&mut self) {
        const LOOKED_AT: usize = 32;
        // The table's order is that of keyed hashes; where to begin moves with each question.
        let skip = self.buckets.hasher().hash_one(self.clock);
        let most = self.buckets.len().saturating_sub(LOOKED_AT) as u64;
        let skip = if most == 0 { 0 } else { skip % most.min(256) };
        let looked_at = self.buckets.iter().skip(skip as usize).take(LOOKED_AT);
        let eldest = looked_at
            .min_by_key(|(_, entry)| entry.used)
            .map(|(key, _)| key.clone());
        if let Some(eldest) = eldest {
            self.buckets.remove(&eldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn buckets(capacity: usize) -> (KeyedBuckets<String>, Instant) {
        let start = Instant::now();
        let settings = BucketSettings::new(1, 1, Duration::from_secs(1)).unwrap();
        (KeyedBuckets::new(settings, capacity, start), start)
    }

    #[test]
    fn each_key_has_its_own_tokens() {
        let (buckets, start) = buckets(10);
        assert!(buckets.take("a", start));
        assert!(!buckets.take("a", start));
        assert!(buckets.take("b", start));
        assert!(buckets.take("a", start + Duration::from_secs(1)));
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_the_eldest_goes() {
        let (buckets, start) = buckets(3);
        for key in ["a", "b", "c"] {
            assert!(buckets.take(key, start));
        }
        assert!(!buckets.take("a", start), "asked for again");
        assert!(buckets.take("d", start));
        assert_eq!(buckets.len(), 3);
        assert!(!buckets.take("a", start), "still known");
        assert!(buckets.take("b", start), "forgotten, so full again");
    }

    #[test]
    fn many_keys_stay_within_the_bound() {
        let (buckets, start) = buckets(100);
        for key in 0..5_000 {
            let _ = buckets.take(key.to_string().as_str(), start);
        }
        assert_eq!(buckets.len(), 100);
    }
}
