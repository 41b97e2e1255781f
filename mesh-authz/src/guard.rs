//! Live connections, which are decided again when policies or workloads change.
//!
//! A [`Guard`] admits connections and keeps a list of those that live. Its [`Redecider`], a future
//! that the embedder spawns, looks at them again when the policies change, when the record of
//! their workload changes (which policies it names, its namespace), and when the grace of a policy
//! ends that has not arrived. Only connections of workloads that are affected are looked at, a few
//! hundred at a time; those that are no longer allowed learn it through their [`Live`] future, and
//! nobody waits for them to go.
//!
//! A policy that a workload names and that is not known does not let connections through: new ones
//! are [`Held`], live ones go on, and when the grace has passed since the reference was first seen,
//! both are denied.
//!
//! A guard is meant for one worker: its lock is then never waited for. A live connection takes 72
//! bytes in its list and a [`Live`] of 40 bytes.

mod admit;
mod connections;
mod denial;
mod live;
mod missing;
mod redecide;
mod shared;
mod timer;

pub use admit::{Admission, Answer, Guard};
pub use denial::{Denial, DryRunReport, MatchedRule};
pub use live::{Held, Live};
pub use redecide::Redecider;
pub use shared::Counts;
pub use timer::Timer;

/// How long connections wait for a policy that a workload names, when nothing else is said.
pub const GRACE: std::time::Duration = std::time::Duration::from_secs(5);
