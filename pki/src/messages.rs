//! What the refusals of this room say to people: stable code, Japanese first, English, and what to do.
//! Exhaustive, so that a missing text does not compile (ruling 12).

use std::fmt;

use crate::door::IssuingRefusal;
use crate::lifetime::utc;
use crate::verify::VerifyError;

/// The words around one refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub code: &'static str,
    pub ja: String,
    pub en: String,
    pub remedy_ja: &'static str,
    pub remedy_en: &'static str,
}

// Refusals that say the same every time: code, Japanese, English, and what to do in both.
const REVOKED_KEY: [&str; 5] = [
    "MM-2006",
    "この鍵は失効済みのため、証明書を発行できません。",
    "This key was revoked and is never certified again.",
    "端末で鍵を作り直してください。",
    "Make a new key on the device.",
];
const TOKEN_REUSED: [&str; 5] = [
    "MM-2008",
    "この受付は別の発行要求で使われています。",
    "This token was used for another request.",
    "本登録を初めからやり直してください。",
    "Begin the claim again.",
];
const NOT_RENEWABLE: [&str; 5] = [
    "MM-2010",
    "この鍵の証明書は、このVPN番号では更新できません。",
    "This slot has no certificate of this key that may be renewed.",
    "本登録をやり直してください。用紙がないときは事務局へお電話ください。",
    "Claim the slot again; without a sheet, call the secretariat.",
];

impl IssuingRefusal {
    pub fn code(&self) -> &'static str {
        self.words().code
    }

    pub fn ja(&self) -> String {
        self.words().ja
    }

    pub fn en(&self) -> String {
        self.words().en
    }

    pub fn remedy_ja(&self) -> &'static str {
        self.words().remedy_ja
    }

    pub fn remedy_en(&self) -> &'static str {
        self.words().remedy_en
    }

    pub fn words(&self) -> Words {
        match self {
            Self::BadRequest { why } => words(
                "MM-2001",
                format!("証明書の発行要求を読み取れません（{why}）。"),
                format!("The certificate request cannot be read: {why}."),
                "端末の本登録ページを開き直し、もう一度お試しください。",
                "Open the claim page on the device again and retry.",
            ),
            Self::NoProof => words(
                "MM-2002",
                "発行要求の署名が鍵と一致しません。".into(),
                "The request does not prove possession of its key.".into(),
                "端末で鍵を作り直して、もう一度お試しください。",
                "Make a new key on the device and retry.",
            ),
            Self::WrongKey => words(
                "MM-2003",
                "鍵の種類が違います（ECDSA P-256 のみ）。".into(),
                "Keys must be ECDSA P-256.".into(),
                "ECDSA P-256 の鍵を作り直してください。",
                "Make an ECDSA P-256 key.",
            ),
            Self::TooMany { slot, living } => words(
                "MM-2004",
                format!("VPN番号 {slot} には有効な証明書がすでに {living} 枚あります。"),
                format!("Slot {slot} already has {living} living certificates."),
                "使わなくなった証明書を失効させてから、もう一度お試しください。",
                "Revoke a certificate that is no longer used, then retry.",
            ),
            Self::Unknown { serial } => words(
                "MM-2005",
                format!("シリアル番号 {serial} の証明書はありません。"),
                format!("There is no certificate with serial {serial}."),
                "シリアル番号を一覧で確かめてください。",
                "Check the serial in the list.",
            ),
            Self::RevokedKey => fixed(&REVOKED_KEY),
            Self::Lint { why } => words(
                "MM-2007",
                format!("発行前の検査で証明書に誤りが見つかりました（{why}）。署名はしていません。"),
                format!("Our own lint refused the certificate: {why}. Nothing was signed."),
                "事務局のシステム担当者へ、このコードと時刻をお知らせください。",
                "Tell the engineer this code and the time.",
            ),
            Self::TokenReused => fixed(&TOKEN_REUSED),
            Self::NotRenewable => fixed(&NOT_RENEWABLE),
            Self::Unavailable { why } => words(
                "MM-2009",
                format!("認証局が記録または署名できません（{why}）。"),
                format!("The authority cannot record or sign now: {why}."),
                "しばらくしてからお試しください。続くときは、ディスクの空きと認証局のログを確かめてください。",
                "Try later. If it lasts, check free disk space and the authority's log.",
            ),
        }
    }
}

