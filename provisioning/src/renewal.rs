//! 延長 and 再発行 (ruling 5): more time for a sheet that was not used, or another bundle with another key for one
//! that was lost, mistaken or misused. Number, password and paper stay. After a 再発行 the old bootstrap key and
//! whatever was claimed with it are dead. Edge: SQL, randomness.

use pki::identity::{FacilityId, PersonId};
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::acceptance::{self, Office};
use crate::audit;
use crate::claim::{self, EnrolmentState};
use crate::door::{EnrolmentRow, Operator, Renewal};
use crate::enrolments::{self, Sheet, VoidReason};
use crate::fault::{Fault, parse};
use crate::issue::{self, Connection, Recipient, VALID_MS};
use crate::jst;
use crate::messages::Message;
use crate::messages_people::{PeopleMessage, Refusal};
use crate::notice::{self, Extension};
use crate::office_fault::OfficeFault;
use crate::outbox::{self, LetterKind, NewLetter};
use crate::shared::{Config, Shared};
use crate::slots::SlotState;
use crate::store::{Conn, transaction};
use crate::{claim_void, seats, slot_rows, world};

/// A slot whose device waits, and whose admin is written to.
pub(crate) struct Waiting {
    pub sheet: Sheet,
    facility: FacilityId,
    pub facility_name: String,
    admin: PersonId,
    pub admin_name: String,
    address: String,
    pub office: Office,
}

/// 30 days from today, and 24 hours anew. Asked for twice on one day, it is done once.
pub async fn extend(
    shared: &Shared,
    operator: &Operator,
    slot: SlotNumber,
    dry_run: bool,
) -> Result<Renewal, Fault> {
    let now = world::now_ms();
    let config = &shared.config;
    if dry_run {
        let mut tx = shared.store.begin().await?;
        let renewal = write_extension(&mut tx, config, now, operator, slot).await?;
        return Ok(Renewal { dry_run, ..renewal });
    }
    let renewal = transaction!(shared.store, conn => {
        write_extension(conn, config, now, operator, slot).await
    })?;
    shared.bells.outbox.notify_one();
    Ok(renewal)
}

/// Another key, another mail, the same sheet. The old key is dead when this returns, unless the vpn room is down:
/// then as soon as it is back.
pub async fn reissue(
    shared: &Shared,
    operator: &Operator,
    slot: SlotNumber,
    dry_run: bool,
) -> Result<Renewal, Fault> {
    let now = world::now_ms();
    let config = &shared.config;
    let connection = Connection::new()?;
    if dry_run {
        let mut tx = shared.store.begin().await?;
        let (renewal, _) = write_reissue(&mut tx, config, now, operator, slot, &connection).await?;
        return Ok(Renewal { dry_run, ..renewal });
    }
    let (renewal, grants) = transaction!(shared.store, conn => {
        write_reissue(conn, config, now, operator, slot, &connection).await
    })?;
    shared.grants_changed(grants);
    shared.bells.outbox.notify_one();
    if let Err(fault) = seats::reconcile(shared).await {
        log::warn!(SLOT = slot.to_string().as_str(); "the old bootstrap key lives until the vpn room answers: {fault}");
        shared.bells.seats.notify_one();
    }
    // The certificate of a claim that never came into service; what fails now is done by the worker.
    claim_void::sweep(shared).await;
    Ok(renewal)
}

/// What a slot's enrolment waits for; `None` when it never had one.
pub async fn shown(shared: &Shared, slot: SlotNumber) -> Result<Option<EnrolmentRow>, Fault> {
    let Some(sheet) = enrolments::of_slot(&mut *shared.store.pool().acquire().await?, slot).await? else {
        return Ok(None);
    };
    let enrolment = &sheet.enrolment;
    Ok(Some(EnrolmentRow {
        state: enrolment.state.as_str().to_owned(),
        valid_until: jst::rfc3339(enrolment.valid_until),
        window_until: enrolment.window_until().map(jst::rfc3339),
        in_time: enrolment.in_time(world::now_ms()),
        sheet: sheet.admin_person.is_some(),
    }))
}

async fn write_extension(
    conn: &mut Conn,
    config: &Config,
    now: i64,
    operator: &Operator,
    slot: SlotNumber,
) -> Result<Renewal, Fault> {
    let waiting = waiting(conn, slot).await?;
    let valid_until = now.saturating_add(VALID_MS);
    let enrolment = waiting.sheet.enrolment.clone();
    let today = jst::date(enrolment.valid_until) == jst::date(valid_until);
    if today && enrolment.state == EnrolmentState::Open && enrolment.in_time(now) {
        return Ok(waiting.renewal(enrolment.valid_until, None));
    }
    let (next, _) = claim::step(enrolment, &claim::Event::Extended { valid_until }, now)
        .map_err(|refusal| about(refusal, slot))?;
    enrolments::store(conn, &waiting.sheet.number, &next).await?;
    let files = notice::files(&Extension {
        slot,
        facility_name: &waiting.facility_name,
        realm_name: &config.realm_name,
        valid_until: &jst::date(next.valid_until),
        office_name: &waiting.office.name,
        office_telephone: &waiting.office.telephone,
    })
    .map_err(OfficeFault::from)?;
    let letter = waiting.letter(LetterKind::Extension, now, &files);
    let letter = outbox::put(conn, now, letter).await?;
    let detail = json!({ "valid_until": next.valid_until, "letter": letter, "rule": "B-03" });
    audit::by(conn, now, operator, "slot.extend", &slot.to_string(), detail).await?;
    Ok(waiting.renewal(next.valid_until, Some(letter)))
}

