use super::super::bits::WORDS;
use super::super::row::Row;
use super::*;
use crate::index::slots::RuleId;
use crate::policy::{Policy, Rule};

/// Blocks of which so many rows are taken.
fn blocks(rows: usize) -> Blocks {
    let policy = crate::spec::PolicySpec {
        rules: vec![crate::spec::RuleSpec::default()],
        ..crate::spec::PolicySpec::new(
            "a",
            "b",
            crate::spec::Scope::Global,
            crate::spec::Action::Deny,
        )
    };
    let policy = Policy::new(&policy, &crate::limits::Limits::default(), 1).unwrap();
    let (place, rule): (u32, Rule<'_>) = policy.rules().next().unwrap();
    let row = Row::all(RuleId { slot: 0, place }, rule).next().unwrap();
    let mut blocks = Blocks::default();
    for at in 0..rows {
        if at % ROWS == 0 {
            blocks.push();
        }
        blocks.get_mut(at / ROWS).unwrap().put(row).unwrap();
    }
    blocks
}

/// The rows that a value leaves open of all, and those that it lets through.
fn effects(columns: &Columns, blocks: &Blocks, tag: u32) -> (Vec<usize>, Vec<usize>) {
    let (mut open, mut through) = (Vec::new(), Vec::new());
    for (number, block) in blocks.as_slice().iter().enumerate() {
        let mut left = Left::<WORDS>::default();
        left.begin(block);
        if let Some(column) = columns.get(tag) {
            column.apply(Effect::ShutsOut, (number, block), &mut left);
        }
        open.extend(left.rows().map(|row| number * ROWS + row));
        let mut left = Left::<WORDS>::default();
        left.begin(block);
        if let Some(column) = columns.get(tag) {
            column.apply(Effect::LetsThrough, (number, block), &mut left);
        }
        if left.end_field(Some(block.live())) {
            through.extend(left.rows().map(|row| number * ROWS + row));
        }
    }
    (open, through)
}

#[test]
fn few_rows_and_many_are_found_alike() {
    for many in [1_u32, 8, 9, 10, 72, 73, 1000] {
        let mut blocks = blocks(2 * ROWS + 900);
        let mut columns = Columns::default();
        let rows = || (0..many).map(|at| at * 9);
        for row in rows() {
            assert!(columns.insert(&mut blocks, 5, Effect::LetsThrough, row));
            assert!(!columns.insert(&mut blocks, 5, Effect::LetsThrough, row));
            assert!(columns.insert(&mut blocks, 5, Effect::ShutsOut, row + 1));
            assert!(!columns.insert(&mut blocks, 5, Effect::ShutsOut, row + 1));
        }
        assert!(columns.get(6).is_none());
        let (open, through) = effects(&columns, &blocks, 5);
        let expected: Vec<usize> = rows().map(|row| row as usize).collect();
        assert_eq!(through, expected, "{many}");
        assert_eq!(open.len(), 2 * ROWS + 900 - many as usize);
        assert!(rows().all(|row| !open.contains(&(row as usize + 1))));

        for row in rows().skip(1).step_by(2) {
            assert!(columns.remove(&mut blocks, 5, Effect::LetsThrough, row));
            assert!(!columns.remove(&mut blocks, 5, Effect::LetsThrough, row));
        }
        let (_, through) = effects(&columns, &blocks, 5);
        let expected: Vec<usize> = rows().step_by(2).map(|row| row as usize).collect();
        assert_eq!(through, expected, "{many}");

        for row in rows() {
            columns.remove(&mut blocks, 5, Effect::LetsThrough, row);
            columns.remove(&mut blocks, 5, Effect::ShutsOut, row + 1);
        }
        assert!(columns.get(5).is_none(), "{many}: nothing is left of it");
        assert_eq!(effects(&columns, &blocks, 5).0.len(), 2 * ROWS + 900);
    }
}
