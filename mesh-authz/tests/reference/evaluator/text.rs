//! Values that are compared with texts and addresses (sections 1.5, 1.6.7 and 1.6.8).

use std::net::IpAddr;

/// `*` alone is presence, a leading `*` is a suffix, a trailing one a prefix, all else exact, in this order.
pub(crate) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        b"*" => !text.is_empty(),
        [b'*', end @ ..] => text.ends_with(end),
        [start @ .., b'*'] => text.starts_with(start),
        exact => text == exact,
    }
}

/// As [`fits`], but `*` stands for anything wherever it is: how namespaces are compared over HTTP.
pub(crate) fn fits_with_inner_stars(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'*', rest @ ..], text) => {
            (0..=text.len()).any(|skip| fits_with_inner_stars(rest, &text[skip..]))
        }
        ([one, rest @ ..], [first, others @ ..]) => {
            one == first && fits_with_inner_stars(rest, others)
        }
        (_, []) => false,
    }
}

/// The table of 1.6.7; both halves are of claims that are strings.
pub(crate) fn request_principal_fits(pattern: &str, issuer: &str, subject: &str) -> bool {
    let halves = pattern.rsplit_once('/');
    let present = |text: &str| !text.is_empty();
    if pattern == "*" {
        return present(issuer) && present(subject);
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        return match halves {
            None => present(issuer) && subject.ends_with(rest),
            Some(("*", sub)) => present(issuer) && subject == sub,
            Some((iss, sub)) => issuer.ends_with(&iss[1..]) && subject == sub,
        };
    }
    if let Some(rest) = pattern.strip_suffix('*') {
        return match halves {
            None => issuer.starts_with(rest) && present(subject),
            Some((iss, "*")) => issuer == iss && present(subject),
            Some((iss, sub)) => issuer == iss && subject.starts_with(&sub[..sub.len() - 1]),
        };
    }
    match halves {
        None => issuer == pattern && subject.is_empty(),
        Some((iss, sub)) => issuer == iss && subject == sub,
    }
}

/// An address or a range; IPv4 in IPv6 is IPv4, bits below the prefix do not count.
pub(crate) fn address_fits(range: &str, address: IpAddr) -> bool {
    let (text, bits) = match range.split_once('/') {
        Some((text, bits)) => (text, Some(bits.parse::<u32>().unwrap())),
        None => (range, None),
    };
    let network: IpAddr = text.parse().unwrap();
    let (base, mut width) = number(network);
    let (asked, other_width) = number(address);
    let mut bits = bits.unwrap_or(if network.is_ipv4() { 32 } else { 128 });
    if network.is_ipv6() && width == 32 {
        if bits < 96 {
            // Wider than the embedded IPv4 addresses: a range of IPv6 after all.
            width = 128;
        } else {
            bits -= 96;
        }
    }
    width == other_width && (bits == 0 || (base ^ asked) >> (width - bits) == 0)
}

fn number(address: IpAddr) -> (u128, u32) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}
