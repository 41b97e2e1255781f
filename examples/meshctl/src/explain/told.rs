//! What an explanation consists of.

use std::collections::BTreeMap;

use serde::Serialize;

use super::field::Condition;
use super::nearest::Nearest;
use crate::answer::Answer;

/// An answer with everything that it comes from, in the order in which it is written as JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    #[serde(flatten)]
    pub(crate) answer: Answer,
    /// Who was asked for.
    pub(super) subject: String,
    pub(super) layer: &'static str,
    /// Where the policy that decides is written.
    pub(super) place: Option<String>,
    /// On a denial because nothing allows it: the rule that came nearest.
    pub(crate) nearest: Option<Nearest>,
    pub(super) caller: Caller,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peer_authentication: Option<PeerAuthentication>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<PathReport>,
    pub(super) policies: Vec<Considered>,
    pub(super) not_considered: Vec<NotConsidered>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Caller {
    pub(super) identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeerAuthentication {
    pub(super) mode: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ports: BTreeMap<u16, &'static str>,
    /// The object with the workload's labels, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) own: Option<String>,
    /// What it means for a caller without an identity.
    pub(super) without_identity: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct PathReport {
    pub(super) raw: String,
    pub(super) normalised: Option<String>,
}

/// A policy that applies.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Considered {
    pub(super) policy: String,
    pub(super) place: String,
    pub(super) action: String,
    pub(super) dry_run: bool,
    pub(super) attached_by: &'static str,
    /// The first rule that matches.
    pub(super) matched: Option<usize>,
    pub(super) rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

/// What a rule says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rule {
    pub(super) rule: usize,
    pub(super) matches: bool,
    pub(super) failed: Vec<Condition>,
}

/// A policy that does not apply.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NotConsidered {
    pub(super) policy: String,
    pub(super) place: String,
    pub(super) reason: String,
}
