//! The size of the dynamic table and the setting that bounds it (RFC 7541 §4.2 to §4.4).

use super::{DecodeError, Decoder, decode, owned};

/// `custom: value`, to be indexed: 43 bytes of the table.
const CUSTOM: &[u8] = b"\x40\x06custom\x05value";

/// A decoder whose table has `custom: value` in it.
fn with_entry() -> Decoder {
    let mut decoder = Decoder::new();
    assert_eq!(
        decode(&mut decoder, CUSTOM),
        Ok(owned(&[("custom", "value")]))
    );
    decoder
}

#[test]
fn a_decoder_is_small() {
    assert!(size_of::<Decoder>() <= size_of::<[usize; 8]>());
}

#[test]
fn a_lowered_limit_asks_for_a_size_update() {
    let mut decoder = Decoder::new();
    decoder.set_limit(100);
    assert_eq!(
        decode(&mut decoder, &[0x82]),
        Err(DecodeError::SizeUpdateMissing)
    );

    let mut decoder = Decoder::new();
    decoder.set_limit(100);
    assert_eq!(
        decode(&mut decoder, &[]),
        Err(DecodeError::SizeUpdateMissing)
    );

    // 101 = 31 + 70
    let mut decoder = Decoder::new();
    decoder.set_limit(100);
    assert_eq!(
        decode(&mut decoder, &[0x3F, 70]),
        Err(DecodeError::SizeUpdateTooLarge)
    );

    let mut decoder = Decoder::new();
    decoder.set_limit(100);
    assert!(decode(&mut decoder, &[0x3F, 69, 0x82]).is_ok());
    assert!(decode(&mut decoder, &[0x82]).is_ok(), "once is enough");
}

#[test]
fn the_smallest_of_several_limits_is_to_be_followed() {
    let lowered_and_raised = || {
        let mut decoder = with_entry();
        decoder.set_limit(0);
        decoder.set_limit(4096);
        decoder
    };
    let refused = decode(&mut lowered_and_raised(), &[0x82]);
    assert_eq!(refused, Err(DecodeError::SizeUpdateMissing));
    let refused = decode(&mut lowered_and_raised(), &[0x3F, 0xE1, 0x1F, 0x82]);
    assert_eq!(refused, Err(DecodeError::SizeUpdateTooLarge));

    let mut decoder = lowered_and_raised();
    assert!(decode(&mut decoder, &[0x20, 0x3F, 0xE1, 0x1F, 0x82]).is_ok());
    assert_eq!(
        decode(&mut decoder, &[0xBE]),
        Err(DecodeError::NoSuchIndex),
        "evicted"
    );
}

#[test]
fn a_limit_that_the_table_keeps_anyway_asks_for_nothing() {
    // The peer does without a table, and may take one again when there is room.
    let mut decoder = with_entry();
    assert!(decode(&mut decoder, &[0x20]).is_ok());
    decoder.set_limit(0);
    decoder.set_limit(4096);
    assert!(decode(&mut decoder, &[0x3F, 0xE1, 0x1F, 0x82]).is_ok());
    assert!(decode(&mut decoder, CUSTOM).is_ok());
    assert_eq!(
        decode(&mut decoder, &[0xBE]),
        Ok(owned(&[("custom", "value")]))
    );
}

#[test]
fn a_raised_limit_changes_nothing_by_itself() {
    let mut decoder = with_entry();
    decoder.set_limit(8192);
    assert!(decode(&mut decoder, &[0xBE]).is_ok());
    // 8192 = 31 + 97 + 63 * 128, and 8193.
    assert!(decode(&mut decoder, &[0x3F, 0xE1, 0x3F, 0xBE]).is_ok());
    let above = decode(&mut decoder, &[0x3F, 0xE2, 0x3F]);
    assert_eq!(above, Err(DecodeError::SizeUpdateTooLarge));
}

#[test]
fn a_smaller_table_keeps_the_newest() {
    let mut decoder = with_entry();
    assert!(decode(&mut decoder, b"\x40\x03new\x05value").is_ok());
    // 40 bytes is what the second one counts: 31 + 9.
    assert_eq!(
        decode(&mut decoder, &[0x3F, 9, 0xBE]),
        Ok(owned(&[("new", "value")]))
    );
    assert_eq!(decode(&mut decoder, &[0xBF]), Err(DecodeError::NoSuchIndex));

    let mut decoder = with_entry();
    assert!(decode(&mut decoder, &[0x3F, 8]).is_ok());
    assert_eq!(decode(&mut decoder, &[0xBE]), Err(DecodeError::NoSuchIndex));
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = with_entry();
    // 43 bytes of table: 31 + 12.
    assert!(decode(&mut decoder, &[0x3F, 12, 0xBE]).is_ok());
    let larger = owned(&[("custom", "values")]);
    assert_eq!(
        decode(&mut decoder, b"\x40\x06custom\x06values"),
        Ok(larger)
    );
    assert_eq!(decode(&mut decoder, &[0xBE]), Err(DecodeError::NoSuchIndex));
}

#[test]
fn a_new_entry_may_have_the_name_of_the_one_that_it_evicts() {
    let mut decoder = with_entry();
    assert!(decode(&mut decoder, &[0x3F, 12]).is_ok());
    let renewed = owned(&[("custom", "again"), ("custom", "again")]);
    assert_eq!(decode(&mut decoder, b"\x7E\x05again\xBE"), Ok(renewed));
}

#[test]
fn equal_entries_stand_side_by_side() {
    let mut decoder = with_entry();
    assert!(decode(&mut decoder, CUSTOM).is_ok());
    let twice = owned(&[("custom", "value"), ("custom", "value")]);
    assert_eq!(decode(&mut decoder, &[0xBE, 0xBF]), Ok(twice));
}
