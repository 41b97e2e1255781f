//! Changes to a tree.

use std::sync::Arc;

use super::{BRANCH, Branch, Item, LEAF, Leaf, Node, SMALL, Sum, Tree, span};

/// The right half of a node that was split, with its lowest key and its sum.
type Split<E> = (u32, Node<E>, <E as Item>::Sum);

impl<E: Item> Tree<E> {
    /// Inserts an item behind those with the same key.
    pub(crate) fn insert(&mut self, key: u32, item: E) {
        self.len += 1;
        self.sum = self.sum.plus(item.sum());
        if let Some((bound, right, sum)) = self.root.insert(key, item) {
            let left = self.root.clone();
            self.root = Node::Branch(Arc::new(Branch {
                keys: vec![0, bound],
                sums: vec![self.sum.minus(sum), sum],
                children: vec![left, right],
            }));
        }
    }

    /// Removes the first item with a key that is wanted.
    pub(crate) fn remove(&mut self, key: u32, wanted: impl FnMut(&E) -> bool) -> Option<E> {
        let path = self.locate(key, wanted)?;
        let removed = self.root.remove(&path)?;
        self.len -= 1;
        self.sum = self.sum.minus(removed.sum());
        if self.len == 0 {
            *self = Self::default();
        }
        while let Node::Branch(branch) = &self.root
            && let [only] = branch.children.as_slice()
        {
            self.root = only.clone();
        }
        Some(removed)
    }

    /// Changes the first item with a key that is wanted; `None` when there is none.
    pub(crate) fn update<R>(
        &mut self,
        key: u32,
        wanted: impl FnMut(&E) -> bool,
        change: impl FnOnce(&mut E) -> R,
    ) -> Option<R> {
        let path = self.locate(key, wanted)?;
        let mut answer = None;
        let change = |item: &mut E| answer = Some(change(item));
        let (before, after) = self.root.update(&path, change)?;
        self.sum = self.sum.minus(before).plus(after);
        answer
    }

    /// The way to the first item with a key that is wanted: child by child, then the place in the
    /// leaf. Found before anything is copied.
    fn locate(&self, key: u32, mut wanted: impl FnMut(&E) -> bool) -> Option<Vec<usize>> {
        let mut path = Vec::with_capacity(8);
        self.root
            .locate(key, &mut wanted, &mut path)
            .then_some(path)
    }
}

impl<E: Item> Node<E> {
    fn insert(&mut self, key: u32, item: E) -> Option<Split<E>> {
        match self {
            Self::Leaf(leaf) => Arc::make_mut(leaf).insert(key, item),
            Self::Branch(branch) => Arc::make_mut(branch).insert(key, item),
        }
    }

    fn locate(&self, key: u32, wanted: &mut impl FnMut(&E) -> bool, path: &mut Vec<usize>) -> bool {
        let depth = path.len();
        match self {
            Self::Leaf(leaf) => {
                let start = leaf.keys.partition_point(|other| *other < key);
                let equal = leaf.keys.iter().zip(&leaf.items).enumerate().skip(start);
                let mut equal = equal.take_while(|(_, (other, _))| **other == key);
                let found = equal.find(|(_, (_, item))| wanted(item));
                path.extend(found.map(|(at, _)| at));
                path.len() > depth
            }
            Self::Branch(branch) => span(&branch.keys, key, key).any(|at| {
                path.truncate(depth);
                path.push(at);
                let child = branch.children.get(at);
                child.is_some_and(|child| child.locate(key, wanted, path))
            }),
        }
    }

    fn remove(&mut self, path: &[usize]) -> Option<E> {
        let (at, rest) = path.split_first()?;
        match self {
            Self::Leaf(leaf) => {
                let leaf = Arc::make_mut(leaf);
                leaf.keys.remove(*at);
                Some(leaf.items.remove(*at))
            }
            Self::Branch(branch) => {
                let branch = Arc::make_mut(branch);
                let child = branch.children.get_mut(*at)?;
                let removed = child.remove(rest)?;
                let size = child.size();
                if let Some(sum) = branch.sums.get_mut(*at) {
                    *sum = sum.minus(removed.sum());
                }
                if size <= SMALL {
                    branch.tidy(*at);
                }
                Some(removed)
            }
        }
    }

