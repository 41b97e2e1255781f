//! A list that is most often short.

use std::sync::Arc;

use super::packed::Packed;

/// As many stand in the list itself, so that they are read together with what is around it.
const INLINE: usize = 7;

/// Probes in order.
#[derive(Clone)]
pub(super) enum Short {
    Here([Packed; INLINE], u8),
    There(Arc<[Packed]>),
}

impl Default for Short {
    fn default() -> Self {
        Self::Here([Packed::default(); INLINE], 0)
    }
}

impl Short {
    pub(super) fn as_slice(&self) -> &[Packed] {
        match self {
            Self::Here(all, count) => all.get(..usize::from(*count)).unwrap_or_default(),
            Self::There(all) => all,
        }
    }

    pub(super) fn insert(&mut self, at: usize, new: Packed) {
        let mut all = self.as_slice().to_vec();
        all.insert(at.min(all.len()), new);
        *self = Self::of(&all);
    }

    pub(super) fn remove(&mut self, at: usize) {
        let mut all = self.as_slice().to_vec();
        if at < all.len() {
            all.remove(at);
            *self = Self::of(&all);
        }
    }

    fn of(all: &[Packed]) -> Self {
        let mut here = [Packed::default(); INLINE];
        match (here.get_mut(..all.len()), u8::try_from(all.len())) {
            (Some(free), Ok(count)) => {
                free.copy_from_slice(all);
                Self::Here(here, count)
            }
            _ => Self::There(all.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::FieldCode;
    use super::*;
    use crate::index::probe::Part;
    use crate::policy::Dimension;

    #[test]
    fn short_and_long_lists_are_alike() {
        let path = FieldCode::new(Dimension::Path);
        let all: Vec<_> = (0..20)
            .map(|at| Packed::new(path, Part::First(at)))
            .collect();
        let mut list = Short::default();
        for (at, one) in all.iter().enumerate() {
            assert_eq!(list.as_slice(), &all[..at]);
            list.insert(at, *one);
        }
        for left in (0..all.len()).rev() {
            list.remove(0);
            assert_eq!(list.as_slice(), &all[all.len() - left..]);
        }
        list.remove(0);
        assert!(list.as_slice().is_empty());
    }
}
