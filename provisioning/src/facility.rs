//! The nouns of a facility (事業所): its code, its kind, its administrator's address, its plain texts.
//! Each is valid once it exists; parsing says what is wrong in a `Message`. Pure. G-01, G-03, A-05.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::messages::{Message, shown};

/// G-01: exactly.
pub const CODE_LENGTH: usize = 10;
/// P-20: numbers for those who have none (民生委員, families); the first one is the secretariat's own.
pub const PSEUDO_PREFIX: &str = "99";
pub const OFFICE_CODE: &str = "9900000001";

/// What an address line on an envelope holds, doubled.
const LINE_MAX: usize = 100;
/// Octets of an issued id.
pub const ISSUED_MIN: usize = 3;
pub const ISSUED_MAX: usize = 64;
/// RFC 5321 4.5.3.1.
const ADDRESS_MAX: usize = 254;
const LOCAL_MAX: usize = 64;

/// 事業所番号: ten characters, digits, a letter allowed in third place (総合事業).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FacilityCode(String);

impl FacilityCode {
    /// Accepts full-width characters and the hyphens and blanks that people put between groups.
    pub fn parse(text: &str) -> Result<Self, Message> {
        let code: String =
            text.nfkc().filter(|c| !c.is_whitespace() && !is_dash(*c)).flat_map(char::to_uppercase).collect();
        let length = code.chars().count();
        if length != CODE_LENGTH {
            return Err(Message::CodeLength { given: shown(text), length });
        }
        let fits = |(place, c): (usize, char)| c.is_ascii_digit() || (place == 2 && c.is_ascii_uppercase());
        if !code.chars().enumerate().all(fits) {
            return Err(Message::CodeForm { given: shown(text) });
        }
        Ok(Self(code))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Does the last digit follow from the others? Care offices count all nine before it, medical
    /// institutions the six after the table number; codes with a letter carry no check we know.
    pub fn check_digit_matches(&self) -> bool {
        let (body, last) = self.0.split_at(CODE_LENGTH - 1);
        let Some(last) = last.chars().next() else { return false };
        self.0.bytes().any(|b| b.is_ascii_uppercase())
            || check_digit(body) == Some(last)
            || check_digit(&body[3..]) == Some(last)
    }
}

impl fmt::Display for FacilityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Modulus 10, weights 2 and 1 from the last digit, products of two digits added up.
pub fn check_digit(digits: &str) -> Option<char> {
    let mut sum = 0;
    for (place, c) in digits.chars().rev().enumerate() {
        let product = c.to_digit(10)? * if place % 2 == 0 { 2 } else { 1 };
        sum += product / 10 + product % 10;
    }
    char::from_digit((10 - sum % 10) % 10, 10)
}

/// The written word is also what the registry stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FacilityKind {
    Medical,
    Dental,
    Pharmacy,
    VisitingNurse,
    CareManagement,
    OtherCare,
    Helper,
    WelfareCommissioner,
    SupportCentre,
    Family,
    /// The secretariat's own pseudo-facility; nobody applies as this.
    Office,
}

