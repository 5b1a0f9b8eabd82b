//! What a clerk needs while somebody is on the line (P-16): a facility's numbers with their last handshake, refusals,
//! ends and mails; and the call back, without which nothing is changed by telephone. Edge: SQL, tokio.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use pki::identity::FacilityId;
use serde_json::json;
use vpn::door::{SeatsAnswer, SeatsQuestion};
use vpn::slot::SlotNumber;

use crate::audit::{self, Event};
use crate::claim::EnrolmentState;
use crate::door::{LetterRow, Operator};
use crate::enrolments;
use crate::facility;
use crate::fault::{Fault, parse};
use crate::jst;
use crate::letters;
use crate::messages_people::PeopleMessage;
use crate::need::WhyLine;
use crate::shared::Shared;
use crate::standing_work::{self, Member};
use crate::store::{Conn, transaction};
use crate::world;

/// How long a call back counts: a call, not a day.
pub const CALL_MS: i64 = 30 * 60 * 1_000;
/// The page waits no longer for a neighbour; it shows what it has.
const ANSWER_WAIT: Duration = Duration::from_secs(3);
/// Refusals of one number on the page.
const WHY_MAX: usize = 5;
/// Numbers whose refusals are asked for: a facility has 20.
const ASKED_MAX: usize = 50;

/// A facility as it stands on the telephone page.
pub struct OnLine {
    pub facility: FacilityId,
    pub name: String,
    pub kind: String,
    pub code: String,
    /// The registered one: the only one that is called back.
    pub telephone: String,
    pub representative: String,
    pub admin_name: String,
    pub slots: Vec<SlotLine>,
    pub people: Vec<Member>,
    pub letters: Vec<LetterRow>,
    pub call: Option<CallBack>,
    /// Did the vpn room answer?
    pub live: bool,
}

pub struct SlotLine {
    pub slot: SlotNumber,
    pub state: String,
    pub label: String,
    pub certificate_ends: Option<String>,
    pub last_handshake: Option<String>,
    pub refusals: Vec<Refused>,
    /// What the sheet waits for, in words; empty when there is none.
    pub sheet: &'static str,
    pub sheet_until: Option<String>,
    pub may_unlock: bool,
    pub may_renew: bool,
}

pub struct Refused {
    pub at: String,
    pub code: String,
    pub ja: String,
}

pub struct CallBack {
    pub caller: String,
    pub number: String,
    pub recognised_by: String,
    pub until: String,
}

/// The page of one facility.
pub async fn look(shared: &Shared, facility: &FacilityId) -> Result<OnLine, Fault> {
    let now = world::now_ms();
    let mut conn = shared.store.pool().acquire().await?;
    let row: Option<(String, String, String, String, String, String)> = sqlx::query_as(
        "SELECT name, kind, code, telephone, representative, admin_name FROM facility WHERE facility = $1",
    )
    .bind(facility.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    let (name, kind, code, telephone, representative, admin_name) =
        row.ok_or_else(|| PeopleMessage::FacilityUnknown.about(facility.as_str()))?;
    let mut slots = Vec::new();
    for (slot, state, label, ends) in held(&mut conn, facility).await? {
        let sheet = enrolments::of_slot(&mut conn, slot).await?;
        let enrolment = sheet.as_ref().filter(|_| state == "issued").map(|sheet| &sheet.enrolment);
        let of_paper = sheet.as_ref().is_some_and(|sheet| sheet.admin_person.is_some());
        slots.push(SlotLine {
            slot,
            label,
            certificate_ends: ends.map(jst::rfc3339),
            last_handshake: None,
            refusals: Vec::new(),
            sheet: enrolment.map_or("", |enrolment| words(enrolment, now)),
            sheet_until: enrolment.map(|enrolment| jst::rfc3339(enrolment.valid_until)),
            may_unlock: enrolment.is_some_and(|enrolment| enrolment.paused_until > now),
            may_renew: enrolment.is_some() && of_paper,
            state,
        });
    }
    let people = standing_work::of_facility(&mut conn, facility).await?;
    let letters = letters::of_facility(&mut conn, facility.as_str()).await?;
    let call = call(&mut conn, facility, now).await?;
    drop(conn);
    let live = neighbours(shared, &mut slots).await;
    let facility = facility.clone();
    Ok(OnLine {
        facility,
        name,
        kind,
        code,
        telephone,
        representative,
        admin_name,
        slots,
        people,
        letters,
        call,
        live,
    })
}

type Held = (SlotNumber, String, String, Option<i64>);

async fn held(conn: &mut Conn, facility: &FacilityId) -> Result<Vec<Held>, Fault> {
    let rows: Vec<(String, String, String, Option<i64>)> = sqlx::query_as(
        "SELECT s.slot, s.state, COALESCE(d.label, ''), d.certificate_end
         FROM slot s LEFT JOIN device d ON d.slot = s.slot AND d.facility = s.facility AND d.state <> 'revoked'
         WHERE s.facility = $1 ORDER BY s.series, s.number",
    )
    .bind(facility.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|(slot, state, label, ends)| Ok((parse(&slot)?, state, label, ends))).collect()
}

fn words(enrolment: &crate::claim::Enrolment, now: i64) -> &'static str {
    match enrolment.state {
        EnrolmentState::Locked => "入力ちがい15回で停止（再発行）",
        EnrolmentState::Void => "無効（再発行）",
        EnrolmentState::Claimed => "切り替え待ち",
        EnrolmentState::Done => "登録済み",
        EnrolmentState::Open if enrolment.paused_until > now => "入力ちがいで一時停止中（解錠）",
        EnrolmentState::Open if !enrolment.in_time(now) => "期限切れ（延長）",
        EnrolmentState::Open => "本登録待ち",
    }
}

