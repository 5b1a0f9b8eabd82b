//! DKIM (RFC 6376): the header that signs a finished message, `rsa-sha256`, relaxed on both sides.
//! Headers that a forger would add a second time are signed once more than they occur. Pure: the key
//! stays with its owner, who signs the octets given to it.

use aws_lc_rs::digest;
use data_encoding::BASE64;

/// What is signed, in this order; the doubled ones cannot be added to.
const SIGNED: [&str; 12] = [
    "from",
    "from",
    "to",
    "to",
    "subject",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "auto-submitted",
    "content-language",
];
/// Longest piece of a signature on one line.
const LINE: usize = 72;

/// The message with its signature in front. `sign` makes RSASSA-PKCS1-v1_5 with SHA-256.
pub fn signed<E>(
    message: &[u8],
    domain: &str,
    selector: &str,
    at_ms: i64,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let (head, body) = split(message);
    let body_hash = BASE64.encode(digest::digest(&digest::SHA256, &relaxed_body(body)).as_ref());
    let unsigned = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain};\r\n s={selector}; t={at};\r\n \
         h={names};\r\n bh={body_hash};\r\n b=",
        at = at_ms / 1_000,
        names = SIGNED.join(":"),
    );
    let mut octets = String::new();
    let headers = headers(head);
    for (place, name) in SIGNED.iter().enumerate() {
        // The n-th mention of a name takes the n-th header from below; there may be none.
        let nth = SIGNED[..place].iter().filter(|earlier| *earlier == name).count();
        let mut same = headers.iter().rev().filter(|header| is_named(header, name));
        if let Some(header) = same.nth(nth) {
            octets.push_str(&relaxed_header(header));
            octets.push_str("\r\n");
        }
    }
    octets.push_str(&relaxed_header(&unsigned));
    let signature = BASE64.encode(&sign(octets.as_bytes())?);
    let mut out = unsigned.into_bytes();
    for (place, piece) in signature.as_bytes().chunks(LINE).enumerate() {
        if place > 0 {
            out.extend_from_slice(b"\r\n ");
        }
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(message);
    Ok(out)
}

/// Head without its last line end, and body.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n");
    end.map_or((message, &[]), |end| (&message[..end], &message[end + 4..]))
}

/// Whole headers with their folded lines.
fn headers(head: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(head);
    let mut headers: Vec<String> = Vec::new();
    for line in text.split("\r\n") {
        match headers.last_mut() {
            Some(header) if line.starts_with([' ', '\t']) => {
                header.push_str("\r\n");
                header.push_str(line);
            }
            _ => headers.push(line.to_owned()),
        }
    }
    headers
}

fn is_named(header: &str, name: &str) -> bool {
    header.split_once(':').is_some_and(|(given, _)| given.trim_end().eq_ignore_ascii_case(name))
}

/// RFC 6376 3.4.2, without the line's end.
fn relaxed_header(header: &str) -> String {
    let (name, value) = header.split_once(':').unwrap_or((header, ""));
    let value =
        value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{}:{value}", name.trim_end().to_ascii_lowercase())
}

/// RFC 6376 3.4.4.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(body.len());
    for line in body.split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut blank = false;
        for octet in line {
            if matches!(octet, b' ' | b'\t') {
                blank = true;
                continue;
            }
            if blank {
                out.push(b' ');
                blank = false;
            }
            out.push(*octet);
        }
        out.extend_from_slice(b"\r\n");
    }
    while out.ends_with(b"\r\n\r\n") {
        out.truncate(out.len() - 2);
    }
    if out == b"\r\n" { Vec::new() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6376 3.4.5, the example of the standard.
    #[test]
    fn canonical_forms_are_those_of_the_standard() {
        assert_eq!(relaxed_header("A: X"), "a:X");
        assert_eq!(relaxed_header("B : Y\t\r\n\tZ  "), "b:Y Z");
        assert_eq!(relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n"), b" C\r\nD E\r\n");
        assert_eq!(relaxed_body(b"\r\n\r\n"), b"");
        assert_eq!(relaxed_body(b""), b"");
        assert_eq!(relaxed_body(b"a"), b"a\r\n");
    }

    #[test]
    fn what_is_signed_holds_each_header_once_and_the_signature_stands_in_front() {
        let message = b"From: a@b.jp\r\nSubject: =?x?=\r\n folded\r\nDate: d\r\n\r\nbody\r\n";
        let mut seen = Vec::new();
        let out = signed(message, "b.jp", "s", 1_700_000_000_123, |octets| {
            seen = octets.to_vec();
            Ok::<_, ()>(vec![7; 256])
        })
        .unwrap();
        let seen = String::from_utf8(seen).unwrap();
        assert!(
            seen.starts_with("from:a@b.jp\r\nsubject:=?x?= folded\r\ndate:d\r\ndkim-signature:v=1; "),
            "{seen}"
        );
        assert!(seen.ends_with("; b=") && seen.contains("t=1700000000;"), "{seen}");
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("DKIM-Signature: v=1;") && out.ends_with("\r\n\r\nbody\r\n"));
        assert!(out.lines().all(|line| line.len() <= 998));
    }
}
