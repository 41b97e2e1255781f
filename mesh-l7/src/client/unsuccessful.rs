//! Why a connection gave no answer.

use std::error::Error;

use super::request::Prepared;
use crate::attempt::AttemptError;

type Cause = Box<dyn Error + Send + Sync>;

/// Why a connection gave no answer.
pub(super) enum Unsuccessful {
    /// Nothing of the request was written: it is here again.
    Unsent(Prepared, Cause),
    /// A connection that had been used before ended, and sending the request again does no harm.
    Stale(Prepared, Cause),
    Ended(AttemptError),
}
