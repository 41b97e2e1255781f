//! Readiness of an inner service that is not called.

/// Lets go of what `poll_ready` has reserved in `inner`: a clone has reserved nothing. Whoever answers
/// in place of the inner service must do so, or a slot of its stays taken until the next request.
pub(super) fn release<S: Clone>(inner: &mut S) {
    let fresh = inner.clone();
    *inner = fresh;
}
