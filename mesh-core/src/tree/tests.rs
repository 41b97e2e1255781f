//! The tree against a sorted vector.

use proptest::prelude::*;

use super::{Item, Sum, Tree};

/// A number that weighs its own value.
#[derive(Clone, Debug, PartialEq)]
struct Weighted {
    id: u32,
    weight: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Total {
    weight: u64,
    plain: usize,
}

impl Sum for Total {
    fn plus(self, other: Self) -> Self {
        Self {
            weight: self.weight + other.weight,
            plain: self.plain + other.plain,
        }
    }
    fn minus(self, other: Self) -> Self {
        Self {
            weight: self.weight - other.weight,
            plain: self.plain - other.plain,
        }
    }
}

impl Item for Weighted {
    type Sum = Total;
    fn sum(&self) -> Total {
        Total {
            weight: self.weight,
            plain: usize::from(self.weight == 1),
        }
    }
    fn is_plain(sum: &Total, count: usize) -> bool {
        sum.plain == count
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Insert(u32, u64),
    /// Removes the n-th of the items present, counted around.
    Remove(usize),
    /// Gives the n-th of the items present another weight.
    Update(usize, u64),
}

/// Few keys make long runs of equal ones, many keys make tall trees.
fn edits(keys: u32) -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        5 => (0..keys, 0..4_u64).prop_map(|(key, weight)| Edit::Insert(key, weight)),
        3 => any::<usize>().prop_map(Edit::Remove),
        1 => (any::<usize>(), 0..4_u64).prop_map(|(at, weight)| Edit::Update(at, weight)),
    ];
    // A long ascent and a long descent beside random edits.
    let grow = (0..400_usize).prop_map(move |n| {
        let keys = (0..n).map(move |i| u32::try_from(i).unwrap().wrapping_mul(7919) % keys.max(1));
        keys.map(|key| Edit::Insert(key, 1)).collect::<Vec<_>>()
    });
    let shrink = (0..400_usize, any::<usize>())
        .prop_map(|(n, at)| (0..n).map(|_| Edit::Remove(at)).collect::<Vec<_>>());
    let random = prop::collection::vec(edit, 0..200);
    (grow, random, shrink).prop_map(|(a, b, c)| [a, b, c].concat())
}

fn check(tree: &Tree<Weighted>, model: &[(u32, Weighted)]) {
    let items: Vec<_> = model.iter().map(|(_, item)| item.clone()).collect();
    assert_eq!(tree.iter().cloned().collect::<Vec<_>>(), items);
    assert_eq!(tree.len(), items.len());
    let weight: u64 = items.iter().map(|item| item.weight).sum();
    assert_eq!(tree.sum().weight, weight);
    let mut positions = items
        .iter()
        .flat_map(|item| (0..item.weight).map(move |at| (item.id, at)));
    for at in 0..weight {
        let (item, rest) = tree.select(at, |total| total.weight).unwrap();
        assert_eq!((item.id, rest), positions.next().unwrap());
    }
    assert!(tree.select(weight, |total| total.weight).is_none());
    for (key, item) in model {
        assert_eq!(tree.find(*key, |other| other.id == item.id), Some(item));
        let last = model.iter().rfind(|(other, _)| other == key).unwrap();
        assert_eq!(tree.find(*key, |_| true), Some(&last.1));
    }
    let (low, high) = (10, 20);
    let last = model.iter().rfind(|(key, _)| (low..=high).contains(key));
    assert_eq!(
        tree.find_last(low, high, |_| true),
        last.map(|(_, item)| item)
    );
}

