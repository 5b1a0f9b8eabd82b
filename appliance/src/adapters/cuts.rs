//! provisioning → gateway: cuts (end what is live) and why (the reasons behind a slot's refusals).

use gateway::door::{CutAnswer, CutQuestion, GatewayAnswer, GatewayQuestion};
use provisioning::need::{Answering, Cut, CutDone, Cuts, NeedUnmet, Why, WhyLine};
use vpn::slot::SlotNumber;

use crate::wire::Line;

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

impl Why for Line<GatewayQuestion, GatewayAnswer> {
    fn why(&self, slot: SlotNumber) -> Answering<'_, Vec<WhyLine>> {
        Box::pin(async move {
            let unmet = |why: String| NeedUnmet { room: self.room().to_owned(), why };
            match self.ask(GatewayQuestion::Why { slot }).await {
                Ok(GatewayAnswer::Why(refusals)) => Ok(refusals
                    .into_iter()
                    .map(|refusal| WhyLine {
                        at_ms: refusal.at_ms,
                        code: refusal.code,
                        ja: refusal.ja,
                        en: refusal.en,
                    })
                    .collect()),
                Ok(_) => Err(unmet("an answer of another kind".to_owned())),
                Err(fault) => Err(unmet(fault.to_string())),
            }
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
