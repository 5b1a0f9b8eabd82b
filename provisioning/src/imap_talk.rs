//! As much of IMAP (RFC 3501) as fetching bounces needs: commands as they are written, and what an answer's line means.
//! Every octet that is read here is a stranger's. Pure.

/// What a line of the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// `* …`
    Untagged(String),
    /// Our command is done.
    Ok,
    /// `NO` and `BAD`, with the server's words.
    Refused(String),
    /// Of another tag, or no line of the protocol.
    Odd,
}

/// Reads a line of which the literals are cut out.
pub fn said(tag: &str, line: &[u8]) -> Said {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\r', '\n']);
    if let Some(rest) = text.strip_prefix("* ") {
        return Said::Untagged(rest.to_owned());
    }
    // Only our own tag answers: a line for an earlier command must not pass for this one's.
    let Some((found, rest)) = text.split_once(' ') else { return Said::Odd };
    if found != tag {
        return Said::Odd;
    }
    let (word, words) = rest.split_once(' ').unwrap_or((rest, ""));
    match word.to_ascii_uppercase().as_str() {
        "OK" => Said::Ok,
        "NO" | "BAD" => Said::Refused(words.to_owned()),
        _ => Said::Odd,
    }
}

/// The octets of the literal that a line announces at its end: `… {123}`.
pub fn literal(line: &[u8]) -> Option<Result<usize, ()>> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let inner = line.strip_suffix(b"}")?;
    let begin = inner.iter().rposition(|octet| *octet == b'{')?;
    let digits = inner.get(begin + 1..)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(()))
}

/// A string in quotes; `None` for what cannot stand in them.
pub fn quoted(text: &str) -> Option<String> {
    if !text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return None;
    }
    Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// `SEARCH 2 5 9`: at most so many, in the order of their arrival.
pub fn found(untagged: &str, limit: usize) -> Option<Vec<u32>> {
    let mut words = untagged.split_ascii_whitespace();
    if !words.next()?.eq_ignore_ascii_case("SEARCH") {
        return None;
    }
    Some(words.filter_map(|word| word.parse().ok()).take(limit).collect())
}

/// Is it the answer of a FETCH, and of this mail?
pub fn is_fetch(untagged: &str, uid: u32) -> bool {
    let mut words = untagged.split([' ', '(', ')']).filter(|word| !word.is_empty());
    let is_fetch = words.nth(1).is_some_and(|word| word.eq_ignore_ascii_case("FETCH"));
    let mut before = "";
    is_fetch
        && words.any(|word| {
            let is_it = before.eq_ignore_ascii_case("UID") && word.parse() == Ok(uid);
            before = word;
            is_it
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_only_our_tag_answers() {
        assert_eq!(said("a2", b"* 3 EXISTS\r\n"), Said::Untagged("3 EXISTS".into()));
        assert_eq!(said("a2", b"a2 OK done\r\n"), Said::Ok);
        assert_eq!(
            said("a2", b"a2 NO [AUTHENTICATIONFAILED] no\r\n"),
            Said::Refused("[AUTHENTICATIONFAILED] no".into())
        );
        for odd in [&b"a1 OK done\r\n"[..], b"+ go on\r\n", b"\r\n", b"a2 PREAUTH x\r\n"] {
            assert_eq!(said("a2", odd), Said::Odd);
        }
    }

    #[test]
    fn literals_are_announced_by_digits_alone() {
        assert_eq!(literal(b"* 1 FETCH (BODY[] {12}\r\n"), Some(Ok(12)));
        assert_eq!(literal(b"* 1 FETCH (BODY[] {99999999999999999999999}\r\n"), Some(Err(())));
        for none in [&b"* OK {}\r\n"[..], b"* OK {1x}\r\n", b"* OK\r\n", b"{12}", b"* OK {12} \r\n"] {
            assert_eq!(literal(none), None);
        }
    }

    #[test]
    fn words_are_quoted_or_refused() {
        assert_eq!(quoted("pass\"w\\ord").as_deref(), Some("\"pass\\\"w\\\\ord\""));
        for bad in ["a\r\nb", "あ", "\u{7f}"] {
            assert_eq!(quoted(bad), None);
        }
        assert_eq!(found("SEARCH 2 5 x 9", 2), Some(vec![2, 5]));
        assert_eq!((found("SEARCH", 9), found("3 EXISTS", 9)), (Some(vec![]), None));
        assert!(is_fetch("4 FETCH (UID 9 BODY[]<0> ", 9) && is_fetch("4 FETCH (BODY[]<0>  UID 9)", 9));
        assert!(!is_fetch("4 FETCH (UID 90 BODY[]<0> ", 9) && !is_fetch("9 EXPUNGE", 9));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]
        #[test]
        fn no_octets_hurt(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            let _ = (said("a1", &line), literal(&line));
            let text = String::from_utf8_lossy(&line);
            let _ = (found(&text, 5), is_fetch(&text, 1));
        }
    }
}
