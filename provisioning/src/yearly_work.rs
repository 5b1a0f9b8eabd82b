//! 年次更新 (G-08, H-14, H-19): the office opens a round and sees who is silent; an admin saves half a screen as often as
//! wanted, sees what will happen, and sends it once: whoever goes is out, returned devices are revoked, trainings are
//! noted. Interrupted at any point it is begun, not sent, and sending it again goes on. Edge: SQL, tokio.

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::civil::Date;
use pki::identity::{FacilityId, MembershipId, Role};
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::audit;
use crate::dates;
use crate::door::{Operator, RevokeReason};
use crate::door_yearly::{YearlyAnswer, YearlyCalled, YearlyProgress, YearlyQuestion, YearlyRound};
use crate::facility;
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::need::Cut;
use crate::register::{self, Training};
use crate::revocation::{self, Order};
use crate::shared::Shared;
use crate::standing_work::{self, Member};
use crate::store::{Conn, transaction};
use crate::training::TrainingKind;
use crate::world;
use crate::written_date;
use crate::yearly::{Gaps, Round, Stage, Stay, Ticks};
use crate::yearly_rows;

/// Longest note of a call.
const NOTE_MAX: usize = 200;

/// An admin's screen.
pub struct Screen {
    pub round: Round,
    pub people: Vec<Member>,
    /// Device, number, label.
    pub devices: Vec<(String, SlotNumber, String)>,
    pub ticks: Ticks,
    pub stage: Stage,
    pub gaps: Gaps,
}

impl Screen {
    pub fn tick(&self, membership: &MembershipId) -> crate::yearly::PersonTick {
        self.ticks.people.get(membership).copied().unwrap_or_default()
    }

    fn people_ids(&self) -> Vec<MembershipId> {
        self.people.iter().map(|member| member.membership.clone()).collect()
    }
}

pub async fn answer(
    shared: &Shared,
    operator: &Operator,
    question: YearlyQuestion,
) -> Result<YearlyAnswer, Fault> {
    match question {
        YearlyQuestion::Open { year, opens_on, due_on, dry_run } => {
            open(shared, operator, year, (&opens_on, &due_on), dry_run).await.map(YearlyAnswer::Round)
        }
        YearlyQuestion::List { year, silent } => {
            let mut progress = progress(shared, year).await?.ok_or(PeopleMessage::YearlyNone)?;
            progress.lines.retain(|line| !silent || line.silent);
            Ok(YearlyAnswer::Progress(progress))
        }
        YearlyQuestion::Called { facility, note, dry_run } => {
            called(shared, operator, &facility, &note, dry_run).await.map(YearlyAnswer::Called)
        }
    }
}

/// Opens a round, or moves its days.
pub async fn open(
    shared: &Shared,
    operator: &Operator,
    year: i16,
    (opens_on, due_on): (&str, &str),
    dry_run: bool,
) -> Result<YearlyRound, Fault> {
    let now = world::now_ms();
    let day = |text: &str| -> Result<Date, Fault> {
        written_date::parse(text)
            .ok_or_else(|| PeopleMessage::YearlyDates.about(text.chars().take(20).collect::<String>()).into())
    };
    let round = Round { year, opens_on: day(opens_on)?, due_on: day(due_on)? };
    let near = |day: Date| (i16::abs(day.year() - year)) <= 1;
    if round.due_on <= round.opens_on || !near(round.opens_on) || !near(round.due_on) {
        return Err(PeopleMessage::YearlyDates.about(due_on.chars().take(20).collect::<String>()).into());
    }
    if !dry_run {
        transaction!(shared.store, conn => {
            yearly_rows::write_round(conn, now, &operator.name, &round).await?;
            let (year, detail) = (year.to_string(), json!({
                "opens_on": round.opens_on.to_string(), "due_on": round.due_on.to_string(), "rule": "A-02",
            }));
            audit::by(conn, now, operator, "yearly.open", &year, detail).await?;
            Ok::<_, Fault>(())
        })?;
    }
    Ok(yearly_rows::shown(&round, dry_run))
}

