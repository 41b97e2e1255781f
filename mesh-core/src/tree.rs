//! A persistent ordered multimap: clones share their structure, a change copies one path.
//!
//! A B+ tree over `u32` keys. Equal keys stay in the order of their insertion. Nodes are held by
//! `Arc` and changed through [`Arc::make_mut`]: in place while nobody else holds them, else copied
//! from the root down to the leaf. Each child stands beside the sum of what is below it, so that
//! an item is found by weight as fast as by key.

use std::sync::Arc;

mod bulk;
mod edit;

/// Most items of a leaf. Small, because a copied leaf touches the count of each of its items.
const LEAF: usize = 32;
/// Most children of a branch.
const BRANCH: usize = 64;
/// A node at or below this size is merged with a neighbour when they fit together.
const SMALL: usize = 10;

/// What a tree holds.
pub(crate) trait Item: Clone {
    /// What is added up over all items below a node.
    type Sum: Sum;
    /// The share of this item. It must not change while the item is in a tree.
    fn sum(&self) -> Self::Sum;
    /// Whether each of the `count` items with this sum is 1 wide by any measure.
    fn is_plain(sum: &Self::Sum, count: usize) -> bool {
        let _ = (sum, count);
        false
    }
}

/// A commutative group.
pub(crate) trait Sum: Copy + Default {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
}

impl Sum for () {
    fn plus(self, (): Self) {}
    fn minus(self, (): Self) {}
}

#[derive(Clone)]
pub(crate) struct Tree<E: Item> {
    root: Node<E>,
    len: usize,
    sum: E::Sum,
}

#[derive(Clone)]
enum Node<E: Item> {
    Leaf(Arc<Leaf<E>>),
    Branch(Arc<Branch<E>>),
}

// Invariant: both have the same length; `keys` ascends.
#[derive(Clone)]
struct Leaf<E> {
    keys: Vec<u32>,
    items: Vec<E>,
}

// Invariant: all three have the same length; the keys below child `i` lie between `keys[i]` and
// `keys[i + 1]`, both included, except that `keys[0]` bounds nothing.
#[derive(Clone)]
struct Branch<E: Item> {
    keys: Vec<u32>,
    sums: Vec<E::Sum>,
    children: Vec<Node<E>>,
}

impl<E: Item> Default for Tree<E> {
    fn default() -> Self {
        Self {
            root: Node::Leaf(Arc::new(Leaf {
                keys: Vec::new(),
                items: Vec::new(),
            })),
            len: 0,
            sum: E::Sum::default(),
        }
    }
}

impl<E: Item> Tree<E> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether both are the same tree: a clone of one that has not been changed since.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Node::Leaf(one), Node::Leaf(other)) => Arc::ptr_eq(one, other),
            (Node::Branch(one), Node::Branch(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// The sum over all items.
    pub(crate) fn sum(&self) -> &E::Sum {
        &self.sum
    }

    /// The last item with a key between `low` and `high`, both included, that is wanted.
    pub(crate) fn find_last(
        &self,
        low: u32,
        high: u32,
        mut wanted: impl FnMut(&E) -> bool,
    ) -> Option<&E> {
        self.root.find_last(low, high, &mut wanted)
    }

    /// The last item with a key that is wanted.
    pub(crate) fn find(&self, key: u32, wanted: impl FnMut(&E) -> bool) -> Option<&E> {
        self.find_last(key, key, wanted)
    }

    /// The item that owns position `at` when the items lie side by side, each as wide as `weight`
    /// says, and the position within the item.
    pub(crate) fn select(&self, at: u64, weight: impl Fn(&E::Sum) -> u64) -> Option<(&E, u64)> {
        let (mut at, mut node, mut sum) = (at, &self.root, &self.sum);
        loop {
            match node {
                Node::Branch(branch) => {
                    let mut children = branch.children.iter().zip(&branch.sums);
                    (node, sum) = children.find(|(_, sum)| passes(&mut at, weight(sum)))?;
                }
                Node::Leaf(leaf) if E::is_plain(sum, leaf.items.len()) => {
                    return Some((leaf.items.get(usize::try_from(at).ok()?)?, 0));
                }
                Node::Leaf(leaf) => {
                    let mut items = leaf.items.iter();
                    let item = items.find(|item| passes(&mut at, weight(&item.sum())))?;
                    return Some((item, at));
                }
            }
        }
    }

    /// The first answer for an item, in order of the keys. Allocates nothing.
    pub(crate) fn find_map<'a, R>(&'a self, mut ask: impl FnMut(&'a E) -> Option<R>) -> Option<R> {
        self.root.find_map(&mut ask)
    }

    /// All items, in order of the keys.
    pub(crate) fn iter(&self) -> Iter<'_, E> {
        Iter {
            branches: Vec::new(),
            next: Some(&self.root),
            items: [].iter(),
        }
    }
}

/// Whether `at` lies within `weight`; else takes `weight` off it.
fn passes(at: &mut u64, weight: u64) -> bool {
    match at.checked_sub(weight) {
        Some(rest) => {
            *at = rest;
            false
        }
        None => true,
    }
}

/// Where, in ascending bounds of children, the keys from `low` to `high` may be.
fn span(bounds: &[u32], low: u32, high: u32) -> std::ops::Range<usize> {
    let start = bounds
        .partition_point(|bound| *bound < low)
        .saturating_sub(1);
    let end = bounds.partition_point(|bound| *bound <= high).max(1);
    start..end
}

impl<E: Item> Node<E> {
    fn find_last(&self, low: u32, high: u32, wanted: &mut impl FnMut(&E) -> bool) -> Option<&E> {
        match self {
            Self::Branch(branch) => {
                let children = branch.children.get(span(&branch.keys, low, high))?;
                let mut children = children.iter().rev();
                children.find_map(|child| child.find_last(low, high, wanted))
            }
            Self::Leaf(leaf) => {
                let start = leaf.keys.partition_point(|key| *key < low);
                let equal = leaf
                    .keys
                    .get(start..)?
                    .iter()
                    .take_while(|key| **key <= high);
                let items = leaf.items.get(start..start + equal.count())?;
                items.iter().rfind(|item| wanted(item))
            }
        }
    }

    fn find_map<'a, R>(&'a self, ask: &mut impl FnMut(&'a E) -> Option<R>) -> Option<R> {
        match self {
            Self::Branch(branch) => branch.children.iter().find_map(|node| node.find_map(ask)),
            Self::Leaf(leaf) => leaf.items.iter().find_map(ask),
        }
    }
}

/// The items of a tree in order of the keys.
pub(crate) struct Iter<'a, E: Item> {
    branches: Vec<std::slice::Iter<'a, Node<E>>>,
    next: Option<&'a Node<E>>,
    items: std::slice::Iter<'a, E>,
}

impl<'a, E: Item> Iterator for Iter<'a, E> {
    type Item = &'a E;

    fn next(&mut self) -> Option<&'a E> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(item);
            }
            match self.next.take() {
                Some(Node::Leaf(leaf)) => self.items = leaf.items.iter(),
                Some(Node::Branch(branch)) => self.branches.push(branch.children.iter()),
                None => {
                    self.next = self.branches.last_mut()?.next();
                    if self.next.is_none() {
                        self.branches.pop();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
