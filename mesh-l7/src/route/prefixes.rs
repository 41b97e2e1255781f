//! All prefixes of a path among many.

/// Texts, of which those that a path begins with are found without looking at the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes {
    /// Sorted by text.
    entries: Box<[Entry]>,
}

#[derive(Clone, Debug)]
struct Entry {
    text: Box<str>,
    /// Places of rules, lowest first.
    rules: Box<[u32]>,
    /// The longest other text that this one begins with.
    parent: Option<u32>,
}

impl Prefixes {
    pub(super) fn new(mut pairs: Vec<(String, u32)>) -> Self {
        pairs.sort();
        let mut entries: Vec<(String, Vec<u32>)> = Vec::new();
        for (text, rule) in pairs {
            match entries.last_mut() {
                Some((last, rules)) if *last == text => rules.push(rule),
                _ => entries.push((text, vec![rule])),
            }
        }
        let mut open: Vec<u32> = Vec::new();
        let mut parents = Vec::with_capacity(entries.len());
        for (at, (text, _)) in (0_u32..).zip(&entries) {
            let begins = |other: &u32| {
                let other = entries.get(*other as usize);
                other.is_some_and(|(other, _)| text.starts_with(other.as_str()))
            };
            while open.last().is_some_and(|last| !begins(last)) {
                open.pop();
            }
            parents.push(open.last().copied());
            open.push(at);
        }
        let entries = entries.into_iter().zip(parents);
        let entries = entries.map(|((text, rules), parent)| Entry {
            text: text.into(),
            rules: rules.into(),
            parent,
        });
        Self {
            entries: entries.collect(),
        }
    }

    /// The rules of each text that a path begins with, the longest text first.
    pub(super) fn of<'p>(&'p self, path: &'p str) -> impl Iterator<Item = (&'p str, &'p [u32])> {
        // The texts that a path begins with are parents of the greatest text not above it, or itself.
        let after = self.entries.partition_point(|entry| *entry.text <= *path);
        let mut next = after.checked_sub(1);
        std::iter::from_fn(move || {
            loop {
                let entry = self.entries.get(next?)?;
                next = entry.parent.map(|parent| parent as usize);
                if path.starts_with(&*entry.text) {
                    return Some((&*entry.text, &*entry.rules));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(texts: &[&str], path: &str) -> Vec<u32> {
        let pairs = (0..).zip(texts).map(|(at, text)| ((*text).to_owned(), at));
        let prefixes = Prefixes::new(pairs.collect());
        prefixes
            .of(path)
            .flat_map(|(_, rules)| rules.to_vec())
            .collect()
    }

    #[test]
    fn the_longest_text_comes_first() {
        let texts = ["/", "/a", "/a/b", "/a/c", "/ab", "", "/a"];
        assert_eq!(found(&texts, "/a/b/c"), [2, 1, 6, 0, 5]);
        assert_eq!(found(&texts, "/a"), [1, 6, 0, 5]);
        assert_eq!(found(&texts, "/b"), [0, 5]);
        assert_eq!(found(&texts, ""), [5]);
        assert!(found(&["/a"], "/").is_empty());
    }

    proptest! {
        #[test]
        fn none_is_missed_and_none_is_made_up(
            texts in prop::collection::vec("[ab/]{0,5}", 0..30),
            path in "[ab/]{0,7}",
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let mut got = found(&texts, &path);
            got.sort_unstable();
            let expected = (0_u32..).zip(&texts).filter(|(_, text)| path.starts_with(**text));
            prop_assert_eq!(got, expected.map(|(at, _)| at).collect::<Vec<_>>());
        }
    }
}