/// How far everybody is; `None` before the first round.
pub async fn progress(shared: &Shared, year: Option<i16>) -> Result<Option<YearlyProgress>, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let Some(round) = yearly_rows::round(&mut conn, year).await? else { return Ok(None) };
    yearly_rows::progress(&mut conn, &round, world::now_ms()).await.map(Some)
}

/// A facility was called about the newest round.
pub async fn called(
    shared: &Shared,
    operator: &Operator,
    facility: &FacilityId,
    note: &str,
    dry_run: bool,
) -> Result<YearlyCalled, Fault> {
    let now = world::now_ms();
    let note: String = facility::line(note)?.chars().take(NOTE_MAX).collect();
    let mut conn = shared.store.pool().acquire().await?;
    let round = yearly_rows::round(&mut conn, None).await?.ok_or(PeopleMessage::YearlyNone)?;
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM facility WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_one(&mut *conn)
        .await?;
    drop(conn);
    if known == 0 {
        return Err(PeopleMessage::FacilityUnknown.about(facility.as_str()).into());
    }
    if !dry_run {
        transaction!(shared.store, conn => {
            yearly_rows::called(conn, now, &operator.name, (round.year, facility), &note).await?;
            // Who was on the line stays out of the trail, which is never wiped.
            audit::by(conn, now, operator, "yearly.call", facility.as_str(), json!({ "rule": "A-02" })).await?;
            Ok::<_, Fault>(())
        })?;
    }
    Ok(YearlyCalled { facility: facility.clone(), year: round.year, dry_run })
}

/// An admin's screen; `None` while no round is open.
pub async fn screen(shared: &Shared, facility: &FacilityId) -> Result<Option<Screen>, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let round = yearly_rows::round(&mut conn, None).await?;
    match round.filter(|round| round.is_open(dates::day(world::now_ms()))) {
        Some(round) => screen_of(&mut conn, round, facility).await.map(Some),
        None => Ok(None),
    }
}

async fn screen_of(conn: &mut Conn, round: Round, facility: &FacilityId) -> Result<Screen, Fault> {
    let mut people = standing_work::of_facility(conn, facility).await?;
    people.retain(|member| member.state != crate::standing::Standing::Ended);
    let devices = yearly_rows::devices(conn, facility).await?;
    let (mut ticks, answer) = yearly_rows::ticks(conn, round.year, facility).await?;
    for member in people.iter().filter(|member| !may_go(member)) {
        // An admin is changed by 様式3 (B-02): here he stays.
        ticks.people.entry(member.membership.clone()).or_default().stay = Some(Stay::Stays);
    }
    let mut screen = Screen { round, people, devices, ticks, stage: answer.stage(), gaps: Gaps::default() };
    let ids: Vec<String> = screen.devices.iter().map(|(device, ..)| device.clone()).collect();
    screen.gaps = screen.ticks.gaps(&screen.people_ids(), &ids);
    Ok(screen)
}

/// May an admin end this one?
pub fn may_go(member: &Member) -> bool {
    matches!(member.role, Role::Staff | Role::Family)
}

/// Half a screen or all of it; nothing happens to anybody.
pub async fn save(
    shared: &Shared,
    operator: &Operator,
    facility: &FacilityId,
    ticks: Ticks,
) -> Result<Screen, Fault> {
    let now = world::now_ms();
    let today = dates::day(now);
    transaction!(shared.store, conn => {
        let round = yearly_rows::round(conn, None).await?.filter(|round| round.is_open(today));
        let round = round.ok_or(PeopleMessage::YearlyNone)?;
        let screen = screen_of(conn, round, facility).await?;
        if screen.stage == Stage::Done {
            return Err(PeopleMessage::YearlyDone.into());
        }
        let mut ticks = ticks.clone();
        let may = |id: &MembershipId| screen.people.iter().any(|member| member.membership == *id);
        ticks.people.retain(|id, _| may(id));
        ticks.devices.retain(|device, _| screen.devices.iter().any(|(known, ..)| known == device));
        yearly_rows::write_ticks(conn, now, &operator.name, (round.year, facility), &ticks).await?;
        screen_of(conn, round, facility).await
    })
}