/// Last handshakes and refusals, as far as the neighbours answer in time.
async fn neighbours(shared: &Shared, slots: &mut [SlotLine]) -> bool {
    let status = tokio::time::timeout(ANSWER_WAIT, shared.needs.seats.ask(SeatsQuestion::Status)).await;
    let mut seen: BTreeMap<SlotNumber, i64> = BTreeMap::new();
    let live = if let Ok(Ok(SeatsAnswer::Status(status))) = status {
        for seat in status.seats {
            if let Some(at) = seat.last_handshake_ms {
                let last = seen.entry(seat.slot).or_insert(at);
                *last = (*last).max(at);
            }
        }
        true
    } else {
        false
    };
    let asked = async {
        for line in slots.iter_mut().take(ASKED_MAX) {
            line.last_handshake = seen.get(&line.slot).map(|at| jst::rfc3339(*at));
            if let Ok(lines) = shared.needs.why.why(line.slot).await {
                line.refusals = lines.into_iter().take(WHY_MAX).map(refused).collect();
            }
        }
    };
    // Whoever is on the line does not wait for a gateway that hangs.
    live & tokio::time::timeout(ANSWER_WAIT, asked).await.is_ok()
}

fn refused(line: WhyLine) -> Refused {
    Refused { at: jst::rfc3339(line.at_ms), code: line.code, ja: line.ja }
}

/// The call back that still counts.
async fn call(conn: &mut Conn, facility: &FacilityId, now: i64) -> Result<Option<CallBack>, Fault> {
    let row: Option<(String, String, String, i64)> = sqlx::query_as(
        "SELECT caller, number, recognised_by, at FROM call_back WHERE facility = $1 AND at > $2
         ORDER BY at DESC LIMIT 1",
    )
    .bind(facility.as_str())
    .bind(now - CALL_MS)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(caller, number, recognised_by, at)| CallBack {
        caller,
        number,
        recognised_by,
        until: jst::rfc3339(at + CALL_MS),
    }))
}

/// Notes that the registered number was called back and who was recognised there.
pub async fn note_call(
    shared: &Shared,
    operator: &Operator,
    facility: &FacilityId,
    caller: &str,
    recognised_by: &str,
) -> Result<(), Fault> {
    let now = world::now_ms();
    let (caller, recognised_by) = (facility::line(caller)?, facility::line(recognised_by)?);
    if caller.is_empty() || recognised_by.is_empty() {
        return Err(crate::messages::Message::CellEmpty.into());
    }
    let id = format!("k-{}", BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase());
    transaction!(shared.store, conn => {
        let number: Option<String> = sqlx::query_scalar("SELECT telephone FROM facility WHERE facility = $1")
            .bind(facility.as_str())
            .fetch_optional(&mut *conn)
            .await?;
        let number = number.ok_or_else(|| PeopleMessage::FacilityUnknown.about(facility.as_str()))?;
        sqlx::query(
            "INSERT INTO call_back (call, facility, caller, number, recognised_by, operator, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&id)
        .bind(facility.as_str())
        .bind(&caller)
        .bind(&number)
        .bind(&recognised_by)
        .bind(&operator.name)
        .bind(now)
        .execute(&mut *conn)
        .await?;
        // Names and numbers stay out of the trail, which is never wiped.
        let (detail, trace) = (json!({ "call": id, "rule": "P-16" }), Some(operator.trace));
        let event = Event { actor: &operator.name, action: "call.back", object: facility.as_str(), trace, detail };
        audit::append(conn, now, event).await?;
        Ok::<_, Fault>(())
    })
}

/// Nothing is changed by telephone without one.
pub async fn needs_call(shared: &Shared, facility: &FacilityId) -> Result<(), Fault> {
    let now = world::now_ms();
    let found = call(&mut *shared.store.pool().acquire().await?, facility, now).await?;
    found.map(|_| ()).ok_or_else(|| PeopleMessage::CallBackMissing.into())
}
