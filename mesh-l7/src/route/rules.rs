//! The first of many rules that matches.

use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;

use super::prefixes::Prefixes;
use super::rule::Rule;
use crate::matching::Head;
use crate::matching::PathMatch;
use crate::matching::RequestMatch;

/// So many conditions or fewer are looked at one after the other.
const FEW: usize = 16;
/// The largest size of the compiled expressions of all rules together, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;

/// Rules in their order: the first that matches counts.
///
/// Selection looks at those whose condition on the path holds, found by the path: exact ones in a hash
/// table, prefixes in a sorted list, expressions in one automaton.
#[derive(Clone, Default)]
pub struct Rules {
    rules: Box<[Arc<Rule>]>,
    /// The conditions of all rules, in order: a rule has as many as it has alternatives.
    conditions: Box<[Condition]>,
    index: Option<Box<Index>>,
}

/// One of the alternatives of a rule, or that a rule has none.
#[derive(Clone, Copy)]
struct Condition {
    rule: u32,
    /// Its place among the alternatives of the rule.
    alternative: u32,
}

/// Conditions by their paths, lowest first in each list.
#[derive(Clone)]
struct Index {
    exact: HashMap<Box<str>, Box<[u32]>, foldhash::fast::RandomState>,
    below: Prefixes,
    prefix: Prefixes,
    expressions: Expressions,
    /// Those that have no condition on the path, or one that is not indexed.
    others: Box<[u32]>,
}

#[derive(Clone, Default)]
struct Expressions {
    set: Option<regex::bytes::RegexSet>,
    /// The condition of each expression.
    conditions: Box<[u32]>,
}

/// A rule that was chosen.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Matched<'r> {
    /// The rule.
    pub rule: &'r Arc<Rule>,
    /// The place of the alternative that matched among [`Rule::matches`]; 0 for a rule without.
    pub alternative: usize,
    /// Its condition on the path; `None` for a rule without conditions.
    pub path: Option<&'r PathMatch>,
}

impl Rules {
    /// Rules in this order. A rule without alternatives matches everything but CONNECT.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = impl Into<Arc<Rule>>>) -> Self {
        let rules: Box<[Arc<Rule>]> = rules.into_iter().map(Into::into).collect();
        let mut conditions = Vec::new();
        for (place, rule) in (0_u32..).zip(&rules) {
            let alternatives = rule.matches.len().max(1);
            conditions.extend((0_u32..).take(alternatives).map(|alternative| Condition {
                rule: place,
                alternative,
            }));
        }
        let mut all = Self {
            rules,
            conditions: conditions.into(),
            index: None,
        };
        if all.conditions.len() > FEW {
            all.index = Some(Box::new(Index::new(&all)));
        }
        all
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The first rule that matches a request.
    #[must_use]
    pub fn select(&self, head: &Head<'_>) -> Option<Matched<'_>> {
        let chosen = match &self.index {
            None => {
                let met = |condition: &&Condition| {
                    self.alternative(**condition)
                        .map_or(!head.is_tunnel(), |one| one.matches(head))
                };
                self.conditions.iter().find(met)
            }
            Some(index) => self.indexed(index, head),
        }?;
        let rule = self.rules.get(usize::try_from(chosen.rule).ok()?)?;
        let alternative = usize::try_from(chosen.alternative).ok()?;
        let path = rule.matches.get(alternative).map(|matches| &matches.path);
        Some(Matched {
            rule,
            alternative,
            path,
        })
    }

    /// What a condition says; `None` for that of a rule without any, which asks for nothing.
    fn alternative(&self, condition: Condition) -> Option<&RequestMatch> {
        let rule = self.rules.get(condition.rule as usize)?;
        rule.matches.get(condition.alternative as usize)
    }

    fn indexed(&self, index: &Index, head: &Head<'_>) -> Option<&Condition> {
        let mut search = Search {
            rules: self,
            head,
            best: u32::MAX,
        };
        if let Some(places) = index.exact.get(head.path) {
            search.look(places);
        }
        for (text, places) in index.below.of(head.path) {
            let rest = head.path.get(text.len()..).unwrap_or_default();
            if rest.is_empty() || rest.starts_with('/') {
                search.look(places);
            }
        }
        for (_, places) in index.prefix.of(head.path) {
            search.look(places);
        }
        search.look_at_all(&index.others);
        let expressions = &index.expressions;
        // The automaton is asked only when one of its rules could still be the first.
        if expressions
            .conditions
            .first()
            .is_some_and(|first| *first < search.best)
        {
            expressions.search(&mut search);
        }
        self.conditions.get(usize::try_from(search.best).ok()?)
    }
}

/// The first condition that holds, so far.
struct Search<'s> {
    rules: &'s Rules,
    head: &'s Head<'s>,
    best: u32,
}