/// Does what was ticked, once. `here`: the number of the device that it is sent from.
pub async fn finish(
    shared: &Arc<Shared>,
    operator: &Operator,
    facility: &FacilityId,
    here: SlotNumber,
) -> Result<Screen, Fault> {
    let screen = screen(shared, facility).await?.ok_or(PeopleMessage::YearlyNone)?;
    if screen.stage == Stage::Done {
        return Ok(screen);
    }
    if !screen.gaps.is_empty() {
        return Err(PeopleMessage::YearlyGaps.about(screen.gaps.words_ja()).into());
    }
    let returned: Vec<SlotNumber> = returned(&screen);
    if returned.contains(&here) {
        return Err(PeopleMessage::YearlyOwnDevice.about(here.to_string()).into());
    }
    // Devices first: each has its receipt, and asking twice gives the same one.
    let revoked = join_all(returned.into_iter().map(|slot| {
        let order = Order {
            slot,
            reason: RevokeReason::Retired,
            note: Some(format!("{}年度の年次更新で返却", screen.round.year)),
            by: operator.name.clone(),
            trace: Some(operator.trace),
        };
        revocation::revoke(shared, order)
    }));
    for receipt in revoked.await {
        receipt?;
    }
    let now = world::now_ms();
    let year = screen.round.year;
    let (grants, gone) =
        transaction!(shared.store, conn => finish_in(conn, now, operator, facility, year).await)?;
    if let Some(grants) = grants {
        shared.grants_changed(grants);
        shared.bells.leavings.notify_one();
    }
    join_all(gone.into_iter().map(|membership| standing_work::out(shared, Cut::Membership(membership))))
        .await;
    self::screen(shared, facility).await?.ok_or_else(|| PeopleMessage::YearlyNone.into())
}

/// The numbers whose devices come back.
pub fn returned(screen: &Screen) -> Vec<SlotNumber> {
    let back = |device: &String| screen.ticks.devices.get(device).copied().unwrap_or(false);
    screen.devices.iter().filter(|(device, ..)| back(device)).map(|(_, slot, _)| *slot).collect()
}

/// The one transaction: nobody is gone before the facility is done, and nobody is left over after it.
async fn finish_in(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    facility: &FacilityId,
    year: i16,
) -> Result<(Option<i64>, Vec<MembershipId>), Fault> {
    let (mut grants, mut gone) = (None, vec![]);
    // Read again: another admin of the facility may have changed it meanwhile.
    let round = yearly_rows::round(conn, Some(year)).await?.ok_or(PeopleMessage::YearlyNone)?;
    let screen = screen_of(conn, round, facility).await?;
    if screen.stage == Stage::Done {
        return Ok((grants, gone));
    }
    if !screen.gaps.is_empty() || !returned(&screen).is_empty() {
        return Err(PeopleMessage::YearlyGaps.about(screen.gaps.words_ja()).into());
    }
    for member in &screen.people {
        let tick = screen.tick(&member.membership);
        if let Some(held_on) = screen.ticks.trained_on.clone().filter(|_| tick.trained) {
            let training = Training { kind: TrainingKind::Security, held_on };
            register::attended(conn, now, operator, &member.person, facility, &training).await?;
        }
        let Some(turn) = tick.stay.and_then(Stay::turn) else { continue };
        if let Some(version) =
            standing_work::turn_membership_in(conn, now, operator, &member.membership, turn).await?
        {
            grants = Some(version);
            gone.push(member.membership.clone());
        }
    }
    yearly_rows::done(conn, now, year, facility).await?;
    let detail = json!({
        "year": year, "people": screen.people.len(), "gone": gone.len(), "rule": "G-08",
    });
    audit::by(conn, now, operator, "yearly.finish", facility.as_str(), detail).await?;
    Ok((grants, gone))
}
