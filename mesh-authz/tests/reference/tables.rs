//! Every row of the specification's tables, asked of the plain evaluator and of the product.

use crate::cases::{Expected, Question, Table, Word};
use crate::evaluator::{Decision, Verdict, View, decide};

/// An answer, or why the policies were rejected.
pub(crate) type Answer = Result<Decision, String>;

fn plain(question: &Question) -> Answer {
    let Question {
        mesh,
        policies,
        target,
        view,
        conn,
        req,
    } = question;
    let req = matches!(view, View::Request).then_some(req);
    Ok(decide(mesh, policies, target, *view, conn, req))
}

/// Asks all cases of a table; `ask` may leave out what it cannot say (`None`).
fn check(
    text: &str,
    engine: &str,
    product: bool,
    ask: impl Fn(&Question, &Expected) -> Option<Answer>,
) {
    let table = Table::read(text);
    let mut wrong = Vec::new();
    let (mut asked, mut known) = (0, 0);
    for case in &table.cases {
        let before = wrong.len();
        for (variant, question, expected) in &case.asked {
            let Some(answer) = ask(question, expected) else {
                continue;
            };
            asked += 1;
            if let Some(why) = differs(&answer, expected) {
                wrong.push(format!("{} [{variant}]: {why}", case.name));
            }
        }
        if product && let Some(why) = &case.differs {
            known += 1;
            let agrees = wrong.len() == before;
            wrong.truncate(before);
            if agrees {
                wrong.push(format!("{}: no longer differs, {why}", case.name));
            }
        }
    }
    let (covered, rows) = (table.covered(), table.rows);
    println!(
        "{}: {covered} rows, the specification has {rows}; {asked} questions to the {engine}, {known} cases known to differ",
        table.title
    );
    assert_eq!(covered, rows, "{}: rows that have a case", table.title);
    assert!(
        wrong.is_empty(),
        "{}, {engine}:\n{}",
        table.title,
        wrong.join("\n")
    );
}

fn differs(answer: &Answer, expected: &Expected) -> Option<String> {
    let decision = match answer {
        Err(why) if expected.verdict == Word::Rejected => {
            let at = expected.at.as_deref().unwrap_or_default();
            return (!why.contains(at)).then(|| format!("rejected for {why}, expected {at}"));
        }
        Err(why) => return Some(format!("rejected: {why}, expected {:?}", expected.verdict)),
        Ok(decision) => decision,
    };
    let Decision {
        verdict,
        audit,
        providers,
        dry_run_deny,
        dry_run_allow,
    } = decision;
    let named = match verdict {
        Verdict::Allow(named) | Verdict::Deny(named) => named.clone(),
        Verdict::Undecided => None,
    };
    let wrong = Word::of(verdict) != expected.verdict
        || expected
            .reason
            .as_ref()
            .is_some_and(|reason| named.as_ref() != Some(reason))
        || expected.audit.is_some_and(|hit| audit.is_some() != hit)
        || expected
            .providers
            .as_ref()
            .is_some_and(|names| providers != names)
        || expected
            .dry_run_deny
            .is_some_and(|hit| *dry_run_deny != hit)
        || expected
            .dry_run_allow
            .is_some_and(|hit| *dry_run_allow != Some(hit));
    wrong.then(|| format!("{decision:?}, expected {expected:?}"))
}

macro_rules! tables {
    ($($name:ident: $file:literal)*) => {$(
        mod $name {
            const TEXT: &str = include_str!(concat!("tables/", $file, ".yaml"));

            #[test]
            fn every_row_holds_for_the_plain_evaluator() {
                super::check(TEXT, "plain evaluator", false, |question, expected| {
                    // It reads policies that were accepted.
                    (expected.verdict != super::Word::Rejected).then(|| super::plain(question))
                });
            }

            #[test]
            fn every_row_holds_for_the_product() {
                super::check(TEXT, "product", true, crate::product::ask);
            }
        }
    )*};
}

tables! {
    fields: "fields"
    attachment: "attachment"
    decision: "decision"
    emptiness: "emptiness"
    strings: "strings"
    field_semantics: "fields_of_requests"
    request_principals: "request_principals"
    keys: "keys"
    absent: "absent"
    projection: "projection"
    divergences: "divergences"
    dry_run: "dry_run"
    trust_domains: "trust_domains"
    templates: "templates"
    validation: "validation"
    strict: "strict"
}
