//! The rows of the outgoing post: what waits, when it may leave, runs and their pieces. Reads only. Edge: SQL.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::channel::{self, Due, Mate};
use crate::door_post::{ItemLine, Lane, Remedy, ReturnReason, RunLine, WaitingLine};
use crate::envelope::Address;
use crate::facility::FacilityKind;
use crate::fault::{Fault, parse};
use crate::jst;
use crate::messages::shown;
use crate::messages_post::PostMessage;
use crate::reply::WRITTEN;
use crate::store::Conn;

/// Runs and pieces of one list.
const LISTED_MAX: i64 = 500;

/// What waits, and to whom it goes.
#[derive(Clone)]
pub struct Candidate {
    pub line: WaitingLine,
    pub to: Address,
}

impl Candidate {
    pub fn due(&self) -> bool {
        self.line.from.is_none() && !self.line.after_other
    }
}

#[derive(sqlx::FromRow)]
struct LetterStored {
    message: String,
    kind: String,
    slot: Option<String>,
    facility: String,
    name: String,
    delivery: String,
    postal_address: String,
    admin_name: String,
    facility_kind: String,
    whole: i64,
}

/// What the first page says of the post.
#[derive(Default)]
pub struct PostToday {
    /// Envelopes on paper that may leave today.
    pub due: usize,
    /// Runs that were begun and not noted as sent.
    pub open: usize,
}

pub async fn today(conn: &mut Conn, today: Date) -> Result<PostToday, Fault> {
    let due = held(conn, today).await?.iter().filter(|one| one.due()).count();
    Ok(PostToday { due, open: runs(conn, "", true).await?.len() })
}

/// Everything that waits for the post, and the sheets of the folder, oldest first.
pub async fn waiting(conn: &mut Conn, today: Date) -> Result<Vec<Candidate>, Fault> {
    let filed = filed(conn).await?;
    let mut all = held(conn, today).await?;
    all.extend(filed);
    Ok(all)
}

