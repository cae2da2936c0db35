//! Faults planted into the real actors, at places that no fake can reach.

use std::cell::RefCell;
use std::collections::HashMap;

use api_health_core::ApiId;

thread_local! {
    static PLANTED: RefCell<HashMap<(&'static str, String), usize>> = RefCell::default();
}

/// The next `times` times that the prober of `api_id` comes to `place`, it panics there. For this thread alone.
pub(crate) fn panic_at(place: &'static str, api_id: &str, times: usize) {
    PLANTED.with_borrow_mut(|planted| planted.insert((place, api_id.to_owned()), times));
}

/// Panics if that was planted.
pub(crate) fn here(place: &'static str, api_id: &ApiId) {
    let planted = PLANTED.with_borrow_mut(|planted| {
        let left = planted.get_mut(&(place, api_id.to_string()))?;
        *left = left.checked_sub(1)?;
        Some(())
    });
    assert!(planted.is_none(), "planted in {place}");
}
