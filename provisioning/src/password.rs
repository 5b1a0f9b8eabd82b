//! Which passwords are good enough (P-09), how a typed one is read, and how a first one is made.
//! Every password is compared in NFKC, so that a phone's full-width digits are the same digits. Pure.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::messages_people::PeopleMessage;

/// Long enough without rules about characters (P-09).
const LONG_ENOUGH: usize = 13;
/// Shortest at all; then letters, digits and symbols are asked for (P-09).
const SHORTEST: usize = 8;
/// Longest that is hashed: more is no safer, only slower.
const LONGEST: usize = 128;
/// Different characters at least, so that a row of one letter is not "long".
const DIFFERENT: usize = 5;

/// What attackers try first, and their Japanese cousins; compared without case, digits and symbols at the ends.
const COMMON: &[&str] = &[
    "password",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "pass",
    "qwerty",
    "qwertyuiop",
    "qwertyui",
    "asdfghjk",
    "asdfghjkl",
    "zxcvbnm",
    "abc",
    "abcd",
    "abcdef",
    "abcdefg",
    "abcdefgh",
    "abcdefghijklm",
    "letmein",
    "welcome",
    "admin",
    "administrator",
    "root",
    "user",
    "guest",
    "login",
    "master",
    "test",
    "testtest",
    "hello",
    "iloveyou",
    "dragon",
    "monkey",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "himitsu",
    "sakura",
    "fukui",
    "fukuiken",
    "nippon",
    "japan",
    "arigatou",
    "arigato",
    "konnichiwa",
    "ohayou",
    "aishiteru",
    "kangoshi",
    "kaigo",
    "kango",
    "byouin",
    "hospital",
    "clinic",
    "iryou",
    "isikai",
    "ishikai",
    "mimamori",
    "doctor",
    "nurse",
    "tomodachi",
    "doraemon",
    "pikachu",
    "naruto",
    "pokemon",
    "changeme",
    "secret",
    "default",
    "passpass",
    "passwordpassword",
    "qazwsx",
    "qazwsxedc",
    "zaq",
    "q1w2e3r4t5",
    "q1w2e3r4",
    "1q2w3e4r5t",
    "1q2w3e4r",
    "1qaz2wsx3edc",
    "1qaz2wsx",
    "123456789012",
    "1234567890123",
    "12345678901234",
    "0123456789012",
    "kenkou",
    "zaitaku",
    "houmon",
];

/// A typed password as it is hashed and compared.
pub fn read(typed: &str) -> Zeroizing<String> {
    Zeroizing::new(typed.nfkc().collect())
}

/// P-09. `login` is the folded login that the password must not contain.
pub fn check(typed: &str, login: &str) -> Result<Zeroizing<String>, PeopleMessage> {
    let password = read(typed);
    let length = password.chars().count();
    if length > LONGEST {
        return Err(PeopleMessage::PasswordLong);
    }
    let letters = password.chars().any(char::is_alphabetic);
    let digits = password.chars().any(char::is_numeric);
    let symbols = password.chars().any(|c| !c.is_alphanumeric() && !c.is_whitespace());
    if length < SHORTEST || (length < LONG_ENOUGH && !(letters && digits && symbols)) {
        return Err(PeopleMessage::PasswordShort);
    }
    let lower = Zeroizing::new(password.to_lowercase());
    if contains_login(&lower, login) {
        return Err(PeopleMessage::PasswordIsLogin);
    }
    if is_common(&lower) {
        return Err(PeopleMessage::PasswordCommon);
    }
    Ok(password)
}

/// The first password of an account: four groups of four, 80 bits, without letters that look alike.
pub fn first(random: &[u8; 16]) -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789T";
    let mut text = Zeroizing::new(String::with_capacity(19));
    for (i, octet) in random.iter().enumerate() {
        if i > 0 && i % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(octet % 32)]));
    }
    text
}

/// Wrong passwords in a row that pause an account.
const FAILURES_TO_PAUSE: i64 = 5;
/// Each further five wait longer, up to an hour: guessing ends, the person does not.
const PAUSES_MS: [i64; 4] = [60_000, 5 * 60_000, 15 * 60_000, 60 * 60_000];

