//! What many hold alike and somebody holds still: one of each, shared by all who ask for it, and forgotten when the last one lets it go.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// So many that nobody holds any more are kept in any case until it is looked which they are.
pub(crate) const FORGOTTEN_LATER_MAX: usize = 64;

/// Those that somebody holds, and some that nobody holds any more.
pub(crate) struct InUse<K, V> {
    by_key: HashMap<K, Weak<V>>,
    /// How many were in use when it was looked last.
    in_use_before: usize,
}

impl<K, V> Default for InUse<K, V> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), in_use_before: 0 }
    }
}

impl<K: Eq + Hash, V> InUse<K, V> {
    /// The one of this key, if somebody holds it.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
    {
        self.by_key.get(key)?.upgrade()
    }

    /// Shares a new one.
    pub(crate) fn put(&mut self, key: K, value: V) -> Arc<V> {
        // Rarely enough that looking at all of them costs next to nothing for each.
        if self.by_key.len() >= 2 * self.in_use_before + FORGOTTEN_LATER_MAX {
            self.by_key.retain(|_, value| value.strong_count() > 0);
            self.in_use_before = self.by_key.len();
        }
        let value = Arc::new(value);
        self.by_key.insert(key, Arc::downgrade(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_forgotten_however_long_it_goes_on() {
        let mut in_use = InUse::default();
        let used: Vec<Arc<usize>> = (0..100).map(|n| in_use.put(n, n)).collect();
        for n in 100..10_000 {
            in_use.put(n, n);
            assert!(in_use.get(&n).is_none() && in_use.by_key.len() <= 2 * used.len() + FORGOTTEN_LATER_MAX);
        }
        assert!(Arc::ptr_eq(&used[7], &in_use.get(&7).unwrap()));
        drop(used);
        assert!(in_use.get(&7).is_none());
    }
}
