//! 発送: what is due becomes a run, its letters and labels, and in the end the note that it was sent, which closes the
//! steps of its cases. Until then everything of it waits, whatever happens in between. Edge: SQL, tokio.

use std::sync::Arc;

use jiff::civil::Date;
use serde_json::json;

use crate::case::CaseEvent;
use crate::case_rows;
use crate::channel::Due;
use crate::dates;
use crate::door::Operator;
use crate::door_post::{ItemLine, Lane, LeftOut, RunDetail, RunLine};
use crate::envelope::{Address, SAFE};
use crate::fault::{Fault, parse};
use crate::jst;
use crate::label::{self, Grid};
use crate::messages::{Message, shown};
use crate::messages_post::PostMessage;
use crate::paper_sheet::Unprinted;
use crate::pdf;
use crate::post_paper::{self, Piece};
use crate::post_pieces;
use crate::post_rows::{self, Candidate, Mates};
use crate::reply;
use crate::shared::Shared;
use crate::store::{Conn, next, transaction};
use crate::{audit, paper_press, world};

/// Envelopes of one run: what is folded in a morning, and less than a PDF has pages.
const RUN_MAX: usize = 150;

/// Takes what is due; whatever cannot be printed is left out and named.
pub async fn take(
    shared: &Arc<Shared>,
    operator: &Operator,
    lane: Lane,
    by_hand: bool,
    dry_run: bool,
) -> Result<RunDetail, Fault> {
    let now = world::now_ms();
    let mut all = due(&mut *shared.store.pool().acquire().await?, now, lane, by_hand).await?;
    all.truncate(RUN_MAX);
    if all.is_empty() {
        return Err(PostMessage::NothingDue.into());
    }
    let (fit, left_out) = measured(shared, all, by_hand).await?;
    let Some(first) = fit.first() else {
        let named = left_out.first().map(|out| format!("{}: {}", out.facility_name, out.ja));
        return Err(PostMessage::NothingFits { why: named.unwrap_or_default() }.into());
    };
    log::info!(LANE = first.line.lane.as_str(), COUNT = fit.len(); "post is taken into a run");
    let detail = if dry_run {
        taken(&mut *shared.store.begin().await?, now, operator, (lane, by_hand), &fit).await?
    } else {
        transaction!(shared.store, conn => taken(conn, now, operator, (lane, by_hand), &fit).await)?
    };
    Ok(RunDetail { left_out, dry_run, ..detail })
}

async fn due(conn: &mut Conn, now: i64, lane: Lane, by_hand: bool) -> Result<Vec<Candidate>, Fault> {
    let mut all = post_rows::waiting(conn, dates::day(now)).await?;
    all.retain(|one| one.line.lane == lane && one.line.by_hand == by_hand && one.due());
    Ok(all)
}

/// Whose address fits into the window, and whose does not.
async fn measured(
    shared: &Arc<Shared>,
    all: Vec<Candidate>,
    by_hand: bool,
) -> Result<(Vec<Candidate>, Vec<LeftOut>), Fault> {
    paper_press::drawn(shared, move |fonts| {
        let (mut fit, mut left_out) = (Vec::new(), Vec::new());
        for one in all {
            let laid = if one.to.place.is_empty() && !by_hand {
                Err(PostMessage::AddressMissing.into())
            } else {
                one.to.marks(fonts, SAFE).map(|_| ())
            };
            match laid {
                Ok(()) => fit.push(one),
                Err(why) => left_out.push(out(&one, &why)),
            }
        }
        Ok((fit, left_out))
    })
    .await
}

fn out(one: &Candidate, why: &Unprinted) -> LeftOut {
    let text = why.text();
    LeftOut {
        facility: one.line.facility.clone(),
        facility_name: one.line.facility_name.clone(),
        code: text.code.to_owned(),
        ja: text.ja,
        en: text.en,
        remedy_ja: text.remedy_ja,
        remedy_en: text.remedy_en,
    }
}

/// In the transaction: what is still due, and no more than fits. A piece is never in two open runs, which is a constraint.
async fn taken(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    (lane, by_hand): (Lane, bool),
    fit: &[Candidate],
) -> Result<RunDetail, Fault> {
    let still = due(conn, now, lane, by_hand).await?;
    let kept: Vec<&Candidate> = still
        .iter()
        .filter(|one| fit.iter().any(|other| other.line.subject == one.line.subject && other.to == one.to))
        .collect();
    if kept.is_empty() {
        return Err(PostMessage::NothingDue.into());
    }
    let year = jst::year(now);
    let run = format!("h-{year}-{:05}", next(conn, &format!("post {year}")).await?);
    sqlx::query(
        "INSERT INTO post_run (run, lane, state, taken_at, taken_by) VALUES ($1, $2, 'open', $3, $4)",
    )
    .bind(&run)
    .bind(lane.as_str())
    .bind(now)
    .bind(&operator.name)
    .execute(&mut *conn)
    .await?;
    for (place, one) in (1i64..).zip(kept) {
        insert(conn, &run, place, one).await?;
    }
    let items = post_rows::items(conn, &run).await?;
    let detail = json!({ "lane": lane, "by_hand": by_hand, "items": items.len(), "rule": "D-00" });
    audit::by(conn, now, operator, "post.take", &run, detail).await?;
    Ok(RunDetail { run: post_rows::run(conn, &run).await?, items, left_out: Vec::new(), dry_run: false })
}

