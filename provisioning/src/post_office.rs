//! 発送, asked by a clerk or over the operator's door: the way to a facility, print runs, and what came back. Edge: SQL, tokio.

use std::sync::Arc;

use crate::channel_work::{self, Whose};
use crate::dates;
use crate::door::{Operator, Renewal};
use crate::door_post::{PostAnswer, PostQuestion};
use crate::fault::Fault;
use crate::post_back::{self, Stamp};
use crate::shared::Shared;
use crate::{new_sheet, post_rows, post_run, world};

/// An answer, or a file to print.
pub enum Told {
    Answer(PostAnswer),
    File { name: String, bytes: Vec<u8> },
    Renewed(Renewal),
}

pub async fn answer(
    shared: &Arc<Shared>,
    operator: &Operator,
    question: PostQuestion,
) -> Result<Told, Fault> {
    use PostAnswer as Answer;
    use PostQuestion as Question;
    let answer = match question {
        Question::CaseDelivery { case, delivery, dry_run } => {
            let (store, now) = (&shared.store, world::now_ms());
            let whose = Whose::Case(&case);
            let change = channel_work::choose(store, now, operator, whose, delivery, dry_run).await?;
            shared.bells.outbox.notify_one();
            Answer::Delivery(change)
        }
        Question::FacilityDelivery { facility, delivery, dry_run } => {
            let (store, now) = (&shared.store, world::now_ms());
            let whose = Whose::Facility(&facility);
            let change = channel_work::choose(store, now, operator, whose, delivery, dry_run).await?;
            shared.bells.outbox.notify_one();
            Answer::Delivery(change)
        }
        Question::Take { lane, by_hand, dry_run } => {
            Answer::Run(post_run::take(shared, operator, lane, by_hand, dry_run).await?)
        }
        Question::Print { run } => {
            let (name, bytes) = post_run::print(shared, operator, &run).await?;
            return Ok(Told::File { name, bytes });
        }
        Question::Labels { run, grid, start } => {
            let (name, bytes) = post_run::labels(shared, &run, &grid, start).await?;
            return Ok(Told::File { name, bytes });
        }
        Question::Sent { run, on, dry_run } => {
            Answer::Run(post_run::sent(shared, operator, &run, on.as_deref(), dry_run).await?)
        }
        Question::Undo { run, dry_run } => {
            Answer::Run(post_run::undo(shared, operator, &run, dry_run).await?)
        }
        Question::Returned { item, reason, on, opened, note, dry_run } => {
            let note = note.as_deref().unwrap_or_default();
            let stamp = Stamp { reason, on: on.as_deref(), opened, note };
            Answer::Item(post_back::returned(shared, operator, &item, &stamp, dry_run).await?)
        }
        Question::Settle { item, remedy, dry_run } => {
            Answer::Item(post_back::settle(shared, operator, &item, remedy, dry_run).await?)
        }
        Question::NewSheet { slot, dry_run } => {
            return new_sheet::make(shared, operator, slot, dry_run).await.map(Told::Renewed);
        }
        question => read(shared, question).await?,
    };
    Ok(Told::Answer(answer))
}

/// What changes nothing.
async fn read(shared: &Shared, question: PostQuestion) -> Result<PostAnswer, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    Ok(match question {
        PostQuestion::Waiting { lane } => {
            let today = dates::day(world::now_ms());
            let lines = post_rows::waiting(&mut conn, today).await?.into_iter().map(|one| one.line);
            PostAnswer::Waiting(lines.filter(|line| lane.is_none_or(|lane| line.lane == lane)).collect())
        }
        PostQuestion::Runs { open } => PostAnswer::Runs(post_rows::runs(&mut conn, "", open).await?),
        PostQuestion::Run { run } => PostAnswer::Run(post_run::show(&mut conn, &run).await?),
        PostQuestion::Find { text } => PostAnswer::Items(post_rows::find(&mut conn, &text).await?),
        _ => PostAnswer::Items(post_rows::back(&mut conn).await?),
    })
}
