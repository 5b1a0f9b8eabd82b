//! What the printed sheet carries: 証明書取得用No and パスワード (ruling 5).
//! Made from random octets that are handed in; the password wipes itself and has no `Debug`. Pure.

use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::facility::check_digit;

/// Nine digits and a check digit: read aloud on the telephone, mistypings are noticed at once.
pub const NUMBER_LENGTH: usize = 10;
/// Sixteen of 32 signs: 80 bits, in four groups of four.
pub const PASSWORD_LENGTH: usize = 16;
const GROUP: usize = 4;
/// Digits and capitals without I, L, O and U: a sign that looks like another is read as that other.
const SIGNS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 証明書取得用No. Not secret by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TicketNumber(String);

impl TicketNumber {
    pub fn from_random(random: [u8; 8]) -> Self {
        // Never a leading zero: a spreadsheet would drop it.
        let body = (100_000_000 + u64::from_be_bytes(random) % 900_000_000).to_string();
        let check = check_digit(&body).unwrap_or('0');
        Self(format!("{body}{check}"))
    }

    /// As typed: any width, with or without blanks and hyphens. `None` when it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.nfkc().filter(|c| !is_separator(*c)).collect();
        let fits = digits.len() == NUMBER_LENGTH && digits.bytes().all(|b| b.is_ascii_digit());
        let (body, last) = digits.split_at_checked(NUMBER_LENGTH - 1)?;
        (fits && check_digit(body) == last.chars().next()).then(|| Self(digits.clone()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// パスワード of the sheet, without its hyphens: this text is what is hashed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TicketPassword(String);

impl TicketPassword {
    pub fn from_random(random: &[u8; PASSWORD_LENGTH]) -> Self {
        Self(random.iter().map(|octet| char::from(SIGNS[usize::from(octet % 32)])).collect())
    }

    /// As typed: any width and case, with or without hyphens, O for 0, I and L for 1.
    pub fn parse(text: &str) -> Option<Self> {
        let mut typed = Zeroizing::new(String::with_capacity(PASSWORD_LENGTH));
        for c in text.nfkc().filter(|c| !is_separator(*c)) {
            let sign = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            if typed.len() == PASSWORD_LENGTH || !u8::try_from(sign).is_ok_and(|b| SIGNS.contains(&b)) {
                return None;
            }
            typed.push(sign);
        }
        (typed.len() == PASSWORD_LENGTH).then(|| Self(typed.to_string()))
    }

    /// For hashing and verifying.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.clone())
    }

    /// As it is printed: `7K3M-…`.
    pub fn expose_printed(&self) -> Zeroizing<String> {
        let mut printed = Zeroizing::new(String::with_capacity(PASSWORD_LENGTH + PASSWORD_LENGTH / GROUP));
        for (place, sign) in self.0.chars().enumerate() {
            if place > 0 && place % GROUP == 0 {
                printed.push('-');
            }
            printed.push(sign);
        }
        printed
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '‐' | '‑' | '–' | '—' | '−' | 'ー')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_back_and_a_mistyped_one_does_not() {
        for seed in 0..200u64 {
            let number = TicketNumber::from_random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            assert_eq!(TicketNumber::parse(number.as_str()), Some(number.clone()));
            let mut typed: Vec<u8> = number.as_str().bytes().collect();
            typed[4] = b'0' + (typed[4] - b'0' + 1) % 10;
            assert_eq!(TicketNumber::parse(std::str::from_utf8(&typed).unwrap()), None);
        }
        assert!(TicketNumber::parse("").is_none() && TicketNumber::parse("１２").is_none());
    }

    #[test]
    fn a_password_is_read_however_it_is_typed() {
        let password =
            TicketPassword::from_random(&[0, 1, 2, 31, 30, 29, 10, 11, 255, 64, 33, 7, 8, 9, 20, 21]);
        let printed = password.expose_printed();
        assert_eq!(printed.len(), 19);
        let right = password.expose();
        for typed in [
            printed.to_string(),
            printed.to_lowercase(),
            printed.replace('-', " "),
            printed.replace('0', "o").replace('1', "l"),
            printed.chars().map(|c| char::from_u32(c as u32 + 0xfee0).unwrap()).collect(),
        ] {
            assert_eq!(*TicketPassword::parse(&typed).unwrap().expose(), *right, "{typed}");
        }
        assert!(TicketPassword::parse(&printed[..18]).is_none());
        assert!(TicketPassword::parse(&format!("{}7", *printed)).is_none());
    }
}
