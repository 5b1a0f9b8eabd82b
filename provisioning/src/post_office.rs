//! 発送, asked by a clerk or over the operator's door: the way to a facility. Edge: SQL.

use crate::channel_work::{self, Whose};
use crate::door::Operator;
use crate::door_post::{PostAnswer, PostQuestion};
use crate::fault::Fault;
use crate::shared::Shared;
use crate::world;

pub async fn answer(
    shared: &Shared,
    operator: &Operator,
    question: PostQuestion,
) -> Result<PostAnswer, Fault> {
    let (store, now) = (&shared.store, world::now_ms());
    match question {
        PostQuestion::CaseDelivery { case, delivery, dry_run } => {
            let whose = Whose::Case(&case);
            let change = channel_work::choose(store, now, operator, whose, delivery, dry_run).await?;
            shared.bells.outbox.notify_one();
            Ok(PostAnswer::Delivery(change))
        }
        PostQuestion::FacilityDelivery { facility, delivery, dry_run } => {
            let whose = Whose::Facility(&facility);
            let change = channel_work::choose(store, now, operator, whose, delivery, dry_run).await?;
            shared.bells.outbox.notify_one();
            Ok(PostAnswer::Delivery(change))
        }
    }
}
