//! Numbers and texts in a row of bytes.

/// Most rows of one rule need no more, so they do not grow step by step.
const USUAL: usize = 128;

/// Appends to a row of bytes.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Default for Writer {
    fn default() -> Self {
        Self(Vec::with_capacity(USUAL))
    }
}

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// A number in as few bytes as it needs, seven bits in each.
    pub(super) fn number(&mut self, mut number: u64) {
        while let Some(more) = (number >> 7).checked_sub(1) {
            self.byte((number & 0x7f | 0x80).to_le_bytes()[0]);
            number = more + 1;
        }
        self.byte(number.to_le_bytes()[0]);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.number(u64::try_from(length).unwrap_or(u64::MAX));
    }

    /// Bytes behind their number.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.0.extend_from_slice(text);
    }
}

/// Reads a row of bytes from the front. What is not there reads as nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let mut number = u64::from(first & 0x7f);
        if first & 0x80 == 0 {
            return Some(number);
        }
        let mut shift = 7_u32;
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(super) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }
}

/// The texts that a row consists of.
impl<'a> Iterator for Reader<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [
            0,
            1,
            127,
            128,
            300,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX,
        ];
        let mut writer = Writer::default();
        for number in numbers {
            writer.number(number);
        }
        writer.text(b"abc");
        let mut reader = Reader(&writer.0);
        for number in numbers {
            assert_eq!(reader.number(), Some(number));
        }
        assert_eq!(reader.text(), Some(&b"abc"[..]));
        assert_eq!(reader.text(), None);
    }

    #[test]
    fn a_number_is_short() {
        for (number, bytes) in [(127, 1), (128, 2), (16_383, 2), (16_384, 3)] {
            let mut writer = Writer::default();
            writer.number(number);
            assert_eq!(writer.0.len(), bytes, "{number}");
        }
    }

    #[test]
    fn what_ends_too_early_is_nothing() {
        assert_eq!(Reader(&[0x80]).number(), None);
        assert_eq!(Reader(&[3, 1, 2]).text(), None);
        assert_eq!(Reader(&[0xff; 12]).number(), None);
    }
}
