//! 返戻: post that came back is noted on its piece, and something is done about it: sent again to an address that was put
//! right, issued anew because the envelope was open, or settled by telephone. Edge: SQL, tokio.

use std::sync::Arc;

use serde_json::json;

use crate::dates;
use crate::door::Operator;
use crate::door_post::{ItemLine, Lane, Remedy, ReturnReason};
use crate::facility;
use crate::fault::Fault;
use crate::messages_post::PostMessage;
use crate::office_fault::OfficeFault;
use crate::post_rows;
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::{audit, new_sheet, renewal, world};

/// As the stamp on the envelope says, and what a clerk saw.
pub struct Stamp<'a> {
    pub reason: ReturnReason,
    pub on: Option<&'a str>,
    pub opened: bool,
    pub note: &'a str,
}

pub async fn returned(
    shared: &Arc<Shared>,
    operator: &Operator,
    item: &str,
    stamp: &Stamp<'_>,
    dry_run: bool,
) -> Result<ItemLine, Fault> {
    let now = world::now_ms();
    if dry_run {
        return noted(&mut *shared.store.begin().await?, now, operator, item, stamp).await;
    }
    transaction!(shared.store, conn => noted(conn, now, operator, item, stamp).await)
}

async fn noted(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    item: &str,
    stamp: &Stamp<'_>,
) -> Result<ItemLine, Fault> {
    let line = post_rows::item(conn, item).await?;
    if line.state != "sent" {
        return Err(PostMessage::ItemNotOut { item: line.item }.into());
    }
    let on = match stamp.on.map(str::trim).filter(|on| !on.is_empty()) {
        Some(on) => dates::past_date(on, now)?,
        None => dates::day(now).to_string(),
    };
    if line.sent_on.as_deref().is_some_and(|sent| on.as_str() < sent) {
        return Err(PostMessage::ReturnBefore { on }.into());
    }
    let note = facility::line(stamp.note).map_err(OfficeFault::from)?;
    sqlx::query(
        "UPDATE post_item SET state = 'returned', returned_on = $2, reason = $3, opened = $4, note = $5 WHERE item = $1",
    )
    .bind(item)
    .bind(&on)
    .bind(stamp.reason.as_str())
    .bind(i64::from(stamp.opened))
    .bind(note)
    .execute(&mut *conn)
    .await?;
    sqlx::query("UPDATE outbox SET state = 'returned' WHERE message = $1 AND state = 'sent'")
        .bind(&line.subject)
        .execute(&mut *conn)
        .await?;
    // Not the note: a clerk's words may name a person, and a trail is never wiped.
    let detail = json!({ "reason": stamp.reason, "opened": stamp.opened, "on": on });
    audit::by(conn, now, operator, "post.returned", item, detail).await?;
    post_rows::item(conn, item).await
}

/// Issuing anew comes first and the note second: interrupted in between, the piece still asks for somebody.
pub async fn settle(
    shared: &Arc<Shared>,
    operator: &Operator,
    item: &str,
    remedy: Remedy,
    dry_run: bool,
) -> Result<ItemLine, Fault> {
    let now = world::now_ms();
    let line = waiting(&mut *shared.store.pool().acquire().await?, item).await?;
    may(&line, remedy)?;
    if remedy == Remedy::Reissue
        && let Some(slot) = line.slot
    {
        match line.lane {
            Lane::Sheet => new_sheet::make(shared, operator, slot, dry_run).await?,
            _ => renewal::reissue(shared, operator, slot, dry_run).await?,
        };
    }
    if dry_run {
        return done(&mut *shared.store.begin().await?, now, operator, item, remedy).await;
    }
    transaction!(shared.store, conn => done(conn, now, operator, item, remedy).await)
}

async fn waiting(conn: &mut Conn, item: &str) -> Result<ItemLine, Fault> {
    let line = post_rows::item(conn, item).await?;
    if line.state != "returned" || line.remedy.is_some() {
        return Err(PostMessage::ItemSettled { item: line.item }.into());
    }
    Ok(line)
}

/// An open envelope's secret is nobody's any more; what holds none is only sent again.
fn may(line: &ItemLine, remedy: Remedy) -> Result<(), PostMessage> {
    let secret = matches!(line.lane, Lane::Connection | Lane::Sheet);
    match remedy {
        Remedy::Again if secret && line.opened => Err(PostMessage::OpenedReissue),
        Remedy::Reissue if !secret => Err(PostMessage::NoSecret),
        Remedy::Again | Remedy::Reissue | Remedy::Called => Ok(()),
    }
}

async fn done(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    item: &str,
    remedy: Remedy,
) -> Result<ItemLine, Fault> {
    let line = waiting(conn, item).await?;
    sqlx::query("UPDATE post_item SET remedy = $2, remedied_at = $3, remedied_by = $4 WHERE item = $1")
        .bind(item)
        .bind(remedy.as_str())
        .bind(now)
        .bind(&operator.name)
        .execute(&mut *conn)
        .await?;
    if remedy == Remedy::Again {
        sqlx::query("UPDATE outbox SET state = 'post' WHERE message = $1 AND state = 'returned'")
            .bind(&line.subject)
            .execute(&mut *conn)
            .await?;
    }
    audit::by(conn, now, operator, "post.settle", item, json!({ "remedy": remedy })).await?;
    post_rows::item(conn, item).await
}
