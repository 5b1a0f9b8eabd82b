//! provisioning → gateway: cuts (end what is live) and why (the reasons behind a slot's refusals).

use gateway::door::{CutAnswer, CutQuestion, RefusalRecord};
use provisioning::need::{Answering, Cut, CutDone, Cuts, NeedUnmet, Why, WhyLine};
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

use crate::wire::Line;

/// The one question of the operator's that provisioning may ask, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyQuestion {
    pub slot: SlotNumber,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyAnswer(pub Vec<RefusalRecord>);

impl Cuts for Line<CutQuestion, CutAnswer> {
    fn cut(&self, cut: Cut) -> Answering<'_, CutDone> {
        Box::pin(async move {
            let CutAnswer { connections, sessions } = self
                .ask(question(cut))
                .await
                .map_err(|fault| NeedUnmet { room: self.room().to_owned(), why: fault.to_string() })?;
            Ok(CutDone { connections, sessions })
        })
    }
}

impl Why for Line<WhyQuestion, WhyAnswer> {
    fn why(&self, slot: SlotNumber) -> Answering<'_, Vec<WhyLine>> {
        Box::pin(async move {
            let WhyAnswer(refusals) = self
                .ask(WhyQuestion { slot })
                .await
                .map_err(|fault| NeedUnmet { room: self.room().to_owned(), why: fault.to_string() })?;
            let line = |refusal: RefusalRecord| WhyLine {
                at_ms: refusal.at_ms,
                code: refusal.code,
                ja: refusal.ja,
                en: refusal.en,
            };
            Ok(refusals.into_iter().map(line).collect())
        })
    }
}

fn question(cut: Cut) -> CutQuestion {
    match cut {
        Cut::Slot { slot, generation } => CutQuestion::Slot { slot, generation },
        Cut::Certificate(serial) => CutQuestion::Certificate { serial },
        Cut::Person(person) => CutQuestion::Person { person },
        Cut::Membership(membership) => CutQuestion::Membership { membership },
        Cut::Facility(facility) => CutQuestion::Facility { facility },
    }
}