async fn insert(conn: &mut Conn, run: &str, place: i64, one: &Candidate) -> Result<(), Fault> {
    let line = &one.line;
    let name = [one.to.name.as_str(), one.to.person.as_str()].join("　");
    let place_of = if one.to.postcode.is_empty() {
        one.to.place.clone()
    } else {
        format!("〒{} {}", one.to.postcode, one.to.place)
    };
    sqlx::query(
        "INSERT INTO post_item (item, run, place, lane, subject, held, whole, facility, slot, to_name, to_address, state)
         VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, 'open')",
    )
    .bind(format!("{run}-{place}"))
    .bind(run)
    .bind(place)
    .bind(line.lane.as_str())
    .bind(&line.subject)
    .bind(i64::from(line.whole))
    .bind(line.facility.as_str())
    .bind(line.slot.map(|slot| slot.to_string()))
    .bind(name.trim())
    .bind(place_of)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn show(conn: &mut Conn, run: &str) -> Result<RunDetail, Fault> {
    let (line, items) = (post_rows::run(conn, run).await?, post_rows::items(conn, run).await?);
    Ok(RunDetail { run: line, items, left_out: Vec::new(), dry_run: false })
}

/// The letters of an open run. What is secret leaves the registry with the first print: there is no second one (ruling 5).
pub async fn print(shared: &Arc<Shared>, operator: &Operator, run: &str) -> Result<(String, Vec<u8>), Fault> {
    let now = world::now_ms();
    let mut conn = shared.store.pool().acquire().await?;
    let line = open(&mut conn, run).await?;
    let items = post_rows::items(&mut conn, run).await?;
    let sender = post_pieces::sender(&mut conn, &shared.config, now).await?;
    let mut pieces: Vec<Piece> = Vec::new();
    for item in &items {
        pieces.push(post_pieces::piece(&mut conn, &shared.config, item).await?);
    }
    drop(conn);
    let title = format!("発送 {run}");
    let bytes = paper_press::drawn(shared, move |fonts| {
        let mut pages = Vec::new();
        for piece in &pieces {
            pages.extend(post_paper::pages(fonts, &sender, piece)?);
        }
        Ok(pdf::written(&title, true, &pages, fonts)?)
    })
    .await?;
    transaction!(shared.store, conn => {
        open(conn, run).await?;
        if line.lane == Lane::Sheet {
            wipe(conn, run, &items).await?;
        }
        printed(conn, now, run).await?;
        let detail = json!({ "lane": line.lane, "items": items.len(), "nth": line.prints + 1 });
        audit::by(conn, now, operator, "post.print", run, detail).await?;
        Ok::<_, Fault>(())
    })?;
    if line.lane == Lane::Sheet {
        shared.store.forget().await?;
    }
    Ok((format!("{run}.pdf"), bytes))
}

/// Each sheet once: two prints at the same time are one, and a refusal.
async fn wipe(conn: &mut Conn, run: &str, items: &[ItemLine]) -> Result<(), Fault> {
    for item in items.iter().filter(|item| item.whole) {
        let done = sqlx::query(
            "UPDATE outbox SET payload = '' WHERE message = $1 AND state = 'post' AND payload <> ''",
        )
        .bind(&item.subject)
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() != 1 {
            return Err(PostMessage::SecretPrinted { run: run.to_owned() }.into());
        }
    }
    Ok(())
}

