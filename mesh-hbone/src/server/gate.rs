//! A bound on handshakes that are under way at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A bound on TLS handshakes that are under way at once, shared by any number of listeners.
///
/// When it is reached, the *oldest* handshake gives way: those that stop half way are the oldest,
/// so honest peers get in as long as fewer than the limit begin while theirs is under way.
#[derive(Clone, Debug)]
pub struct HandshakeGate(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    limit: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    /// By age.
    evict: BTreeMap<u64, Arc<Notify>>,
}

/// A handshake's place; the drop frees it.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    number: u64,
    evicted: Arc<Notify>,
}

impl HandshakeGate {
    /// Handshakes that may be under way at once when nothing else is said: at some 20 KiB each, 80
    /// MiB in the worst case.
    pub const DEFAULT_LIMIT: usize = 4096;

    /// A gate for at least one handshake.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Gate {
            limit: limit.max(1),
            under_way: Mutex::default(),
        }))
    }

    /// Handshakes that are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.under_way.lock().evict.len()
    }

    pub(super) fn enter(&self) -> Place {
        let evicted = Arc::new(Notify::new());
        let mut under_way = self.0.under_way.lock();
        if under_way.evict.len() >= self.0.limit
            && let Some((_, oldest)) = under_way.evict.pop_first()
        {
            oldest.notify_one();
        }
        let number = under_way.next;
        under_way.next += 1;
        under_way.evict.insert(number, evicted.clone());
        Place {
            gate: self.0.clone(),
            number,
            evicted,
        }
    }
}

impl Default for HandshakeGate {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

impl Place {
    /// Resolves when the place is needed for a younger handshake.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.under_way.lock().evict.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_gives_way_when_the_gate_is_full() {
        let gate = HandshakeGate::new(2);
        let (first, second) = (gate.enter(), gate.enter());
        let third = gate.enter();
        first.evicted().await;
        assert_eq!(gate.under_way(), 2);
        drop(first);
        assert_eq!(gate.under_way(), 2, "an evicted place is not freed twice");
        drop((second, third));
        assert_eq!(gate.under_way(), 0);
    }
}
