//! A body that was sent packed, unpacked within bounds. Packed a thousandfold it is a bomb, and that is told.

use std::io::{self, Read};

use api_health_core::assertion::Body;
use api_health_core::assertion::content::JUDGED_BYTES_MAX;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// What is asked for where the body is judged.
pub(super) const CODINGS: &str = "gzip, deflate, br";

/// A body may be packed so many times over.
const LAYERS_MAX: usize = 2;

/// What unpacks to more than is judged, and to more than so many times its size, is a bomb; texts are packed to a tenth or so.
const RATIO_MAX: usize = 100;

/// The body as it was meant. `codings` is the value of `content-encoding`; `is_cut`: more of it came and was not read.
pub(super) fn unpack(codings: &[u8], body: Vec<u8>, is_cut: bool) -> Body {
    let codings = String::from_utf8_lossy(codings).to_ascii_lowercase();
    let is_real = |coding: &&str| !matches!(*coding, "" | "identity");
    let layers: Vec<&str> = codings.split(',').map(str::trim).filter(is_real).collect();
    if layers.len() > LAYERS_MAX {
        return Body::Packed(format!("is packed {} times over, which api-health does not undo", layers.len()));
    }
    let (mut body, mut is_cut) = (body, is_cut);
    if body.is_empty() && !is_cut {
        return Body::Whole(body); // nothing was sent, whatever the headers say
    }
    for coding in layers.into_iter().rev() {
        let mut rest = body.as_slice();
        let Some((unpacked, fault)) = layer(coding, &mut rest) else {
            let coding: String = coding.escape_debug().take(20).collect();
            return Body::Packed(format!("is packed as {coding}, which api-health cannot undo and did not ask for"));
        };
        match fault {
            Some(_) if is_cut && !unpacked.is_empty() => {} // as much as there was of it
            Some(fault) => {
                return Body::Packed(format!(
                    "cannot be unpacked: it is not the {coding} that it is said to be ({fault})"
                ));
            }
            None => {}
        }
        let packed = body.len() - rest.len();
        body = unpacked;
        if body.len() > JUDGED_BYTES_MAX {
            if packed.saturating_mul(RATIO_MAX) < body.len() {
                return Body::Packed(format!(
                    "is a bomb: {packed} bytes of {coding} unpack to more than {JUDGED_BYTES_MAX}"
                ));
            }
            body.truncate(JUDGED_BYTES_MAX);
            is_cut = true;
        }
    }
    if is_cut { Body::Cut(body) } else { Body::Whole(body) }
}

/// What one coding unpacks to, one byte more than is judged at most, and what is wrong with the rest; `None` for one that is not known.
/// What it took for that is taken from `packed`.
fn layer(coding: &str, packed: &mut &[u8]) -> Option<(Vec<u8>, Option<io::Error>)> {
    match coding {
        "gzip" | "x-gzip" => Some(bounded(MultiGzDecoder::new(packed))),
        // RFC 9110 means zlib by it; some servers send it bare.
        "deflate" if is_zlib(packed) => Some(bounded(ZlibDecoder::new(packed))),
        "deflate" => Some(bounded(DeflateDecoder::new(packed))),
        "br" => Some(bounded(brotli_decompressor::Decompressor::new(packed, 4_096))),
        _ => None,
    }
}

fn is_zlib(packed: &[u8]) -> bool {
    matches!(packed, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

fn bounded(decoder: impl Read) -> (Vec<u8>, Option<io::Error>) {
    let mut unpacked = Vec::new();
    let done = decoder.take(JUDGED_BYTES_MAX as u64 + 1).read_to_end(&mut unpacked);
    (unpacked, done.err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    /// "hello, hello, hello" in one block that is stored as it is (RFC 7932, 9.2), and an empty last one.
    const HELLO_BR: &[u8] = b" \x01\x10hello, hello, hello\x03";

    fn all(mut read: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        read.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        all(GzEncoder::new(bytes, Compression::best()))
    }

    fn why(body: &Body) -> &str {
        match body {
            Body::Packed(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_coding_is_undone() {
        let hello = b"hello, hello, hello";
        let whole = Body::Whole(hello.to_vec());
        let zlib = all(ZlibEncoder::new(&hello[..], Compression::best()));
        let deflate = all(DeflateEncoder::new(&hello[..], Compression::best()));
        for (codings, body) in [
            ("", hello.to_vec()),
            ("identity", hello.to_vec()),
            ("gzip", gzip(hello)),
            ("X-GZIP", gzip(hello)),
            ("deflate", zlib),
            ("deflate", deflate),
            ("br", HELLO_BR.to_vec()),
            ("gzip, gzip", gzip(&gzip(hello))),
            ("identity,gzip", gzip(hello)),
        ] {
            assert_eq!(unpack(codings.as_bytes(), body, false), whole, "{codings}");
        }
        assert_eq!(unpack(b"gzip", Vec::new(), false), Body::Whole(Vec::new()), "nothing was sent");
    }

    #[test]
    fn what_cannot_be_undone_says_why() {
        let said = |codings: &[u8], body: &[u8], is_cut| why(&unpack(codings, body.to_vec(), is_cut)).to_owned();
        assert_eq!(said(b"zstd", b"x", false), "is packed as zstd, which api-health cannot undo and did not ask for");
        assert!(
            said(b"gzip", b"hello", false).starts_with("cannot be unpacked: it is not the gzip that it is said to be")
        );
        let packed = gzip(&[7; 5_000]);
        assert!(said(b"gzip", &packed[..packed.len() - 9], false).starts_with("cannot be unpacked"), "cut short");
        assert!(said(b"gzip,gzip,br", b"x", false).contains("3 times over"));
        assert!(said(b"\x1b[31m", b"x", false).contains("u{1b}[31m"));
    }

    #[test]
    fn a_bomb_is_told_and_a_long_text_is_cut() {
        let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
        assert!(bomb.len() < 100_000);
        let told = unpack(b"gzip", bomb.clone(), false);
        assert!(
            why(&told).starts_with("is a bomb: ") && why(&told).ends_with("unpack to more than 1048576"),
            "{told:?}"
        );
        assert!(why(&unpack(b"gzip,gzip", gzip(&bomb), false)).starts_with("is a bomb: "), "a bomb in a bomb");
        let text: Vec<u8> = (0..600_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let Body::Cut(first) = unpack(b"gzip", gzip(&text), false) else { panic!("it is longer than is judged") };
        assert!(first.len() == JUDGED_BYTES_MAX && text.starts_with(&first));
        let packed = gzip(&text[..900_000]);
        let Body::Cut(first) = unpack(b"gzip", packed[..packed.len() / 2].to_vec(), true) else { panic!("it was cut") };
        assert!(!first.is_empty() && text.starts_with(&first));
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked_or_refused_within_the_bound(codings in "(gzip|deflate|br|identity|,| |[a-z]{1,3}){0,4}", body: Vec<u8>, is_cut: bool) {
            match unpack(codings.as_bytes(), body, is_cut) {
                Body::Whole(bytes) | Body::Cut(bytes) => prop_assert!(bytes.len() <= JUDGED_BYTES_MAX),
                Body::Packed(why) => prop_assert!(!why.is_empty() && why.len() < 300),
                Body::Unread => prop_assert!(false),
            }
        }
    }
}