fn apply(tree: &mut Tree<Weighted>, model: &mut Vec<(u32, Weighted)>, id: u32, edit: &Edit) {
    match edit {
        Edit::Insert(key, weight) => {
            let item = Weighted {
                id,
                weight: *weight,
            };
            tree.insert(*key, item.clone());
            let at = model.partition_point(|(other, _)| other <= key);
            model.insert(at, (*key, item));
        }
        Edit::Remove(at) if !model.is_empty() => {
            let (key, item) = model.remove(at % model.len());
            let removed = tree.remove(key, |other| other.id == item.id);
            assert_eq!(removed, Some(item));
        }
        Edit::Update(at, weight) if !model.is_empty() => {
            let at = at % model.len();
            let (key, item) = &mut model[at];
            item.weight = *weight;
            let id = item.id;
            tree.update(*key, |other| other.id == id, |other| other.weight = *weight)
                .unwrap();
        }
        Edit::Remove(_) | Edit::Update(..) => {
            assert!(tree.remove(0, |_| true).is_none());
            assert!(tree.update(0, |_| true, |_| ()).is_none());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_edits_leave_what_a_sorted_vector_has(edits in prop_oneof![
        edits(3), edits(50), edits(u32::MAX)
    ]) {
        let (mut tree, mut model) = (Tree::default(), Vec::new());
        let mut kept = Vec::new();
        for (id, edit) in edits.iter().enumerate() {
            if id % 100 == 0 {
                kept.push((tree.clone(), model.clone()));
            }
            apply(&mut tree, &mut model, u32::try_from(id).unwrap(), edit);
        }
        check(&tree, &model);
        for (tree, model) in &kept {
            check(tree, model);
        }
    }
}

#[test]
fn an_emptied_tree_is_a_new_tree() {
    let mut tree = Tree::default();
    for id in 0..10_000_u32 {
        tree.insert(id.wrapping_mul(2_654_435_769), Weighted { id, weight: 1 });
    }
    for id in 0..10_000_u32 {
        let key = id.wrapping_mul(2_654_435_769);
        assert!(tree.remove(key, |item| item.id == id).is_some());
    }
    check(&tree, &[]);
    assert!(matches!(&tree.root, super::Node::Leaf(leaf) if leaf.items.capacity() == 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_tree_from_many_items_is_that_of_single_insertions(
        keys in prop_oneof![
            prop::collection::vec(0..20_u32, 0..3_000),
            prop::collection::vec(any::<u32>(), 0..3_000),
        ],
        edits in edits(20),
    ) {
        let (mut model, mut items) = (Vec::new(), Vec::new());
        for (id, key) in keys.into_iter().enumerate() {
            let id = u32::try_from(id).unwrap();
            items.push((key, Weighted { id, weight: u64::from(id % 3) }));
        }
        model.extend(items.iter().cloned());
        model.sort_by_key(|(key, _)| *key);
        let mut tree: Tree<_> = items.into_iter().collect();
        check(&tree, &model);
        for (id, edit) in edits.iter().enumerate() {
            apply(&mut tree, &mut model, 10_000 + u32::try_from(id).unwrap(), edit);
        }
        check(&tree, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn many_items_at_once_leave_what_single_insertions_do(
        before in edits(50),
        batches in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(0..20_u32, 0..40),
                prop::collection::vec(0..60_u32, 0..300),
                prop::collection::vec(any::<u32>(), 0..1_200),
            ],
            1..4,
        ),
        after in edits(20),
    ) {
        let (mut tree, mut model) = (Tree::default(), Vec::new());
        for (id, edit) in before.iter().enumerate() {
            apply(&mut tree, &mut model, u32::try_from(id).unwrap(), edit);
        }
        // Readers keep what they have, whatever the writer does later.
        let mut kept = vec![(tree.clone(), model.clone())];
        let mut id = 10_000;
        for keys in batches {
            let mut items = Vec::new();
            for key in keys {
                id += 1;
                items.push((key, Weighted { id, weight: u64::from(id % 3) }));
            }
            model.extend(items.iter().cloned());
            model.sort_by_key(|(key, _)| *key);
            tree.insert_all(items);
            kept.push((tree.clone(), model.clone()));
        }
        for (edit, id) in after.iter().zip(100_000..) {
            apply(&mut tree, &mut model, id, edit);
        }
        kept.push((tree, model));
        for (tree, model) in &kept {
            check(tree, model);
            shape(tree);
        }
    }
}

/// All leaves are at one depth, no node is overfull, and only the root may be empty.
fn shape(tree: &Tree<Weighted>) {
    fn depth(node: &super::Node<Weighted>, is_root: bool) -> usize {
        match node {
            super::Node::Leaf(leaf) => {
                assert_eq!(leaf.keys.len(), leaf.items.len());
                assert!(leaf.items.len() <= super::LEAF);
                assert!(is_root || !leaf.items.is_empty());
                0
            }
            super::Node::Branch(branch) => {
                let children = branch.children.len();
                assert_eq!((branch.keys.len(), branch.sums.len()), (children, children));
                assert!((1..=super::BRANCH).contains(&children));
                let depths: Vec<_> = branch.children.iter().map(|c| depth(c, false)).collect();
                assert!(depths.iter().all(|depth| *depth == depths[0]));
                depths[0] + 1
            }
        }
    }
    depth(&tree.root, true);
}
