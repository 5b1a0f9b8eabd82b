//! Names as banks write them: half-width kana, capitals, digits and a few signs, one octet each (JIS X 0201). What has
//! no such form is refused, never replaced: a debit in another's name bounces. Pure.

use unicode_normalization::UnicodeNormalization;

use crate::messages::{Message, shown};

/// U+FF61 to U+FF9F in their full-width forms.
const FULL: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜";
const HALF_FIRST: u32 = 0xff61;
/// Octet of U+FF61.
const OCTET_FIRST: u8 = 0xa1;
/// Banks know no small kana, and a hyphen for the long vowel.
const LARGE: [(char, char); 10] = [
    ('ァ', 'ア'),
    ('ィ', 'イ'),
    ('ゥ', 'ウ'),
    ('ェ', 'エ'),
    ('ォ', 'オ'),
    ('ャ', 'ヤ'),
    ('ュ', 'ユ'),
    ('ョ', 'ヨ'),
    ('ッ', 'ツ'),
    ('ー', '-'),
];
const SIGNS: &str = " ()-./\\";

/// A name in the bank's letters: `さくら医院` has none, `イ)サクラ` does.
pub fn name(text: &str) -> Result<String, Message> {
    let wrong = || Message::HolderForm { given: shown(text) };
    let mut written = String::new();
    for c in text.trim().nfkc().flat_map(char::to_uppercase) {
        let kana = match c {
            'ぁ'..='ゖ' => char::from_u32(u32::from(c) + 0x60).ok_or_else(wrong)?,
            '‐' | '−' | '–' | '—' => '-',
            c if c.is_whitespace() => ' ',
            other => other,
        };
        for part in kana.nfd() {
            written.push(letter(part).ok_or_else(wrong)?);
        }
    }
    if written.is_empty() { Err(wrong()) } else { Ok(written) }
}

fn letter(part: char) -> Option<char> {
    let part = LARGE.iter().find(|(small, _)| *small == part).map_or(part, |(_, large)| *large);
    match part {
        'A'..='Z' | '0'..='9' => Some(part),
        sign if SIGNS.contains(sign) => Some(sign),
        '\u{3099}' => Some('ﾞ'),
        '\u{309a}' => Some('ﾟ'),
        full => {
            let place = FULL.chars().position(|known| known == full)?;
            char::from_u32(HALF_FIRST + u32::try_from(place).ok()?)
        }
    }
}

/// The octets of letters that `name` gave; anything else has none.
pub fn octets(name: &str) -> Option<Vec<u8>> {
    name.chars()
        .map(|c| match u32::from(c) {
            code if code < 0x80 => u8::try_from(code).ok(),
            code => {
                let place = code.checked_sub(HALF_FIRST).filter(|place| *place < 63)?;
                u8::try_from(place).ok().map(|place| OCTET_FIRST + place)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_11_names_are_written_as_banks_do() {
        for (typed, written) in [
            ("イ）サクラカイ", "ｲ)ｻｸﾗｶｲ"),
            ("さくら　ないか", "ｻｸﾗ ﾅｲｶ"),
            ("ﾌｸｲ ﾀﾛｳ", "ﾌｸｲ ﾀﾛｳ"),
            ("ガッコウ", "ｶﾞﾂｺｳ"),
            ("ペーパー", "ﾍﾟ-ﾊﾟ-"),
            ("ヴ", "ｳﾞ"),
            ("abc-１２", "ABC-12"),
        ] {
            assert_eq!(name(typed).unwrap(), written, "{typed}");
        }
        for typed in ["さくら医院", "", "　", "é", "😀", "ｶ\nｷ9&"] {
            assert_eq!(name(typed).unwrap_err().code(), "MM-5357", "{typed}");
        }
    }

    #[test]
    fn every_letter_has_one_octet() {
        assert_eq!(FULL.chars().count(), 63);
        assert_eq!(octets("ｱﾝﾟ｡A-").unwrap(), [0xb1, 0xdd, 0xdf, 0xa1, b'A', b'-']);
        assert!(octets("ア").is_none());
    }
}
