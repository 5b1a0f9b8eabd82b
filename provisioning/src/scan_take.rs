//! A pile is taken in: read, sorted by its codes, each page sealed under its key, and then written in one transaction with what
//! follows in its case. A crash leaves all of it or nothing; the same page again is known. Edge: SQL, tokio.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use pki::identity::PatientId;
use serde_json::json;

use crate::audit;
use crate::door::Operator;
use crate::door_scan::{CameBy, ScanFault, ScanPage, ScanReport};
use crate::fault::Fault;
use crate::filing::{self, Goes, KnownCase};
use crate::flow::{self, Event, Phase};
use crate::flow_forms::{Form, Need, needs};
use crate::flow_rows;
use crate::flow_steps::Flow;
use crate::form_code;
use crate::messages::Message;
use crate::messages_scan::ScanMessage;
use crate::office_fault::OfficeFault;
use crate::paper_find::waits;
use crate::paper_office;
use crate::scan_read::{self, ReadPage};
use crate::scan_rows::{self, NewScan};
use crate::scan_seal::{SealedBy, sealed_by};
use crate::scan_vault;
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::world;

/// A case as far as keys are concerned.
pub struct CaseKey {
    pub flow: Flow,
    pub patient: Option<PatientId>,
    pub closed: bool,
}

pub async fn take(
    shared: &Arc<Shared>,
    operator: &Operator,
    files: Vec<Vec<u8>>,
    came_by: CameBy,
    dry_run: bool,
) -> Result<ScanReport, Fault> {
    // One pile at a time: its dots fill memory, and the tray's key stays what it is meanwhile.
    let _turn = shared.scans.turn.lock().await;
    let pile = scan_read::pile(files).await?;
    let mut report = ScanReport { dry_run, ..ScanReport::default() };
    for (file, message) in &pile.faults {
        report.faults.push(ScanFault { file: number(*file), trouble: message.trouble() });
    }
    let mut sorted = Vec::new();
    let mut cases = BTreeMap::new();
    for pages in pile.files {
        // A paper never goes on in another file.
        let seen: Vec<_> = pages.iter().map(|page| page.seen.clone()).collect();
        let realm = form_code::realm(&shared.config.zone);
        let known = known(shared, &filing::asked(&seen, &realm), &mut cases).await?;
        sorted.extend(pages.into_iter().zip(filing::file(&seen, &realm, &known)));
    }
    let mut new = Vec::new();
    for (place, (page, goes)) in sorted.into_iter().enumerate() {
        let (line, made) = one(shared, &page, goes, &cases, (place, dry_run)).await?;
        report.pages.push(line);
        new.extend(made);
    }
    // The same picture twice in a pile is one.
    let mut seen = std::collections::BTreeSet::new();
    new.retain(|page: &NewScan| seen.insert(page.hash.clone()));
    if !dry_run && !new.is_empty() {
        write(shared, operator, came_by, &new, &mut report).await?;
    }
    Ok(report)
}

/// What the codes name, as the registry and the SNS know it now.
async fn known(
    shared: &Shared,
    asked: &[(String, Form)],
    cases: &mut BTreeMap<String, CaseKey>,
) -> Result<BTreeMap<String, KnownCase>, Fault> {
    let mut known: BTreeMap<String, KnownCase> = BTreeMap::new();
    for (case, form) in asked {
        if !cases.contains_key(case) {
            let found = case_key(&mut *shared.store.pool().acquire().await?, case).await?;
            let Some(found) = found else { continue };
            cases.insert(case.clone(), found);
        }
        let Some(found) = cases.get(case) else { continue };
        let values = paper_office::prepared(shared, *form, case).await?;
        let entry = known
            .entry(case.clone())
            .or_insert_with(|| KnownCase { closed: found.closed, hashes: BTreeMap::new() });
        entry.hashes.insert(*form, form_code::hash(*form, case, &values));
    }
    Ok(known)
}

