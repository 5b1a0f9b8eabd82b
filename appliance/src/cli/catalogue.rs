//! Every code that this appliance can say, of all rooms, in one list (ruling 12): what `explain` looks up,
//! and what the test of unique codes reads. Pure.

use pki::door::IssuingRefusal;
use pki::serial::CertificateSerial;
use pki::verify::VerifyError;
use vpn::SlotNumber;
use vpn::door::SeatRefusal;

use super::failure::Words;
use crate::messages::Message;

mod faults;

/// In the order of the codes.
pub fn entries() -> Vec<Words> {
    let mut entries = vpn_entries();
    entries.extend(pki_entries());
    entries.extend(gateway::messages::Message::ALL.iter().map(|message| {
        let words = message.words();
        entry(words.code, words.ja, words.en, words.remedy_ja, words.remedy_en)
    }));
    entries.extend(sns::messages::Message::ALL.iter().map(|message| {
        entry(message.code(), message.ja(), message.en(), message.remedy_ja(), message.remedy_en())
    }));
    entries.extend(provisioning::messages_people::PeopleMessage::ALL.iter().map(|message| {
        let words = message.words();
        entry(words.code, words.ja, words.en, words.remedy_ja, words.remedy_en)
    }));
    entries.extend(
        provisioning::messages::Message::ENTRIES
            .iter()
            .map(|it| entry(it.code, it.ja, it.en, it.remedy_ja, it.remedy_en)),
    );
    entries.extend(
        provisioning::messages_intake::IntakeMessage::ENTRIES
            .iter()
            .map(|it| entry(it.code, it.ja, it.en, it.remedy_ja, it.remedy_en)),
    );
    entries.extend(
        provisioning::messages_post::PostMessage::ENTRIES
            .iter()
            .map(|it| entry(it.code, it.ja, it.en, it.remedy_ja, it.remedy_en)),
    );
    entries.extend(
        provisioning::messages_scan::ScanMessage::ENTRIES
            .iter()
            .map(|it| entry(it.code, it.ja, it.en, it.remedy_ja, it.remedy_en)),
    );
    entries.extend(
        provisioning::messages_paper::PaperMessage::ENTRIES
            .iter()
            .map(|it| entry(it.code, it.ja, it.en, it.remedy_ja, it.remedy_en)),
    );
    entries.extend(
        faults::all().map(|[code, ja, en, remedy_ja, remedy_en]| entry(code, ja, en, remedy_ja, remedy_en)),
    );
    entries.extend(Message::every().iter().map(|message| {
        entry(message.code(), &message.ja(), &message.en(), &message.remedy_ja(), &message.remedy_en())
    }));
    entries.sort_by(|a, b| a.code.cmp(&b.code));
    entries
}

/// `mm-6002`, `6002` and `MM-6002` are the same code.
pub fn find(code: &str) -> Option<Words> {
    let digits = code.trim().trim_start_matches(['m', 'M']).trim_start_matches('-');
    let wanted = format!("MM-{digits}");
    entries().into_iter().find(|entry| entry.code == wanted)
}

/// The vpn room speaks to rooms, not to people; its refusals get their Japanese here.
fn vpn_entries() -> Vec<Words> {
    let Some(slot) = sample_slot() else { return Vec::new() };
    let why = || "…".to_owned();
    let refusals = [
        SeatRefusal::UnknownSeries { slot },
        SeatRefusal::Stale { slot, given: 1, held: 2 },
        SeatRefusal::KeyTaken { slot, holder: slot },
        SeatRefusal::WeakKey { slot },
        SeatRefusal::Mirror { slot, why: why() },
        SeatRefusal::Closed { why: why() },
    ];
    refusals.iter().filter_map(vpn_entry).collect()
}

