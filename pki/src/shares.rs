//! A passphrase in shares: any `needed` of them give it back, fewer say nothing at all (Shamir, over GF(256)).
//! Pure; randomness is handed in. A share's text is one line for a QR code and for fingers: it says which
//! set it belongs to, and its own check finds a mistyped letter. What is joined carries a digest, so that
//! shares of different secrets never give a passphrase that only looks like one.
//!
//! ```text
//! MMS1:1A2B3C4D:3:5:2:<BASE32>:<CHECK>     set, needed, all, number, share, check
//! ```

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXUPPER};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use crate::chain::Hash;

const FORM: &str = "MMS1";
pub const SET_LEN: usize = 4;
const CHECK_LEN: usize = 4;
/// One holder is no sharing.
const NEEDED_MIN: u8 = 2;
/// More envelopes than a board has members.
const ALL_MAX: u8 = 16;
/// A passphrase, not a document; the QR code must stay readable.
pub const SECRET_MAX: usize = 128;
/// A share's line is below 300 characters.
const TEXT_MAX: usize = 1024;

/// How many are made, and how many of them are needed: `3/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    needed: u8,
    all: u8,
}

/// One holder's part. No `Debug`, no `Clone`; wiped when dropped.
pub struct Share {
    set: [u8; SET_LEN],
    terms: Terms,
    /// From 1; also the place at which the polynomials were evaluated.
    number: u8,
    bytes: Zeroizing<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    #[error("MM-2321 `{0}` is not a number of shares: needed/all, such as 3/5, from 2 needed to 16 in all")]
    Terms(String),
    #[error(
        "MM-2322 the secret to share must have 1 to 128 bytes, and randomness of its length for each needed share"
    )]
    Secret,
    #[error("MM-2323 this line is no share, or a letter of it is wrong: {0}")]
    Line(&'static str),
    #[error("MM-2324 share {0} belongs to another set")]
    OtherSet(u8),
    #[error("MM-2325 share {0} was given twice")]
    Twice(u8),
    #[error("MM-2326 {given} of {needed} needed shares were given")]
    TooFew { given: u8, needed: u8 },
    #[error("MM-2327 these shares do not belong together: what they give is not what was shared")]
    Mixed,
}

impl Terms {
    pub fn new(needed: u8, all: u8) -> Option<Self> {
        (NEEDED_MIN <= needed && needed <= all && all <= ALL_MAX).then_some(Self { needed, all })
    }

    pub fn needed(self) -> u8 {
        self.needed
    }

    pub fn all(self) -> u8 {
        self.all
    }

    /// Random bytes that sharing such a secret takes.
    pub fn randomness(self, secret: &[u8]) -> usize {
        (secret.len() + CHECK_LEN) * usize::from(self.needed - 1)
    }
}

impl FromStr for Terms {
    type Err = ShareError;
    fn from_str(text: &str) -> Result<Self, ShareError> {
        let wrong = || ShareError::Terms(text.chars().take(20).collect());
        let (needed, all) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u8>().map_err(|_| wrong());
        Self::new(number(needed)?, number(all)?).ok_or_else(wrong)
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.needed, self.all)
    }
}

impl Share {
    pub fn number(&self) -> u8 {
        self.number
    }

    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// What all shares of one sharing have in common.
    pub fn set(&self) -> String {
        HEXUPPER.encode(&self.set)
    }

    /// The whole line.
    pub fn text(&self) -> Zeroizing<String> {
        let Terms { needed, all } = self.terms;
        let (set, number) = (self.set(), self.number);
        let secret = Zeroizing::new(BASE32_NOPAD.encode(&self.bytes));
        let line = Zeroizing::new(format!("{FORM}:{set}:{needed}:{all}:{number}:{}", secret.as_str()));
        Zeroizing::new(format!("{}:{}", line.as_str(), check(&line)))
    }

