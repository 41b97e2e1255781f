//! Rate limits of requests.

use std::collections::HashSet;
use std::str::SplitWhitespace;

use http::HeaderName;
use mesh_core::identity::SpiffeId;
use mesh_core::name::Name;
use mesh_l7::filter::Percent;
use mesh_l7::limit::{Descriptor, Entry, LimitKey, LocalLimit, MainBucket, Wanted};
use mesh_l7::matching::{HeaderMatch, PathMatch, Polarity, RequestMatch, TextMatch};

use super::rate::bucket;
use super::value::Expected;

/// The most rules of one annotation.
pub const MOST_RULES: usize = 16;
/// The most clauses of one rule.
pub const MOST_CLAUSES: usize = 16;
/// The most values that one rule may tell apart.
pub const MOST_KEYS: u32 = 100_000;

/// Rules with semicolons or line ends between them, 1 to [`MOST_RULES`]. Each begins with a rate, as
/// [`rate`](super::rate()) reads it, and goes on with clauses in any order, at most [`MOST_CLAUSES`]:
///
/// | clause | |
/// |---|---|
/// | `burst N` | tokens of a full bucket, at least those of the rate, which they are otherwise |
/// | `per identity`, `per namespace`, `per address`, `per path`, `per method`, `per host`, `per header NAME` | a bucket for each value; requests without the value share one. Several make a bucket for each combination |
/// | `for identity ID`, `for namespace NAME`, `for host NAME`, `for method NAME` | only such requests count |
/// | `for path P` | those of this path; `/a/*`: and below `/a`, itself too; `/a*`: those that begin so |
/// | `for header NAME V` | those with this value; `V*` and `*V`: with this beginning or end; `*`: with any |
/// | `keys N` | how many values or combinations are told apart, 1 to [`MOST_KEYS`], default [`Descriptor::MOST`]; the one that was not seen for the longest is forgotten |
/// | `shadow` | what is over the limit is counted and passes |
///
/// A request takes a token of each rule that it meets, in their order, and is refused by the first that has none for
/// it. The name of each limit is its rule, with single spaces; it is for no service in particular.
///
/// ```
/// use mesh_xds::manifest::annotations;
///
/// let limits = annotations::request_limits("
///     1000/1s burst 2000
///     10/1s per identity for path /login/*
///     5/1m per header x-user for method POST
/// ")?;
/// assert_eq!(limits.len(), 3);
/// assert_eq!(limits[1].name, "10/1s per identity for path /login/*");
/// assert!(annotations::request_limits("10/1s per person").is_err());
/// # Ok::<(), annotations::Expected>(())
/// ```
///
/// # Errors
/// [`Expected`], with the number of the rule.
pub fn request_limits(text: &str) -> Result<Vec<LocalLimit>, Expected> {
    let rules = text.split([';', '\n']).map(str::trim);
    let rules: Vec<&str> = rules.filter(|rule| !rule.is_empty()).collect();
    if rules.is_empty() || rules.len() > MOST_RULES {
        let words = format!("1 to {MOST_RULES} rules such as 100/1s per identity");
        return Err(Expected::new(words));
    }
    let mut limits = Vec::with_capacity(rules.len());
    for (at, rule) in rules.iter().enumerate() {
        let number = at.saturating_add(1);
        let limit = read(rule)
            .map_err(|why| Expected::new(format!("{}, in rule {number}", why.words())))?;
        limits.push(limit);
    }
    Ok(limits)
}

/// What the clauses of a rule say.
#[derive(Default)]
struct Clauses {
    burst: Option<u32>,
    keys: Option<usize>,
    shadow: bool,
    entries: Vec<Entry>,
    matches: RequestMatch,
    /// What has been said, each once.
    said: HashSet<String>,
}

fn read(rule: &str) -> Result<LocalLimit, Expected> {
    let rate = || Expected::new("a rate such as 100/1s");
    let (number, rest) = rule.split_once('/').ok_or_else(rate)?;
    let mut words = rest.split_whitespace();
    let time = words.next().ok_or_else(rate)?;
    let mut clauses = Clauses::default();
    let mut count = 0_usize;
    while let Some(word) = words.next() {
        count = count.saturating_add(1);
        if count > MOST_CLAUSES {
            return Err(Expected::new(format!("at most {MOST_CLAUSES} clauses")));
        }
        clauses.read(word, &mut words)?;
    }
    let bucket = bucket(number, time, clauses.burst)?;
    let name = rule.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut limit = LocalLimit::new(name, bucket);
    if clauses.shadow {
        limit.enforced = Percent::NONE;
    }
    if clauses.matches != RequestMatch::default() {
        limit.matches.push(clauses.matches);
    }
    if !clauses.entries.is_empty() {
        let mut descriptor = Descriptor::new(clauses.entries, bucket);
        descriptor.most = clauses.keys.unwrap_or(Descriptor::MOST);
        limit.descriptors.push(descriptor);
        limit.main = MainBucket::Never;
    }
    Ok(limit)
}

