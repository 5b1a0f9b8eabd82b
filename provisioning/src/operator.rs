//! The operator's door: every question of `door` and who in the room answers it.
//! What changes something leaves its trace in the audit trail under the operator's name. Edge: SQL.

use std::sync::Arc;

use pki::identity::{FacilityId, TraceId};
use vpn::slot::{Series, SlotNumber};

use crate::door::{
    AuditRow, DnsRecord, Operator, ProvisioningAnswer, ProvisioningQuestion, ProvisioningStatus, SlotDetail,
    Trouble,
};
use crate::door_fee::FeeQuestion;
use crate::door_flow::FlowQuestion;
use crate::fault::Fault;
use crate::mailing::Postman;
use crate::messages::Message;
use crate::office_fault::OfficeFault;
use crate::paper_office::{self, Handed};
use crate::revocation::{self, Order};
use crate::shared::Shared;
use crate::standing_work::Told;
use crate::{
    acceptance, admin_address, audit, bounce, bounce_box, fee_office, flow_office, incident_work, intake,
    jst, letters, more_work, post_office, register, registry, renewal, report, scan_work, standing_work,
    store, suspension, takeover_work, template, world, yearly_work,
};

/// Answers one question; a refusal is an answer too.
pub async fn answer(
    shared: &Arc<Shared>,
    postman: Option<&Postman>,
    question: ProvisioningQuestion,
    operator: Operator,
) -> ProvisioningAnswer {
    match decide(shared, postman, question, operator).await {
        Ok(answer) => answer,
        Err(trouble) => ProvisioningAnswer::Trouble(trouble),
    }
}

async fn decide(
    shared: &Arc<Shared>,
    postman: Option<&Postman>,
    question: ProvisioningQuestion,
    operator: Operator,
) -> Result<ProvisioningAnswer, Trouble> {
    use ProvisioningAnswer as Answer;
    use ProvisioningQuestion as Question;
    let pool = shared.store.pool();
    let read = OfficeFault::trouble;
    let told = |fault: Fault| fault.told().trouble;
    match question {
        Question::Status => status(shared, postman).await.map_err(read),
        Question::FacilityImport { file_name: _, bytes, dry_run } => {
            let imported = intake::import(&shared.store, world::now_ms(), &operator, bytes, dry_run).await;
            imported.map(Answer::Import).map_err(read)
        }
        Question::FacilityList => {
            registry::facilities(pool, None).await.map(Answer::Facilities).map_err(read)
        }
        Question::FacilityTemplate => blank().map_err(|message| message.trouble()),
        Question::FacilityAdminAddress { facility, address, dry_run } => {
            readdress(shared, &operator, &facility, &address, dry_run).await.map_err(told)
        }
        Question::CaseList => registry::cases(pool).await.map(Answer::Cases).map_err(read),
        Question::CaseShow { case } => registry::case(pool, &case).await.map(Answer::Case).map_err(read),
        Question::CaseAccept { case, dry_run } => {
            accept(shared, &operator, &case, dry_run).await.map_err(read)
        }
        Question::SlotList { series } => slots(pool, series).await.map_err(read),
        Question::SlotShow { slot } => show_slot(shared, slot).await.map_err(told),
        Question::SlotExtend { slot, dry_run } => {
            renewal::extend(shared, &operator, slot, dry_run).await.map(Answer::Renewed).map_err(told)
        }
        Question::SlotReissue { slot, dry_run } => {
            renewal::reissue(shared, &operator, slot, dry_run).await.map(Answer::Renewed).map_err(told)
        }
        Question::DeviceList { facility } => {
            registry::devices(pool, facility.as_ref()).await.map(Answer::Devices).map_err(read)
        }
        Question::DeviceRevoke { slot, reason, note, dry_run } => {
            let order = Order { slot, reason, note, by: operator.name, trace: Some(operator.trace) };
            revoke(shared, order, dry_run).await.map_err(told)
        }
        Question::ReceiptShow { receipt } => receipt_of(shared, &receipt).await.map_err(told),
        Question::OutboxList => outbox(shared).await.map_err(read),
        Question::OutboxRetry { message } => send_again(shared, &operator, &message).await.map_err(read),
        Question::MailBounce { mail, dry_run } => {
            bounced(shared, &operator, &mail, dry_run).await.map_err(read)
        }
        Question::MailDns => dns(postman).map_err(read),
        Question::Fee(question) => fee(shared, &operator, question).await.map_err(read),
        Question::Flow(question) => flow(shared, &operator, question).await.map_err(told),
        question @ (Question::Call(_)
        | Question::Person(_)
        | Question::Register(_)
        | Question::More(_)
        | Question::Yearly(_)
        | Question::Incident(_)
        | Question::Report(_)
        | Question::Takeover(_)
        | Question::Post(_)
        | Question::MailFetch { .. }
        | Question::Scan(_)
        | Question::Paper(_)) => about_people(shared, &operator, question).await.map_err(told),
        Question::AuditList { after, limit, trace } => trail(shared, after, limit, trace).await.map_err(read),
        Question::AuditVerify => verify(shared).await.map_err(read),
    }
}