    fn update(&mut self, path: &[usize], change: impl FnOnce(&mut E)) -> Option<(E::Sum, E::Sum)> {
        let (at, rest) = path.split_first()?;
        match self {
            Self::Leaf(leaf) => {
                let item = Arc::make_mut(leaf).items.get_mut(*at)?;
                let before = item.sum();
                change(item);
                Some((before, item.sum()))
            }
            Self::Branch(branch) => {
                let branch = Arc::make_mut(branch);
                let child = branch.children.get_mut(*at)?;
                let (before, after) = child.update(rest, change)?;
                let sum = branch.sums.get_mut(*at)?;
                *sum = sum.minus(before).plus(after);
                Some((before, after))
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.items.len(),
            Self::Branch(branch) => branch.children.len(),
        }
    }

    /// Appends all of `right`, which is of the same height.
    fn append(&mut self, bound: u32, right: &Self) {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => {
                let left = Arc::make_mut(left);
                left.keys.extend_from_slice(&right.keys);
                left.items.extend_from_slice(&right.items);
            }
            (Self::Branch(left), Self::Branch(right)) => {
                let left = Arc::make_mut(left);
                left.keys.push(bound);
                left.keys.extend(right.keys.iter().skip(1));
                left.sums.extend_from_slice(&right.sums);
                left.children.extend_from_slice(&right.children);
            }
            _ => {}
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Leaf(_) => LEAF,
            Self::Branch(_) => BRANCH,
        }
    }
}

/// Makes room for one more without the doubling of `Vec`: most leaves stay as they are for long.
fn grow<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() {
        items.reserve_exact(if items.len() < 4 { 1 } else { 4 });
    }
}

impl<E: Item> Leaf<E> {
    fn insert(&mut self, key: u32, item: E) -> Option<Split<E>> {
        let at = self.keys.partition_point(|other| *other <= key);
        grow(&mut self.keys);
        grow(&mut self.items);
        self.keys.insert(at, key);
        self.items.insert(at, item);
        if self.items.len() <= LEAF {
            return None;
        }
        let half = self.items.len() / 2;
        let right = Self {
            keys: self.keys.split_off(half),
            items: self.items.split_off(half),
        };
        self.keys.shrink_to_fit();
        self.items.shrink_to_fit();
        let bound = right.keys.first().copied().unwrap_or(key);
        let sums = right.items.iter().map(Item::sum);
        let sum = sums.fold(E::Sum::default(), Sum::plus);
        Some((bound, Node::Leaf(Arc::new(right)), sum))
    }
}

impl<E: Item> Branch<E> {
    fn insert(&mut self, key: u32, item: E) -> Option<Split<E>> {
        let at = self
            .keys
            .partition_point(|bound| *bound <= key)
            .saturating_sub(1);
        let (child, sum) = (self.children.get_mut(at)?, self.sums.get_mut(at)?);
        *sum = sum.plus(item.sum());
        let (bound, right, right_sum) = child.insert(key, item)?;
        *sum = sum.minus(right_sum);
        self.keys.insert(at + 1, bound);
        self.sums.insert(at + 1, right_sum);
        self.children.insert(at + 1, right);
        if self.children.len() <= BRANCH {
            return None;
        }
        let half = self.children.len() / 2;
        let right = Self {
            keys: self.keys.split_off(half),
            sums: self.sums.split_off(half),
            children: self.children.split_off(half),
        };
        let bound = right.keys.first().copied().unwrap_or(bound);
        let sum = right
            .sums
            .iter()
            .copied()
            .fold(E::Sum::default(), Sum::plus);
        Some((bound, Node::Branch(Arc::new(right)), sum))
    }

    /// Removes the child at `at` when it is empty, or merges it with a neighbour when both fit.
    fn tidy(&mut self, at: usize) {
        if self.children.get(at).is_some_and(|child| child.size() == 0) {
            self.keys.remove(at);
            self.sums.remove(at);
            self.children.remove(at);
            return;
        }
        let fits = |left: &usize| match self.children.get(*left..).unwrap_or_default() {
            // Not filled to the brim, so that the next insertion does not split it again.
            [a, b, ..] => a.size() + b.size() <= a.capacity() - a.capacity() / 8,
            _ => false,
        };
        let neighbours = [Some(at), at.checked_sub(1)];
        let Some(left) = neighbours.into_iter().flatten().find(fits) else {
            return;
        };
        let bound = self.keys.remove(left + 1);
        let sum = self.sums.remove(left + 1);
        let right = self.children.remove(left + 1);
        if let (Some(node), Some(total)) = (self.children.get_mut(left), self.sums.get_mut(left)) {
            node.append(bound, &right);
            *total = total.plus(sum);
        }
    }
}