impl Search<'_> {
    /// Looks at conditions, lowest first, of which those on the path hold.
    fn look(&mut self, places: &[u32]) {
        let before = places.iter().take_while(|place| **place < self.best);
        let found = before
            .copied()
            .find(|place| self.meets(*place, |matches| matches.matches_but_path(self.head)));
        self.best = found.unwrap_or(self.best);
    }

    /// Whether the condition at a place holds, as far as it is asked.
    fn meets(&self, place: u32, met: impl Fn(&RequestMatch) -> bool) -> bool {
        let condition = self.rules.conditions.get(place as usize);
        condition.is_some_and(|condition| {
            let alternative = self.rules.alternative(*condition);
            alternative.map_or(!self.head.is_tunnel(), met)
        })
    }

    /// Looks at conditions, lowest first, of which nothing is known.
    fn look_at_all(&mut self, places: &[u32]) {
        let before = places.iter().take_while(|place| **place < self.best);
        let found = before
            .copied()
            .find(|place| self.meets(*place, |matches| matches.matches(self.head)));
        self.best = found.unwrap_or(self.best);
    }
}

impl Index {
    fn new(rules: &Rules) -> Self {
        let mut exact: HashMap<Box<str>, Vec<u32>, foldhash::fast::RandomState> =
            HashMap::default();
        let (mut below, mut prefix) = (Vec::new(), Vec::new());
        let (mut expressions, mut others) = (Vec::new(), Vec::new());
        for (place, condition) in (0_u32..).zip(&rules.conditions) {
            let matches = rules.alternative(*condition);
            match matches.map_or(&PathMatch::Any, |matches| &matches.path) {
                PathMatch::Exact(text) => {
                    exact.entry(text.as_str().into()).or_default().push(place)
                }
                PathMatch::Below(text) => {
                    below.push((text.trim_end_matches('/').to_owned(), place))
                }
                PathMatch::Prefix(text) => prefix.push((text.to_string(), place)),
                PathMatch::Regex(regex) => expressions.push((regex.anchored(), place)),
                PathMatch::Any
                | PathMatch::ExactIgnoringCase(_)
                | PathMatch::PrefixIgnoringCase(_) => others.push(place),
            }
        }
        let compiled = Expressions::new(&expressions);
        if compiled.set.is_none() {
            // Too large for one automaton: one after the other.
            others.extend(expressions.iter().map(|(_, place)| *place));
            others.sort_unstable();
        }
        let exact = exact
            .into_iter()
            .map(|(text, places)| (text, places.into()));
        Self {
            exact: exact.collect(),
            below: Prefixes::new(below),
            prefix: Prefixes::new(prefix),
            expressions: compiled,
            others: others.into(),
        }
    }
}

impl Expressions {
    fn new(expressions: &[(&str, u32)]) -> Self {
        if expressions.is_empty() {
            return Self::default();
        }
        let texts = expressions.iter().map(|(text, _)| *text);
        let mut builder = regex::bytes::RegexSetBuilder::new(texts);
        let Ok(set) = builder.unicode(false).size_limit(LARGEST).build() else {
            return Self::default();
        };
        Self {
            set: Some(set),
            conditions: expressions.iter().map(|(_, place)| *place).collect(),
        }
    }