async fn slots(pool: &store::Pool, series: Option<Series>) -> Result<ProvisioningAnswer, OfficeFault> {
    registry::slots(pool, series, None).await.map(ProvisioningAnswer::Slots)
}

/// 様式1 with nothing in it.
fn blank() -> Result<ProvisioningAnswer, Message> {
    let bytes = template::blank().map_err(|error| Message::Internal { what: error.to_string() })?;
    Ok(ProvisioningAnswer::File { name: template::FILE_NAME.to_owned(), bytes })
}

/// Numbers and people from day to day and from year to year.
async fn about_people(
    shared: &Arc<Shared>,
    operator: &Operator,
    question: ProvisioningQuestion,
) -> Result<ProvisioningAnswer, Fault> {
    use ProvisioningAnswer as Answer;
    use ProvisioningQuestion as Question;
    match question {
        Question::Call(question) => suspension::answer(shared, operator, question).await.map(Answer::Change),
        Question::Person(question) => standing_work::answer(shared, operator, question).await.map(person),
        Question::Register(question) => {
            register::answer(shared, operator, question).await.map(Answer::Register)
        }
        Question::More(question) => more_work::answer(shared, operator, question).await.map(Answer::More),
        Question::Yearly(question) => {
            yearly_work::answer(shared, operator, question).await.map(Answer::Yearly)
        }
        Question::Incident(question) => {
            incident_work::answer(shared, operator, question).await.map(Answer::Incident)
        }
        Question::Takeover(question) => {
            takeover_work::answer(shared, operator, question).await.map(|told| match told {
                takeover_work::Told::Imported(report) => Answer::Import(report),
                takeover_work::Told::Lines(lines) => Answer::Takeovers(lines),
                takeover_work::Told::File { name, bytes } => Answer::File { name, bytes },
            })
        }
        Question::Post(question) => {
            post_office::answer(shared, operator, question).await.map(|told| match told {
                post_office::Told::Answer(answer) => Answer::Post(answer),
                post_office::Told::File { name, bytes } => Answer::File { name, bytes },
                post_office::Told::Renewed(renewal) => Answer::Renewed(renewal),
            })
        }
        Question::MailFetch { dry_run } => bounce_box::answer(shared, dry_run).await.map(Answer::Bounces),
        Question::Report(question) => report::answer(shared, question).await.map(Answer::Report),
        Question::Scan(question) => {
            scan_work::answer(shared, operator, question).await.map(|handed| match handed {
                scan_work::Handed::File { name, bytes } => Answer::File { name, bytes },
                scan_work::Handed::Answer(answer) => Answer::Scan(answer),
            })
        }
        Question::Paper(question) => {
            paper_office::answer(shared, operator, question).await.map(|handed| match handed {
                Handed::File { name, bytes } => Answer::File { name, bytes },
                Handed::Imported(report) => Answer::Import(report),
            })
        }
        _ => Err(Message::Internal { what: "question".to_owned() }.into()),
    }
}

async fn trail(
    shared: &Shared,
    after: u64,
    limit: u32,
    trace: Option<TraceId>,
) -> Result<ProvisioningAnswer, OfficeFault> {
    let entries = audit::list(shared.store.pool(), after, limit, trace).await?;
    let next = entries.last().map_or(after, |entry| entry.number);
    Ok(ProvisioningAnswer::Audit { entries: entries.into_iter().map(audit_row).collect(), next })
}

async fn verify(shared: &Shared) -> Result<ProvisioningAnswer, OfficeFault> {
    let head = audit::verify(shared.store.pool()).await?;
    Ok(ProvisioningAnswer::AuditVerified { entries: head.entries, head: head.hash.to_string() })
}

fn person(answered: Told) -> ProvisioningAnswer {
    match answered {
        Told::Lines(lines) => ProvisioningAnswer::People(lines),
        Told::Change(change) => ProvisioningAnswer::PersonChanged(change),
        Told::Password(password) => ProvisioningAnswer::FirstPassword(password),
    }
}

async fn outbox(shared: &Shared) -> Result<ProvisioningAnswer, OfficeFault> {
    let mut conn = shared.store.pool().acquire().await?;
    letters::list(&mut conn).await.map(ProvisioningAnswer::Outbox)
}