impl Clauses {
    fn read(&mut self, word: &str, words: &mut SplitWhitespace<'_>) -> Result<(), Expected> {
        match word {
            "burst" => {
                self.once("one burst", "burst")?;
                self.burst = Some(number(words, "burst and a number from 1", u32::MAX)?);
            }
            "keys" => {
                self.once("one number of keys", "keys")?;
                let expected = format!("keys and a number of 1 to {MOST_KEYS}");
                let most = number(words, &expected, MOST_KEYS)?;
                self.keys = usize::try_from(most).ok();
            }
            "shadow" => {
                self.once("shadow once", "shadow")?;
                self.shadow = true;
            }
            "per" => {
                let key = key(words)?;
                self.once("each key once", &format!("{key:?}"))?;
                let wanted = Wanted::EachOrNone;
                self.entries.push(Entry { key, wanted });
            }
            "for" => self.condition(words)?,
            _ => {
                return Err(Expected::new(
                    "burst, per, for, keys or shadow after the time",
                ));
            }
        }
        Ok(())
    }

    fn condition(&mut self, words: &mut SplitWhitespace<'_>) -> Result<(), Expected> {
        let what = words.next().unwrap_or_default();
        if what == "header" {
            let name = header(words)?;
            self.once("one condition on a header", &format!("for header {name}"))?;
            let test = text_match(words.next().unwrap_or_default())?;
            self.matches.headers.push(HeaderMatch {
                name,
                test,
                polarity: Polarity::Positive,
            });
            return Ok(());
        }
        self.once("one condition of each kind", &format!("for {what}"))?;
        match what {
            "identity" => self.is(LimitKey::Identity, &identity(words)?),
            "namespace" => self.is(LimitKey::Namespace, argument(words, "a namespace")?),
            "host" => {
                let host = argument(words, "a host name")?.to_ascii_lowercase();
                self.is(LimitKey::Host, &host);
            }
            "method" => {
                let method = argument(words, "a method such as POST")?;
                self.matches.method = Some(TextMatch::Exact(method.into()));
            }
            "path" => self.matches.path = path(words)?,
            _ => {
                let words = "for identity, namespace, host, method, path or header, with a value";
                return Err(Expected::new(words));
            }
        }
        Ok(())
    }

    fn is(&mut self, key: LimitKey, value: &str) {
        let wanted = Wanted::Is(Name::from(value));
        self.entries.push(Entry { key, wanted });
    }

    fn once(&mut self, expected: &str, what: &str) -> Result<(), Expected> {
        match self.said.insert(what.to_owned()) {
            true => Ok(()),
            false => Err(Expected::new(expected)),
        }
    }
}

fn argument<'t>(words: &mut SplitWhitespace<'t>, expected: &str) -> Result<&'t str, Expected> {
    words.next().ok_or_else(|| Expected::new(expected))
}

fn number(words: &mut SplitWhitespace<'_>, expected: &str, most: u32) -> Result<u32, Expected> {
    let number = words.next().and_then(|word| word.parse().ok());
    let number = number.filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| Expected::new(expected))
}

fn key(words: &mut SplitWhitespace<'_>) -> Result<LimitKey, Expected> {
    Ok(match words.next().unwrap_or_default() {
        "identity" => LimitKey::Identity,
        "namespace" => LimitKey::Namespace,
        "address" => LimitKey::SourceAddress,
        "path" => LimitKey::Path,
        "method" => LimitKey::Method,
        "host" => LimitKey::Host,
        "header" => LimitKey::Header(header(words)?),
        _ => {
            let words = "per identity, namespace, address, path, method, host or header";
            return Err(Expected::new(words));
        }
    })
}

fn header(words: &mut SplitWhitespace<'_>) -> Result<HeaderName, Expected> {
    let name = words.next().unwrap_or_default().to_ascii_lowercase();
    let name = HeaderName::from_bytes(name.as_bytes());
    name.map_err(|_| Expected::new("a name of a header after header"))
}

/// As certificates have it; as policies have it, without `spiffe://`, too.
fn identity(words: &mut SplitWhitespace<'_>) -> Result<String, Expected> {
    let said = words.next().unwrap_or_default();
    let text = match said.starts_with("spiffe://") {
        true => said.to_owned(),
        false => format!("spiffe://{said}"),
    };
    let identity: Result<SpiffeId, _> = text.parse();
    let identity =
        identity.map_err(|_| Expected::new("an identity such as cluster.local/ns/shop/sa/web"))?;
    Ok(identity.to_string())
}

fn path(words: &mut SplitWhitespace<'_>) -> Result<PathMatch, Expected> {
    let text = words.next().unwrap_or_default();
    let (begin, rest) = text.split_once('*').unwrap_or((text, ""));
    let star = begin.len() < text.len();
    if !begin.starts_with('/') || !rest.is_empty() || begin.contains(['?', '#']) {
        return Err(Expected::new("a path such as /a, /a/* or /a*"));
    }
    Ok(match (star, begin.ends_with('/')) {
        (false, _) => PathMatch::Exact(begin.into()),
        (true, true) => PathMatch::Below(begin.into()),
        (true, false) => PathMatch::Prefix(begin.into()),
    })
}

/// As Istio's policies have it.
fn text_match(text: &str) -> Result<TextMatch, Expected> {
    if text.is_empty() || text.matches('*').count() > 1 {
        return Err(Expected::new(
            "a value such as a, a*, *a or * after the header's name",
        ));
    }
    Ok(match (text.strip_suffix('*'), text.strip_prefix('*')) {
        (Some(""), _) => TextMatch::Present,
        (Some(begin), _) => TextMatch::Prefix(begin.into()),
        (None, Some(end)) => TextMatch::Suffix(end.into()),
        (None, None) if text.contains('*') => {
            return Err(Expected::new("a star at the beginning or the end only"));
        }
        (None, None) => TextMatch::Exact(text.into()),
    })
}

#[cfg(test)]
mod tests;
