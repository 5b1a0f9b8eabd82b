//! The rows of fees: the tariff, who pays and since when, invoices. What they mean is decided elsewhere.
//! Edge: SQL.

use std::collections::BTreeMap;

use jiff::civil::Date;
use sqlx::AssertSqlSafe;

use crate::dates;
use crate::door_fee::Invoice;
use crate::facility::FacilityKind;
use crate::fee_bill::{Bill, Payer};
use crate::fee_kind;
use crate::fee_paper::{Issuer, Paper};
use crate::fees::{Campaign, FeeGroup, Month, Price, Tariff};
use crate::office_fault::{OfficeFault, parse};
use crate::store::Conn;

/// A facility that may have to pay.
pub struct Debtor {
    pub facility: String,
    pub code: String,
    pub name: String,
    pub kind: String,
    pub payer: Payer,
}

pub async fn tariff(conn: &mut Conn) -> Result<Tariff, OfficeFault> {
    let mut tariff = Tariff::default();
    let prices: Vec<(String, String, i64, i64, i64, String)> = sqlx::query_as(
        "SELECT from_month, fee_group, medical_net, sns, yen, rule FROM fee_price ORDER BY 1, 2, 3, 4",
    )
    .fetch_all(&mut *conn)
    .await?;
    for (from, group, medical_net, sns, yen, rule) in prices {
        tariff.prices.push(Price {
            from: parse(&from)?,
            group: FeeGroup::parse(&group).ok_or(OfficeFault::Row(group))?,
            medical_net: medical_net != 0,
            sns: sns != 0,
            yen: u32::try_from(yen).map_err(|_| OfficeFault::Row(yen.to_string()))?,
            rule,
        });
    }
    let taxes: Vec<(String, i64)> =
        sqlx::query_as("SELECT from_month, percent FROM fee_tax ORDER BY 1").fetch_all(&mut *conn).await?;
    for (from, percent) in taxes {
        tariff.taxes.push((parse(&from)?, percent.unsigned_abs().min(100) as u32));
    }
    let campaigns: Vec<(String, String, String, String)> =
        sqlx::query_as("SELECT campaign, received_by, free_from, free_until FROM fee_campaign ORDER BY 1")
            .fetch_all(&mut *conn)
            .await?;
    for (name, received_by, from, until) in campaigns {
        let (received_by, free_from, free_until) = (parse(&received_by)?, parse(&from)?, parse(&until)?);
        tariff.campaigns.push(Campaign { name, received_by, free_from, free_until });
    }
    for (name, value) in settings(conn).await? {
        // A word that this version does not know leaves the default, as a switch that was never set does.
        let _ = tariff.rules.set(&name, &value);
    }
    Ok(tariff)
}

pub async fn settings(conn: &mut Conn) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT name, value FROM fee_setting").fetch_all(conn).await?;
    Ok(rows.into_iter().collect())
}

