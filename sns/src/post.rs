//! A post: its id, its text and its lane. Pure values; the text is wiped when it is dropped and
//! shown to no log. Requirements K-02, K-03, P-19.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use pki::identity::Role;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::messages::Message;

/// "2–3 lines, about 100 characters" (K-02): a hint on the screen, never a refusal.
pub const TEXT_SOFT_CHARS: usize = 100;
/// Enough for a discharge summary typed by hand; longer is a document, not a post.
pub const TEXT_HARD_CHARS: usize = 4_000;
/// Ten random bytes in base32.
const POST_ID_BODY: usize = 16;
/// Enough for a UUID with room to spare.
const ONCE_MAX: usize = 64;

/// A post's name: `n-` and sixteen letters or digits. It says nothing about the patient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PostId(String);

impl PostId {
    pub fn from_random(random: [u8; 10]) -> Self {
        Self(format!("n-{}", BASE32_NOPAD.encode(&random).to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PostId {
    type Err = Message;
    fn from_str(text: &str) -> Result<Self, Message> {
        let body = text.strip_prefix("n-").ok_or(Message::NoSuchPost)?;
        let fits =
            body.len() == POST_ID_BODY && body.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(Message::NoSuchPost) }
    }
}

/// What somebody wrote about a patient: no `Debug`, no `Clone`, wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PostText(String);

impl PostText {
    /// Line ends become `\n`; other control characters are dropped, they only hide things.
    pub fn new(mut text: String) -> Result<Self, Message> {
        let normal: String = text
            .replace("\r\n", "\n")
            .chars()
            .map(|c| if c == '\r' { '\n' } else { c })
            .filter(|c| *c == '\n' || !c.is_control())
            .collect();
        text.zeroize();
        let post = Self(normal.trim().to_owned());
        if post.0.is_empty() {
            return Err(Message::TextEmpty);
        }
        if post.chars() > TEXT_HARD_CHARS {
            return Err(Message::TextTooLong);
        }
        Ok(post)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn chars(&self) -> usize {
        self.0.chars().count()
    }

    /// Longer than K-02 advises; the author is told, not stopped.
    pub fn is_long(&self) -> bool {
        self.chars() > TEXT_SOFT_CHARS
    }
}

/// Who of the team reads a post (P-19): 専門職のみ, or 家族も見る.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Professionals,
    Family,
}

impl Lane {
    /// Professionals choose, and 専門職のみ is the default; what a family writes the family reads.
    pub fn chosen(role: Role, with_family: bool) -> Self {
        if with_family || role == Role::Family { Lane::Family } else { Lane::Professionals }
    }

    pub fn is_seen_by(self, role: Role) -> bool {
        match (self, role) {
            (_, Role::Staff) | (Lane::Family, Role::Family) => true,
            (Lane::Professionals, Role::Family) => false,
            (_, Role::Secretariat | Role::FacilityAdmin) => false,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Professionals => "professionals",
            Lane::Family => "family",
        }
    }

    /// What cannot be read is shown to the fewest.
    pub fn read(text: &str) -> Self {
        if text == "family" { Lane::Family } else { Lane::Professionals }
    }
}

/// A new post as it was asked for.
pub struct NewPost {
    pub text: PostText,
    pub urgent: bool,
    pub with_family: bool,
}

/// The client's name for one sending, so that sending it twice posts it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once(String);

impl Once {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Once {
    type Err = Message;
    fn from_str(text: &str) -> Result<Self, Message> {
        let fits = !text.is_empty()
            && text.len() <= ONCE_MAX
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(Message::OnceBroken) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_characters_advise_and_four_thousand_refuse_k_02() {
        assert!(!PostText::new("あ".repeat(100)).unwrap().is_long());
        assert!(PostText::new("あ".repeat(101)).unwrap().is_long());
        assert!(PostText::new("あ".repeat(4000)).is_ok());
        assert_eq!(PostText::new("あ".repeat(4001)).err(), Some(Message::TextTooLong));
        assert_eq!(PostText::new(" \r\n\t ".into()).err(), Some(Message::TextEmpty));
        assert_eq!(PostText::new("熱\r\nなし\u{7}".into()).unwrap().expose(), "熱\nなし");
    }

    #[test]
    fn a_post_is_for_professionals_unless_its_author_says_otherwise_p_19() {
        assert_eq!(Lane::chosen(Role::Staff, false), Lane::Professionals);
        assert_eq!(Lane::chosen(Role::Staff, true), Lane::Family);
        assert_eq!(Lane::chosen(Role::Family, false), Lane::Family);
        assert!(!Lane::Professionals.is_seen_by(Role::Family));
        for role in [Role::Secretariat, Role::FacilityAdmin] {
            assert!(!Lane::Family.is_seen_by(role), "P-02");
        }
        assert_eq!(Lane::read("broken"), Lane::Professionals);
    }

    #[test]
    fn ids_read_back_and_nothing_else_is_one() {
        let id = PostId::from_random([3; 10]);
        assert_eq!(id.as_str().parse::<PostId>().unwrap(), id);
        for text in [
            "",
            "n-",
            "n-ABCDEFGHIJKLMNOP",
            "t-abcdefghijklmnop",
            "n-abcdefghijklmno'",
            "n-abcdefghijklmnopq",
        ] {
            assert!(text.parse::<PostId>().is_err(), "{text}");
        }
        for text in ["", "a b", "あ", &"x".repeat(65)] {
            assert!(text.parse::<Once>().is_err(), "{text}");
        }
    }
}
