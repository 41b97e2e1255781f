//! Whether everything that one value fits, another one fits.

use ipnet::IpNet;

use crate::spec::{PathMatch, StringMatch};

/// Whether every text that `narrow` fits, `wide` fits. `fold` says that case makes no difference.
pub(super) fn text(wide: &StringMatch, narrow: &StringMatch, fold: bool) -> bool {
    use StringMatch::{Exact, Prefix, Presence, Suffix};
    let lower = |text: &str| {
        if fold {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        }
    };
    match (wide, narrow) {
        (Presence, Exact(text)) => !text.is_empty(),
        (Presence, _) => true,
        (Exact(wide), Exact(narrow)) => lower(wide) == lower(narrow),
        (Prefix(wide), Exact(narrow) | Prefix(narrow)) => lower(narrow).starts_with(&lower(wide)),
        (Suffix(wide), Exact(narrow) | Suffix(narrow)) => lower(narrow).ends_with(&lower(wide)),
        _ => false,
    }
}

/// Whether no text fits both: known for certain.
pub(super) fn texts_are_disjoint(one: &StringMatch, other: &StringMatch, fold: bool) -> bool {
    use StringMatch::{Exact, Prefix, Suffix};
    match (one, other) {
        (Exact(_), other) => !text(other, one, fold),
        (one, Exact(_)) => !text(one, other, fold),
        (Prefix(_), Prefix(_)) | (Suffix(_), Suffix(_)) => {
            !text(one, other, fold) && !text(other, one, fold)
        }
        _ => false,
    }
}

pub(super) fn path(wide: &PathMatch, narrow: &PathMatch) -> bool {
    match (wide, narrow) {
        (PathMatch::Text(wide), PathMatch::Text(narrow)) => text(wide, narrow, false),
        (PathMatch::Template(wide), PathMatch::Text(StringMatch::Exact(narrow))) => {
            wide.matches(narrow, crate::spec::TemplateCharset::Compat)
        }
        (PathMatch::Text(StringMatch::Prefix(wide)), PathMatch::Template(narrow)) => {
            narrow.prefix().starts_with(wide.as_str())
        }
        (PathMatch::Text(StringMatch::Presence), PathMatch::Template(_)) => true,
        (PathMatch::Template(wide), PathMatch::Template(narrow)) => wide == narrow,
        _ => false,
    }
}

pub(super) fn paths_are_disjoint(one: &PathMatch, other: &PathMatch) -> bool {
    match (one, other) {
        (PathMatch::Text(one), PathMatch::Text(other)) => texts_are_disjoint(one, other, false),
        (PathMatch::Text(StringMatch::Exact(_)), other) => !path(other, one),
        (one, PathMatch::Text(StringMatch::Exact(_))) => !path(one, other),
        _ => false,
    }
}

/// Whether every address of `narrow` is in `wide`.
pub(super) fn net(wide: &IpNet, narrow: &IpNet) -> bool {
    wide.contains(narrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inclusion_and_disjointness_agree_with_texts() {
        let patterns = ["*", "a", "ab", "b", "a*", "ab*", "*a", "*b", "*ab", "b*"];
        let patterns = patterns.map(|text| StringMatch::parse(text).unwrap());
        let letters = ["a", "b", "A"];
        let mut texts = vec![String::from("x")];
        for one in letters {
            for two in ["", "a", "b"] {
                for three in ["", "a", "b"] {
                    texts.push(format!("{one}{two}{three}"));
                }
            }
        }
        for wide in &patterns {
            for narrow in &patterns {
                let counter = texts
                    .iter()
                    .any(|text| narrow.matches(text) && !wide.matches(text));
                assert!(
                    !(text(wide, narrow, false) && counter),
                    "{wide:?} {narrow:?}"
                );
                let common = texts
                    .iter()
                    .any(|text| narrow.matches(text) && wide.matches(text));
                let disjoint = texts_are_disjoint(wide, narrow, false);
                assert!(!(disjoint && common), "{wide:?} {narrow:?}");
            }
        }
    }
}
