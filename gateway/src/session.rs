//! A session: one person in one membership on one slot with one certificate. Owns the token as a
//! secret (stored only as its hash), the limits of its life, and the cookie. Pure. Rulings 1 and 4.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use http::HeaderMap;
use pki::identity::{MembershipId, PersonId};
use pki::serial::CertificateSerial;
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::messages::Message;
use crate::moment::Moment;

/// A ward's terminal left alone locks itself.
pub const IDLE_MS: i64 = 30 * 60_000;
/// One working shift and its handover.
pub const ABSOLUTE_MS: i64 = 12 * 60 * 60_000;
/// Several people share a terminal (H-02); more than this on one device is not people.
pub const PER_SLOT: usize = 16;
/// Host-locked, secure, unreadable for scripts, never sent from another site (ruling 4).
pub const COOKIE: &str = "__Host-session";

/// 256 random bits. No `Debug`, wiped when dropped.
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    pub fn from_random(random: &[u8; 32]) -> Self {
        Self(Zeroizing::new(BASE64URL_NOPAD.encode(random)))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let fits =
            text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The one session cookie of a request; two of them are none.
    pub fn from_cookies(headers: &HeaderMap) -> Option<Self> {
        let mut found = headers
            .get_all(http::header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        let only = found.next()?;
        if found.next().is_some() {
            return None;
        }
        Self::parse(only)
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash(*pki::chain::Hash::of(self.0.as_bytes()).as_bytes())
    }

    /// For a hidden field of our own page; a secret.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value of `Set-Cookie`; a secret.
    pub fn set_cookie(&self) -> Zeroizing<String> {
        let token = self.0.as_str();
        Zeroizing::new(format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict"))
    }
}

/// `Set-Cookie` that forgets the session.
pub const FORGET_COOKIE: &str = "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0";

/// SHA-256 of a token: all that is ever stored of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

/// Names a session in logs, audit and tables; opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

impl SessionId {
    pub fn from_random(random: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(random))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("s-")?;
        u64::from_str_radix(hex, 16).ok().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s-{:016x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub slot: SlotNumber,
    /// The slot's generation at sign-in: tells a late cut which sessions it meant.
    pub generation: u64,
    pub certificate: CertificateSerial,
    pub person: PersonId,
    pub membership: MembershipId,
    /// Until the first password is changed, the session can do nothing else (P-09).
    pub must_change: bool,
    pub created_ms: i64,
    pub seen_ms: i64,
}

impl Session {
    /// Within its limits of time?
    pub fn alive(&self, now: Moment) -> Result<(), Message> {
        if now.unix_ms.saturating_sub(self.created_ms) >= ABSOLUTE_MS {
            return Err(Message::SessionOver);
        }
        if now.unix_ms.saturating_sub(self.seen_ms) >= IDLE_MS {
            return Err(Message::SessionIdle);
        }
        Ok(())
    }
}

/// Why a session ended; kept with its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    SignedOut,
    /// Another person signed in on the same cookie.
    Switched,
    Idle,
    Over,
    Cut,
    NotPermitted,
    PasswordChanged,
    /// The person gave up a passkey: whoever may have used it is out.
    PasskeyRemoved,
    /// The oldest of too many on one slot.
    Crowded,
}

impl EndReason {
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::SignedOut => "signed-out",
            EndReason::Switched => "switched",
            EndReason::Idle => "idle",
            EndReason::Over => "over",
            EndReason::Cut => "cut",
            EndReason::NotPermitted => "not-permitted",
            EndReason::PasswordChanged => "password-changed",
            EndReason::PasskeyRemoved => "passkey-removed",
            EndReason::Crowded => "crowded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(http::header::COOKIE, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_token_travels_in_one_cookie_and_two_are_none() {
        let token = SessionToken::from_random(&[7; 32]);
        let text = token.set_cookie().split(';').next().unwrap().to_owned();
        let found = SessionToken::from_cookies(&cookies(&[&format!("a=b; {text}")])).unwrap();
        assert!(found.hash() == token.hash());
        for attack in [
            vec![format!("{text}; {text}")],
            vec![text.clone(), text.clone()],
            vec![text.replace("__Host-", "")],
            vec![format!("{text}x")],
            vec![text.replace(COOKIE, "__Host-sessions")],
        ] {
            let values: Vec<&str> = attack.iter().map(String::as_str).collect();
            assert!(SessionToken::from_cookies(&cookies(&values)).is_none(), "{attack:?}");
        }
    }

    #[test]
    fn hash_and_id_read_back() {
        let hash = SessionToken::from_random(&[1; 32]).hash();
        assert!(TokenHash::from_hex(&hash.to_hex()) == Some(hash));
        let id = SessionId::from_random([9; 8]);
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn idle_and_absolute_limits_end_it() {
        let session = |created_ms, seen_ms| Session {
            id: SessionId::from_random([1; 8]),
            slot: "18-0042".parse().unwrap(),
            generation: 1,
            certificate: CertificateSerial::from_random([1; 16]),
            person: PersonId::from_random([1; 10]),
            membership: MembershipId::from_random([1; 10]),
            must_change: false,
            created_ms,
            seen_ms,
        };
        let now = Moment { unix_ms: 100 * 60 * 60_000, up_ms: 0 };
        let ago = |ms: i64| now.unix_ms - ms;
        assert_eq!(session(ago(1), ago(1)).alive(now), Ok(()));
        assert_eq!(session(ago(IDLE_MS), ago(IDLE_MS)).alive(now), Err(Message::SessionIdle));
        assert_eq!(session(ago(ABSOLUTE_MS), ago(1)).alive(now), Err(Message::SessionOver));
    }
}