pub async fn set(conn: &mut Conn, name: &str, value: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO fee_setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2",
    )
    .bind(name)
    .bind(value)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn set_price(conn: &mut Conn, price: &Price) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO fee_price (from_month, fee_group, medical_net, sns, yen, rule) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (from_month, fee_group, medical_net, sns) DO UPDATE SET yen = $5, rule = $6",
    )
    .bind(price.from.to_string())
    .bind(price.group.as_str())
    .bind(i64::from(price.medical_net))
    .bind(i64::from(price.sns))
    .bind(i64::from(price.yen))
    .bind(&price.rule)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn set_tax(conn: &mut Conn, from: Month, percent: u32) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO fee_tax (from_month, percent) VALUES ($1, $2) ON CONFLICT (from_month) DO UPDATE SET percent = $2")
        .bind(from.to_string())
        .bind(i64::from(percent))
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn set_campaign(conn: &mut Conn, campaign: &Campaign) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO fee_campaign (campaign, received_by, free_from, free_until) VALUES ($1, $2, $3, $4)
         ON CONFLICT (campaign) DO UPDATE SET received_by = $2, free_from = $3, free_until = $4",
    )
    .bind(&campaign.name)
    .bind(campaign.received_by.to_string())
    .bind(campaign.free_from.to_string())
    .bind(campaign.free_until.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

type Known =
    (String, String, String, String, i64, i64, Option<i64>, Option<String>, Option<i64>, Option<String>);

/// All facilities but the secretariat's own, or one of them. 本登録 (C-12.2) is the start; a facility that was
/// taken over has no case, and started when it was registered.
pub async fn debtors(conn: &mut Conn, only: &str) -> Result<Vec<Debtor>, OfficeFault> {
    let rows: Vec<Known> = sqlx::query_as(
        "SELECT f.facility, f.code, f.name, f.kind, f.medical_net, f.created_at, c.received_at, c.case_id, s.at, e.on_day
         FROM facility f
         LEFT JOIN office_case c ON c.facility = f.facility AND c.flow = 'C-12'
         LEFT JOIN case_step s ON s.case_id = c.case_id AND s.step = 'C-12.2'
         LEFT JOIN facility_end e ON e.facility = f.facility
         WHERE f.kind <> $1 AND ($2 = '' OR f.facility = $2) ORDER BY f.code, f.kind",
    )
    .bind(FacilityKind::Office.as_str())
    .bind(only)
    .fetch_all(&mut *conn)
    .await?;
    let changes: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT facility, from_day, medical_net FROM fee_membership ORDER BY facility, from_day",
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut changed: BTreeMap<String, Vec<(Date, bool)>> = BTreeMap::new();
    for (facility, day, member) in changes {
        changed.entry(facility).or_default().push((parse(&day)?, member != 0));
    }
    let debtor =
        |(facility, code, name, kind, medical_net, created, received, case, claimed, ended): Known| {
            let started = if case.is_some() { claimed } else { Some(created) };
            let group = FacilityKind::parse_stored(&kind)
                .map(fee_kind::group)
                .ok_or_else(|| OfficeFault::Row(kind.clone()))?;
            let payer = Payer {
                group,
                sns: true,
                received: dates::day(received.unwrap_or(created)),
                started: started.map(dates::day),
                ended: ended.as_deref().map(parse).transpose()?,
                medical_net: medical_net != 0,
                changes: changed.remove(&facility).unwrap_or_default(),
            };
            Ok(Debtor { facility, code, name, kind, payer })
        };
    rows.into_iter().map(debtor).collect()
}

/// Who has an invoice of a year, or paid it where the register was kept before.
pub async fn billed(conn: &mut Conn, year: i16) -> Result<std::collections::BTreeSet<String>, sqlx::Error> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT facility FROM fee_invoice WHERE fiscal_year = $1
         UNION SELECT facility FROM paid_elsewhere WHERE fiscal_year = $1",
    )
    .bind(i64::from(year))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Rows of one statement: 12 values each, and an engine takes at least 32,000 in all.
pub const INSERT_MAX: usize = 500;

/// New invoices under their numbers, many in one statement: ten thousand single ones take a second.
pub async fn insert(
    conn: &mut Conn,
    year: i16,
    invoices: &[(String, &Debtor, &Bill)],
    (issued_on, due_on): (&str, &str),
) -> Result<(), OfficeFault> {
    let mut rows = Vec::with_capacity(invoices.len());
    for (number, debtor, bill) in invoices {
        let text = serde_json::to_string(bill).map_err(|error| OfficeFault::Row(error.to_string()))?;
        rows.push((number, debtor, bill, text));
    }
    let mut query = sqlx::query(AssertSqlSafe(insert_many(rows.len())));
    for (number, debtor, bill, text) in &rows {
        query = query.bind(number.as_str()).bind(i64::from(year)).bind(debtor.facility.as_str());
        query = query.bind(debtor.code.as_str()).bind(debtor.name.as_str()).bind(debtor.kind.as_str());
        query = query.bind(bill.net.cast_signed()).bind(bill.tax.cast_signed());
        query = query.bind(bill.total.cast_signed()).bind(text.as_str()).bind(issued_on).bind(due_on);
    }
    query.execute(conn).await?;
    Ok(())
}

