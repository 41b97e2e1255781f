//! Blocks that RFC 7541 refuses.

use super::super::huffman;
use super::{DecodeError, Decoder, decode};

/// What a fresh decoder says.
fn refusal(block: &[u8]) -> Result<(), DecodeError> {
    Decoder::new().decode(block, |_, _| ())
}

#[test]
fn a_block_that_ends_inside_of_a_field_is_refused() {
    let cases: [(&str, &[u8]); 8] = [
        ("an index", &[0xFF]),
        ("a longer index", &[0xFF, 0x80]),
        ("a size update", &[0x3F]),
        ("no name", &[0x40]),
        ("the length of a name", &[0x40, 0x7F]),
        ("a name", &[0x40, 2, b'a']),
        ("no value", &[0x41]),
        ("a coded value", &[0x41, 0x82, 0x18]),
    ];
    for (name, block) in cases {
        assert_eq!(refusal(block), Err(DecodeError::Truncated), "{name}");
    }
}

#[test]
fn an_integer_that_is_too_large_is_refused() {
    let cases: [(&str, &[u8]); 6] = [
        ("index 2^28 + 1", &[0xFF, 0x82, 0xFF, 0xFF, 0x7F]),
        ("five bytes", &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
        (
            "six bytes of nothing",
            &[0xFF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
        ),
        ("a length", &[0x41, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
        ("a size update", &[0x3F, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
        ("without an end", &[0xFF; 100]),
    ];
    for (name, block) in cases {
        assert_eq!(refusal(block), Err(DecodeError::IntegerTooLarge), "{name}");
    }
    // 2^28 itself is an integer, and no index.
    let largest = [0xFF, 0x81, 0xFF, 0xFF, 0x7F];
    assert_eq!(refusal(&largest), Err(DecodeError::NoSuchIndex));
    // Zeros behind an integer say nothing: RFC 7541 §5.1 asks for a bound only.
    assert_eq!(
        refusal(&[0x41, 0x7F, 0x80, 0x80, 0x00]),
        Err(DecodeError::Truncated)
    );
}

#[test]
fn an_index_of_no_table_is_refused() {
    let cases: [(&str, &[u8]); 6] = [
        ("zero", &[0x80]),
        ("behind the static table", &[0xBE]),
        ("behind the dynamic table", &[0x41, 1, b'a', 0xBE, 0xBF]),
        ("the name of an indexed literal", &[0x7E, 1, b'a']),
        ("the name of a literal", &[0x0F, 0x2F, 1, b'a']),
        (
            "the name of a literal never indexed",
            &[0x1F, 0x2F, 1, b'a'],
        ),
    ];
    for (name, block) in cases {
        assert_eq!(refusal(block), Err(DecodeError::NoSuchIndex), "{name}");
    }
}

#[test]
fn a_size_update_behind_a_field_is_refused() {
    assert_eq!(
        refusal(&[0x82, 0x20]),
        Err(DecodeError::SizeUpdateMisplaced)
    );
    assert_eq!(
        refusal(&[0x20, 0x82, 0x20]),
        Err(DecodeError::SizeUpdateMisplaced)
    );
}

#[test]
fn a_size_update_above_the_limit_is_refused() {
    // 4097 = 31 + 98 + 31 * 128
    assert_eq!(
        refusal(&[0x3F, 0xE2, 0x1F]),
        Err(DecodeError::SizeUpdateTooLarge)
    );
    assert_eq!(refusal(&[0x3F, 0xE1, 0x1F]), Ok(()));
}

#[test]
fn the_end_of_string_symbol_is_refused() {
    let cases: [(&str, &[u8]); 4] = [
        ("alone", &[0xFF, 0xFF, 0xFF, 0xFF]),
        ("behind a symbol", &[0x07, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("in front of a symbol", &[0xFF, 0xFF, 0xFF, 0xFC, 0x3F]),
        (
            "behind more than a word",
            &[0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF],
        ),
    ];
    for (name, coded) in cases {
        let decoded = huffman::decode(coded, &mut Vec::new());
        assert_eq!(decoded, Err(DecodeError::EndOfString), "{name}");
    }
    assert_eq!(
        refusal(&[0x41, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]),
        Err(DecodeError::EndOfString)
    );
}

#[test]
fn padding_that_is_too_long_or_not_all_ones_is_refused() {
    let cases: [(&str, &[u8]); 7] = [
        ("eight ones", &[0xFF]),
        ("a symbol and eleven ones", &[0x07, 0xFF]),
        // "'" is 11111111010.
        ("29 ones", &[0xFF, 0b0101_1111, 0xFF, 0xFF, 0xFF]),
        // "0" is 00000.
        ("zeros", &[0x00]),
        ("ones and a zero", &[0b0000_0110]),
        // "0", and 11111111110 of a longer code.
        ("a symbol without its end", &[0b0000_0111, 0b1111_1110]),
        ("a long symbol without its end", &[0xFF, 0xFF, 0xFE]),
    ];
    for (name, coded) in cases {
        let decoded = huffman::decode(coded, &mut Vec::new());
        assert_eq!(decoded, Err(DecodeError::Padding), "{name}");
    }
    assert_eq!(refusal(&[0x41, 0x81, 0x00]), Err(DecodeError::Padding));
}

#[test]
fn padding_of_up_to_seven_ones_is_none_of_the_string() {
    let cases: [(&[u8], &str); 4] = [
        (&[], ""),
        (&[0b0000_0111], "0"),
        // "&" fills its byte.
        (&[0b1111_1000], "&"),
        // "0" and "&" and "!": 5 + 8 + 10 bits.
        (&[0b0000_0111, 0b1100_0111, 0b1111_0001], "0&!"),
    ];
    for (coded, text) in cases {
        let mut decoded = b"what was here before".to_vec();
        assert_eq!(huffman::decode(coded, &mut decoded), Ok(()), "{text}");
        assert_eq!(decoded, text.as_bytes(), "{text}");
    }
}

#[test]
fn fields_in_front_of_an_error_are_passed_on() {
    let mut methods = 0;
    let refused = Decoder::new().decode(&[0x82, 0x82, 0x80], |name, _| {
        assert_eq!(name, b":method");
        methods += 1;
    });
    assert_eq!((refused, methods), (Err(DecodeError::NoSuchIndex), 2));
}

#[test]
fn an_empty_string_is_a_string() {
    let fields = decode(&mut Decoder::new(), &[0x00, 0x00, 0x80]);
    assert_eq!(fields, Ok(vec![(vec![], vec![])]));
}