/// What waits in the outbox, and invoices; each with the day from which it may leave.
pub async fn held(conn: &mut Conn, today: Date) -> Result<Vec<Candidate>, Fault> {
    let held: Vec<LetterStored> = sqlx::query_as(
        "SELECT o.message, o.kind, o.slot, f.facility, f.name, f.delivery, f.postal_address, f.admin_name,
                f.kind AS facility_kind, CASE WHEN o.payload = '' THEN 0 ELSE 1 END AS whole
         FROM outbox o JOIN facility f ON f.facility = o.facility
         WHERE o.state = 'post' AND NOT EXISTS (SELECT 1 FROM post_item i WHERE i.held = o.message)
         ORDER BY o.created_at, o.message",
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut found: Vec<Candidate> = held.into_iter().map(letter).collect::<Result<_, _>>()?;
    found.extend(invoices(conn).await?);
    let mates = Mates::read(conn, &found).await?;
    for candidate in &mut found {
        mates.judge(&mut candidate.line, today);
    }
    Ok(found)
}

/// Of facilities that get their mail, sheets lie in the folder until they are used: their address is printed here. The
/// newest of each slot; its connection went another way.
async fn filed(conn: &mut Conn) -> Result<Vec<Candidate>, Fault> {
    let rows: Vec<LetterStored> = sqlx::query_as(
        "SELECT o.message, o.kind, o.slot, f.facility, f.name, f.delivery, f.postal_address, f.admin_name,
                f.kind AS facility_kind, 0 AS whole
         FROM outbox o JOIN facility f ON f.facility = o.facility
         WHERE o.kind = 'sheet' AND o.state = 'sent' AND o.last_answer = $1 AND f.kind <> $2
           AND EXISTS (SELECT 1 FROM enrolment e WHERE e.slot = o.slot AND e.state = 'open'
                       AND e.admin_person IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM post_item i WHERE i.subject = o.message AND i.state <> 'undone')
         ORDER BY o.created_at, o.message",
    )
    .bind(WRITTEN)
    .bind(FacilityKind::Office.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let mut newest = BTreeMap::new();
    for row in rows {
        let one = letter(row)?;
        newest.insert(one.line.slot, one);
    }
    Ok(newest.into_values().collect())
}

fn letter(row: LetterStored) -> Result<Candidate, Fault> {
    let lane = match row.kind.as_str() {
        "bundle" | "reissue" => Lane::Connection,
        "sheet" => Lane::Sheet,
        _ => Lane::Letter,
    };
    // A family has no admin with a title.
    let title = if row.facility_kind == FacilityKind::Family.as_str() { "" } else { "施設内管理者" };
    Ok(Candidate {
        to: Address::new(&row.postal_address, &row.name, title, &row.admin_name),
        line: WaitingLine {
            lane,
            subject: row.message,
            kind: row.kind,
            facility: parse(&row.facility)?,
            facility_name: row.name,
            slot: row.slot.as_deref().map(parse).transpose()?,
            by_hand: row.delivery == "by-hand",
            whole: row.whole != 0,
            from: None,
            after_other: false,
        },
    })
}

/// Open invoices of facilities on paper that were not posted, or came back and go again.
async fn invoices(conn: &mut Conn) -> Result<Vec<Candidate>, Fault> {
    let rows: Vec<(String, String, String, String, String, String)> = sqlx::query_as(
        "SELECT v.invoice, f.facility, f.name, f.delivery, f.postal_address, f.representative
         FROM fee_invoice v JOIN facility f ON f.facility = v.facility
         WHERE v.state = 'open' AND f.delivery <> 'mail'
           AND NOT EXISTS (SELECT 1 FROM post_item i WHERE i.subject = v.invoice
                           AND (i.state IN ('open', 'sent') OR (i.state = 'returned' AND i.remedy <> 'again')))
         ORDER BY v.invoice",
    )
    .fetch_all(conn)
    .await?;
    let mut found = Vec::new();
    for (invoice, facility, name, delivery, place, representative) in rows {
        found.push(Candidate {
            to: Address::new(&place, &name, "", &representative),
            line: WaitingLine {
                lane: Lane::Invoice,
                subject: invoice,
                kind: "invoice".to_owned(),
                facility: parse(&facility)?,
                facility_name: name,
                slot: None,
                by_hand: delivery == "by-hand",
                whole: true,
                from: None,
                after_other: false,
            },
        });
    }
    Ok(found)
}

/// How the envelopes of each connection stand.
#[derive(Default)]
pub struct Mates(BTreeMap<(String, Lane), Mate>);

impl Mates {
    /// Of everything that was ever posted, lies in a run, or waits.
    pub async fn read(conn: &mut Conn, waiting: &[Candidate]) -> Result<Self, Fault> {
        let mut mates = Mates::default();
        let rows: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
            "SELECT i.slot, i.lane, i.state, MAX(r.sent_on) FROM post_item i JOIN post_run r ON r.run = i.run
             WHERE i.slot IS NOT NULL AND i.lane IN ('connection', 'sheet') AND i.state <> 'undone'
             GROUP BY i.slot, i.lane, i.state",
        )
        .fetch_all(conn)
        .await?;
        for (slot, lane, state, sent_on) in rows {
            let lane = Lane::parse(&lane).ok_or(Fault::Row(lane))?;
            let mate = mates.0.entry((slot, lane)).or_default();
            mate.printing |= state == "open";
            let posted: Option<Date> = sent_on.as_deref().map(parse).transpose()?;
            mate.posted = mate.posted.max(posted);
        }
        for candidate in waiting {
            if let Some(slot) = candidate.line.slot {
                mates.0.entry((slot.to_string(), candidate.line.lane)).or_default().waits = true;
            }
        }
        Ok(mates)
    }

    pub fn due(&self, lane: Lane, slot: &str, today: Date) -> Due {
        let mate = |lane| self.0.get(&(slot.to_owned(), lane)).copied().unwrap_or_default();
        match lane {
            Lane::Connection => channel::connection_due(mate(Lane::Sheet), today),
            Lane::Sheet => channel::sheet_due(mate(Lane::Connection), today),
            Lane::Letter | Lane::Invoice => Due::Now,
        }
    }

    fn judge(&self, line: &mut WaitingLine, today: Date) {
        let Some(slot) = line.slot else { return };
        match self.due(line.lane, &slot.to_string(), today) {
            Due::Now => {}
            Due::From(day) => line.from = Some(day.to_string()),
            Due::AfterOther => line.after_other = true,
        }
    }
}

type RunStored = (String, String, String, i64, i64, i64, String, i64, Option<String>);

/// All runs, or one, or those that are open; the newest first.
pub async fn runs(conn: &mut Conn, run: &str, open: bool) -> Result<Vec<RunLine>, Fault> {
    let rows: Vec<RunStored> = sqlx::query_as(
        "SELECT r.run, r.lane, r.state, (SELECT count(*) FROM post_item i WHERE i.run = r.run),
                (SELECT count(*) FROM post_item i WHERE i.run = r.run AND i.state = 'returned'),
                r.taken_at, r.taken_by, r.prints, r.sent_on
         FROM post_run r WHERE ($1 = '' OR r.run = $1) AND ($2 = 0 OR r.state = 'open')
         ORDER BY r.run DESC LIMIT $3",
    )
    .bind(run)
    .bind(i64::from(open))
    .bind(LISTED_MAX)
    .fetch_all(conn)
    .await?;
    let line = |(run, lane, state, items, returned, taken_at, taken_by, prints, sent_on): RunStored| {
        Ok(RunLine {
            run,
            lane: Lane::parse(&lane).ok_or(Fault::Row(lane))?,
            state,
            items: u32::try_from(items).unwrap_or(u32::MAX),
            returned: u32::try_from(returned).unwrap_or(u32::MAX),
            taken_at: jst::rfc3339(taken_at),
            taken_by,
            prints: u32::try_from(prints).unwrap_or(u32::MAX),
            sent_on,
        })
    };
    rows.into_iter().map(line).collect()
}

pub async fn run(conn: &mut Conn, run: &str) -> Result<RunLine, Fault> {
    let found = if run.is_empty() { None } else { runs(conn, run, false).await?.pop() };
    found.ok_or_else(|| PostMessage::RunUnknown { given: shown(run) }.into())
}

#[derive(sqlx::FromRow)]
struct ItemStored {
    item: String,
    run: String,
    lane: String,
    subject: String,
    facility: String,
    name: String,
    slot: Option<String>,
    to_name: String,
    to_address: String,
    whole: i64,
    state: String,
    sent_on: Option<String>,
    returned_on: Option<String>,
    reason: Option<String>,
    opened: i64,
    note: String,
    remedy: String,
}

const ITEMS: &str =
    "SELECT i.item, i.run, i.lane, i.subject, i.facility, f.name, i.slot, i.to_name, i.to_address, i.whole, i.state,
            r.sent_on, i.returned_on, i.reason, i.opened, i.note, i.remedy
     FROM post_item i JOIN post_run r ON r.run = i.run JOIN facility f ON f.facility = i.facility
     WHERE i.run = $1 ORDER BY i.place";
const ONE: &str =
    "SELECT i.item, i.run, i.lane, i.subject, i.facility, f.name, i.slot, i.to_name, i.to_address, i.whole, i.state,
            r.sent_on, i.returned_on, i.reason, i.opened, i.note, i.remedy
     FROM post_item i JOIN post_run r ON r.run = i.run JOIN facility f ON f.facility = i.facility
     WHERE i.item = $1";
const BACK: &str =
    "SELECT i.item, i.run, i.lane, i.subject, i.facility, f.name, i.slot, i.to_name, i.to_address, i.whole, i.state,
            r.sent_on, i.returned_on, i.reason, i.opened, i.note, i.remedy
     FROM post_item i JOIN post_run r ON r.run = i.run JOIN facility f ON f.facility = i.facility
     WHERE i.state = 'returned' AND i.remedy = '' ORDER BY i.returned_on, i.item LIMIT $1";
const OF_FACILITY: &str =
    "SELECT i.item, i.run, i.lane, i.subject, i.facility, f.name, i.slot, i.to_name, i.to_address, i.whole, i.state,
            r.sent_on, i.returned_on, i.reason, i.opened, i.note, i.remedy
     FROM post_item i JOIN post_run r ON r.run = i.run JOIN facility f ON f.facility = i.facility
     WHERE i.facility = $1 AND i.state <> 'undone' ORDER BY i.item DESC LIMIT $2";
const GONE: &str =
    "SELECT i.item, i.run, i.lane, i.subject, i.facility, f.name, i.slot, i.to_name, i.to_address, i.whole, i.state,
            r.sent_on, i.returned_on, i.reason, i.opened, i.note, i.remedy
     FROM post_item i JOIN post_run r ON r.run = i.run JOIN facility f ON f.facility = i.facility
     WHERE i.state IN ('sent', 'returned')
       AND (i.item = $1 OR i.run = $1 OR i.slot = $1 OR i.subject = $1 OR f.code = $1
            OR f.name LIKE $2 OR f.kana LIKE $2 OR i.to_name LIKE $2
            OR EXISTS (SELECT 1 FROM office_case c WHERE c.facility = i.facility AND c.case_id = $1)
            OR EXISTS (SELECT 1 FROM flow_letter l WHERE l.message = i.subject AND l.case_id = $1))
     ORDER BY i.item DESC LIMIT $3";

/// Everything in a run.
pub async fn items(conn: &mut Conn, run: &str) -> Result<Vec<ItemLine>, Fault> {
    let rows: Vec<ItemStored> = sqlx::query_as(ITEMS).bind(run).fetch_all(conn).await?;
    rows.into_iter().map(item_line).collect()
}

pub async fn item(conn: &mut Conn, item: &str) -> Result<ItemLine, Fault> {
    let row: Option<ItemStored> = sqlx::query_as(ONE).bind(item).fetch_optional(conn).await?;
    item_line(row.ok_or_else(|| PostMessage::ItemUnknown { given: shown(item) })?)
}

/// What came back and waits for somebody.
pub async fn back(conn: &mut Conn) -> Result<Vec<ItemLine>, Fault> {
    let rows: Vec<ItemStored> = sqlx::query_as(BACK).bind(LISTED_MAX).fetch_all(conn).await?;
    rows.into_iter().map(item_line).collect()
}

pub async fn of_facility(conn: &mut Conn, facility: &str) -> Result<Vec<ItemLine>, Fault> {
    let rows: Vec<ItemStored> =
        sqlx::query_as(OF_FACILITY).bind(facility).bind(LISTED_MAX).fetch_all(conn).await?;
    rows.into_iter().map(item_line).collect()
}

/// What has left, by what somebody reads off the envelope or knows of it; the newest first.
pub async fn find(conn: &mut Conn, text: &str) -> Result<Vec<ItemLine>, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    // The two signs that mean something to LIKE are nobody's name.
    let like = format!("%{}%", text.replace(['%', '_'], ""));
    let rows: Vec<ItemStored> =
        sqlx::query_as(GONE).bind(text).bind(like).bind(LISTED_MAX).fetch_all(conn).await?;
    rows.into_iter().map(item_line).collect()
}

fn item_line(row: ItemStored) -> Result<ItemLine, Fault> {
    Ok(ItemLine {
        item: row.item,
        run: row.run,
        lane: Lane::parse(&row.lane).ok_or(Fault::Row(row.lane))?,
        subject: row.subject,
        facility: parse(&row.facility)?,
        facility_name: row.name,
        slot: row.slot.as_deref().map(parse).transpose()?,
        to_name: row.to_name,
        to_address: row.to_address,
        whole: row.whole != 0,
        state: row.state,
        sent_on: row.sent_on,
        returned_on: row.returned_on,
        reason: row.reason.as_deref().and_then(ReturnReason::parse),
        opened: row.opened != 0,
        note: row.note,
        remedy: Remedy::parse(&row.remedy),
    })
}