/// Made of nothing but numbers of places.
fn insert_many(rows: usize) -> String {
    let row = |row: usize| {
        let place = |value: usize| format!("${}", row * 12 + value);
        let values: Vec<String> = (1..=10).map(place).collect();
        format!("({}, 'open', {}, {})", values.join(", "), place(11), place(12))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!(
        "INSERT INTO fee_invoice (invoice, fiscal_year, facility, code, name, kind, net, tax, total, bill, state, issued_on, due_on) VALUES {}",
        rows.join(", ")
    )
}

/// Takes `count` numbers of a year's counter at once and gives the first.
pub async fn take_numbers(conn: &mut Conn, year: i16, count: i64) -> Result<i64, sqlx::Error> {
    let last: i64 = sqlx::query_scalar(
        "INSERT INTO counter (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = counter.value + $2 RETURNING value",
    )
    .bind(format!("invoice {year}"))
    .bind(count)
    .fetch_one(conn)
    .await?;
    Ok(last - count + 1)
}

#[derive(sqlx::FromRow)]
struct Stored {
    invoice: String,
    fiscal_year: i64,
    facility: String,
    code: String,
    name: String,
    kind: String,
    net: i64,
    tax: i64,
    total: i64,
    state: String,
    issued_on: String,
    due_on: String,
    paid_on: Option<String>,
    bill: String,
    postal_address: String,
    representative: String,
}

/// Invoices of a year in the order of their numbers, after one and at most so many.
pub async fn papers(
    conn: &mut Conn,
    year: i16,
    unpaid_only: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<Paper>, OfficeFault> {
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT i.invoice, i.fiscal_year, i.facility, i.code, i.name, i.kind, i.net, i.tax, i.total, i.state, i.issued_on,
                i.due_on, i.paid_on, i.bill, f.postal_address, f.representative
         FROM fee_invoice i JOIN facility f ON f.facility = i.facility
         WHERE i.fiscal_year = $1 AND ($2 = 0 OR i.state = 'open') AND i.invoice > $3 ORDER BY i.invoice LIMIT $4",
    )
    .bind(i64::from(year))
    .bind(i64::from(unpaid_only))
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(paper).collect()
}

pub async fn find(conn: &mut Conn, invoice: &str) -> Result<Option<Paper>, OfficeFault> {
    let row: Option<Stored> = sqlx::query_as(
        "SELECT i.invoice, i.fiscal_year, i.facility, i.code, i.name, i.kind, i.net, i.tax, i.total, i.state, i.issued_on,
                i.due_on, i.paid_on, i.bill, f.postal_address, f.representative
         FROM fee_invoice i JOIN facility f ON f.facility = i.facility WHERE i.invoice = $1",
    )
    .bind(invoice)
    .fetch_optional(conn)
    .await?;
    row.map(paper).transpose()
}

pub async fn paid(conn: &mut Conn, invoice: &str, on: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE fee_invoice SET state = 'paid', paid_on = $2 WHERE invoice = $1 AND state = 'open'")
        .bind(invoice)
        .bind(on)
        .execute(conn)
        .await?;
    Ok(())
}

/// Who issues: what was set, and the secretariat's own name and telephone where nothing was.
pub async fn issuer(conn: &mut Conn) -> Result<Issuer, OfficeFault> {
    let set = settings(conn).await?;
    let office = crate::acceptance::office(conn).await?;
    let value = |name: &str| set.get(name).cloned().unwrap_or_default();
    let or = |name: &str, other: String| set.get(name).cloned().unwrap_or(other);
    Ok(Issuer {
        name: or("issuer-name", office.name),
        number: value("issuer-number"),
        address: value("issuer-address"),
        telephone: or("issuer-telephone", office.telephone),
        bank: value("issuer-bank"),
    })
}

fn paper(row: Stored) -> Result<Paper, OfficeFault> {
    let bill = serde_json::from_str(&row.bill).map_err(|_| OfficeFault::Row(row.invoice.clone()))?;
    let invoice = Invoice {
        fiscal_year: i16::try_from(row.fiscal_year).map_err(|_| OfficeFault::Row(row.invoice.clone()))?,
        facility: parse(&row.facility)?,
        invoice: row.invoice,
        code: row.code,
        name: row.name,
        kind: row.kind,
        net: row.net.unsigned_abs(),
        tax: row.tax.unsigned_abs(),
        total: row.total.unsigned_abs(),
        state: row.state,
        issued_on: row.issued_on,
        due_on: row.due_on,
        paid_on: row.paid_on,
    };
    Ok(Paper { invoice, bill, postal_address: row.postal_address, addressee: row.representative })
}
