//! What the registry and the calendar know better than a register that is taken over: a facility that is there already,
//! an address of somebody else's, a number that another holds. Pure: what is registered comes in as a value.

use std::collections::BTreeMap;

use vpn::slot::{Series, SlotNumber};

use crate::dates;
use crate::door::RowFault;
use crate::jst;
use crate::login;
use crate::messages::Message;
use crate::messages_intake::IntakeMessage;
use crate::slots::{OFFICE_NUMBER, SlotState};
use crate::takeover::{self, FACILITIES, SLOTS, STAFF, Sheets, Taken, is_same_name};

/// What stands in the registry.
#[derive(Default)]
pub struct Known {
    /// By code and kind.
    pub facilities: BTreeMap<(String, String), KnownFacility>,
    /// By the folded address.
    pub addresses: BTreeMap<String, KnownAddress>,
    pub slots: BTreeMap<SlotNumber, KnownSlot>,
}

pub struct KnownFacility {
    pub name: String,
    /// Of the register that it was taken over from.
    pub fingerprint: Option<String>,
}

pub struct KnownAddress {
    pub use_as: String,
    pub name: String,
    pub is_active: bool,
}

pub struct KnownSlot {
    pub state: SlotState,
    pub cooling_until_ms: i64,
    pub holder: Option<String>,
}

impl Known {
    /// The same register once more, word for word.
    pub fn has(&self, taken: &Taken, fingerprint: &str) -> bool {
        self.facility(taken).is_some_and(|known| known.fingerprint.as_deref() == Some(fingerprint))
    }

    fn facility(&self, taken: &Taken) -> Option<&KnownFacility> {
        self.facilities.get(&(taken.application.code.clone(), taken.application.kind.clone()))
    }

    /// Every contradiction of a facility, each at its cell.
    pub fn contradictions(&self, sheets: &Sheets, taken: &Taken, series: Series, now: i64) -> Vec<RowFault> {
        let mut found: Vec<(&str, RowFault)> = Vec::new();
        if let Some(known) = self.facility(taken) {
            let facility = known.name.clone();
            found.push((FACILITIES, Message::CodeRegistered { facility }.at(taken.row, "事業所番号")));
        }
        if let Some(known) = self.addresses.get(&login::fold(&taken.application.admin_address)) {
            let message = if known.use_as == "user" { Message::AddressUser } else { Message::AddressAdmin };
            found.push((FACILITIES, message.at(taken.row, "管理画面ログイン用メールアドレス")));
        }
        for person in &taken.staff {
            if let Some(fault) = self.of_another(person) {
                found.push((STAFF, fault));
            }
            let days = person.trainings.iter().map(|(kind, day)| (takeover::heading(*kind), day));
            for (column, day) in std::iter::once(("誓約書取得日", &person.pledged_on)).chain(days) {
                if dates::past_date(day, now).is_err() {
                    found.push((STAFF, Message::DateForm { given: day.clone() }.at(person.row, column)));
                }
            }
        }
        for (row, slot, _) in &taken.slots {
            if let Some(message) = self.slot(*slot, series, now) {
                found.push((SLOTS, message.at(*row, "VPN番号")));
            }
        }
        let located = |(sheet, mut fault): (&str, RowFault)| {
            sheets.locate(sheet, &mut fault);
            fault
        };
        found.into_iter().map(located).collect()
    }

    /// G-03, P-25: an admin's address is no user's, and a user's is one person's.
    fn of_another(&self, person: &takeover::Staff) -> Option<RowFault> {
        let known = self.addresses.get(&login::fold(&person.address))?;
        if known.use_as != "user" {
            return Some(Message::AddressAdmin.at(person.row, "メールアドレス"));
        }
        let same = known.is_active && is_same_name(&known.name, &person.name);
        let another = || IntakeMessage::TakeoverPerson { name: known.name.clone() };
        (!same).then(|| another().at(person.row, "メールアドレス"))
    }

    /// Why a facility cannot have this number.
    pub fn slot(&self, slot: SlotNumber, series: Series, now: i64) -> Option<IntakeMessage> {
        let given = slot.to_string();
        if slot.series() != series {
            return Some(IntakeMessage::SlotForm { given });
        }
        if slot.number() == OFFICE_NUMBER {
            return Some(IntakeMessage::SlotTaken { slot: given, by: "事務局".to_owned() });
        }
        let known = self.slots.get(&slot)?;
        match known.state {
            SlotState::Free => None,
            SlotState::Cooling if known.cooling_until_ms <= now => None,
            SlotState::Cooling => {
                let until = jst::date(known.cooling_until_ms);
                Some(IntakeMessage::SlotCooling { slot: given, until })
            }
            state => {
                let by = known.holder.clone().unwrap_or_else(|| state.as_str().to_owned());
                Some(IntakeMessage::SlotTaken { slot: given, by })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    fn slot(text: &str) -> SlotNumber {
        text.parse().unwrap()
    }

    /// I-05, P-01: what is held, reserved or cooling is nobody's; what has cooled is anybody's.
    #[test]
    fn a_number_that_another_has_or_had_is_told_by_its_reason() {
        let series = Series::parse("18").unwrap();
        let mut known = Known::default();
        for (name, state, until) in [
            ("18-0001", SlotState::Active, 0),
            ("18-0002", SlotState::Cooling, NOW + 1),
            ("18-0003", SlotState::Cooling, NOW),
            ("18-0004", SlotState::Free, 0),
            ("18-0005", SlotState::Revoked, 0),
        ] {
            known
                .slots
                .insert(slot(name), KnownSlot { state, cooling_until_ms: until, holder: Some("甲".into()) });
        }
        for (name, code) in [
            ("18-0000", Some("MM-5942")),
            ("18-0001", Some("MM-5942")),
            ("18-0002", Some("MM-5949")),
            ("18-0003", None),
            ("18-0004", None),
            ("18-0005", Some("MM-5942")),
            ("18-0006", None),
            ("19-0006", Some("MM-5946")),
        ] {
            let found = known.slot(slot(name), series, NOW);
            assert_eq!(found.map(|message| message.code()), code, "{name}");
        }
    }
}
