//! An answer, as it is written down.

use serde::Serialize;

/// An answer. Its fields are in the order in which they are written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Answer {
    pub(crate) decision: Word,
    /// What the client is answered: 200, 401 by a node proxy, 403 by others, or what tokens and
    /// malformed requests are answered with; `None` when it is not decided, and for a connection
    /// that is closed without an answer.
    pub(crate) status: Option<u16>,
    /// The policy that decides, `namespace/name`, if it is one.
    pub(crate) policy: Option<String>,
    /// Its rule, from 0, as it is written.
    pub(crate) rule: Option<usize>,
    pub(crate) reason: String,
}

/// What is decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    Allow,
    Deny,
    Undecided,
}

impl Word {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Undecided => "undecided",
        }
    }
}

impl Answer {
    pub(crate) fn allow(reason: impl Into<String>) -> Self {
        Self::new(Word::Allow, Some(200), reason)
    }

    pub(crate) fn deny(status: Option<u16>, reason: impl Into<String>) -> Self {
        Self::new(Word::Deny, status, reason)
    }

    pub(crate) fn undecided(reason: impl Into<String>) -> Self {
        Self::new(Word::Undecided, None, reason)
    }

    fn new(decision: Word, status: Option<u16>, reason: impl Into<String>) -> Self {
        Self {
            decision,
            status,
            policy: None,
            rule: None,
            reason: reason.into(),
        }
    }

    pub(crate) fn by(self, policy: impl Into<String>, rule: usize) -> Self {
        Self {
            policy: Some(policy.into()),
            rule: Some(rule),
            ..self
        }
    }
}
