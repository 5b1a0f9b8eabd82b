//! The last refusals of every slot, with the exact reason that the device never hears, and the
//! four-digit codes of the help page that lead to them. Pure; bounded. Ruling 1.

use std::collections::{BTreeMap, VecDeque};

use pki::identity::TraceId;
use vpn::slot::SlotNumber;

use crate::door::RefusalRecord;
use crate::messages::Message;
use crate::moment::Moment;

/// Enough to see what a device tried during one phone call.
const PER_SLOT: usize = 16;
/// Slots remembered at once: a whole series.
const SLOTS_MAX: usize = 10_000;
/// How long a help code leads anywhere: one phone call.
const CODE_LIFE_MS: u64 = 10 * 60_000;
/// A tenth of the four-digit codes: a guess rarely hits, a fresh code is quickly found.
const CODES_MAX: usize = 1_000;

#[derive(Default)]
pub struct Refusals {
    /// `None`: from an address of no slot.
    by_slot: BTreeMap<Option<SlotNumber>, VecDeque<RefusalRecord>>,
    counts: BTreeMap<&'static str, u64>,
    codes: BTreeMap<u16, HelpCode>,
}

struct HelpCode {
    slot: SlotNumber,
    until_up_ms: u64,
}

impl Refusals {
    pub fn note(&mut self, slot: Option<SlotNumber>, why: Message, trace: TraceId, now: Moment) {
        let words = why.words();
        *self.counts.entry(words.code).or_default() += 1;
        if !self.by_slot.contains_key(&slot) && self.by_slot.len() >= SLOTS_MAX {
            return;
        }
        let records = self.by_slot.entry(slot).or_default();
        if records.len() >= PER_SLOT {
            records.pop_front();
        }
        records.push_back(RefusalRecord {
            at_ms: now.unix_ms,
            slot,
            code: words.code.to_owned(),
            ja: words.ja.to_owned(),
            en: words.en.to_owned(),
            trace: trace.to_string(),
        });
    }

    /// Newest first.
    pub fn of(&self, slot: SlotNumber) -> Vec<RefusalRecord> {
        let records = self.by_slot.get(&Some(slot));
        records.map(|records| records.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// Since the start, by code.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect()
    }

    /// The slot's living code, or a fresh one from these random numbers; `None` when they are all taken.
    pub fn code_for(
        &mut self,
        slot: SlotNumber,
        random: impl IntoIterator<Item = u16>,
        now: Moment,
    ) -> Option<String> {
        self.codes.retain(|_, code| code.until_up_ms > now.up_ms);
        let held = self.codes.iter().find(|(_, code)| code.slot == slot);
        let number = match held {
            Some((number, _)) => *number,
            None if self.codes.len() >= CODES_MAX => return None,
            None => {
                let mut numbers = random.into_iter().map(|number| number % 10_000);
                let number = numbers.find(|number| !self.codes.contains_key(number))?;
                let until_up_ms = now.up_ms + CODE_LIFE_MS;
                self.codes.insert(number, HelpCode { slot, until_up_ms });
                number
            }
        };
        Some(format!("{number:04}"))
    }

    /// The slot behind a help code.
    pub fn slot_of(&self, code: &str, now: Moment) -> Option<SlotNumber> {
        let fits = code.len() == 4 && code.bytes().all(|b| b.is_ascii_digit());
        let code = self.codes.get(&code.parse().ok().filter(|_| fits)?)?;
        (code.until_up_ms > now.up_ms).then_some(code.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(up_ms: u64) -> Moment {
        Moment { unix_ms: 1, up_ms }
    }

    #[test]
    fn a_help_code_leads_to_its_slot_for_ten_minutes() {
        let slot: SlotNumber = "18-0042".parse().unwrap();
        let other: SlotNumber = "18-0043".parse().unwrap();
        let mut refusals = Refusals::default();
        let code = refusals.code_for(slot, [42], at(0)).unwrap();
        assert_eq!(code, "0042");
        assert_eq!(refusals.code_for(slot, [77], at(1)).unwrap(), "0042", "the same while it lives");
        assert_eq!(refusals.code_for(other, [42, 77], at(1)).unwrap(), "0077");
        assert_eq!(refusals.slot_of("0042", at(599_999)), Some(slot));
        assert_eq!(refusals.slot_of("0042", at(600_000)), None);
        for guess in ["", "42", "00042", "+042", "abcd"] {
            assert_eq!(refusals.slot_of(guess, at(1)), None, "{guess}");
        }
    }

    #[test]
    fn a_slot_keeps_its_last_refusals_newest_first() {
        let slot: SlotNumber = "18-0042".parse().unwrap();
        let mut refusals = Refusals::default();
        let trace = TraceId::from_random([0; 8]);
        for _ in 0..40 {
            refusals.note(Some(slot), Message::SlotClosed, trace, at(0));
        }
        refusals.note(Some(slot), Message::CertificateMissing, trace, at(0));
        assert_eq!(refusals.of(slot).len(), PER_SLOT);
        assert_eq!(refusals.of(slot)[0].code, Message::CertificateMissing.code());
        assert_eq!(refusals.counts()[Message::SlotClosed.code()], 40);
    }
}
