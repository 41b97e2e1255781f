//! Trees from many items at once.

use std::sync::Arc;

use super::{BRANCH, Branch, Item, LEAF, Leaf, Node, Sum, Tree};

/// A node with its lowest key and its sum.
type Part<E> = (u32, Node<E>, <E as Item>::Sum);

/// Items are inserted in the order of the iterator, as if one by one; the nodes are filled to
/// three quarters.
impl<E: Item> FromIterator<(u32, E)> for Tree<E> {
    fn from_iter<I: IntoIterator<Item = (u32, E)>>(items: I) -> Self {
        let mut items: Vec<_> = items.into_iter().collect();
        items.sort_by_key(|(key, _)| *key);
        let len = items.len();
        let mut parts: Vec<Part<E>> = runs(items, LEAF / 4 * 3).map(leaf).collect();
        while parts.len() > 1 {
            parts = runs(parts, BRANCH / 4 * 3).map(branch).collect();
        }
        match parts.pop() {
            Some((_, root, sum)) => Self { root, len, sum },
            None => Self::default(),
        }
    }
}

/// Cuts a vector into runs.
fn runs<T>(all: Vec<T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    let mut rest = all.into_iter();
    std::iter::from_fn(move || {
        let mut run = Vec::with_capacity(size.min(rest.len()));
        run.extend(rest.by_ref().take(size));
        (!run.is_empty()).then_some(run)
    })
}

fn leaf<E: Item>(run: Vec<(u32, E)>) -> Part<E> {
    let mut keys = Vec::with_capacity(run.len());
    let mut items = Vec::with_capacity(run.len());
    let mut sum = E::Sum::default();
    for (key, item) in run {
        sum = sum.plus(item.sum());
        keys.push(key);
        items.push(item);
    }
    let bound = keys.first().copied().unwrap_or(0);
    (bound, Node::Leaf(Arc::new(Leaf { keys, items })), sum)
}

fn branch<E: Item>(run: Vec<Part<E>>) -> Part<E> {
    let mut branch = Branch {
        keys: Vec::with_capacity(run.len()),
        sums: Vec::with_capacity(run.len()),
        children: Vec::with_capacity(run.len()),
    };
    let mut total = E::Sum::default();
    for (bound, node, sum) in run {
        total = total.plus(sum);
        branch.keys.push(bound);
        branch.sums.push(sum);
        branch.children.push(node);
    }
    let bound = branch.keys.first().copied().unwrap_or(0);
    (bound, Node::Branch(Arc::new(branch)), total)
}