/// `None` when there is no such case.
pub async fn case_key(conn: &mut Conn, case: &str) -> Result<Option<CaseKey>, Fault> {
    match flow_rows::find(conn, case).await {
        Ok(found) => {
            let closed = matches!(found.state.phase, Phase::Done | Phase::Withdrawn);
            Ok(Some(CaseKey { flow: found.state.flow, patient: found.patient, closed }))
        }
        Err(OfficeFault::Refused(Message::CaseUnknown { .. })) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

/// A page's line of the receipt, and what is to be written of it.
async fn one(
    shared: &Shared,
    page: &ReadPage,
    goes: Goes,
    cases: &BTreeMap<String, CaseKey>,
    (place, dry_run): (usize, bool),
) -> Result<(ScanPage, Option<NewScan>), Fault> {
    let mut line = ScanPage {
        file: number(page.file),
        page: number(page.page),
        went: "blank".to_owned(),
        scan: None,
        case: None,
        form: None,
        reason: None,
    };
    if goes == Goes::Blank {
        return Ok((line, None));
    }
    let known = scan_rows::known(&mut *shared.store.pool().acquire().await?, &page.hash).await?;
    if let Some((scan, case)) = known {
        return Ok((ScanPage { went: "known".to_owned(), scan: Some(scan), case, ..line }, None));
    }
    let (case, form, sheet, mut why) = match goes {
        Goes::Case { case, form, page } => (Some(case), Some(form), page, None),
        Goes::Tray(why) => (None, None, 0, Some(why)),
        Goes::Blank => return Ok((line, None)),
    };
    let found = case.as_ref().and_then(|case| cases.get(case));
    let by = found.map_or(SealedBy::Tray, |found| sealed_by(form, found.flow, found.patient.as_ref()));
    if let (Some(case), SealedBy::Tray) = (&case, &by) {
        why = Some(ScanMessage::WaitsForPatient { case: case.clone() });
    }
    line.went = if case.is_some() { "filed" } else { "tray" }.to_owned();
    line.case.clone_from(&case);
    line.form = form.map(|form| form.name_ja().to_owned());
    line.reason = why.as_ref().map(ScanMessage::trouble);
    if dry_run {
        return Ok((line, None));
    }
    let scan = format!("s-{}", BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase());
    let (key, sealed) = scan_vault::sealed(shared, &scan, &by, &page.bytes).await?;
    let (reason, about) = why.as_ref().map(scan_rows::written).unwrap_or_default();
    line.scan = Some(scan.clone());
    let new = NewScan {
        scan,
        sheet: place as i64 + 1,
        case,
        form: line.form.clone().unwrap_or_default(),
        page: i64::from(sheet),
        reason,
        about,
        media: page.media.as_str(),
        bytes: i64::try_from(page.bytes.len()).unwrap_or(i64::MAX),
        hash: page.hash.clone(),
        key,
        sealed,
    };
    Ok((line, Some(new)))
}

async fn write(
    shared: &Shared,
    operator: &Operator,
    came_by: CameBy,
    new: &[NewScan],
    report: &mut ScanReport,
) -> Result<(), Fault> {
    let now = world::now_ms();
    let batch = format!("b-{}", BASE32_NOPAD.encode(world::random::<5>()?.as_slice()).to_ascii_lowercase());
    let known = transaction!(shared.store, conn => {
        let mut known = Vec::new();
        for page in new {
            // Another pile was faster with the same page.
            if let Some(other) = scan_rows::known(conn, &page.hash).await? {
                known.push((page.scan.clone(), other));
                continue;
            }
            scan_rows::insert(conn, (now, operator.name.as_str(), batch.as_str()), came_by, page).await?;
            let detail = json!({
                "scan": page.scan, "form": page.form, "page": page.page, "hash": page.hash,
                "came": came_by.as_str(), "key": page.key.kind, "reason": page.reason,
            });
            match &page.case {
                Some(case) => {
                    audit::by(conn, now, operator, "scan.filed", case, detail).await?;
                    if let Some(form) = Form::parse(&page.form) {
                        arrived(conn, now, operator, case, form).await?;
                    }
                }
                None => {
                    audit::by(conn, now, operator, "scan.tray", &page.scan, detail).await?;
                }
            }
        }
        Ok::<_, Fault>(known)
    })?;
    // Of two alike in one pile the second is told as known, too.
    for line in &mut report.pages {
        let other =
            known.iter().find(|(scan, _)| line.scan.as_ref() == Some(scan)).map(|(_, other)| other.clone());
        let first = new.iter().any(|page| line.scan.as_ref() == Some(&page.scan));
        if let Some((scan, case)) = other {
            *line = ScanPage { went: "known".to_owned(), scan: Some(scan), case, ..line.clone() };
        } else if line.scan.is_some() && !first && line.went != "known" {
            line.went = "known".to_owned();
            line.scan = None;
        }
    }
    Ok(())
}

/// A case that waits for this form has it now; what stands on it is still for a person to read.
pub async fn arrived(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    case: &str,
    form: Form,
) -> Result<(), Fault> {
    let found = flow_rows::find(conn, case).await?;
    let wanted = needs(found.state.flow).iter().any(|need| match need {
        Need::Must(needed) | Need::When(needed, ..) => *needed == form,
    });
    if !waits(&found.state) || !wanted || found.state.forms.contains(&form) {
        return Ok(());
    }
    let event = Event::FormArrived(form);
    let (state, _) = flow::next(&found.state, &event, &operator.name, now)
        .map_err(|_| Message::CaseBegun { case: case.to_owned() })?;
    flow_rows::advance(conn, now, case, &state, &event, &operator.name).await?;
    audit::by(conn, now, operator, "case.form", case, json!({ "what": form.name_ja(), "by": "scan" }))
        .await?;
    Ok(())
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