async fn printed(conn: &mut Conn, now: i64, run: &str) -> Result<(), Fault> {
    sqlx::query("UPDATE post_run SET prints = prints + 1, printed_at = $2 WHERE run = $1")
        .bind(run)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// 宛名ラベル of a run that is not undone, as often as they are wanted.
pub async fn labels(
    shared: &Arc<Shared>,
    run: &str,
    grid: &str,
    start: u32,
) -> Result<(String, Vec<u8>), Fault> {
    let known = || label::GRIDS.map(|grid| grid.id).join("、");
    let grid = Grid::parse(grid)
        .ok_or_else(|| Fault::from(Message::WordUnknown { given: shown(grid), known: known() }))?;
    let mut conn = shared.store.pool().acquire().await?;
    post_rows::run(&mut conn, run).await?;
    let mut addresses: Vec<(Address, String)> = Vec::new();
    for item in post_rows::items(&mut conn, run).await? {
        if item.state != "undone" {
            addresses.push((post_pieces::address(&item), item.item));
        }
    }
    drop(conn);
    let title = format!("宛名ラベル {run}");
    let bytes = paper_press::drawn(shared, move |fonts| {
        let pages = label::pages(fonts, &grid, start, &addresses)?;
        Ok(pdf::written(&title, true, &pages, fonts)?)
    })
    .await?;
    Ok((format!("{run}-labels.pdf"), bytes))
}

/// 発送した. The rule of the two envelopes holds for the day on which they really left.
pub async fn sent(
    shared: &Arc<Shared>,
    operator: &Operator,
    run: &str,
    on: Option<&str>,
    dry_run: bool,
) -> Result<RunDetail, Fault> {
    let now = world::now_ms();
    let on: Date = match on.map(str::trim).filter(|on| !on.is_empty()) {
        Some(on) => parse(&dates::past_date(on, now)?)?,
        None => dates::day(now),
    };
    if dry_run {
        return noted(&mut *shared.store.begin().await?, now, operator, run, on).await.map(rehearsed);
    }
    let detail = transaction!(shared.store, conn => noted(conn, now, operator, run, on).await)?;
    shared.store.forget().await?;
    Ok(detail)
}

fn rehearsed(detail: RunDetail) -> RunDetail {
    RunDetail { dry_run: true, ..detail }
}

async fn noted(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    run: &str,
    on: Date,
) -> Result<RunDetail, Fault> {
    let line = post_rows::run(conn, run).await?;
    // Noted twice is noted once.
    if line.state == "sent" {
        return show(conn, run).await;
    }
    let (line, items) = (open(conn, run).await?, post_rows::items(conn, run).await?);
    may_leave(conn, &line, &items, on).await?;
    sqlx::query(
        "UPDATE post_run SET state = 'sent', sent_on = $2, noted_at = $3, noted_by = $4 WHERE run = $1",
    )
    .bind(run)
    .bind(on.to_string())
    .bind(now)
    .bind(&operator.name)
    .execute(&mut *conn)
    .await?;
    sqlx::query("UPDATE post_item SET state = 'sent', held = NULL WHERE run = $1")
        .bind(run)
        .execute(&mut *conn)
        .await?;
    // Also a sheet of the folder, which had “left” when it was written there.
    sqlx::query(
        "UPDATE outbox SET state = 'sent', payload = '', sent_at = $2, last_answer = $3, attempts = attempts + 1
         WHERE state IN ('post', 'sent') AND message IN (SELECT subject FROM post_item WHERE run = $1)",
    )
    .bind(run)
    .bind(now)
    .bind(format!("{} {on} {run}", reply::POSTED))
    .execute(&mut *conn)
    .await?;
    if line.lane == Lane::Connection {
        for item in &items {
            case_rows::advance_of(conn, now, &item.facility, CaseEvent::BundleSent, &operator.name).await?;
        }
    }
    let detail = json!({ "lane": line.lane, "items": items.len(), "on": on.to_string(), "rule": "P-05" });
    audit::by(conn, now, operator, "post.sent", run, detail).await?;
    show(conn, run).await
}

/// Printed, not before it was taken, and far enough from the other envelope.
async fn may_leave(conn: &mut Conn, line: &RunLine, items: &[ItemLine], on: Date) -> Result<(), Fault> {
    if line.prints == 0 && items.iter().any(|item| item.whole) {
        return Err(PostMessage::NotPrinted { run: line.run.clone() }.into());
    }
    if line.taken_at.get(..10).is_some_and(|taken| on.to_string().as_str() < taken) {
        return Err(PostMessage::SentBefore { on: on.to_string() }.into());
    }
    let mates = Mates::read(conn, &[]).await?;
    for item in items {
        let Some(slot) = item.slot else { continue };
        // What only waits keeps its own distance later; a day on which the other one left is a fact.
        if let Due::From(day) = mates.due(line.lane, &slot.to_string(), on) {
            return Err(PostMessage::TooSoon { slot: slot.to_string(), from: day.to_string() }.into());
        }
    }
    Ok(())
}

/// The run was not: everything of it waits again. A sheet that was printed stays paper at hand.
pub async fn undo(
    shared: &Arc<Shared>,
    operator: &Operator,
    run: &str,
    dry_run: bool,
) -> Result<RunDetail, Fault> {
    let now = world::now_ms();
    if dry_run {
        return undone(&mut *shared.store.begin().await?, now, operator, run).await.map(rehearsed);
    }
    transaction!(shared.store, conn => undone(conn, now, operator, run).await)
}

async fn undone(conn: &mut Conn, now: i64, operator: &Operator, run: &str) -> Result<RunDetail, Fault> {
    let line = open(conn, run).await?;
    for change in [
        "UPDATE post_run SET state = 'undone' WHERE run = $1",
        "UPDATE post_item SET state = 'undone', held = NULL WHERE run = $1",
    ] {
        sqlx::query(change).bind(run).execute(&mut *conn).await?;
    }
    let detail = json!({ "lane": line.lane, "items": line.items, "prints": line.prints });
    audit::by(conn, now, operator, "post.undo", run, detail).await?;
    show(conn, run).await
}

async fn open(conn: &mut Conn, run: &str) -> Result<RunLine, Fault> {
    let line = post_rows::run(conn, run).await?;
    if line.state != "open" {
        return Err(PostMessage::RunClosed { run: line.run }.into());
    }
    Ok(line)
}
