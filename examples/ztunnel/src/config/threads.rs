//! How many worker threads to run.

use std::num::NonZeroUsize;

use process::env::{ConfigError, Env};

/// The number of worker threads for a machine with `cpus` logical processors.
///
/// `ZTUNNEL_WORKER_THREADS`, else `concurrency`, is a number, a share of the cores (`50%`), or 0 for all cores. Cores
/// are `ZTUNNEL_RESOURCE_CPU_LIMIT`, else `ZTUNNEL_CPU_LIMIT`, else `cpus`. Without it: the limit
/// or the request when a limit is set, else a quarter of the cores, the request, or 2, whichever
/// is most.
pub(super) fn workers(
    env: &Env,
    cpus: NonZeroUsize,
    concurrency: Option<usize>,
) -> Result<NonZeroUsize, ConfigError> {
    let limit = quantity(env, "ZTUNNEL_RESOURCE_CPU_LIMIT")?;
    let request = quantity(env, "ZTUNNEL_RESOURCE_CPU_REQUEST")?;
    let cpu_limit = quantity(env, "ZTUNNEL_CPU_LIMIT")?;
    let millicores = limit
        .or(cpu_limit)
        .unwrap_or_else(|| u64::try_from(cpus.get()).unwrap_or(1).saturating_mul(1000));
    let least = ceil(request.unwrap_or(0));
    let default = match limit {
        Some(limit) => ceil(limit).max(least),
        None => ceil(millicores.div_ceil(4)).max(least).max(2),
    };
    let asked = env.read("ZTUNNEL_WORKER_THREADS", |text| threads(text, millicores))?;
    let configured = || {
        concurrency.map(|count| match count {
            0 => ceil(millicores),
            count => count.min(MOST),
        })
    };
    let asked = asked.or_else(configured);
    Ok(NonZeroUsize::new(asked.unwrap_or(default)).unwrap_or(NonZeroUsize::MIN))
}

/// The most threads that are accepted: beyond this it is a typing mistake.
const MOST: usize = 4096;

fn threads(text: &str, millicores: u64) -> Result<usize, String> {
    let expected = || format!("a number up to {MOST}, a share such as 50%, or 0 for all cores");
    let count = match text.strip_suffix('%') {
        Some(share) => share
            .parse::<u32>()
            .ok()
            .filter(|share| (1..=100).contains(share))
            .map(|share| ceil(millicores.saturating_mul(u64::from(share)).div_ceil(100))),
        None => match text.parse().ok() {
            Some(0) => Some(ceil(millicores)),
            number => number,
        },
    };
    count.filter(|count| *count <= MOST).ok_or_else(expected)
}

/// A Kubernetes quantity of processors in thousandths: `2`, `1.5`, `500m`.
fn quantity(env: &Env, name: &str) -> Result<Option<u64>, ConfigError> {
    env.read(name, |text| {
        millis(text).ok_or_else(|| "a quantity of processors such as 2, 1.5 or 500m".to_owned())
    })
}

fn millis(text: &str) -> Option<u64> {
    if let Some(millis) = text.strip_suffix('m') {
        return millis.parse().ok();
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = fraction.bytes().all(|b| b.is_ascii_digit()) && !fraction.is_empty();
    let fraction: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    digits.then_some(whole.checked_mul(1000)?.checked_add(fraction)?)
}

fn ceil(millis: u64) -> usize {
    usize::try_from(millis.div_ceil(1000)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_threads_follow_the_documented_rules() {
        let threads = "ZTUNNEL_WORKER_THREADS";
        let limit = "ZTUNNEL_RESOURCE_CPU_LIMIT";
        let request = "ZTUNNEL_RESOURCE_CPU_REQUEST";
        let cpu = "ZTUNNEL_CPU_LIMIT";
        for (name, vars, cpus, want) in [
            ("a quarter of the cores", vec![], 64, 16),
            ("at least two", vec![], 4, 2),
            ("at least the request", vec![(request, "2500m")], 4, 3),
            ("the limit, rounded up", vec![(limit, "1.5")], 64, 2),
            (
                "the request where it is above the limit",
                vec![(limit, "1"), (request, "3")],
                64,
                3,
            ),
            ("a limit below one core", vec![(limit, "200m")], 64, 1),
            ("a quarter of the limited cores", vec![(cpu, "16")], 64, 4),
            ("a number", vec![(threads, "7")], 4, 7),
            ("a share", vec![(threads, "50%")], 7, 4),
            (
                "a share of the limit",
                vec![(threads, "50%"), (limit, "4")],
                64,
                2,
            ),
            ("all cores", vec![(threads, "0")], 12, 12),
            (
                "all cores of the limit",
                vec![(threads, "0"), (limit, "2500m")],
                12,
                3,
            ),
        ] {
            let cpus = NonZeroUsize::new(cpus).unwrap();
            assert_eq!(
                workers(&Env::of(&vars), cpus, None).map(NonZeroUsize::get),
                Ok(want),
                "{name}"
            );
        }
    }

    #[test]
    fn the_mesh_may_say_how_many_threads() {
        let cpus = NonZeroUsize::new(12).unwrap();
        for (concurrency, vars, want) in [
            (5, vec![], 5),
            (0, vec![], 12),
            (5, vec![("ZTUNNEL_WORKER_THREADS", "3")], 3),
        ] {
            let workers = workers(&Env::of(&vars), cpus, Some(concurrency));
            assert_eq!(workers.map(NonZeroUsize::get), Ok(want), "{concurrency}");
        }
    }

    #[test]
    fn what_is_not_a_number_of_threads_is_refused() {
        for (name, value) in [
            ("ZTUNNEL_WORKER_THREADS", "many"),
            ("ZTUNNEL_WORKER_THREADS", "-1"),
            ("ZTUNNEL_WORKER_THREADS", "0%"),
            ("ZTUNNEL_WORKER_THREADS", "101%"),
            ("ZTUNNEL_WORKER_THREADS", "100000"),
            ("ZTUNNEL_CPU_LIMIT", "1.x"),
            ("ZTUNNEL_CPU_LIMIT", "."),
            ("ZTUNNEL_RESOURCE_CPU_LIMIT", "m"),
        ] {
            let error = workers(&Env::of(&[(name, value)]), NonZeroUsize::MIN, None).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{name} is `{value}`")),
                "{error}"
            );
        }
    }
}
