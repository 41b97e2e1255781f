//! A list of values in bytes, in order.

use std::cmp::Ordering;

use super::bytes::{Reader, Writer};

/// A list with more values than this has a table of where they are, and is searched by halves.
const SHORT: usize = 8;

/// A list of values in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    count: usize,
    /// Where each value ends, four bytes each; none for a short list.
    ends: &'a [u8],
    values: &'a [u8],
}

impl<'a> List<'a> {
    pub(super) fn write<V: AsRef<[u8]>>(writer: &mut Writer, values: &[V]) {
        writer.length(values.len());
        if values.len() <= SHORT {
            values.iter().for_each(|value| writer.text(value.as_ref()));
            return;
        }
        let mut end = 0_u32;
        for value in values {
            // The limits of policies keep it far below.
            end = end.saturating_add(u32::try_from(value.as_ref().len()).unwrap_or(u32::MAX));
            writer.0.extend_from_slice(&end.to_le_bytes());
        }
        writer.length(usize::try_from(end).unwrap_or(usize::MAX));
        for value in values {
            writer.0.extend_from_slice(value.as_ref());
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let count = reader.length()?;
        if count > SHORT {
            return Self::read_long(reader, count);
        }
        let mut rest = *reader;
        for _ in 0..count {
            rest.text()?;
        }
        let bytes = reader.0.len().checked_sub(rest.0.len())?;
        let values = reader.take(bytes)?;
        Some(Self {
            count,
            ends: &[],
            values,
        })
    }

    fn read_long(reader: &mut Reader<'a>, count: usize) -> Option<Self> {
        Some(Self {
            count,
            ends: reader.take(count.checked_mul(4)?)?,
            values: reader.text()?,
        })
    }

    /// The same as [`read`](Self::read) and [`any`](Self::any) at once, so that a short list is gone
    /// through only once; the reader is behind the list when no value fits.
    pub(super) fn read_any(
        reader: &mut Reader<'a>,
        order: impl Fn(&[u8]) -> Ordering,
        fits: impl Fn(&[u8]) -> bool,
    ) -> bool {
        let count = reader.length().unwrap_or_default();
        if count <= SHORT {
            return (0..count).any(|_| reader.text().is_some_and(&fits));
        }
        let list = Self::read_long(reader, count);
        list.is_some_and(|list| list.any(order, fits))
    }

    fn is_short(&self) -> bool {
        self.count <= SHORT
    }

    /// The value at a place of a list that is not short.
    fn at(&self, place: usize) -> Option<&'a [u8]> {
        let end = |place: usize| {
            let four = self.ends.chunks_exact(4).nth(place)?;
            usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
        };
        let start = match place.checked_sub(1) {
            Some(before) => end(before)?,
            None => 0,
        };
        self.values.get(start..end(place)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let short = self.is_short().then_some(Reader(self.values));
        let list = *self;
        let long = (0..if short.is_some() { 0 } else { self.count })
            .filter_map(move |place| list.at(place));
        short.into_iter().flatten().chain(long)
    }

    /// The last value that is not behind what is looked for.
    fn last_not_behind(&self, order: impl Fn(&[u8]) -> Ordering) -> Option<&'a [u8]> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if order(self.at(middle)?) == Ordering::Greater {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.at(low.checked_sub(1)?)
    }

    /// Whether a value fits, which only the last can that `order` does not put behind what is
    /// looked for.
    pub(super) fn any(
        &self,
        order: impl Fn(&[u8]) -> Ordering,
        fits: impl Fn(&[u8]) -> bool,
    ) -> bool {
        if self.is_short() {
            return Reader(self.values).any(fits);
        }
        self.last_not_behind(order).is_some_and(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_lists_find_the_same() {
        for count in [0_u32, 1, 8, 9, 300] {
            let values: Vec<_> = (0..count).map(|at| format!("v{:04}", at * 2)).collect();
            let mut writer = Writer::default();
            List::write(&mut writer, &values);
            writer.byte(7);
            let mut reader = Reader(&writer.0);
            let list = List::read(&mut reader).unwrap();
            assert_eq!(reader.0, [7]);
            let read: Vec<_> = list
                .iter()
                .map(|v| String::from_utf8(v.into()).unwrap())
                .collect();
            assert_eq!(read, values);
            for at in 0..count * 2 + 2 {
                let wanted = format!("v{at:04}");
                let wanted = wanted.as_bytes();
                let found = list.any(|value| value.cmp(wanted), |value| value == wanted);
                assert_eq!(found, at % 2 == 0 && at < count * 2, "{at} of {count}");
                let mut reader = Reader(&writer.0);
                let order = |value: &[u8]| value.cmp(wanted);
                let again = List::read_any(&mut reader, order, |value| value == wanted);
                assert_eq!(again, found);
                assert!(again || reader.0 == [7]);
            }
        }
    }
}