async fn write_reissue(
    conn: &mut Conn,
    config: &Config,
    now: i64,
    operator: &Operator,
    slot: SlotNumber,
    connection: &Connection,
) -> Result<(Renewal, i64), Fault> {
    let waiting = waiting(conn, slot).await?;
    let valid_until = now.saturating_add(VALID_MS);
    let was = waiting.sheet.enrolment.state;
    let (next, _) =
        claim::step(waiting.sheet.enrolment.clone(), &claim::Event::Reissued { valid_until }, now)
            .map_err(|refusal| about(refusal, slot))?;
    enrolments::store(conn, &waiting.sheet.number, &next).await?;
    // Whatever the old key claimed is as if it had never been.
    let (generation, grants) = seats::void_claim(conn, &waiting.sheet, VoidReason::Superseded).await?;
    issue::seat(conn, slot, generation, connection).await?;
    slot_rows::record(conn, now, slot, generation, SlotState::Issued, Some(&waiting.facility), "再発行")
        .await?;
    outbox::withdraw_bundles(conn, slot).await?;
    let files = issue::bundle_files(now, config, slot, &waiting.recipient(), connection)
        .map_err(OfficeFault::from)?;
    let letter = outbox::put(conn, now, waiting.letter(LetterKind::Reissue, generation, &files)).await?;
    let detail = json!({
        "was": was.as_str(), "generation": generation, "valid_until": valid_until, "letter": letter, "rule": "B-03",
    });
    audit::by(conn, now, operator, "slot.reissue", &slot.to_string(), detail).await?;
    Ok((waiting.renewal(valid_until, Some(letter)), grants))
}

/// The slot's sheet with its admin, if the slot waits for one.
pub(crate) async fn waiting(conn: &mut Conn, slot: SlotNumber) -> Result<Waiting, Fault> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM slot WHERE slot = $1")
        .bind(slot.to_string())
        .fetch_optional(&mut *conn)
        .await?;
    let state = state.ok_or(Message::SlotUnknown { slot }).map_err(OfficeFault::from)?;
    let none = || Fault::from(PeopleMessage::RenewalNone.about(slot.to_string()));
    let sheet = enrolments::of_slot(conn, slot).await?.ok_or_else(none)?;
    let Some(admin) = sheet.admin_person.clone() else {
        return Err(PeopleMessage::RenewalCodes.about(slot.to_string()).into());
    };
    if sheet.enrolment.state == EnrolmentState::Done && state != SlotState::Revoked.as_str() {
        return Err(PeopleMessage::RenewalDone.about(slot.to_string()).into());
    }
    if state != SlotState::Issued.as_str() {
        return Err(none());
    }
    let (facility, facility_name, admin_name, address): (String, String, String, String) = sqlx::query_as(
        "SELECT f.facility, f.name, p.name, a.written
         FROM device d JOIN facility f ON f.facility = d.facility, person p JOIN address a ON a.person = p.person
         WHERE d.device = $1 AND p.person = $2",
    )
    .bind(&sheet.device)
    .bind(&admin)
    .fetch_one(&mut *conn)
    .await?;
    let office = acceptance::office(conn).await?;
    let (facility, admin) = (parse(&facility)?, parse(&admin)?);
    Ok(Waiting { sheet, facility, facility_name, admin, admin_name, address, office })
}

impl Waiting {
    fn recipient(&self) -> Recipient<'_> {
        Recipient {
            facility: &self.facility,
            facility_name: &self.facility_name,
            admin: &self.admin,
            admin_name: &self.admin_name,
            admin_address: &self.address,
            office_name: &self.office.name,
            office_telephone: &self.office.telephone,
        }
    }

    pub fn letter<'a>(
        &'a self,
        kind: LetterKind,
        nth: i64,
        files: &'a [crate::bundle::PrivateFile],
    ) -> NewLetter<'a> {
        let slot = self.sheet.slot;
        NewLetter { kind, slot, nth, facility: &self.facility, recipient: &self.address, files }
    }

    pub fn renewal(&self, valid_until: i64, letter: Option<String>) -> Renewal {
        Renewal {
            slot: self.sheet.slot,
            facility_name: self.facility_name.clone(),
            recipient: self.address.clone(),
            valid_until: jst::rfc3339(valid_until),
            letter,
            dry_run: false,
        }
    }
}

fn about(refusal: Refusal, slot: SlotNumber) -> Refusal {
    refusal.message.about(slot.to_string())
}
