//! Blocks of any encoder, and bytes of none.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::prop_assert_eq;

use super::super::huffman;
use super::encoder::{self, Choice, Encoder, Form};
use super::{DecodeError, Decoder, Field, decode};

/// A block of a connection, and what becomes of the table in front of it.
#[derive(Clone, Debug)]
struct Block {
    /// Limits that are acknowledged in front of it.
    limits: Vec<usize>,
    /// A size that the encoder chooses, cut to the limit.
    size: Option<usize>,
    fields: Vec<(Field, Choice)>,
}

/// Few names and values, so that they meet again, and some of any bytes.
fn field() -> impl Strategy<Value = Field> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec![":method", ":path", "via", "baggage", "traceparent"])
            .prop_map(|name| name.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ];
    let value = prop_oneof![
        4 => proptest::sample::select(vec!["GET", "/", "", "some-value", "Of other letters: {~}"])
            .prop_map(|value| value.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..150),
    ];
    (name, value)
}

fn choice() -> impl Strategy<Value = Choice> {
    let form = prop_oneof![
        4 => Just(Form::Index),
        2 => Just(Form::Add),
        1 => Just(Form::Without),
        1 => Just(Form::Never),
    ];
    (form, any::<[bool; 3]>()).prop_map(|(form, [name_by_index, huffman_name, huffman_value])| {
        Choice {
            form,
            name_by_index,
            huffman_name,
            huffman_value,
        }
    })
}

fn block() -> impl Strategy<Value = Block> {
    let limits = prop_oneof![4 => Just(vec![]), 1 => vec(0_usize..5000, 1..4)];
    let size = proptest::option::weighted(0.2, 0_usize..5000);
    (limits, size, vec((field(), choice()), 0..20)).prop_map(|(limits, size, fields)| Block {
        limits,
        size,
        fields,
    })
}

/// What a correct encoder writes for each block, each decoded before the next.
fn exchange(blocks: &[Block]) -> Result<(), DecodeError> {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let (mut limit, mut size) = (4096, 4096);
    for block in blocks {
        let mut bytes = Vec::new();
        for new in &block.limits {
            decoder.set_limit(*new);
        }
        let smallest = block.limits.iter().copied().min().unwrap_or(limit);
        limit = block.limits.last().copied().unwrap_or(limit);
        if smallest < size {
            size = smallest;
            encoder.size_update(&mut bytes, size);
        }
        if let Some(new) = block.size {
            size = new.min(limit);
            encoder.size_update(&mut bytes, size);
        }
        for (field, choice) in &block.fields {
            encoder.field(&mut bytes, field, choice);
        }
        let expected: Vec<Field> = block
            .fields
            .iter()
            .map(|(field, _)| field.clone())
            .collect();
        assert_eq!(decode(&mut decoder, &bytes)?, expected);
    }
    Ok(())
}

#[test]
fn every_symbol_has_its_code() {
    for symbol in 0..=u8::MAX {
        let mut text = Vec::new();
        let coded = encoder::huffman(&[symbol]);
        assert_eq!(huffman::decode(&coded, &mut text), Ok(()), "{symbol}");
        assert_eq!(text, [symbol]);
    }
    let all: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
    let mut text = Vec::new();
    assert_eq!(huffman::decode(&encoder::huffman(&all), &mut text), Ok(()));
    assert_eq!(text, all);
}

proptest::proptest! {
    #[test]
    fn what_an_encoder_writes_is_decoded(blocks in vec(block(), 1..12)) {
        prop_assert_eq!(exchange(&blocks), Ok(()));
    }

    #[test]
    fn what_is_coded_is_decoded(text in vec(any::<u8>(), 0..400)) {
        let mut decoded = Vec::new();
        prop_assert_eq!(huffman::decode(&encoder::huffman(&text), &mut decoded), Ok(()));
        prop_assert_eq!(decoded, text);
    }

    #[test]
    fn a_coded_string_has_one_form_only(coded in vec(any::<u8>(), 0..40)) {
        let mut text = Vec::new();
        if huffman::decode(&coded, &mut text).is_ok() {
            proptest::prop_assert!(text.len() <= coded.len() * 8 / 5);
            prop_assert_eq!(encoder::huffman(&text), coded);
        }
    }

    #[test]
    fn decoding_is_total(
        blocks in vec(vec(any::<u8>(), 0..400), 1..5),
        limit in proptest::option::of(0_usize..10_000),
    ) {
        let mut decoder = Decoder::new();
        for block in blocks {
            if let Some(limit) = limit {
                decoder.set_limit(limit);
            }
            let mut fields = 0;
            let _ = decoder.decode(&block, |_, _| fields += 1);
            proptest::prop_assert!(fields <= block.len());
        }
    }

    #[test]
    fn damaged_blocks_do_not_panic(
        fields in vec((field(), choice()), 1..20),
        damages in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let mut block = Vec::new();
        for (field, choice) in &fields {
            encoder.field(&mut block, field, choice);
        }
        for (at, byte) in damages {
            let at = at.index(block.len());
            block[at] = byte;
        }
        let _ = decoder.decode(&block, |_, _| ());
        let _ = decoder.decode(&block, |_, _| ());
    }
}
