use super::*;

mod bodies;
mod heads;
mod parsed;
mod responses;
mod table;

/// The status that a head is refused with, or 200 and its framing.
fn answer(head: impl AsRef<[u8]>, rules: &HygieneRules) -> (u16, Option<Framing>) {
    match check(head.as_ref(), rules) {
        Ok(framing) => (200, Some(framing)),
        Err(fault) => (fault.status(), None),
    }
}

fn status(head: impl AsRef<[u8]>) -> u16 {
    answer(head, &HygieneRules::default()).0
}

fn body(head: impl AsRef<[u8]>) -> Body {
    check(head.as_ref(), &HygieneRules::default()).unwrap().body
}