/// The pause that begins with this failure, if one does.
pub fn pause_ms(failures: i64) -> Option<i64> {
    if failures < FAILURES_TO_PAUSE || failures % FAILURES_TO_PAUSE != 0 {
        return None;
    }
    let step = usize::try_from(failures / FAILURES_TO_PAUSE - 1).unwrap_or(0);
    Some(PAUSES_MS[step.min(PAUSES_MS.len() - 1)])
}

/// The login itself, or the part of an address before the @, once it is long enough to be a word.
fn contains_login(lower: &str, login: &str) -> bool {
    const A_WORD: usize = 4;
    let login = login.to_lowercase();
    let local = login.split('@').next().unwrap_or("");
    [login.as_str(), local].into_iter().any(|part| part.chars().count() >= A_WORD && lower.contains(part))
}

fn is_common(lower: &str) -> bool {
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    let bare = lower.trim_matches(|c: char| !c.is_alphabetic());
    let squeezed: Zeroizing<String> = Zeroizing::new(lower.chars().filter(|c| c.is_alphanumeric()).collect());
    different.len() < DIFFERENT
        || COMMON.iter().any(|common| *common == lower || *common == bare || *common == squeezed.as_str())
        || is_run(&squeezed)
}

/// `1234567890123`, `abcdefghijklm`, `9876543210…`: each character next to the one before it.
fn is_run(text: &str) -> bool {
    let points: Vec<i64> = text.chars().map(|c| i64::from(u32::from(c))).collect();
    let steps = |step: i64| points.windows(2).filter(|pair| pair[1] - pair[0] == step).count();
    points.len() > 1 && steps(1).max(steps(-1)) + 3 >= points.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Requirements H-10.
    #[test]
    fn the_rule_of_p_09_as_a_table() {
        use PeopleMessage::*;
        let table = [
            ("", Some(PasswordShort)),
            ("aB3$xyz", Some(PasswordShort)),
            ("aB3$xyzw", None),
            ("abcdwxyz1", Some(PasswordShort)),
            ("kawazutobikomu", None),
            ("古池や蛙飛びこむ水の音とか", None),
            ("ａＢ３＄ｘｙｚｗ", None),
            ("Password-1", Some(PasswordCommon)),
            ("P@ssw0rd", Some(PasswordCommon)),
            ("password123456", Some(PasswordCommon)),
            ("aaaaaaaaaaaaaaaa", Some(PasswordCommon)),
            ("1234567890123", Some(PasswordCommon)),
            ("abcdefghijklmnop", Some(PasswordCommon)),
            ("himitsu-2026", Some(PasswordCommon)),
            ("taro.fukui#9", Some(PasswordIsLogin)),
            ("xx-Taro.Fukui-xx", Some(PasswordIsLogin)),
        ];
        for (password, refused) in table {
            assert_eq!(check(password, "taro.fukui@clinic.example").err(), refused, "{password}");
        }
        assert_eq!(check(&"長い".repeat(65), "x").err(), Some(PasswordLong));
    }

    #[test]
    fn every_fifth_failure_pauses_longer() {
        let pauses: Vec<_> = (1..=30).filter_map(|n| pause_ms(n).map(|ms| (n, ms / 60_000))).collect();
        assert_eq!(pauses, [(5, 1), (10, 5), (15, 15), (20, 60), (25, 60), (30, 60)]);
    }

    #[test]
    fn full_width_and_half_width_are_one_password() {
        assert_eq!(*read("ａＢ３＄"), *read("aB3$"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_first_password_always_satisfies_the_rule_in_the_end(random: [u8; 16]) {
            let text = first(&random);
            prop_assert_eq!(text.len(), 19);
            // Only a run of equal letters may fall out; the caller draws again.
            prop_assert!(matches!(check(&text, "someone@else.example"), Ok(_) | Err(PeopleMessage::PasswordCommon)));
        }

        #[test]
        fn no_text_makes_the_check_panic(text in "\\PC{0,40}", login in "\\PC{0,20}") {
            let _ = check(&text, &login);
        }
    }
}
