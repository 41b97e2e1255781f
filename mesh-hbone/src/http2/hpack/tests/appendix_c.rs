//! The examples of RFC 7541 Appendix C.

use super::super::reader::Reader;
use super::{Decoder, decode, hex, owned};

type Fields = &'static [(&'static str, &'static str)];

/// A block, its fields, and the dynamic table after it.
struct Example {
    section: &'static str,
    block: &'static str,
    fields: Fields,
    table: Fields,
}

const AUTHORITY: (&str, &str) = (":authority", "www.example.com");
const NO_CACHE: (&str, &str) = ("cache-control", "no-cache");
const CUSTOM: (&str, &str) = ("custom-key", "custom-value");
const PRIVATE: (&str, &str) = ("cache-control", "private");
const DATE_21: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const DATE_22: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const COOKIE: (&str, &str) = (
    "set-cookie",
    "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
);

/// Fields of C.3 and C.4, and the table after them.
const REQUESTS: [(Fields, Fields); 3] = [
    (
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            AUTHORITY,
        ],
        &[AUTHORITY],
    ),
    (
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            AUTHORITY,
            NO_CACHE,
        ],
        &[NO_CACHE, AUTHORITY],
    ),
    (
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            AUTHORITY,
            CUSTOM,
        ],
        &[CUSTOM, NO_CACHE, AUTHORITY],
    ),
];

/// Fields of C.5 and C.6, and the table after them.
const RESPONSES: [(Fields, Fields); 3] = [
    (
        &[(":status", "302"), PRIVATE, DATE_21, LOCATION],
        &[LOCATION, DATE_21, PRIVATE, (":status", "302")],
    ),
    (
        &[(":status", "307"), PRIVATE, DATE_21, LOCATION],
        &[(":status", "307"), LOCATION, DATE_21, PRIVATE],
    ),
    (
        &[(":status", "200"), PRIVATE, DATE_22, LOCATION, GZIP, COOKIE],
        &[COOKIE, GZIP, DATE_22],
    ),
];

/// Decodes the blocks of one connection in order.
fn check(mut decoder: Decoder, examples: &[Example]) {
    for example in examples {
        let section = example.section;
        let fields = decode(&mut decoder, &hex(example.block));
        assert_eq!(fields, Ok(owned(example.fields)), "{section}");
        // Each entry by its index, and nothing behind the last.
        let indices: Vec<u8> = (0xBE..).take(example.table.len()).collect();
        assert_eq!(
            decode(&mut decoder, &indices),
            Ok(owned(example.table)),
            "{section}"
        );
        let behind = 0xBE + u8::try_from(example.table.len()).unwrap();
        assert!(decode(&mut decoder, &[behind]).is_err(), "{section}");
    }
}

fn sequence(
    blocks: [(&'static str, &'static str); 3],
    fields: &[(Fields, Fields); 3],
) -> Vec<Example> {
    let pairs = blocks.into_iter().zip(fields);
    pairs
        .map(|((section, block), (fields, table))| Example {
            section,
            block,
            fields,
            table,
        })
        .collect()
}

/// With the size of table that C.5 and C.6 have, 256 bytes.
fn small() -> Decoder {
    let mut decoder = Decoder::new();
    decoder.set_limit(256);
    // The size update that the RFC leaves out of its examples.
    assert_eq!(decode(&mut decoder, &[0x3F, 0xE1, 0x01]), Ok(vec![]));
    decoder
}

#[test]
fn the_integers_of_c_1_are_read() {
    let cases: [(&str, &[u8], u8, usize); 3] = [
        ("C.1.1", &[0b1110_1010], 0b0001_1111, 10),
        (
            "C.1.2",
            &[0b0001_1111, 0b1001_1010, 0b0000_1010],
            0b0001_1111,
            1337,
        ),
        ("C.1.3", &[0b0010_1010], 0b1111_1111, 42),
    ];
    for (section, bytes, prefix, value) in cases {
        let mut reader = Reader::new(bytes);
        let first = reader.byte().unwrap();
        assert_eq!(reader.integer(first, prefix), Ok(value), "{section}");
        assert_eq!(reader.byte(), None, "{section}");
    }
}

#[test]
fn the_representations_of_c_2_are_decoded() {
    const HEADER: (&str, &str) = ("custom-key", "custom-header");
    let examples = [
        Example {
            section: "C.2.1",
            block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            fields: &[HEADER],
            table: &[HEADER],
        },
        Example {
            section: "C.2.2",
            block: "040c 2f73 616d 706c 652f 7061 7468",
            fields: &[(":path", "/sample/path")],
            table: &[],
        },
        Example {
            section: "C.2.3",
            block: "1008 7061 7373 776f 7264 0673 6563 7265 74",
            fields: &[("password", "secret")],
            table: &[],
        },
        Example {
            section: "C.2.4",
            block: "82",
            fields: &[(":method", "GET")],
            table: &[],
        },
    ];
    for example in examples {
        check(Decoder::new(), &[example]);
    }
}

#[test]
fn the_requests_of_c_3_are_decoded() {
    let blocks = [
        ("C.3.1", "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"),
        ("C.3.2", "8286 84be 5808 6e6f 2d63 6163 6865"),
        (
            "C.3.3",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ),
    ];
    check(Decoder::new(), &sequence(blocks, &REQUESTS));
}

#[test]
fn the_requests_of_c_4_are_decoded() {
    let blocks = [
        ("C.4.1", "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"),
        ("C.4.2", "8286 84be 5886 a8eb 1064 9cbf"),
        (
            "C.4.3",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ),
    ];
    check(Decoder::new(), &sequence(blocks, &REQUESTS));
}

#[test]
fn the_responses_of_c_5_are_decoded() {
    let blocks = [
        (
            "C.5.1",
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
             2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
             6c65 2e63 6f6d",
        ),
        ("C.5.2", "4803 3330 37c1 c0bf"),
        (
            "C.5.3",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
             54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
             5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
             3d31",
        ),
    ];
    check(small(), &sequence(blocks, &RESPONSES));
}

#[test]
fn the_responses_of_c_6_are_decoded() {
    let blocks = [
        (
            "C.6.1",
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
             2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        ),
        ("C.6.2", "4883 640e ffc1 c0bf"),
        (
            "C.6.3",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
             77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
             9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ),
    ];
    check(small(), &sequence(blocks, &RESPONSES));
}
