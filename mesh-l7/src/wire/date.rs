//! The time of day as HTTP writes it.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

thread_local! {
    /// The last value, and the second that it is of.
    static LAST: RefCell<(u64, Option<HeaderValue>)> = const { RefCell::new((0, None)) };
}

/// The present time as the value of `date` (RFC 9110 §5.6.7).
pub(crate) fn http_date() -> Option<HeaderValue> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    LAST.with_borrow_mut(|(second, value)| {
        if value.is_none() || *second != now {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
            *value = HeaderValue::try_from(text).ok();
            *second = now;
        }
        value.clone()
    })
}