impl FacilityKind {
    /// What an applicant may be, in the order of the form's list.
    pub const APPLICANTS: [FacilityKind; 10] = [
        FacilityKind::Medical,
        FacilityKind::Dental,
        FacilityKind::Pharmacy,
        FacilityKind::VisitingNurse,
        FacilityKind::CareManagement,
        FacilityKind::OtherCare,
        FacilityKind::Helper,
        FacilityKind::WelfareCommissioner,
        FacilityKind::SupportCentre,
        FacilityKind::Family,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            FacilityKind::Medical => "医科",
            FacilityKind::Dental => "歯科",
            FacilityKind::Pharmacy => "保険薬局",
            FacilityKind::VisitingNurse => "訪問看護ステーション",
            FacilityKind::CareManagement => "居宅介護支援事業所",
            FacilityKind::OtherCare => "その他介護事業所",
            FacilityKind::Helper => "ヘルパー",
            FacilityKind::WelfareCommissioner => "民生委員",
            FacilityKind::SupportCentre => "地域包括支援センター",
            FacilityKind::Family => "患者・家族事業所",
            FacilityKind::Office => "事務局",
        }
    }

    /// What else people write for it, already folded as `fold_word` does.
    fn synonyms(self) -> &'static [&'static str] {
        match self {
            FacilityKind::Medical => &["病院", "診療所", "医院", "クリニック", "医科診療所", "医療機関"],
            FacilityKind::Dental => &["歯科医院", "歯科診療所", "歯科クリニック"],
            FacilityKind::Pharmacy => &["薬局", "調剤薬局", "調剤"],
            FacilityKind::VisitingNurse => &["訪問看護st", "訪問看護", "訪看", "訪問看護事業所"],
            FacilityKind::CareManagement => {
                &["居宅介護支援", "居宅", "ケアマネ", "ケアマネジャー", "ケアプランセンター"]
            }
            FacilityKind::OtherCare => &[
                "介護事業所",
                "介護サービス事業所",
                "その他の介護事業所",
                "その他介護",
                "その他",
                "通所介護",
                "デイサービス",
                "特別養護老人ホーム",
                "介護老人保健施設",
                "小規模多機能",
                "グループホーム",
            ],
            FacilityKind::Helper => &["訪問介護", "訪問介護事業所", "ヘルパーステーション", "ホームヘルパー"],
            FacilityKind::WelfareCommissioner => &["民生児童委員", "民生委員児童委員"],
            FacilityKind::SupportCentre => {
                &["包括", "地域包括", "包括支援センター", "連携支援センター", "在宅医療介護連携支援センター"]
            }
            FacilityKind::Family => &["患者家族", "家族"],
            FacilityKind::Office => &[],
        }
    }

    /// Reads what an applicant wrote.
    pub fn parse_applicant(text: &str) -> Result<Self, Message> {
        let word = fold_word(text);
        let means = |kind: &FacilityKind| {
            fold_word(kind.as_str()) == word || kind.synonyms().contains(&word.as_str())
        };
        FacilityKind::APPLICANTS.into_iter().find(means).ok_or_else(|| Message::KindUnknown {
            given: shown(text),
            nearest: nearest(&word, FacilityKind::APPLICANTS.map(FacilityKind::as_str)),
        })
    }

    /// Reads what the registry stores.
    pub fn parse_stored(text: &str) -> Option<Self> {
        FacilityKind::APPLICANTS.into_iter().chain([FacilityKind::Office]).find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for FacilityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mail address, kept as written and as compared: folded exactly as a login is (G-03).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress {
    written: String,
    folded: String,
}

impl MailAddress {
    pub fn parse(text: &str) -> Result<Self, Message> {
        let written: String = text.nfkc().collect::<String>().trim().to_owned();
        let wrong = || Message::AddressForm { given: shown(text) };
        let (local, domain) = written.rsplit_once('@').ok_or_else(wrong)?;
        let local_fits = !local.is_empty() && local.len() <= LOCAL_MAX && local.bytes().all(is_local_octet);
        let labels: Vec<&str> = domain.split('.').collect();
        let domain_fits = labels.len() >= 2 && labels.iter().all(|label| is_label(label));
        if !local_fits || !domain_fits || written.len() > ADDRESS_MAX {
            return Err(wrong());
        }
        let folded = written.to_lowercase();
        Ok(Self { written, folded })
    }

    /// The admin's: an address, or the id that the secretariat issues to whoever has none (D-00).
    pub fn of_admin(text: &str) -> Result<Self, Message> {
        let written: String = text.nfkc().collect::<String>().trim().to_owned();
        let issued = (ISSUED_MIN..=ISSUED_MAX).contains(&written.len())
            // No dot: an address without its @ is a mistake, not an id.
            && written.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        if !issued {
            return MailAddress::parse(text);
        }
        let folded = written.to_lowercase();
        Ok(Self { written, folded })
    }

    pub fn written(&self) -> &str {
        &self.written
    }

    /// The form in which two addresses are the same address.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// One line of text as people write it; only blanks at the ends are taken away.
pub fn line(text: &str) -> Result<String, Message> {
    let line = text.trim();
    if line.chars().any(char::is_control) {
        return Err(Message::CellControl);
    }
    if line.chars().count() > LINE_MAX {
        return Err(Message::CellTooLong { limit: LINE_MAX });
    }
    Ok(line.to_owned())
}

/// A Japanese telephone number with its hyphens: ten or eleven digits from the area code.
pub fn telephone(text: &str) -> Result<String, Message> {
    let plain: String = text
        .nfkc()
        .filter(|c| !c.is_whitespace())
        .map(|c| if is_dash(c) || matches!(c, '(' | ')') { '-' } else { c })
        .collect();
    let plain = plain.trim_matches('-').to_owned();
    let digits = plain.bytes().filter(u8::is_ascii_digit).count();
    let fits = plain.starts_with('0')
        && (10..=11).contains(&digits)
        && plain.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        && !plain.contains("--");
    if fits { Ok(plain) } else { Err(Message::TelephoneForm { given: shown(text) }) }
}

/// A word without what people vary: width, case, blanks, dots, hyphens.
pub fn fold_word(text: &str) -> String {
    text.nfkc()
        .filter(|c| !c.is_whitespace() && !is_hyphen(*c) && !matches!(c, '・' | '･' | '.' | '、' | ',' | '/'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Of several words the one that takes the fewest changes to reach.
pub fn nearest<const N: usize>(word: &str, words: [&'static str; N]) -> &'static str {
    let folded = fold_word(word);
    words.into_iter().min_by_key(|known| strsim::levenshtein(&folded, &fold_word(known))).unwrap_or("")
}

fn is_hyphen(c: char) -> bool {
    // The Japanese long-vowel mark is not one of them: ヘルパーステーション keeps it.
    matches!(c, '-' | '‐' | '‑' | '–' | '—' | '−')
}

/// Between digits people also type the long-vowel mark.
fn is_dash(c: char) -> bool {
    is_hyphen(c) || c == 'ー'
}

fn is_local_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g_01_a_code_has_ten_characters_exactly() {
        for (given, meant) in [
            ("1810112340", "1810112340"),
            ("１８１０１１２３４０", "1810112340"),
            (" 18-1-01-1234-0 ", "1810112340"),
            ("18a0100013", "18A0100013"),
        ] {
            assert_eq!(FacilityCode::parse(given).unwrap().as_str(), meant);
        }
        for (given, code) in [
            ("181011234", "MM-5211"),
            ("18101123400", "MM-5211"),
            ("", "MM-5211"),
            ("1A10112340", "MM-5212"),
            ("18あ0112340", "MM-5212"),
            ("181011234O", "MM-5212"),
        ] {
            assert_eq!(FacilityCode::parse(given).unwrap_err().code(), code, "{given}");
        }
    }

    #[test]
    fn g_01_the_check_digit_is_counted_as_care_offices_and_as_medical_institutions_do() {
        // 33120015 is the published example of the rule: 3312001 gives 5.
        assert_eq!(check_digit("3312001"), Some('5'));
        let matches = |code: &str| FacilityCode::parse(code).unwrap().check_digit_matches();
        let care = format!("187010012{}", check_digit("187010012").unwrap());
        let medical = format!("181010012{}", check_digit("010012").unwrap());
        assert!(matches(&care) && matches(&medical) && matches("18A0100013"));
        let wrong = ('0'..='9').filter(|last| !matches(&format!("187010012{last}"))).count();
        assert!(wrong >= 8, "a mistyped last digit is noticed");
    }

    #[test]
    fn a_05_kinds_read_as_people_write_them() {
        for kind in FacilityKind::APPLICANTS {
            assert_eq!(FacilityKind::parse_applicant(kind.as_str()), Ok(kind));
            assert_eq!(FacilityKind::parse_stored(kind.as_str()), Some(kind));
        }
        for (given, kind) in [
            ("訪問看護ＳＴ", FacilityKind::VisitingNurse),
            ("薬局", FacilityKind::Pharmacy),
            ("ｸﾘﾆｯｸ", FacilityKind::Medical),
            (" 居宅介護支援 ", FacilityKind::CareManagement),
            ("訪問介護", FacilityKind::Helper),
            ("患者家族事業所", FacilityKind::Family),
        ] {
            assert_eq!(FacilityKind::parse_applicant(given), Ok(kind), "{given}");
        }
        let unknown = FacilityKind::parse_applicant("保健薬局").unwrap_err();
        assert_eq!(unknown, Message::KindUnknown { given: "保健薬局".into(), nearest: "保険薬局" });
        assert!(FacilityKind::parse_applicant("事務局").is_err(), "nobody applies as the secretariat");
    }

    #[test]
    fn g_03_addresses_are_the_same_in_any_width_and_case() {
        let plain = MailAddress::parse("kanri@sakura-clinic.example.jp").unwrap();
        for same in [
            "KANRI@Sakura-Clinic.example.jp",
            "ｋａｎｒｉ＠ｓａｋｕｒａ－ｃｌｉｎｉｃ．ｅｘａｍｐｌｅ．ｊｐ",
            " kanri@sakura-clinic.example.jp ",
        ] {
            assert_eq!(MailAddress::parse(same).unwrap().folded(), plain.folded(), "{same}");
        }
        for wrong in [
            "",
            "kanri",
            "@a.jp",
            "kanri@jp",
            "kanri@-a.jp",
            "a b@c.jp",
            "管理@例え.jp",
            "a@b..jp",
            "a@b.jp\r\nBcc: c@d.jp",
        ] {
            assert!(MailAddress::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn d_00_who_has_no_address_signs_in_with_an_issued_id() {
        let issued = MailAddress::of_admin(" Ｔａｎａｋａ-01 ").unwrap();
        assert_eq!((issued.written(), issued.folded()), ("Tanaka-01", "tanaka-01"));
        assert!(MailAddress::of_admin("kanri@sakura.example.jp").is_ok());
        for wrong in ["", "ab", "田中", "tanaka 01", "kanri@", "kanri＠jp", "kanri.sakura.jp"] {
            assert!(MailAddress::of_admin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn telephones_keep_their_hyphens() {
        assert_eq!(telephone("０７７６－００－１２３４").unwrap(), "0776-00-1234");
        assert_eq!(telephone("0776(00)1234").unwrap(), "0776-00-1234");
        assert_eq!(telephone("0776ー00ー1234").unwrap(), "0776-00-1234");
        for wrong in ["", "1234", "0776-00-123a", "+81776001234"] {
            assert!(telephone(wrong).is_err(), "{wrong}");
        }
    }
}