    /// Names a share without saying anything of it: for the transcript, and for people who compare.
    pub fn check(&self) -> String {
        self.text().rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// As it was scanned or typed: spaces, line ends and small letters do not matter.
    pub fn read(text: &str) -> Result<Self, ShareError> {
        if text.len() > TEXT_MAX {
            return Err(ShareError::Line("it is too long"));
        }
        let mut packed = Zeroizing::new(String::with_capacity(TEXT_MAX));
        packed.extend(text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()));
        let (line, said) = packed.rsplit_once(':').ok_or(ShareError::Line("it has no parts"))?;
        let parts: Vec<&str> = line.split(':').collect();
        let [form, set, needed, all, number, secret] = parts.as_slice() else {
            return Err(ShareError::Line("it has not seven parts"));
        };
        if *form != FORM {
            return Err(ShareError::Line("it does not begin with MMS1"));
        }
        if check(line) != said {
            return Err(ShareError::Line("its check does not fit"));
        }
        let small = |text: &str| text.parse::<u8>().map_err(|_| ShareError::Line("a number in it"));
        let terms = Terms::new(small(needed)?, small(all)?).ok_or(ShareError::Line("its numbers"))?;
        let number = small(number)?;
        if number == 0 || number > terms.all {
            return Err(ShareError::Line("its number"));
        }
        let set = HEXUPPER.decode(set.as_bytes()).ok().and_then(|set| set.try_into().ok());
        let bytes = BASE32_NOPAD.decode(secret.as_bytes()).map_err(|_| ShareError::Line("a letter in it"))?;
        let bytes = Zeroizing::new(bytes);
        if !(1 + CHECK_LEN..=SECRET_MAX + CHECK_LEN).contains(&bytes.len()) {
            return Err(ShareError::Line("its length"));
        }
        Ok(Self { set: set.ok_or(ShareError::Line("its set"))?, terms, number, bytes })
    }
}

/// Makes the shares. `random` has `terms.randomness(secret)` fresh bytes and is used for nothing else.
pub fn split(
    secret: &[u8],
    terms: Terms,
    set: [u8; SET_LEN],
    random: &[u8],
) -> Result<Vec<Share>, ShareError> {
    if secret.is_empty() || secret.len() > SECRET_MAX || random.len() != terms.randomness(secret) {
        return Err(ShareError::Secret);
    }
    let plain = Zeroizing::new([secret, &digest(secret)].concat());
    let share = |number: u8| {
        let mut bytes = Zeroizing::new(vec![0; plain.len()]);
        // Horner's rule, from the highest power down to the secret itself.
        for coefficients in random.chunks_exact(plain.len()).chain([plain.as_slice()]) {
            for (byte, coefficient) in bytes.iter_mut().zip(coefficients) {
                *byte = times(*byte, number) ^ coefficient;
            }
        }
        Share { set, terms, number, bytes }
    };
    Ok((1..=terms.all).map(share).collect())
}

/// What was shared, from as many shares as are needed; further ones must fit, too.
pub fn join(shares: &[Share]) -> Result<Zeroizing<Vec<u8>>, ShareError> {
    let Some(first) = shares.first() else { return Err(ShareError::TooFew { given: 0, needed: NEEDED_MIN }) };
    for (place, share) in shares.iter().enumerate() {
        if (share.set, share.terms, share.bytes.len()) != (first.set, first.terms, first.bytes.len()) {
            return Err(ShareError::OtherSet(share.number));
        }
        if shares[..place].iter().any(|other| other.number == share.number) {
            return Err(ShareError::Twice(share.number));
        }
    }
    let given = u8::try_from(shares.len()).unwrap_or(u8::MAX);
    if given < first.terms.needed {
        return Err(ShareError::TooFew { given, needed: first.terms.needed });
    }
    let mut plain = Zeroizing::new(vec![0; first.bytes.len()]);
    for share in shares {
        // Lagrange's weight at zero.
        let weight = shares.iter().filter(|other| other.number != share.number).fold(1, |weight, other| {
            times(weight, times(other.number, inverse(other.number ^ share.number)))
        });
        for (byte, part) in plain.iter_mut().zip(share.bytes.iter()) {
            *byte ^= times(*part, weight);
        }
    }
    let at = plain.len() - CHECK_LEN;
    if digest(&plain[..at]).ct_eq(&plain[at..]).into() {
        plain[at..].zeroize();
        plain.truncate(at);
        Ok(plain)
    } else {
        Err(ShareError::Mixed)
    }
}

