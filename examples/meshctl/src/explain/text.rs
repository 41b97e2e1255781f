//! An explanation for people.

use std::io::{self, Write};

use super::told::{Considered, Told};
use crate::answer::Word;
use crate::style::Style;

/// Writes an explanation.
pub(crate) fn write(told: &Told, style: Style, mut to: impl Write) -> io::Result<()> {
    let answer = &told.answer;
    let decision = match answer.decision {
        Word::Allow => style.green("allow"),
        Word::Deny => style.red("deny"),
        Word::Undecided => style.yellow("undecided"),
    };
    let status = answer
        .status
        .map_or_else(String::new, |status| format!(" ({status})"));
    writeln!(to, "{decision}{status}: {}", answer.reason)?;
    if let (Some(policy), Some(rule)) = (&answer.policy, answer.rule) {
        let place = told.place.as_deref().unwrap_or_default();
        writeln!(to, "  {place}: {policy}: rule {rule}")?;
    }
    nearest(told, style, &mut to)?;
    writeln!(to)?;
    let mut line = |name: &str, text: &str| writeln!(to, "{name:<21} {text}");
    line("asked", &format!("{}, {}", told.subject, told.layer))?;
    let identity = told.caller.identity.as_deref().or(told.caller.note);
    line("caller", identity.unwrap_or_default())?;
    if let Some(peer) = &told.peer_authentication {
        let ports: Vec<_> = peer
            .ports
            .iter()
            .map(|(port, mode)| format!(", port {port} {mode}"))
            .collect();
        let own = peer
            .own
            .as_deref()
            .map_or_else(String::new, |own| format!(" ({own})"));
        let (mode, ports) = (peer.mode, ports.concat());
        let text = format!(
            "{mode}{ports}{own}; without identity {}",
            peer.without_identity
        );
        line("peer authentication", &text)?;
    }
    if let Some(token) = &told.token {
        line("token", token)?;
    }
    if let Some(path) = &told.path {
        let normalised = path.normalised.as_deref().unwrap_or("refused");
        let text = match path.raw == normalised {
            true => normalised.to_owned(),
            false => format!("{normalised} (sent as {})", path.raw),
        };
        line("path", &text)?;
    }
    policies(told, style, &mut to)
}

fn nearest(told: &Told, style: Style, to: &mut impl Write) -> io::Result<()> {
    let Some(nearest) = &told.nearest else {
        return Ok(());
    };
    let (policy, rule) = (&nearest.policy, nearest.rule);
    let place = nearest.place.as_deref().unwrap_or_default();
    writeln!(
        to,
        "  nearest: {place}: {}: rule {rule} lacks",
        style.bold(policy)
    )?;
    for condition in &nearest.conditions {
        let (field, expected) = (&condition.field, &condition.expected);
        writeln!(
            to,
            "    {field}: expected {expected}, got {}",
            condition.found
        )?;
    }
    Ok(())
}

fn policies(told: &Told, style: Style, to: &mut impl Write) -> io::Result<()> {
    if told.policies.is_empty() {
        writeln!(to, "\nno policy applies")?;
    } else {
        writeln!(to, "\n{}", style.bold("policies that apply"))?;
    }
    for policy in &told.policies {
        considered(policy, style, to)?;
    }
    if !told.not_considered.is_empty() {
        writeln!(to, "\n{}", style.bold("policies that do not apply"))?;
    }
    for policy in &told.not_considered {
        writeln!(
            to,
            "  {}: {}: {}",
            policy.place, policy.policy, policy.reason
        )?;
    }
    Ok(())
}

fn considered(policy: &Considered, style: Style, to: &mut impl Write) -> io::Result<()> {
    let dry_run = if policy.dry_run { ", dry run" } else { "" };
    let matched = match policy.matched {
        Some(rule) => style.bold(&format!("rule {rule} matches")),
        None => "does not match".to_owned(),
    };
    let (place, key) = (&policy.place, &policy.policy);
    let separator = if place.is_empty() { "" } else { ": " };
    let (action, by) = (&policy.action, policy.attached_by);
    writeln!(
        to,
        "  {place}{separator}{key}: {action}{dry_run}, by {by}: {matched}"
    )?;
    if let Some(note) = &policy.note {
        writeln!(to, "    note: {note}")?;
    }
    for rule in &policy.rules {
        for failed in &rule.failed {
            let (field, expected) = (&failed.field, &failed.expected);
            writeln!(to, "    {field}: expected {expected}, got {}", failed.found)?;
        }
    }
    Ok(())
}
