use proptest::prelude::*;

use super::*;

const CAPTURED: &str = "00-decd5942fd42fe0e4d3bf061aa5b84db-34e7f61f20bb84af-00";

#[test]
fn the_parts_are_read() {
    let trace: TraceParent = CAPTURED.parse().unwrap();
    assert_eq!(
        u128::from_be_bytes(trace.trace_id()),
        0xdecd_5942_fd42_fe0e_4d3b_f061_aa5b_84db
    );
    assert_eq!(u64::from_be_bytes(trace.parent_id()), 0x34e7_f61f_20bb_84af);
    assert!(!trace.is_sampled());
    let sampled = CAPTURED.replace("af-00", "af-01");
    assert!(sampled.parse::<TraceParent>().unwrap().is_sampled());
}

#[test]
fn malformed_values_are_refused() {
    let dashes = "-".repeat(LENGTH);
    let digits = "0".repeat(LENGTH);
    let later = CAPTURED.replacen("00-", "01-", 1);
    for (case, value) in [
        ("empty", String::new()),
        ("one byte short", CAPTURED[..54].to_owned()),
        ("one byte long", format!("{CAPTURED}0")),
        ("more of version 00", format!("{CAPTURED}-00")),
        ("55 dashes", dashes),
        ("55 digits", digits),
        ("upper case", CAPTURED.to_uppercase()),
        ("no hex digit", CAPTURED.replace("decd", "decg")),
        ("a sign", CAPTURED.replace("-34e7", "-+4e7")),
        ("no version", CAPTURED.replacen("00-", "zz-", 1)),
        ("version ff", CAPTURED.replacen("00-", "ff-", 1)),
        (
            "trace id zero",
            format!("00-{}-34e7f61f20bb84af-00", "0".repeat(32)),
        ),
        (
            "parent id zero",
            format!("00-{}-{}-00", "1".repeat(32), "0".repeat(16)),
        ),
        (
            "ids exchanged",
            "00-34e7f61f20bb84af-decd5942fd42fe0e4d3bf061aa5b84db-00".into(),
        ),
        (
            "five parts",
            "00-decd5942fd42fe0e4d3bf061aa5b84db-34e7f61f20bb-4af-00".into(),
        ),
        ("blank before", format!(" {}", &CAPTURED[..54])),
        ("not ASCII", CAPTURED.replace("de", "é")),
        (
            "a later version that goes on without a dash",
            format!("{later}00"),
        ),
    ] {
        assert_eq!(
            value.parse::<TraceParent>(),
            Err(InvalidTraceParent),
            "{case}: {value}"
        );
    }
}

#[test]
fn no_byte_but_a_lower_case_digit_stands_for_one() {
    for place in (0..LENGTH).filter(|place| ![2, 35, 52].contains(place)) {
        for byte in 0..=u8::MAX {
            let mut value = CAPTURED.as_bytes().to_vec();
            value[place] = byte;
            let digit = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let accepted = TraceParent::parse(&value).is_ok();
            assert_eq!(accepted, digit, "{byte:#x} at {place}");
        }
    }
}

#[test]
fn later_versions_are_read_as_far_as_known() {
    let later = CAPTURED.replacen("00-", "cc-", 1).replace("af-00", "af-ff");
    for value in [later.clone(), format!("{later}-what the future brings")] {
        let trace: TraceParent = value.parse().unwrap();
        assert_eq!(trace.to_string(), CAPTURED.replace("af-00", "af-01"));
    }
}

#[test]
fn new_traces_have_no_zero_ids() {
    let trace = TraceParent::random(&mut || 0);
    assert_eq!(trace.to_string().parse(), Ok(trace));
    assert_eq!(trace.child(&mut || 0).to_string().parse(), Ok(trace));
}

#[test]
fn a_child_stays_in_its_trace() {
    let trace: TraceParent = CAPTURED.parse().unwrap();
    let child = trace.child(&mut || 7);
    assert_eq!(child.trace_id(), trace.trace_id());
    assert_eq!(
        child.to_string(),
        "00-decd5942fd42fe0e4d3bf061aa5b84db-0000000000000007-00"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(value in proptest::collection::vec(any::<u8>(), 0..70), text in "[0-9a-f-]{55}") {
        for value in [&value[..], text.as_bytes()] {
            let _ = TraceParent::parse(value);
        }
    }

    #[test]
    fn what_is_written_is_read_back(numbers in any::<[u64; 3]>()) {
        let mut rest = numbers.into_iter();
        let trace = TraceParent::random(&mut || rest.next().unwrap());
        prop_assert_eq!(TraceParent::parse(&trace.to_bytes()), Ok(trace));
    }

    #[test]
    fn what_is_accepted_of_version_00_is_written_back_the_same(text in "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}") {
        if let Ok(trace) = text.parse::<TraceParent>() {
            prop_assert_eq!(trace.to_string(), text);
        }
    }
}

#[test]
fn ids_from_elsewhere_are_a_place_unless_one_is_zero() {
    let place = TraceParent::new([7; 16], [9; 8]).unwrap();
    let text = format!("00-{}-{}-00", "07".repeat(16), "09".repeat(8));
    assert_eq!(place.to_string(), text);
    assert_eq!(TraceParent::new([0; 16], [9; 8]), None);
    assert_eq!(TraceParent::new([7; 16], [0; 8]), None);
}

#[test]
fn a_decision_changes_no_other_flag() {
    let text = |flags| format!("00-{}-{}-{flags}", "07".repeat(16), "09".repeat(8));
    let place: TraceParent = text("03").parse().unwrap();
    assert_eq!(place.with_sampled(false).to_string(), text("02"));
    assert_eq!(place.with_sampled(false).with_sampled(true), place);
}
