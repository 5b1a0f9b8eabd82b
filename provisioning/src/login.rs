//! A login as people type it and as it is compared: NFKC, lower case, no blanks around it (G-03).
//! A login is a mail address or an issued id (D-00). Pure.

use unicode_normalization::UnicodeNormalization;

use crate::facility::{ISSUED_MAX, ISSUED_MIN, MailAddress};
use crate::messages_people::{PeopleMessage, Refusal};

/// Mail domains of mobile carriers: private by nature, and they refuse attachments (H-03).
const CARRIERS: &[&str] = &[
    "docomo.ne.jp",
    "ezweb.ne.jp",
    "au.com",
    "softbank.ne.jp",
    "i.softbank.jp",
    "vodafone.ne.jp",
    "disney.ne.jp",
    "ymobile.ne.jp",
    "y-mobile.ne.jp",
    "emobile.ne.jp",
    "willcom.com",
    "pdx.ne.jp",
    "uqmobile.jp",
    "rakuten.jp",
];

/// The form that is stored and compared.
pub fn fold(typed: &str) -> String {
    typed.nfkc().collect::<String>().trim().to_lowercase()
}

/// A folded login that may be registered.
pub fn check(typed: &str) -> Result<String, Refusal> {
    let login = fold(typed);
    let fits = match login.contains('@') {
        true => MailAddress::parse(&login).is_ok(),
        false => {
            (ISSUED_MIN..=ISSUED_MAX).contains(&login.len())
                && login.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
    };
    if fits {
        Ok(login)
    } else {
        Err(PeopleMessage::LoginForm.about(typed.chars().take(40).collect::<String>()))
    }
}

/// The carrier's domain, when the address is a carrier's.
pub fn carrier(folded: &str) -> Option<&str> {
    let domain = folded.split_once('@')?.1;
    let of = |carrier: &&str| domain == *carrier || domain.ends_with(&format!(".{carrier}"));
    CARRIERS.iter().any(of).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_however_it_is_typed() {
        for typed in
            ["Taro@Clinic.example", " taro@clinic.example ", "ＴＡＲＯ＠ｃｌｉｎｉｃ．ｅｘａｍｐｌｅ"]
        {
            assert_eq!(check(typed).unwrap(), "taro@clinic.example");
        }
        assert_eq!(check("Helper.12").unwrap(), "helper.12");
    }

    #[test]
    fn what_is_no_login_is_refused() {
        for typed in
            ["", "ab", "a b@c.jp", "@clinic.example", "a@", "a@b", "a@b@c.jp", "a@-b.jp", "たろう", "a@b..jp"]
        {
            assert!(check(typed).is_err(), "{typed}");
        }
    }

    /// Requirements H-03.
    #[test]
    fn carriers_are_named_with_their_subdomains() {
        assert_eq!(carrier("a@docomo.ne.jp"), Some("docomo.ne.jp"));
        assert_eq!(carrier("a@x.ezweb.ne.jp"), Some("x.ezweb.ne.jp"));
        assert_eq!(carrier("a@notdocomo.ne.jp"), None);
        assert_eq!(carrier("helper.12"), None);
    }
}