impl VerifyError {
    pub fn code(&self) -> &'static str {
        self.words().code
    }

    pub fn words(&self) -> Words {
        const NEW_JA: &str = "施設内管理者へ連絡し、この端末の証明書を入れ直してください。";
        const NEW_EN: &str = "Ask your facility's admin to enrol this device again.";
        let renew = |code, ja: &str, en: &str| words(code, ja.into(), en.into(), NEW_JA, NEW_EN);
        match self {
            Self::Missing => {
                renew("MM-2101", "端末の証明書が提示されていません。", "No device certificate was presented.")
            }
            Self::Malformed => {
                renew("MM-2102", "端末の証明書を読み取れません。", "The device certificate cannot be read.")
            }
            Self::NotOurs => renew(
                "MM-2103",
                "この端末の証明書は、このシステムの認証局のものではありません。",
                "The certificate is not from our device CA.",
            ),
            Self::Expired { not_after } => renew(
                "MM-2104",
                "端末の証明書の有効期限が切れています。",
                &format!("The device certificate ended at {}.", utc(*not_after)),
            ),
            Self::NotYetValid { not_before } => words(
                "MM-2105",
                "端末の証明書はまだ有効ではありません。".into(),
                format!("The device certificate is not valid before {}.", utc(*not_before)),
                "端末と機器の時刻を確かめてください。",
                "Check the clocks of the device and of the appliance.",
            ),
            Self::WrongPurpose => {
                renew("MM-2106", "端末用の証明書ではありません。", "The certificate is not for a device.")
            }
            Self::WrongName => renew(
                "MM-2107",
                "証明書のVPN番号を読み取れません。",
                "The certificate does not carry exactly one device name of this zone.",
            ),
        }
    }
}

/// Code, then English: for logs.
impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.en)
    }
}

impl fmt::Display for IssuingRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().fmt(f)
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().fmt(f)
    }
}

impl std::error::Error for IssuingRefusal {}
impl std::error::Error for VerifyError {}

fn fixed([code, ja, en, remedy_ja, remedy_en]: &[&'static str; 5]) -> Words {
    words(code, (*ja).to_owned(), (*en).to_owned(), remedy_ja, remedy_en)
}

fn words(
    code: &'static str,
    ja: String,
    en: String,
    remedy_ja: &'static str,
    remedy_en: &'static str,
) -> Words {
    Words { code, ja, en, remedy_ja, remedy_en }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_one_to_each_refusal_and_stand_in_its_display() {
        let serial = crate::serial::CertificateSerial::from_random([1; 16]);
        let slot = "18-0042".parse().unwrap();
        let why = || "x".to_owned();
        let refusals = [
            IssuingRefusal::BadRequest { why: why() },
            IssuingRefusal::NoProof,
            IssuingRefusal::WrongKey,
            IssuingRefusal::TooMany { slot, living: 5 },
            IssuingRefusal::Unknown { serial },
            IssuingRefusal::RevokedKey,
            IssuingRefusal::Lint { why: why() },
            IssuingRefusal::TokenReused,
            IssuingRefusal::Unavailable { why: why() },
        ];
        let errors = [
            VerifyError::Missing,
            VerifyError::Malformed,
            VerifyError::NotOurs,
            VerifyError::Expired { not_after: 0 },
            VerifyError::NotYetValid { not_before: 0 },
            VerifyError::WrongPurpose,
            VerifyError::WrongName,
        ];
        let shown = refusals.iter().map(|r| (r.code(), r.to_string()));
        let shown = shown.chain(errors.iter().map(|e| (e.code(), e.to_string())));
        let mut codes = std::collections::BTreeSet::new();
        for (code, display) in shown {
            assert!(display.starts_with(&format!("{code} ")), "{display}");
            assert!(codes.insert(code), "{code} twice");
        }
        assert_eq!(codes.len(), 16);
    }
}
