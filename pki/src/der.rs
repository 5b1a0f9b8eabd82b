//! A few bytes of DER: one element out of parts, and a strict reader for small foreign structures (OCSP
//! requests, what `inspect` looks into). Pure. A length that is not the shortest is refused.

use thiserror::Error;

pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OID: u8 = 0x06;
pub const ENUMERATED: u8 = 0x0a;
pub const GENERALIZED_TIME: u8 = 0x18;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not the DER that was expected")]
pub struct DerError;

/// One DER element of a few parts.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let skip = octets.iter().take_while(|octet| **octet == 0).count();
        out.push(0x80 | (octets.len() - skip) as u8);
        out.extend_from_slice(&octets[skip..]);
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// An ECDSA signature of P-256 as X.509 wants it, out of r and s side by side, as PKCS #11 gives it.
pub fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
    const HALF: usize = 32;
    if raw.len() != 2 * HALF {
        return None;
    }
    let (r, s) = raw.split_at(HALF);
    Some(tlv(SEQUENCE, &[&positive(r)?, &positive(s)?]))
}

/// A whole INTEGER: the shortest form, with a zero in front of a first bit that would mean less than nothing. Never zero.
pub fn positive(bytes: &[u8]) -> Option<Vec<u8>> {
    let skip = bytes.iter().take_while(|byte| **byte == 0).count();
    let (first, rest) = (bytes.get(skip)?, &bytes[skip..]);
    let sign: &[u8] = if first & 0x80 == 0 { &[] } else { &[0] };
    Some(tlv(INTEGER, &[sign, rest]))
}

/// Reads elements one after the other; what is left over is an error at `end`.
#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element's tag, content, and whole bytes.
    pub fn any(&mut self) -> Result<(u8, &'a [u8], &'a [u8]), DerError> {
        let (tag, rest) = self.0.split_first().ok_or(DerError)?;
        // A tag of more than one octet occurs in nothing that we read.
        if tag & 0x1f == 0x1f {
            return Err(DerError);
        }
        let (first, rest) = rest.split_first().ok_or(DerError)?;
        let (length, head) = match first {
            0..=0x7f => (usize::from(*first), 2),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let octets = rest.get(..count).ok_or(DerError)?;
                let length = octets.iter().fold(0usize, |sum, octet| sum << 8 | usize::from(*octet));
                if length < 0x80 || octets.first() == Some(&0) {
                    return Err(DerError);
                }
                (length, 2 + count)
            }
            _ => return Err(DerError),
        };
        let end = head.checked_add(length).ok_or(DerError)?;
        let whole = self.0.get(..end).ok_or(DerError)?;
        self.0 = &self.0[end..];
        Ok((*tag, &whole[head..], whole))
    }

    /// The content of the next element, which must have this tag.
    pub fn take(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        match self.any()? {
            (found, content, _) if found == tag => Ok(content),
            _ => Err(DerError),
        }
    }

    /// The content of the next element if it has this tag.
    pub fn maybe(&mut self, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.peek() == Some(tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// A reader of the content of the next element.
    pub fn inside(&mut self, tag: u8) -> Result<Reader<'a>, DerError> {
        self.take(tag).map(Reader)
    }

    pub fn end(self) -> Result<(), DerError> {
        if self.0.is_empty() { Ok(()) } else { Err(DerError) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_have_one_form() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let bytes = tlv(OCTET_STRING, &[&vec![7; length]]);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.take(OCTET_STRING).unwrap().len(), length);
            reader.end().unwrap();
        }
        for bad in [
            &[0x04u8][..],
            &[0x04, 0x80],
            &[0x04, 0x81, 0x01, 7],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x04, 0x02, 7],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x1f, 0x81, 0x00, 0x00],
        ] {
            assert!(Reader::new(bad).any().is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn a_raw_signature_has_one_der_form_however_short_its_halves_are() {
        let halves = |r: &[u8], s: &[u8]| {
            let mut raw = [0; 64];
            raw[32 - r.len()..32].copy_from_slice(r);
            raw[64 - s.len()..].copy_from_slice(s);
            ecdsa_signature(&raw)
        };
        assert_eq!(halves(&[1], &[0x7f]).unwrap(), [0x30, 6, 2, 1, 1, 2, 1, 0x7f]);
        assert_eq!(halves(&[0x80], &[1, 0]).unwrap(), [0x30, 8, 2, 2, 0, 0x80, 2, 2, 1, 0]);
        let longest = ecdsa_signature(&[0xff; 64]).unwrap();
        assert_eq!((longest.len(), &longest[..5]), (72, [0x30, 70, 2, 33, 0].as_slice()));
        for bad in [&[0; 64][..], &[1; 63], &[1; 65], &[]] {
            assert_eq!(ecdsa_signature(bad), None);
        }
        assert_eq!(halves(&[1], &[]), None, "s is never zero");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
        #[test]
        fn no_bytes_make_it_panic_or_read_beyond(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            let mut read = 0;
            while let Ok((_, content, whole)) = reader.any() {
                prop_assert!(content.len() < whole.len());
                read += whole.len();
            }
            prop_assert!(read <= bytes.len());
        }
    }
}
