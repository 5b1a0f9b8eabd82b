//! The scans as the secretariat works with them: seen, put to their case out of the tray, thrown away. Who saw a page is
//! written down before it leaves the room. Edge: SQL, tokio.

use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use crate::audit;
use crate::door::Operator;
use crate::door_scan::{ScanAnswer, ScanLine, ScanQuestion, Why};
use crate::fault::Fault;
use crate::flow_forms::Form;
use crate::messages::Message;
use crate::messages::shown;
use crate::messages_scan::ScanMessage;
use crate::paper_office;
use crate::picture::Media;
use crate::scan_rows::{self, Scan};
use crate::scan_seal::{SealedBy, sealed_by};
use crate::scan_take::{self, arrived, case_key};
use crate::scan_vault;
use crate::shared::Shared;
use crate::store::transaction;
use crate::world;

/// An answer, or a picture.
pub enum Handed {
    Answer(ScanAnswer),
    File { name: String, bytes: Vec<u8> },
}

pub async fn answer(
    shared: &Arc<Shared>,
    operator: &Operator,
    question: ScanQuestion,
) -> Result<Handed, Fault> {
    let answer = match question {
        ScanQuestion::Take { bytes, came_by, dry_run } => {
            ScanAnswer::Taken(scan_take::take(shared, operator, vec![bytes], came_by, dry_run).await?)
        }
        ScanQuestion::Tray => ScanAnswer::Lines(tray(shared).await?),
        ScanQuestion::List { case } => ScanAnswer::Lines(of_case(shared, &case).await?),
        ScanQuestion::Show { scan } => {
            let (media, bytes) = seen(shared, operator, &scan).await?;
            let ending = if media == Media::Png { "png" } else { "jpg" };
            return Ok(Handed::File { name: format!("{scan}.{ending}"), bytes: bytes.to_vec() });
        }
        ScanQuestion::File { scan, case, form, dry_run } => {
            let form =
                form.as_deref().filter(|form| !form.is_empty()).map(paper_office::known).transpose()?;
            ScanAnswer::Line(Box::new(file(shared, operator, &scan, (&case, form), dry_run).await?))
        }
        ScanQuestion::Discard { scan, why, dry_run } => {
            ScanAnswer::Line(Box::new(discard(shared, operator, &scan, why, dry_run).await?))
        }
    };
    Ok(Handed::Answer(answer))
}

pub async fn tray(shared: &Shared) -> Result<Vec<ScanLine>, Fault> {
    let now = world::now_ms();
    let rows = scan_rows::tray(&mut *shared.store.pool().acquire().await?, now).await?;
    rows.into_iter().map(|scan| scan_rows::line(scan, now)).collect()
}

pub async fn of_case(shared: &Shared, case: &str) -> Result<Vec<ScanLine>, Fault> {
    let now = world::now_ms();
    let mut conn = shared.store.pool().acquire().await?;
    if case_key(&mut conn, case).await?.is_none() {
        return Err(Message::CaseUnknown { case: shown(case) }.into());
    }
    let rows = scan_rows::of_case(&mut conn, case).await?;
    rows.into_iter().map(|scan| scan_rows::line(scan, now)).collect()
}

pub async fn line(shared: &Shared, scan: &str) -> Result<ScanLine, Fault> {
    scan_rows::line(found(shared, scan).await?, world::now_ms())
}

/// How many pages wait to be sorted.
pub async fn waiting(shared: &Shared) -> Result<i64, Fault> {
    Ok(scan_rows::waiting(&mut *shared.store.pool().acquire().await?).await?)
}

async fn found(shared: &Shared, scan: &str) -> Result<Scan, Fault> {
    scan_rows::find(&mut *shared.store.pool().acquire().await?, scan).await
}

