//! Blocks that we write.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::prop_assert_eq;

use super::super::encode;
use super::{Decoder, decode, hex};

/// The block of one field.
fn field(name: &str, value: &str, sensitive: bool) -> Vec<u8> {
    let mut block = BytesMut::new();
    encode::field(&mut block, name.as_bytes(), value.as_bytes(), sensitive);
    block.to_vec()
}

#[test]
fn fields_are_written_as_in_appendix_c() {
    let path = hex("040c 2f73 616d 706c 652f 7061 7468");
    assert_eq!(field(":path", "/sample/path", false), path, "C.2.2");
    let password = hex("1008 7061 7373 776f 7264 0673 6563 7265 74");
    assert_eq!(field("password", "secret", true), password, "C.2.3");
    assert_eq!(field(":method", "GET", false), hex("82"), "C.2.4");
}

#[test]
fn names_of_the_static_table_are_written_by_their_index() {
    assert_eq!(field(":method", "CONNECT", false), b"\x02\x07CONNECT");
    assert_eq!(field(":authority", "a:1", false), b"\x01\x03a:1");
    // 15 and above do not fit the prefix of four bits: 23 = 15 + 8.
    assert_eq!(field("authorization", "x", true), b"\x1F\x08\x01x");
    assert_eq!(field("www-authenticate", "x", false), b"\x0F\x2E\x01x");
}

#[test]
fn fields_of_the_static_table_are_one_byte_unless_they_are_sensitive() {
    assert_eq!(field(":scheme", "https", false), [0x87]);
    assert_eq!(field("accept-encoding", "gzip, deflate", false), [0x90]);
    assert_eq!(field("www-authenticate", "", false), [0xBD]);
    assert_eq!(
        field("accept-encoding", "gzip, deflate", true),
        b"\x1F\x01\x0Dgzip, deflate"
    );
}

#[test]
fn a_status_is_three_digits() {
    let status = |status| {
        let mut block = BytesMut::new();
        encode::status(&mut block, status);
        block.to_vec()
    };
    let indexed = [
        (200, 8),
        (204, 9),
        (206, 10),
        (304, 11),
        (400, 12),
        (404, 13),
        (500, 14),
    ];
    for (code, index) in indexed {
        assert_eq!(status(code), [0x80 | index], "{code}");
    }
    assert_eq!(status(503), b"\x08\x03503");
    assert_eq!(status(100), b"\x08\x03100");
    assert_eq!(status(999), b"\x08\x03999");
}

#[test]
fn the_size_update_to_zero_frees_the_table() {
    let mut decoder = Decoder::new();
    decode(&mut decoder, b"\x40\x01a\x01b").unwrap();
    decoder.set_limit(0);
    let mut block = BytesMut::new();
    encode::size_update_zero(&mut block);
    encode::status(&mut block, 200);
    assert_eq!(block, [0x20, 0x88][..]);
    assert!(decode(&mut decoder, &block).is_ok());
    assert!(decode(&mut decoder, &[0xBE]).is_err());
}

#[test]
fn a_long_value_has_a_long_length() {
    let value = "v".repeat(127 + 128);
    let block = field("n", &value, false);
    assert_eq!(block[..6], *b"\0\x01n\x7F\x80\x01");
    assert_eq!(block.len(), 6 + value.len());
    assert_eq!(field("n", &value[..126], false)[3], 126);
    assert_eq!(field("n", &value[..127], false)[3..5], [0x7F, 0]);
}

proptest::proptest! {
    #[test]
    fn what_we_write_is_decoded(
        fields in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..400), any::<bool>()), 0..10),
        known in vec((1_usize..=61, proptest::option::of(vec(any::<u8>(), 0..9)), any::<bool>()), 0..10),
    ) {
        let known = known.into_iter().map(|(index, other, sensitive)| {
            let (name, value) = super::super::static_table::get(index).unwrap();
            (name.to_vec(), other.unwrap_or_else(|| value.to_vec()), sensitive)
        });
        let fields: Vec<_> = fields.into_iter().chain(known).collect();
        let mut block = BytesMut::new();
        for (name, value, sensitive) in &fields {
            encode::field(&mut block, name, value, *sensitive);
        }
        let mut decoder = Decoder::new();
        decoder.set_limit(0);
        let mut with_update = BytesMut::new();
        encode::size_update_zero(&mut with_update);
        with_update.unsplit(block);
        let decoded = decode(&mut decoder, &with_update);
        let expected: Vec<_> = fields.into_iter().map(|(name, value, _)| (name, value)).collect();
        prop_assert_eq!(decoded, Ok(expected));
    }
}
