//! What a device says of its key in device-attest-01 (draft-acme-device-attest): a statement in CBOR with the maker's
//! certificates. It is read far enough to say which key and which challenge it names; whether the maker signed it is left
//! to whoever asks later, for the whole statement is kept. It never decides: nobody is let in for it, and who leaves it
//! out is not kept out. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use pki::key::{POINT_LEN, PublicKey};

use crate::cbor::{self, Item};

/// Two certificates of a maker have 2 KiB; a TPM's statement is below 8.
pub const STATEMENT_MAX: usize = 16 * 1024;
/// Longest name of a format that is repeated in the trail.
const FORMAT_MAX: usize = 32;

/// What the trail says of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestation {
    /// As from every device that nobody manages.
    None,
    /// Something that is no statement.
    Unread,
    Said(Said),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub format: String,
    pub certificates: usize,
    /// The first certificate names the challenge (its SHA-256, as Apple writes it).
    pub of_challenge: bool,
    /// It is about the key that the request asks a certificate for.
    pub of_key: bool,
}

impl Attestation {
    /// One word for the trail.
    pub fn word(&self) -> &str {
        match self {
            Attestation::None => "none",
            Attestation::Unread => "unread",
            Attestation::Said(said) => &said.format,
        }
    }
}

/// `statement` as it came, `token` of the challenge, `request` (PKCS #10) once there is one.
pub fn read(statement: &[u8], token: &str, request: &[u8]) -> Attestation {
    // Apple's devices say `{}` when they have nothing to say.
    if statement.is_empty() || statement == b"{}" {
        return Attestation::None;
    }
    said(statement, token, request).map_or(Attestation::Unread, Attestation::Said)
}

fn said(statement: &[u8], token: &str, request: &[u8]) -> Option<Said> {
    let whole = cbor::read_whole(statement).ok()?;
    let Some(Item::Text(format)) = whole.get(&Item::Text("fmt")) else { return None };
    let known = format.len() <= FORMAT_MAX && format.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let listed = whole.get(&Item::Text("attStmt"))?.get(&Item::Text("x5c"));
    let chain: Vec<&[u8]> = match listed {
        Some(Item::List(items)) => items.iter().map(Item::bytes).collect::<Option<_>>()?,
        _ => Vec::new(),
    };
    let leaf = chain.first().copied().unwrap_or_default();
    let fresh = digest(&SHA256, token.as_bytes());
    let of_challenge = leaf.windows(fresh.as_ref().len()).any(|part| part == fresh.as_ref());
    let of_key = point(leaf).is_some_and(|own| point(request) == Some(own));
    let format = if known { (*format).to_owned() } else { "other".to_owned() };
    Some(Said { format, certificates: chain.len(), of_challenge, of_key })
}

/// The first P-256 key in a certificate or a request, by what stands before it.
fn point(der: &[u8]) -> Option<&[u8]> {
    let any = PublicKey::from_point(&[4; POINT_LEN]).ok()?.spki();
    let head = &any[..any.len() - POINT_LEN];
    let at = der.windows(head.len()).position(|part| part == head)?;
    der.get(at + head.len()..at + any.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(fill: u8) -> Vec<u8> {
        let mut point = [fill; POINT_LEN];
        point[0] = 4;
        [&b"subject"[..], &PublicKey::from_point(&point).unwrap().spki(), b"rest"].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        [&[0x60 | text.len() as u8][..], text.as_bytes()].concat()
    }

    fn octets(octets: &[u8]) -> Vec<u8> {
        [&[0x59u8][..], &(octets.len() as u16).to_be_bytes(), octets].concat()
    }

    fn statement(format: &str, leaf: &[u8]) -> Vec<u8> {
        let chain = [&[0x82u8][..], &octets(leaf), &octets(&[7; 300])].concat();
        let inner = [&[0xa1u8][..], &text("x5c"), &chain].concat();
        [&[0xa2u8][..], &text("fmt"), &text(format), &text("attStmt"), &inner].concat()
    }

    #[test]
    fn a_statement_names_its_key_and_its_challenge() {
        let fresh = digest(&SHA256, b"token");
        let leaf = [&key(7)[..], fresh.as_ref(), &[0; 200]].concat();
        let whole = statement("apple", &leaf);
        let both = |of_challenge, of_key| {
            Attestation::Said(Said { format: "apple".into(), certificates: 2, of_challenge, of_key })
        };
        assert_eq!(read(&whole, "token", &key(7)), both(true, true));
        assert_eq!(read(&whole, "other", &key(7)), both(false, true));
        assert_eq!(read(&whole, "token", &key(8)), both(true, false));
        assert_eq!(read(&whole, "token", b""), both(true, false), "no request yet");
    }

    #[test]
    fn nothing_and_anything_else_are_told_apart() {
        assert_eq!(read(b"", "t", b""), Attestation::None);
        assert_eq!(read(b"{}", "t", b""), Attestation::None);
        for odd in [&b"x"[..], &[0xa0], &[0x80], b"{\"fmt\":\"apple\"}", &[0xff; 40]] {
            assert_eq!(read(odd, "t", b""), Attestation::Unread, "{odd:02x?}");
        }
        let loud = statement("Apple\n18-0042", &[1; 300]);
        assert_eq!(read(&loud, "t", b"").word(), "other", "no foreign words in the trail");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
        #[test]
        fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..700) {
            read(&bytes, "t", &bytes);
            let whole = statement("apple", &key(7).repeat(3));
            read(&whole[..cut.min(whole.len())], "t", &bytes);
        }
    }
}
