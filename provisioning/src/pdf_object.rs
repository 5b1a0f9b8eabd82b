//! PDF's objects, as far as a scan needs them: read from octets, with a limit on how deep and how many. Pure.

use std::collections::BTreeMap;

/// Arrays in dictionaries in arrays; scanners go three deep.
const DEPTH_MAX: u32 = 24;

#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Null,
    Bool(bool),
    Number(f64),
    Name(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Object>),
    Dict(Dict),
    /// Another object's number.
    Ref(u32),
    /// Whatever else stands there: an operator.
    Word(Vec<u8>),
}

pub type Dict = BTreeMap<Vec<u8>, Object>;

impl Object {
    pub fn number(&self) -> Option<f64> {
        if let Object::Number(number) = self { Some(*number) } else { None }
    }

    /// A whole number that is no smaller than nothing.
    pub fn count(&self) -> Option<u32> {
        let number = self.number()?;
        (number >= 0.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0).then_some(number as u32)
    }

    pub fn name(&self) -> Option<&[u8]> {
        if let Object::Name(name) = self { Some(name) } else { None }
    }
}

/// A place in octets.
pub struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

fn is_space(octet: u8) -> bool {
    matches!(octet, 0 | b'\t' | b'\n' | 12 | b'\r' | b' ')
}

fn ends_word(octet: u8) -> bool {
    is_space(octet) || matches!(octet, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub fn starts(&self, with: &[u8]) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(with))
    }

    pub fn space(&mut self) {
        while let Some(octet) = self.peek() {
            if octet == b'%' {
                while self.peek().is_some_and(|octet| octet != b'\n' && octet != b'\r') {
                    self.at += 1;
                }
            } else if is_space(octet) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let from = self.at;
        while self.peek().is_some_and(|octet| !ends_word(octet)) {
            self.at += 1;
        }
        self.bytes.get(from..self.at).unwrap_or_default()
    }

    /// The next object; `None` at the end, or where none begins.
    pub fn object(&mut self) -> Option<Object> {
        self.nested(0)
    }

    fn nested(&mut self, depth: u32) -> Option<Object> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.space();
        match self.peek()? {
            b'/' => {
                self.at += 1;
                Some(Object::Name(plain(self.word())))
            }
            b'(' => self.text(),
            b'<' if self.starts(b"<<") => {
                self.at += 2;
                self.dict(depth)
            }
            b'<' => self.hex(),
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.space();
                    if self.peek()? == b']' {
                        self.at += 1;
                        return Some(Object::Array(items));
                    }
                    items.push(self.nested(depth + 1)?);
                }
            }
            b'+' | b'-' | b'.' | b'0'..=b'9' => Some(self.numeric()),
            _ => {
                let word = self.word();
                Some(match word {
                    b"" => return None,
                    b"true" => Object::Bool(true),
                    b"false" => Object::Bool(false),
                    b"null" => Object::Null,
                    other => Object::Word(other.to_vec()),
                })
            }
        }
    }

    /// A number, or with two more words a reference.
    fn numeric(&mut self) -> Object {
        let number = std::str::from_utf8(self.word()).ok().and_then(|word| word.parse::<f64>().ok());
        let after = self.at;
        if let Some(number) = number.filter(|number| number.fract() == 0.0 && (0.0..1e9).contains(number)) {
            self.space();
            let generation = self.word();
            if !generation.is_empty() && generation.len() < 6 && generation.iter().all(u8::is_ascii_digit) {
                self.space();
                if self.word() == b"R" {
                    return Object::Ref(number as u32);
                }
            }
        }
        self.at = after;
        Object::Number(number.unwrap_or(0.0))
    }

    fn dict(&mut self, depth: u32) -> Option<Object> {
        let mut dict = Dict::new();
        loop {
            self.space();
            if self.starts(b">>") {
                self.at += 2;
                return Some(Object::Dict(dict));
            }
            let Object::Name(name) = self.nested(depth + 1)? else { return None };
            dict.insert(name, self.nested(depth + 1)?);
        }
    }

    fn text(&mut self) -> Option<Object> {
        let (mut text, mut open) = (Vec::new(), 0);
        loop {
            let octet = self.peek()?;
            self.at += 1;
            match octet {
                b'(' => open += 1,
                b')' => open -= 1,
                b'\\' => {
                    text.push(self.escaped()?);
                    continue;
                }
                _ => {}
            }
            match (open, octet) {
                (0, _) => return Some(Object::Text(text)),
                (1, b'(') if text.is_empty() => {}
                _ => text.push(octet),
            }
        }
    }

    fn escaped(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.at += 1;
        Some(match octet {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'0'..=b'7' => {
                let mut value = u32::from(octet - b'0');
                for _ in 0..2 {
                    match self.peek() {
                        Some(digit @ b'0'..=b'7') => {
                            value = value * 8 + u32::from(digit - b'0');
                            self.at += 1;
                        }
                        _ => break,
                    }
                }
                value as u8
            }
            other => other,
        })
    }

    fn hex(&mut self) -> Option<Object> {
        self.at += 1;
        let mut digits = Vec::new();
        loop {
            let octet = self.peek()?;
            self.at += 1;
            match octet {
                b'>' => break,
                _ => digits.extend((octet as char).to_digit(16).map(|digit| digit as u8)),
            }
        }
        let octet = |two: &[u8]| two[0] << 4 | two.get(1).copied().unwrap_or(0);
        Some(Object::Text(digits.chunks(2).map(octet).collect()))
    }
}

/// `#20` in a name is a space.
fn plain(word: &[u8]) -> Vec<u8> {
    let (mut name, mut rest) = (Vec::with_capacity(word.len()), word);
    while let Some((octet, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|octet| (*octet as char).to_digit(16));
        if let (b'#', Some(high), Some(low)) = (octet, digit(0), digit(1)) {
            name.push((high * 16 + low) as u8);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            name.push(*octet);
            rest = tail;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_scanners_write_is_read() {
        let text = b"<< /Type /Page /Kids [3 0 R 4 0 R] /Rotate 90 /Box [0 0 595.2 -1.5] % note\n \
            /T (a\\(b\\)\\101(c)) /H <4a4B4> /B true /A#20B null >>";
        let Some(Object::Dict(dict)) = Reader::new(text, 0).object() else { panic!() };
        assert_eq!(dict[b"Kids".as_slice()], Object::Array(vec![Object::Ref(3), Object::Ref(4)]));
        assert_eq!(dict[b"Rotate".as_slice()].count(), Some(90));
        assert_eq!(dict[b"T".as_slice()], Object::Text(b"a(b)A(c)".to_vec()));
        assert_eq!(dict[b"H".as_slice()], Object::Text(vec![0x4a, 0x4b, 0x40]));
        assert_eq!(dict[b"A B".as_slice()], Object::Null);
        let Object::Array(sides) = &dict[b"Box".as_slice()] else { panic!() };
        assert_eq!(sides[3].number(), Some(-1.5));
    }

    #[test]
    fn deep_and_endless_ones_end() {
        for text in
            [&b"[".repeat(1_000_000)[..], &b"<<".repeat(1_000_000), b"(((((", b"<</A", b"<4", b"/", b"12 0 "]
        {
            let _ = Reader::new(text, 0).object();
        }
        assert_eq!(Reader::new(&b"[".repeat(40), 0).object(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_octets_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = Reader::new(&bytes, 0);
            while reader.at < bytes.len() {
                let before = reader.at;
                let _ = reader.object();
                reader.at = reader.at.max(before + 1);
            }
        }
    }
}
