//! 用紙の再発行: another number and another password for a slot that waits, because the sheet came back open, was lost or did
//! not print well. The old ones are dead in the same transaction; the connection stays. Edge: SQL, randomness.

use serde_json::json;
use vpn::slot::SlotNumber;

use crate::claim::EnrolmentState;
use crate::door::{Operator, Renewal};
use crate::fault::Fault;
use crate::issue::VALID_MS;
use crate::jst;
use crate::messages_post::PostMessage;
use crate::office_fault::OfficeFault;
use crate::outbox::{self, LetterKind};
use crate::renewal;
use crate::shared::{Config, Shared};
use crate::sheet::{self, Sheet};
use crate::store::{Conn, transaction};
use crate::ticket::{PASSWORD_LENGTH, TicketNumber, TicketPassword};
use crate::{audit, world};

/// What is new, and made before the transaction.
struct Drawn {
    number: TicketNumber,
    password: TicketPassword,
    hash: String,
}

pub async fn make(
    shared: &Shared,
    operator: &Operator,
    slot: SlotNumber,
    dry_run: bool,
) -> Result<Renewal, Fault> {
    let password = TicketPassword::from_random(&*world::random::<PASSWORD_LENGTH>()?);
    let drawn = Drawn {
        number: TicketNumber::from_random(*world::random()?),
        hash: shared.hasher.hash(password.expose()).await?,
        password,
    };
    let (now, config) = (world::now_ms(), &shared.config);
    if dry_run {
        let renewal = write(&mut *shared.store.begin().await?, config, now, operator, slot, &drawn).await?;
        return Ok(Renewal { dry_run, ..renewal });
    }
    let renewal = transaction!(shared.store, conn => write(conn, config, now, operator, slot, &drawn).await)?;
    shared.bells.outbox.notify_one();
    shared.store.forget().await?;
    Ok(renewal)
}

async fn write(
    conn: &mut Conn,
    config: &Config,
    now: i64,
    operator: &Operator,
    slot: SlotNumber,
    drawn: &Drawn,
) -> Result<Renewal, Fault> {
    let waiting = renewal::waiting(conn, slot).await?;
    let old = waiting.sheet.number.clone();
    let used: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM claim WHERE number = $1) + (SELECT count(*) FROM acme_pass WHERE number = $1)",
    )
    .bind(&old)
    .fetch_one(&mut *conn)
    .await?;
    let state = waiting.sheet.enrolment.state;
    if used > 0 || !matches!(state, EnrolmentState::Open | EnrolmentState::Locked) {
        return Err(PostMessage::SheetUsed { slot: slot.to_string() }.into());
    }
    let valid_until = now.saturating_add(VALID_MS);
    sqlx::query(
        "UPDATE enrolment SET number = $2, password_hash = $3, state = 'open', failures = 0, paused_until = 0,
             valid_until = $4, opened_at = NULL WHERE number = $1",
    )
    .bind(&old)
    .bind(drawn.number.as_str())
    .bind(&drawn.hash)
    .bind(valid_until)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE outbox SET state = 'cancelled', payload = ''
         WHERE slot = $1 AND kind = 'sheet' AND state IN ('waiting', 'failed', 'post', 'returned')",
    )
    .bind(slot.to_string())
    .execute(&mut *conn)
    .await?;
    let files = sheet::files(&Sheet {
        slot,
        facility_name: &waiting.facility_name,
        admin_name: &waiting.admin_name,
        realm_name: &config.realm_name,
        zone: &config.zone,
        number: &drawn.number,
        password: &drawn.password,
        issued_on: &jst::date(now),
        valid_until: &jst::date(valid_until),
        office_name: &waiting.office.name,
        office_telephone: &waiting.office.telephone,
    })
    .map_err(OfficeFault::from)?;
    let letter = outbox::put(conn, now, waiting.letter(LetterKind::Sheet, now, &files)).await?;
    let detail = json!({ "valid_until": valid_until, "letter": letter, "rule": "B-03" });
    audit::by(conn, now, operator, "slot.new-sheet", &slot.to_string(), detail).await?;
    Ok(waiting.renewal(valid_until, Some(letter)))
}
