use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Branch, Child, Trie};

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u8),
    Remove(u64, u8),
    Change(u64, u8),
}

/// Hashes that are equal, that differ in the first level, and only in the last.
fn hash() -> impl Strategy<Value = u64> {
    let tops = (0..3_u64).prop_map(|top| top << 62);
    prop_oneof![0..3_u64, tops, 0..5_000_u64, any::<u64>()]
}

fn step() -> impl Strategy<Value = Step> {
    let at = || (hash(), 0..4_u8);
    prop_oneof![
        3 => at().prop_map(|(hash, value)| Step::Insert(hash, value)),
        2 => at().prop_map(|(hash, value)| Step::Remove(hash, value)),
        1 => at().prop_map(|(hash, value)| Step::Change(hash, value)),
    ]
}

type Model = BTreeMap<u64, Vec<u8>>;

fn check(trie: &Trie<u8>, model: &Model) -> Result<(), TestCaseError> {
    for (hash, values) in model {
        prop_assert_eq!(trie.get(*hash), values.as_slice());
    }
    let mut all = values(&trie.root);
    let mut expected: Vec<_> = model.values().flatten().copied().collect();
    all.sort_unstable();
    expected.sort_unstable();
    prop_assert_eq!(all, expected);
    Ok(())
}

fn apply(trie: &mut Trie<u8>, model: &mut Model, step: &Step) -> Result<(), TestCaseError> {
    match *step {
        Step::Insert(hash, value) => {
            trie.insert(hash, value);
            model.entry(hash).or_default().push(value);
        }
        Step::Remove(hash, value) => {
            let values = model.entry(hash).or_default();
            let at = values.iter().position(|other| *other == value);
            let expected = at.map(|at| values.remove(at));
            prop_assert_eq!(trie.remove(hash, |other| *other == value), expected);
        }
        Step::Change(hash, value) => {
            let found = trie.get_mut(hash, |other| *other == value);
            let values = model.entry(hash).or_default().iter_mut();
            let expected = values.into_iter().find(|other| **other == value);
            prop_assert_eq!(found.as_deref(), expected.as_deref());
            if let (Some(found), Some(expected)) = (found, expected) {
                *found = 9;
                *expected = 9;
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_trie_is_a_multimap_and_clones_stay_as_they_were(
        steps in vec(step(), 0..200),
        more in vec(step(), 0..200),
    ) {
        let (mut trie, mut model) = (Trie::default(), Model::new());
        for step in &steps {
            apply(&mut trie, &mut model, step)?;
        }
        check(&trie, &model)?;
        let (kept, kept_model) = (trie.clone(), model.clone());
        for step in &more {
            apply(&mut trie, &mut model, step)?;
        }
        check(&trie, &model)?;
        check(&kept, &kept_model)?;
    }
}

#[test]
fn removing_everything_leaves_the_empty_trie() {
    let mut trie = Trie::default();
    for hash in 0..10_000 {
        trie.insert(hash, hash);
    }
    for hash in 0..10_000 {
        assert_eq!(trie.remove(hash, |_| true), Some(hash));
    }
    assert!(values(&trie.root).is_empty());
    assert_eq!((trie.root.bitmap, trie.root.children.len()), (0, 0));
}

/// All values of a branch.
fn values<V: Clone>(branch: &Branch<V>) -> Vec<V> {
    let children = branch.children.iter();
    let values = children.map(|child| match child {
        Child::Branch(branch) => values(branch),
        Child::Leaf(leaf) => leaf.values.as_slice().to_vec(),
    });
    values.collect::<Vec<_>>().concat()
}
