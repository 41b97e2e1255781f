//! Reading the header, which a peer wrote.

use super::{Baggage, CLUSTER, NAMESPACE, REGION, REVISION, SERVICE, ZONE};
use crate::model::WorkloadType;
use crate::name::Name;

/// The largest header, in bytes over all its lines. Source: W3C Baggage section 3.3.2 requires
/// at least this much to be propagated.
const MAX_BYTES: usize = 8192;

/// The largest number of members. Source: as above.
const MAX_MEMBERS: usize = 64;

/// The largest value, in bytes after decoding: names in Kubernetes have at most 253.
const MAX_VALUE: usize = 256;

impl Baggage {
    /// What the lines of a peer's header say; total: anything else is left out.
    ///
    /// Left out are unknown keys, properties (after `;`), members without `=`, empty values,
    /// values that are longer than 256 bytes or hold control characters, and whatever lies beyond
    /// 64 members or 8192 bytes. When a key comes twice, the later one counts. One line that is
    /// not visible ASCII makes the whole header void. (Source of the last: Istio.)
    #[must_use]
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut baggage = Self::default();
        let (mut bytes, mut members) = (0_usize, 0_usize);
        for line in lines {
            bytes = bytes.saturating_add(line.len());
            if bytes > MAX_BYTES {
                break;
            }
            let Some(line) = visible(line) else {
                return Self::default();
            };
            for member in line.split(',') {
                members += 1;
                if members > MAX_MEMBERS {
                    return baggage;
                }
                baggage.read(member);
            }
        }
        baggage
    }

    fn read(&mut self, member: &str) {
        let Some((key, value)) = member.split_once('=') else {
            return;
        };
        let value = value.split(';').next().unwrap_or_default();
        let field = match key.trim() {
            CLUSTER => &mut self.cluster_id,
            NAMESPACE => &mut self.namespace,
            SERVICE => &mut self.canonical_name,
            REVISION => &mut self.canonical_revision,
            REGION => &mut self.region,
            ZONE => &mut self.zone,
            key => {
                let Some(kind) = workload_type(key) else {
                    return;
                };
                if let Some(name) = decode(value.trim()) {
                    self.workload_type = kind;
                    self.workload_name = name;
                }
                return;
            }
        };
        if let Some(name) = decode(value.trim()) {
            *field = name;
        }
    }
}

/// A line as text, when it is visible ASCII with blanks and tabs.
fn visible(line: &[u8]) -> Option<&str> {
    let ok = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
    if !line.iter().all(ok) {
        return None;
    }
    str::from_utf8(line).ok()
}

fn workload_type(key: &str) -> Option<WorkloadType> {
    match key {
        "k8s.deployment.name" => Some(WorkloadType::Deployment),
        "k8s.cronjob.name" => Some(WorkloadType::CronJob),
        "k8s.pod.name" => Some(WorkloadType::Pod),
        "k8s.job.name" => Some(WorkloadType::Job),
        _ => None,
    }
}

/// A value without its percent-encoding; `None` when it is empty or not usable as a name.
///
/// A `%` that begins no encoded byte stands for itself. Bytes that are no UTF-8 become U+FFFD.
/// (Source: W3C Baggage section 3.3.1.3.)
fn decode(value: &str) -> Option<Name> {
    if value.is_empty() || value.len() > MAX_VALUE.saturating_mul(3) {
        return None;
    }
    if !value.contains('%') {
        return name(value);
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let escaped = (*byte == b'%').then(|| escaped(after)).flatten();
        if let Some((byte, after)) = escaped {
            decoded.push(byte);
            rest = after;
        } else {
            decoded.push(*byte);
        }
    }
    name(&String::from_utf8_lossy(&decoded))
}

fn name(text: &str) -> Option<Name> {
    let usable = text.len() <= MAX_VALUE && !text.chars().any(char::is_control);
    usable.then(|| Name::from(text))
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low, rest @ ..] = text else {
        return None;
    };
    let byte = digit(*high)? * 16 + digit(*low)?;
    Some((u8::try_from(byte).ok()?, rest))
}
