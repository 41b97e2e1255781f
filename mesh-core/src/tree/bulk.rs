//! Many items at once.
//!
//! Items are sorted by their keys and handed down together: each node on the way is copied or
//! changed once, whatever the number of items below it, and memory is walked in order. A tree from
//! many items is an empty one into which they are inserted.

use std::sync::Arc;

use super::{BRANCH, Branch, Item, LEAF, Leaf, Node, Sum, Tree};

/// A node with its lowest key and its sum.
type Part<E> = (u32, Node<E>, <E as Item>::Sum);

/// How full the nodes are that an overfull one is divided into: three quarters.
const FILLED_LEAF: usize = LEAF / 4 * 3;
const FILLED_BRANCH: usize = BRANCH / 4 * 3;

impl<E: Item> FromIterator<(u32, E)> for Tree<E> {
    fn from_iter<I: IntoIterator<Item = (u32, E)>>(items: I) -> Self {
        let mut tree = Self::default();
        tree.insert_all(items.into_iter().collect());
        tree
    }
}

impl<E: Item> Tree<E> {
    /// Inserts items in the order of the vector, as if one by one, only faster.
    pub(crate) fn insert_all(&mut self, mut items: Vec<(u32, E)>) {
        items.sort_by_key(|(key, _)| *key);
        self.len += items.len();
        self.sum = self.sum.plus(total(&items));
        let siblings = self.root.insert_all(items);
        if siblings.is_empty() {
            return;
        }
        let others = siblings
            .iter()
            .fold(E::Sum::default(), |sum, part| sum.plus(part.2));
        let first = (0, self.root.clone(), self.sum.minus(others));
        let mut parts = Vec::with_capacity(siblings.len() + 1);
        parts.push(first);
        parts.extend(siblings);
        while parts.len() > 1 {
            parts = divided(parts, FILLED_BRANCH).map(branch).collect();
        }
        if let Some((_, root, _)) = parts.pop() {
            self.root = root;
        }
    }
}

impl<E: Item> Node<E> {
    /// Inserts items in ascending order of their keys; the siblings to the right that it takes.
    fn insert_all(&mut self, items: Vec<(u32, E)>) -> Vec<Part<E>> {
        match self {
            _ if items.is_empty() => Vec::new(),
            Self::Leaf(leaf) => Arc::make_mut(leaf).insert_all(items),
            Self::Branch(branch) => Arc::make_mut(branch).insert_all(items),
        }
    }
}

impl<E: Item> Leaf<E> {
    fn insert_all(&mut self, items: Vec<(u32, E)>) -> Vec<Part<E>> {
        let mut all = Vec::with_capacity(self.items.len() + items.len());
        let (keys, known) = (
            std::mem::take(&mut self.keys),
            std::mem::take(&mut self.items),
        );
        let mut known = keys.into_iter().zip(known).peekable();
        for item in items {
            // Behind those with the same key.
            while let Some(before) = known.next_if(|(key, _)| *key <= item.0) {
                all.push(before);
            }
            all.push(item);
        }
        all.extend(known);
        if all.len() <= LEAF {
            *self = Self::of(all);
            return Vec::new();
        }
        let mut runs = divided(all, FILLED_LEAF);
        if let Some(first) = runs.next() {
            *self = Self::of(first);
        }
        runs.map(leaf).collect()
    }

    fn of(run: Vec<(u32, E)>) -> Self {
        let (keys, items) = run.into_iter().unzip();
        Self { keys, items }
    }
}

impl<E: Item> Branch<E> {
    fn insert_all(&mut self, mut items: Vec<(u32, E)>) -> Vec<Part<E>> {
        // From the right to the left, so that what is to be done stays at its place.
        while let Some((key, _)) = items.last() {
            let bounds = self.keys.partition_point(|bound| bound <= key);
            let at = bounds.saturating_sub(1);
            let start = match self.keys.get(at) {
                Some(bound) if at > 0 => items.partition_point(|(key, _)| key < bound),
                _ => 0,
            };
            let own = items.split_off(start);
            let (Some(child), Some(sum)) = (self.children.get_mut(at), self.sums.get_mut(at))
            else {
                break;
            };
            *sum = sum.plus(total(&own));
            let siblings = child.insert_all(own);
            *sum = siblings.iter().fold(*sum, |sum, part| sum.minus(part.2));
            let next = at + 1..at + 1;
            self.keys
                .splice(next.clone(), siblings.iter().map(|part| part.0));
            self.sums
                .splice(next.clone(), siblings.iter().map(|part| part.2));
            self.children
                .splice(next, siblings.into_iter().map(|part| part.1));
        }
        if self.children.len() <= BRANCH {
            return Vec::new();
        }
        let parts = std::mem::take(&mut self.keys)
            .into_iter()
            .zip(std::mem::take(&mut self.children))
            .zip(std::mem::take(&mut self.sums))
            .map(|((bound, node), sum)| (bound, node, sum));
        let mut runs = divided(parts.collect(), FILLED_BRANCH);
        if let Some(first) = runs.next() {
            *self = Self::of(first);
        }
        runs.map(branch).collect()
    }

    fn of(run: Vec<Part<E>>) -> Self {
        let mut branch = Self {
            keys: Vec::with_capacity(run.len()),
            sums: Vec::with_capacity(run.len()),
            children: Vec::with_capacity(run.len()),
        };
        for (bound, node, sum) in run {
            branch.keys.push(bound);
            branch.sums.push(sum);
            branch.children.push(node);
        }
        branch
    }
}

fn total<E: Item>(items: &[(u32, E)]) -> E::Sum {
    let sums = items.iter().map(|(_, item)| item.sum());
    sums.fold(E::Sum::default(), Sum::plus)
}

/// Divides a vector into runs of equal length, of `most` at most.
fn divided<T>(all: Vec<T>, most: usize) -> impl Iterator<Item = Vec<T>> {
    let mut runs = all.len().div_ceil(most);
    let mut rest = all.into_iter();
    std::iter::from_fn(move || {
        let length = rest.len().checked_div(runs)?;
        runs -= 1;
        let mut run = Vec::with_capacity(length);
        run.extend(rest.by_ref().take(length));
        Some(run)
    })
}

fn leaf<E: Item>(run: Vec<(u32, E)>) -> Part<E> {
    let bound = run.first().map_or(0, |(key, _)| *key);
    let sum = total(&run);
    (bound, Node::Leaf(Arc::new(Leaf::of(run))), sum)
}

fn branch<E: Item>(run: Vec<Part<E>>) -> Part<E> {
    let bound = run.first().map_or(0, |(bound, ..)| *bound);
    let sums = run.iter().map(|(.., sum)| *sum);
    let sum = sums.fold(E::Sum::default(), Sum::plus);
    (bound, Node::Branch(Arc::new(Branch::of(run))), sum)
}
