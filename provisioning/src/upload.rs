//! `multipart/form-data` as browsers send it: a few fields and one file, all of it in memory under the body's limit. A
//! parser of foreign octets that keeps to RFC 7578's plain case and refuses the rest. Pure.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;

use crate::fault::Fault;
use crate::messages_people::PeopleMessage;

/// Fields of one form; ours have fewer than ten, and a pile of scans twenty files.
const PARTS_MAX: usize = 26;
/// RFC 2046 5.1.1.
const BOUNDARY_MAX: usize = 70;
const NAME_MAX: usize = 60;

/// What a form brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
struct Part {
    name: String,
    file_name: Option<String>,
    bytes: Vec<u8>,
}

impl Parts {
    /// A field's text; empty when there is none.
    pub fn text(&self, name: &str) -> String {
        let part = self.parts.iter().find(|part| part.name == name && part.file_name.is_none());
        part.map(|part| String::from_utf8_lossy(&part.bytes).trim().to_owned()).unwrap_or_default()
    }

    /// The file that was chosen.
    pub fn file(&mut self, name: &str) -> Result<Vec<u8>, Fault> {
        let part = self.parts.iter_mut().find(|part| part.name == name && part.file_name.is_some());
        match part {
            Some(part) if !part.bytes.is_empty() => Ok(std::mem::take(&mut part.bytes)),
            _ => Err(PeopleMessage::BodyForm.about("file").into()),
        }
    }
}

impl Parts {
    /// Every file that was chosen under this name; an input that was left empty sends one without octets.
    pub fn files(&mut self, name: &str) -> Vec<Vec<u8>> {
        let chosen = self.parts.iter_mut().filter(|part| part.name == name && part.file_name.is_some());
        chosen.map(|part| std::mem::take(&mut part.bytes)).filter(|bytes| !bytes.is_empty()).collect()
    }
}

pub fn read(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Parts, Fault> {
    let wrong = |what: &str| Fault::from(PeopleMessage::BodyForm.about(what));
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = boundary(media).ok_or_else(|| wrong("Content-Type: multipart/form-data"))?;
    let body = body.map_err(|_| wrong("length"))?;
    parse(&boundary, &body).ok_or_else(|| wrong("multipart"))
}

fn boundary(media: &str) -> Option<String> {
    let (kind, rest) = media.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let found = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let found = found.trim_matches('"');
    let fits =
        !found.is_empty() && found.len() <= BOUNDARY_MAX && found.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| found.to_owned())
}

/// `None` for whatever is not whole.
fn parse(boundary: &str, body: &[u8]) -> Option<Parts> {
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(first.as_bytes())?;
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(Parts { parts });
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end = find(rest, between.as_bytes())?;
        let part = rest.get(..end)?;
        rest = rest.get(end + between.len()..)?;
        if parts.len() == PARTS_MAX {
            return None;
        }
        let head = find(part, b"\r\n\r\n")?;
        let (name, file_name) = names(std::str::from_utf8(part.get(..head)?).ok()?)?;
        parts.push(Part { name, file_name, bytes: part.get(head + 4..)?.to_vec() });
    }
}

fn names(head: &str) -> Option<(String, Option<String>)> {
    let line =
        head.split("\r\n").find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let mut name = None;
    let mut file_name = None;
    for field in line.split(';').skip(1) {
        let (key, value) = field.trim().split_once('=')?;
        let value: String =
            value.trim_matches('"').chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        match key {
            "name" => name = Some(value),
            "filename" => file_name = Some(value),
            _ => {}
        }
    }
    Some((name?, file_name))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &[u8] = b"--x1\r\nContent-Disposition: form-data; name=\"on\"\r\n\r\n2026-06-26\r\n--x1\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n1\r\n2\x00\r\n--x1--\r\n";

    #[test]
    fn a_browsers_form_is_read() {
        let mut parts = parse("x1", BODY).unwrap();
        assert_eq!(
            (parts.text("on").as_str(), parts.text("file").as_str()),
            ("2026-06-26", ""),
            "a file is no text"
        );
        assert_eq!(parts.file("file").unwrap(), b"1\r\n2\x00");
        assert!(parts.files("file").is_empty(), "taken already");
        assert!(parts.file("on").is_err() && parts.file("none").is_err());
        assert_eq!(boundary("multipart/form-data; boundary=\"x1\"").as_deref(), Some("x1"));
        for media in [
            "",
            "text/plain",
            "multipart/form-data",
            "multipart/mixed; boundary=x1",
            "multipart/form-data; boundary=",
        ] {
            assert!(boundary(media).is_none(), "{media}");
        }
    }

    #[test]
    fn a_cut_or_strange_form_is_refused_whole() {
        for end in 0..BODY.len() - 4 {
            assert!(parse("x1", &BODY[..end]).is_none(), "{end}");
        }
        let many =
            format!("--x{}--", "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--x".repeat(27));
        assert!(parse("x", many.as_bytes()).is_none());
        assert!(parse("x", b"--x\r\nX: y\r\n\r\nz\r\n--x--").is_none(), "a part without a name");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_octets_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse("x", &bytes);
            let mut body = b"--x\r\n".to_vec();
            body.extend(bytes);
            let _ = parse("x", &body);
        }
    }
}
