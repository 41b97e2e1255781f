//! Compressed answers, for those who accept them.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;

/// Whether an `Accept-Encoding` header lets an answer be compressed with gzip (RFC 9110, section 12.5.3).
pub fn accepts_gzip(accept_encoding: &str) -> bool {
    let mut any = false;
    for coding in accept_encoding.split(',') {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or("").to_ascii_lowercase();
        let quality = parts.find_map(|part| {
            part.to_ascii_lowercase()
                .strip_prefix("q=")
                .map(str::to_owned)
        });
        let wanted = quality.is_none_or(|quality| quality.parse().is_ok_and(|q: f32| q > 0.0));
        match name.as_str() {
            // What is named counts more than what stands for all.
            "gzip" | "x-gzip" => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

/// The body in the format gzip.
pub fn gzip(body: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn gzip_is_used_when_it_is_wanted() {
        // The examples of RFC 9110, section 12.5.3, and what scrapers send.
        for (accept, expected) in [
            ("compress, gzip", true),
            ("", false),
            ("*", true),
            ("compress;q=0.5, gzip;q=1.0", true),
            ("gzip;q=1.0, identity; q=0.5, *;q=0", true),
            ("gzip", true),
            ("GZIP ; Q=0.001", true),
            ("deflate, br", false),
            ("gzip;q=0", false),
            ("*, gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("gzip;q=best", false),
            ("identity", false),
        ] {
            assert_eq!(accepts_gzip(accept), expected, "{accept}");
        }
    }

    #[test]
    fn what_is_compressed_can_be_read_again() {
        let text = "istio_build 1\n".repeat(1000);
        let packed = gzip(text.as_bytes()).unwrap();
        assert!(packed.len() * 10 < text.len(), "{}", packed.len());
        let mut again = String::new();
        let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
        decoder.read_to_string(&mut again).unwrap();
        assert_eq!(again, text);
    }
}