async fn bounced(
    shared: &Shared,
    operator: &Operator,
    mail: &[u8],
    dry_run: bool,
) -> Result<ProvisioningAnswer, OfficeFault> {
    let bounce = bounce::read(&shared.config.zone, mail);
    let bounce = bounce.map_err(|why| Message::BounceNone { why: why.to_string() })?;
    let row = letters::note_bounce(&shared.store, world::now_ms(), operator, &bounce, dry_run).await;
    row.map(ProvisioningAnswer::Letter)
}

async fn send_again(
    shared: &Shared,
    operator: &Operator,
    message: &str,
) -> Result<ProvisioningAnswer, OfficeFault> {
    let row = letters::retry(&shared.store, world::now_ms(), message, operator).await;
    shared.bells.outbox.notify_one();
    row.map(ProvisioningAnswer::Letter)
}

async fn fee(
    shared: &Shared,
    operator: &Operator,
    question: FeeQuestion,
) -> Result<ProvisioningAnswer, OfficeFault> {
    let (store, realm) = (&shared.store, &shared.config.realm_name);
    fee_office::answer(store, realm, world::now_ms(), operator, question).await.map(ProvisioningAnswer::Fee)
}

async fn flow(
    shared: &Arc<Shared>,
    operator: &Operator,
    question: FlowQuestion,
) -> Result<ProvisioningAnswer, Fault> {
    flow_office::answer(shared, operator, question).await.map(ProvisioningAnswer::Flow)
}

async fn readdress(
    shared: &Shared,
    operator: &Operator,
    facility: &FacilityId,
    address: &str,
    dry_run: bool,
) -> Result<ProvisioningAnswer, Fault> {
    let now_ms = world::now_ms();
    let change = admin_address::correct(&shared.store, now_ms, operator, facility, address, dry_run).await?;
    shared.bells.outbox.notify_one();
    Ok(ProvisioningAnswer::AddressChanged(change))
}

async fn receipt_of(shared: &Shared, receipt: &str) -> Result<ProvisioningAnswer, Fault> {
    revocation::show(shared, receipt).await.map(ProvisioningAnswer::Receipt)
}

async fn status(shared: &Shared, postman: Option<&Postman>) -> Result<ProvisioningAnswer, OfficeFault> {
    let status = registry::status(shared.store.pool()).await?;
    let mail_signature = postman.and_then(Postman::signature);
    let bounces = bounce_box::last(shared);
    Ok(ProvisioningAnswer::Status(ProvisioningStatus { bounces, mail_signature, ..status }))
}

async fn show_slot(shared: &Shared, slot: SlotNumber) -> Result<ProvisioningAnswer, Fault> {
    let detail = registry::slot(shared.store.pool(), slot).await?;
    let enrolment = renewal::shown(shared, slot).await?;
    Ok(ProvisioningAnswer::Slot(SlotDetail { enrolment, ..detail }))
}

async fn revoke(shared: &Arc<Shared>, order: Order, dry_run: bool) -> Result<ProvisioningAnswer, Fault> {
    let receipt = if dry_run {
        revocation::rehearse(shared, order).await?
    } else {
        revocation::revoke(shared, order).await?
    };
    Ok(ProvisioningAnswer::Receipt(receipt))
}

async fn accept(
    shared: &Arc<Shared>,
    operator: &Operator,
    choice: &crate::door::CaseChoice,
    dry_run: bool,
) -> Result<ProvisioningAnswer, OfficeFault> {
    let Shared { store, config, hasher, .. } = &**shared;
    let accepted =
        acceptance::accept(store, config, hasher, world::now_ms(), operator, choice, dry_run).await;
    // Rung also after a failure: cases before the failing one are accepted and their letters wait.
    if !dry_run {
        shared.bells.outbox.notify_one();
        shared.bells.seats.notify_one();
    }
    let (report, version) = accepted?;
    if let Some(version) = version {
        shared.grants_changed(version);
    }
    Ok(ProvisioningAnswer::Accepted(report))
}

fn dns(postman: Option<&Postman>) -> Result<ProvisioningAnswer, OfficeFault> {
    let postman = postman.ok_or(Message::MailOff)?;
    let records = postman.records().map_err(|error| Message::Internal { what: error.to_string() })?;
    let row = |record: crate::post::TxtRecord| DnsRecord {
        zone_line: record.zone_line(),
        name: record.name,
        value: record.value,
    };
    Ok(ProvisioningAnswer::MailDns(records.map(row).into()))
}

fn audit_row(entry: audit::Entry) -> AuditRow {
    AuditRow {
        number: entry.number,
        at: jst::rfc3339(entry.at_ms),
        actor: entry.actor,
        action: entry.action,
        object: entry.object,
        trace: entry.trace,
        detail: entry.detail,
        hash: entry.hash,
    }
}