fn digest(secret: &[u8]) -> [u8; CHECK_LEN] {
    let hash = Hash::of(&Zeroizing::new([b"mimamori shared secret\0", secret].concat()));
    let mut digest = [0; CHECK_LEN];
    digest.copy_from_slice(&hash.as_bytes()[..CHECK_LEN]);
    digest
}

fn check(line: &str) -> String {
    HEXUPPER.encode(&Hash::of(line.as_bytes()).as_bytes()[..CHECK_LEN])
}

/// In GF(256) with AES's polynomial; the same steps whatever the values are.
fn times(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= u8::conditional_select(&0, &a, Choice::from(b >> bit & 1));
        let carry = Choice::from(a >> 7);
        a = (a << 1) ^ u8::conditional_select(&0, &0x1b, carry);
    }
    product
}

/// a^254; of zero it is zero, and nobody asks for it.
fn inverse(a: u8) -> u8 {
    let mut power = a;
    for _ in 0..6 {
        power = times(times(power, power), a);
    }
    times(power, power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SET: [u8; SET_LEN] = [0x1a, 0x2b, 0x3c, 0x4d];

    fn split_with(secret: &[u8], terms: Terms, seed: u8) -> Vec<Share> {
        let random: Vec<u8> = (0..terms.randomness(secret))
            .map(|at| Hash::of(&[&[seed], at.to_be_bytes().as_slice()].concat()).as_bytes()[0])
            .collect();
        split(secret, terms, SET, &random).unwrap()
    }

    #[test]
    fn the_field_is_a_field() {
        // FIPS 197, 4.2: {57} · {83} = {c1}.
        assert_eq!(times(0x57, 0x83), 0xc1);
        for a in 1..=255u8 {
            assert_eq!(times(a, inverse(a)), 1, "{a}");
            assert_eq!((times(a, 1), times(a, 0)), (a, 0));
        }
    }

    #[test]
    fn a_set_of_the_first_version_joins_for_ever() {
        let secret = b"correct horse battery staple";
        let shares = split_with(secret, "2/3".parse().unwrap(), 7);
        let texts: Vec<String> = shares.iter().map(|share| share.text().to_string()).collect();
        assert!(texts[0].starts_with("MMS1:1A2B3C4D:2:3:1:"), "{}", texts[0]);
        let again: Vec<Share> = texts[1..].iter().map(|text| Share::read(text).unwrap()).collect();
        assert_eq!(join(&again).unwrap().as_slice(), secret);
    }

    #[test]
    fn terms_are_these_and_no_others() {
        for good in ["2/2", "3/5", "16/16"] {
            assert_eq!(good.parse::<Terms>().unwrap().to_string(), good);
        }
        for bad in ["", "3", "1/5", "6/5", "3/17", "0/0", "3/5/7", "-3/5", "３/５"] {
            assert!(bad.parse::<Terms>().is_err(), "{bad}");
        }
        assert!(split(b"", "2/3".parse().unwrap(), SET, &[0; 4]).is_err());
        assert!(split(b"x", "2/3".parse().unwrap(), SET, &[0; 4]).is_err(), "too little randomness");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn any_that_are_enough_give_it_back_and_one_fewer_does_not(
            secret in proptest::collection::vec(any::<u8>(), 1..=SECRET_MAX),
            needed in 2u8..=6, more in 0u8..=6, seed: u8, order in any::<u64>(),
        ) {
            let terms = Terms::new(needed, needed + more).unwrap();
            let mut shares = split_with(&secret, terms, seed);
            // Any of them, in any order.
            shares.sort_by_key(|share| Hash::of(&[share.number, order as u8, (order >> 8) as u8]));
            shares.truncate(usize::from(needed));
            let typed: Vec<Share> = shares
                .iter()
                .map(|share| Share::read(&share.text().to_lowercase().replace(':', " : ")).unwrap())
                .collect();
            let joined = join(&typed).unwrap();
            prop_assert_eq!(joined.as_slice(), secret.as_slice());
            prop_assert_eq!(
                join(&typed[1..]).err(),
                Some(ShareError::TooFew { given: needed - 1, needed })
            );
            let again = [&typed[..], &[Share::read(&typed[0].text()).unwrap()]].concat_shares();
            prop_assert_eq!(join(&again).err(), Some(ShareError::Twice(typed[0].number)));
        }

        /// Fewer shares than needed fit every secret equally well: for whatever the attacker guesses there is
        /// a missing share that makes it true.
        #[test]
        fn fewer_than_needed_say_nothing(guess in proptest::collection::vec(any::<u8>(), 8), seed: u8) {
            let shares = split_with(b"8 octets", "2/2".parse().unwrap(), seed);
            let guessed = [guess.as_slice(), &digest(&guess)].concat();
            // The line through (0, guess) and the share that is known, at the place of the other.
            let known = &shares[0];
            let slope = |at: usize| times(guessed[at] ^ known.bytes[at], inverse(known.number));
            let other: Vec<u8> = (0..guessed.len()).map(|at| guessed[at] ^ times(slope(at), 2)).collect();
            let other = Share { set: SET, terms: known.terms, number: 2, bytes: Zeroizing::new(other) };
            let known = Share::read(&known.text()).unwrap();
            let joined = join(&[known, other]).unwrap();
            prop_assert_eq!(joined.as_slice(), guess.as_slice());
        }

        #[test]
        fn a_changed_letter_is_always_noticed(at in any::<prop::sample::Index>(), letter in "[A-Z0-9:]") {
            let text = split_with(b"correct horse battery", "2/3".parse().unwrap(), 1)[0].text().to_string();
            let at = at.index(text.len());
            let changed = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
            prop_assume!(changed != text);
            prop_assert!(Share::read(&changed).is_err(), "{changed}");
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,200}", shaped in "MMS1:[0-9A-F]{0,9}:[0-9]{0,3}:[0-9]{0,3}:[0-9]{0,3}:[A-Z2-7]{0,40}:[0-9A-F]{0,9}") {
            prop_assert!(Share::read(&text).is_err());
            let _ = Share::read(&shaped);
        }
    }

    #[test]
    fn shares_of_different_sharings_never_join() {
        let terms = "2/3".parse().unwrap();
        let mut one = split_with(b"one secret of ours", terms, 1);
        let mut other = split_with(b"another one so long", terms, 2);
        other.truncate(2);
        one.truncate(1);
        one.push(other.pop().unwrap());
        assert!(matches!(join(&one).err(), Some(ShareError::OtherSet(2))), "of another length");
        let mut one = split_with(b"one secret of ours", terms, 1);
        let mut other = split_with(b"two secret of ours", terms, 2);
        one.truncate(1);
        one.push(other.remove(1));
        assert_eq!(join(&one).err(), Some(ShareError::Mixed), "under a forged set's name");
    }

    trait ConcatShares {
        fn concat_shares(&self) -> Vec<Share>;
    }

    impl ConcatShares for [&[Share]; 2] {
        fn concat_shares(&self) -> Vec<Share> {
            self.iter()
                .flat_map(|some| some.iter().map(|share| Share::read(&share.text()).unwrap()))
                .collect()
        }
    }
}