fn vpn_entry(refusal: &SeatRefusal) -> Option<Words> {
    let text = refusal.to_string();
    let (code, en) = text.split_once(' ')?;
    let (ja, remedy_ja, remedy_en) = match refusal {
        SeatRefusal::UnknownSeries { .. } => (
            "このVPN番号の系列は、この領域にありません。",
            "設定の realm.series を確かめてください。",
            "check realm.series in the configuration",
        ),
        SeatRefusal::Stale { .. } => (
            "古い世代の着席の指示です。",
            "操作は不要です。新しい指示が届いています。",
            "nothing to do: a newer one has arrived",
        ),
        SeatRefusal::KeyTaken { .. } => (
            "この鍵は別のVPN番号に着席しています。",
            "設定を別の端末に写していないか確かめ、再発行してください。",
            "see whether a profile was copied to another device, and issue it anew",
        ),
        SeatRefusal::WeakKey { .. } => {
            ("この公開鍵は使えません。", "端末で鍵を作り直してください。", "make a new key on the device")
        }
        SeatRefusal::Mirror { .. } => (
            "firewallが着席に追いついていません。",
            "自動で繰り返しています。続くときは nft を確かめてください。",
            "it is being retried; if it stays, check nft",
        ),
        SeatRefusal::Closed { .. } => {
            ("トンネルの部屋が止まっています。", "mimamori を起動し直してください。", "start mimamori again")
        }
    };
    Some(entry(code, ja, en, remedy_ja, remedy_en))
}

fn pki_entries() -> Vec<Words> {
    let Some(slot) = sample_slot() else { return Vec::new() };
    let why = || "…".to_owned();
    let refusals = [
        IssuingRefusal::BadRequest { why: why() },
        IssuingRefusal::NoProof,
        IssuingRefusal::WrongKey,
        IssuingRefusal::TooMany { slot, living: 5 },
        IssuingRefusal::Unknown { serial: CertificateSerial::from_random([0; 16]) },
        IssuingRefusal::RevokedKey,
        IssuingRefusal::Lint { why: why() },
        IssuingRefusal::TokenReused,
        IssuingRefusal::NotRenewable,
        IssuingRefusal::Unavailable { why: why() },
    ];
    let verdicts = [
        VerifyError::Missing,
        VerifyError::Malformed,
        VerifyError::NotOurs,
        VerifyError::Expired { not_after: 0 },
        VerifyError::NotYetValid { not_before: 0 },
        VerifyError::WrongPurpose,
        VerifyError::WrongName,
    ];
    let words = refusals.iter().map(IssuingRefusal::words).chain(verdicts.iter().map(VerifyError::words));
    words.map(|it| entry(it.code, &it.ja, &it.en, it.remedy_ja, it.remedy_en)).collect()
}

/// Stands for the slot that a real message names.
fn sample_slot() -> Option<SlotNumber> {
    "18-0042".parse().ok()
}

fn entry(code: &str, ja: &str, en: &str, remedy_ja: &str, remedy_en: &str) -> Words {
    let own = str::to_owned;
    Words { code: own(code), ja: own(ja), en: own(en), remedy_ja: own(remedy_ja), remedy_en: own(remedy_en) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_one_thing_in_the_whole_house() {
        let entries = entries();
        for pair in entries.windows(2) {
            assert_ne!(pair[0].code, pair[1].code, "{:?}", pair[0]);
        }
        for room in 1..=6 {
            assert!(entries.iter().any(|entry| entry.code.starts_with(&format!("MM-{room}"))), "room {room}");
        }
        for entry in &entries {
            assert!(entry.code.len() == 7 && !entry.ja.is_ascii() && !entry.en.is_empty(), "{entry:?}");
            assert!(!entry.remedy_ja.is_empty() && !entry.remedy_en.is_empty(), "{entry:?}");
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        for typed in ["MM-6002", "mm-6002", "6002", " MM-6002 "] {
            assert_eq!(find(typed).unwrap().code, "MM-6002");
        }
        assert_eq!(find("MM-9999"), None);
    }
}
