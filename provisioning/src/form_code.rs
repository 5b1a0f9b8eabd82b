//! What the code at the foot of a printed form says: which form, which case, what was printed, whose realm, how many
//! pages. Capitals and digits only, so that the modules are large enough for a FAX; no name of anybody. Pure.

use pki::chain::Hash;

use crate::flow_forms::Form;

/// Nothing else that hangs on a paper begins so.
const MARK: &str = "MIMAMORI-FORM:";
/// Letters of the hash: a paper whose fields were changed by hand has another one.
const HASH_LEN: usize = 16;
const REALM_LEN: usize = 6;
/// Our longest; a longer text is nobody's of us.
const TEXT_MAX: usize = 80;

/// The code of one paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormCode {
    pub form: Form,
    /// Empty on a blank form.
    pub case: String,
    pub hash: String,
    pub realm: String,
    pub pages: u16,
}

/// What a QR code on a page is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Ours(FormCode),
    /// It begins as ours do and cannot be read.
    Broken,
    /// A label, a prescription: not about forms.
    Other,
}

impl FormCode {
    pub fn text(&self) -> String {
        let number = self.form.name_ja().trim_start_matches("様式");
        let Self { case, hash, realm, pages, .. } = self;
        format!("{MARK}{number}:{case}:{hash}:{realm}:{pages}").to_ascii_uppercase()
    }
}

/// A realm in few letters: the same case number of another association is told from ours.
pub fn realm(zone: &str) -> String {
    letters(&format!("mimamori realm\0{zone}"), REALM_LEN)
}

/// What was printed, in few letters.
pub fn hash(form: Form, case: &str, values: &[String]) -> String {
    letters(&format!("{}\0{case}\0{}", form.name_ja(), values.join("\0")), HASH_LEN)
}

fn letters(text: &str, length: usize) -> String {
    Hash::of(text.as_bytes()).to_string().chars().take(length).collect::<String>().to_ascii_uppercase()
}

pub fn read(text: &str) -> Read {
    let Some(rest) = text.strip_prefix(MARK) else { return Read::Other };
    if text.len() > TEXT_MAX {
        return Read::Broken;
    }
    let parts: Vec<&str> = rest.split(':').collect();
    let [number, case, hash, realm, pages] = parts.as_slice() else { return Read::Broken };
    let is_case = case.is_empty() || case.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
    };
    match (Form::parse(number), pages.parse::<u16>()) {
        (Some(form), Ok(pages @ 1..)) if is_case && hex(hash, HASH_LEN) && hex(realm, REALM_LEN) => {
            Read::Ours(FormCode {
                form,
                case: (*case).to_owned(),
                hash: (*hash).to_owned(),
                realm: (*realm).to_owned(),
                pages,
            })
        }
        _ => Read::Broken,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::paper_field::FORMS;

    #[test]
    fn e_13_a_code_reads_back_and_fits_a_small_symbol() {
        for form in FORMS {
            for case in ["", "2026-00042"] {
                let code = FormCode {
                    form,
                    case: case.to_owned(),
                    hash: hash(form, case, &["山田".to_owned()]),
                    realm: realm("mimamori.example.jp"),
                    pages: 2,
                };
                assert_eq!(read(&code.text()), Read::Ours(code.clone()));
                let drawn = qrcode::QrCode::with_error_correction_level(code.text(), qrcode::EcLevel::M);
                assert!(drawn.unwrap().width() <= 33, "modules of 0.66 mm: five dots of a FAX");
            }
        }
    }

    #[test]
    fn what_only_looks_like_ours_is_broken_and_the_rest_is_nobodys() {
        for text in [
            "MIMAMORI-FORM:",
            "MIMAMORI-FORM:3:2026-00042:0123456789ABCDEF:ABCDEF",
            "MIMAMORI-FORM:3:2026-00042:0123456789ABCDEF:ABCDEF:0",
            "MIMAMORI-FORM:3:2026-00042:0123456789ABCDEG:ABCDEF:1",
            "MIMAMORI-FORM:9:2026-00042:0123456789ABCDEF:ABCDEF:1",
            "MIMAMORI-FORM:3:../etc:0123456789ABCDEF:ABCDEF:1",
            "MIMAMORI-FORM:3:2026-00042:0123456789ABCDEF:ABCDEF:1:2",
        ] {
            assert_eq!(read(text), Read::Broken, "{text}");
        }
        assert_eq!(read("https://claim.example.jp/#number=1"), Read::Other);
        assert_ne!(realm("a.example.jp"), realm("b.example.jp"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_text_is_answered(text in "(MIMAMORI-FORM:)?[ -~]{0,100}") {
            if let Read::Ours(code) = read(&text) {
                prop_assert_eq!(code.text().len(), text.len());
            }
        }
    }
}