/// The page, and in the trail who saw it.
pub async fn seen(
    shared: &Shared,
    operator: &Operator,
    scan: &str,
) -> Result<(Media, Zeroizing<Vec<u8>>), Fault> {
    let row = found(shared, scan).await?;
    let media = Media::parse(&row.media).ok_or_else(|| Fault::Row(row.media.clone()))?;
    let bytes = scan_vault::opened(shared, &row).await?;
    let now = world::now_ms();
    let detail = json!({ "case": row.case_id, "form": row.form, "page": row.page });
    transaction!(shared.store, conn => {
        audit::by(conn, now, operator, "scan.seen", &row.scan, detail.clone()).await?;
        Ok::<_, Fault>(())
    })?;
    Ok((media, bytes))
}

/// Out of the tray to a case, under the key that belongs there.
pub async fn file(
    shared: &Arc<Shared>,
    operator: &Operator,
    scan: &str,
    (case, form): (&str, Option<Form>),
    dry_run: bool,
) -> Result<ScanLine, Fault> {
    let _turn = shared.scans.turn.lock().await;
    let row = found(shared, scan).await?;
    in_tray(&row)?;
    let case = case.trim();
    let key = case_key(&mut *shared.store.pool().acquire().await?, case).await?;
    let key = key.ok_or_else(|| Message::CaseUnknown { case: shown(case) })?;
    let form = form.or_else(|| Form::parse(&row.form));
    let by = sealed_by(form, key.flow, key.patient.as_ref());
    if dry_run {
        let after = Scan { state: "filed".to_owned(), case_id: Some(case.to_owned()), ..row };
        return scan_rows::line(after, world::now_ms());
    }
    moved(shared, operator, &row, (case, form), &by).await?;
    scan_rows::line(found(shared, scan).await?, world::now_ms())
}

fn in_tray(row: &Scan) -> Result<(), ScanMessage> {
    match (row.key_kind.as_str(), &row.case_id) {
        ("tray", _) => Ok(()),
        ("none", _) | (_, None) => Err(ScanMessage::ScanGone),
        (_, Some(case)) => Err(ScanMessage::ScanFiled { case: case.clone() }),
    }
}

/// Sealed anew, then written with what follows in the case; a crash before the writing leaves the page where it was.
pub async fn moved(
    shared: &Shared,
    operator: &Operator,
    row: &Scan,
    (case, form): (&str, Option<Form>),
    by: &SealedBy,
) -> Result<(), Fault> {
    let plain = scan_vault::opened(shared, row).await?;
    let (key, sealed) = scan_vault::sealed(shared, &row.scan, by, &plain).await?;
    let now = world::now_ms();
    let waits = ScanMessage::WaitsForPatient { case: case.to_owned() };
    let reason = if *by == SealedBy::Tray { waits.code() } else { "" };
    let name = form.map_or("", Form::name_ja);
    transaction!(shared.store, conn => {
        let by_whom = (now, operator.name.as_str());
        if !scan_rows::file(conn, by_whom, row, (case, name, reason), (&key, &sealed)).await? {
            return Err(ScanMessage::ScanGone.into());
        }
        let detail = json!({
            "scan": row.scan, "form": name, "page": row.page, "hash": row.hash, "came": row.came_by, "key": key.kind,
        });
        audit::by(conn, now, operator, "scan.filed", case, detail).await?;
        if let Some(form) = form {
            arrived(conn, now, operator, case, form).await?;
        }
        Ok::<_, Fault>(())
    })
}

pub async fn discard(
    shared: &Shared,
    operator: &Operator,
    scan: &str,
    why: Why,
    dry_run: bool,
) -> Result<ScanLine, Fault> {
    let row = found(shared, scan).await?;
    in_tray(&row)?;
    let now = world::now_ms();
    if dry_run {
        let after = Scan { state: "discarded".to_owned(), reason: why.as_str().to_owned(), ..row };
        return scan_rows::line(after, now);
    }
    transaction!(shared.store, conn => {
        let by_whom = (now, operator.name.as_str());
        if !scan_rows::gone(conn, by_whom, scan, ("discarded", why.as_str())).await? {
            return Err(ScanMessage::ScanGone.into());
        }
        let detail = json!({ "why": why.as_str(), "hash": row.hash });
        audit::by(conn, now, operator, "scan.discarded", scan, detail).await?;
        Ok::<_, Fault>(())
    })?;
    scan_rows::line(found(shared, scan).await?, now)
}