    fn search(&self, search: &mut Search<'_>) {
        let Some(set) = &self.set else {
            return;
        };
        for at in &set.matches(search.head.path.as_bytes()) {
            if let Some(place) = self.conditions.get(at) {
                search.look(std::slice::from_ref(place));
            }
        }
    }
}

/// Two lists with the same rules are the same.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<Rule>, &Arc<Rule>)| Arc::ptr_eq(one, other) || one == other;
        self.rules.len() == other.rules.len() && self.rules.iter().zip(&other.rules).all(same)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{Regex, TextMatch};
    use crate::route::Action;
    use http::HeaderMap;
    use proptest::prelude::*;

    fn rule(matches: Vec<RequestMatch>) -> Rule {
        Rule {
            matches,
            ..Rule::new("r", Action::not_found())
        }
    }

    fn on_path(path: PathMatch) -> RequestMatch {
        RequestMatch {
            path,
            ..RequestMatch::default()
        }
    }

    fn chosen(rules: &Rules, path: &str) -> Option<(usize, usize)> {
        let headers = HeaderMap::new();
        let matched = rules.select(&Head::new("GET", "h", path, &headers))?;
        let place = rules
            .rules()
            .iter()
            .position(|rule| Arc::ptr_eq(rule, matched.rule));
        Some((place.unwrap(), matched.alternative))
    }

    #[test]
    fn the_first_rule_counts_whatever_kind_its_path_is() {
        let mut list: Vec<Rule> = (0..20)
            .map(|n| {
                rule(vec![on_path(PathMatch::Exact(
                    format!("/unused/{n}").into(),
                ))])
            })
            .collect();
        let kinds = [
            PathMatch::Regex(Regex::new("/a/[0-9]+").unwrap()),
            PathMatch::Below("/a".into()),
            PathMatch::Exact("/a/x".into()),
            PathMatch::PrefixIgnoringCase("/B".into()),
            PathMatch::Prefix("/b".into()),
        ];
        list.extend(kinds.map(|kind| rule(vec![on_path(kind)])));
        list.push(rule(Vec::new()));
        let rules = Rules::new(list);
        let cases = [
            ("/unused/7", 7),
            ("/a/12", 20),
            ("/a/x", 21),
            ("/a", 21),
            ("/ab", 25),
            ("/bc", 23),
            ("/", 25),
        ];
        for (path, place) in cases {
            assert_eq!(chosen(&rules, path), Some((place, 0)), "{path}");
        }
    }

    fn any_path() -> impl Strategy<Value = PathMatch> {
        let text = "[ab/]{0,4}".prop_map(|text| format!("/{text}"));
        (text, 0..7).prop_map(|(text, kind)| match kind {
            0 => PathMatch::Any,
            1 => PathMatch::Exact(text.into()),
            2 => PathMatch::Below(text.into()),
            3 => PathMatch::Prefix(text.into()),
            4 => PathMatch::Regex(Regex::new(&format!("{text}.*")).unwrap()),
            5 => PathMatch::ExactIgnoringCase(text.to_uppercase().into()),
            _ => PathMatch::PrefixIgnoringCase(text.to_uppercase().into()),
        })
    }

    fn any_match() -> impl Strategy<Value = RequestMatch> {
        (any_path(), prop::option::of(prop_oneof!["GET", "POST"])).prop_map(|(path, method)| {
            RequestMatch {
                path,
                method: method.map(|method| TextMatch::Exact(method.into())),
                ..RequestMatch::default()
            }
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_looking_at_all_finds(
            rules in prop::collection::vec(prop::collection::vec(any_match(), 0..4), 0..40),
            path in "/[abAB/]{0,5}",
        ) {
            let expected = rules.iter().position(|matches| {
                let headers = HeaderMap::new();
                let head = Head::new("GET", "h", &path, &headers);
                matches.is_empty() || matches.iter().any(|one| one.matches(&head))
            });
            let rules = Rules::new(rules.into_iter().map(rule));
            prop_assert_eq!(chosen(&rules, &path).map(|(place, _)| place), expected);
        }
    }
}
