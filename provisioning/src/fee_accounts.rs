//! Paying by 口座振替 (F-11): the facilities' accounts, the file for the bank, and what the bank did with it. Asking
//! twice on one day gives the same file; a paid invoice is never asked for. Edge: SQL.

use jiff::civil::Date;
use serde_json::json;

use crate::audit::{self, Event};
use crate::dates;
use crate::door::Operator;
use crate::door_fee::{AccountRow, DebitFile, DebitReport, Invoice, Unsettled};
use crate::fee_rows;
use crate::messages::{Message, shown};
use crate::office_fault::OfficeFault;
use crate::store::{Conn, Store, transaction};
use crate::written_date;
use crate::zengin::{self, Account, Creditor, Debit};

type Stored = (String, String, i64, String, String, Option<String>);
/// An invoice, its sum and its facility, before that facility's account.
type Unpaid = (String, i64, String, String, String, i64, String, String, Option<String>);

pub async fn find(conn: &mut Conn, facility: &str) -> Result<Option<AccountRow>, OfficeFault> {
    let row: Option<Stored> = sqlx::query_as(
        "SELECT bank, branch, kind, number, holder, first_asked FROM fee_account WHERE facility = $1",
    )
    .bind(facility)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| shown_row(facility, &read(row).0)))
}

fn read((bank, branch, kind, number, holder, first): Stored) -> (Account, Option<String>) {
    (Account { bank, branch, kind: if kind == 2 { 2 } else { 1 }, number, holder }, first)
}

fn shown_row(facility: &str, account: &Account) -> AccountRow {
    AccountRow {
        facility: facility.to_owned(),
        bank: account.bank.clone(),
        branch: account.branch.clone(),
        kind: account.kind_ja().to_owned(),
        number: account.number.clone(),
        holder: account.holder.clone(),
    }
}

/// As the mandate says; the same values again are not a change.
pub async fn set(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    facility: &str,
    account: &Account,
    dry_run: bool,
) -> Result<AccountRow, OfficeFault> {
    if dry_run {
        return set_in(&mut *store.begin().await?, now_ms, operator, facility, account).await;
    }
    transaction!(store, conn => set_in(conn, now_ms, operator, facility, account).await)
}

async fn set_in(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    facility: &str,
    account: &Account,
) -> Result<AccountRow, OfficeFault> {
    let known: Option<String> = sqlx::query_scalar("SELECT name FROM facility WHERE facility = $1")
        .bind(facility)
        .fetch_optional(&mut *conn)
        .await?;
    known.ok_or_else(|| Message::FacilityAbsent { facility: shown(facility) })?;
    let row = shown_row(facility, account);
    if find(conn, facility).await?.as_ref() == Some(&row) {
        return Ok(row);
    }
    sqlx::query(
        "INSERT INTO fee_account (facility, bank, branch, kind, number, holder, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (facility) DO UPDATE SET bank = $2, branch = $3, kind = $4, number = $5, holder = $6,
             changed_at = $7, first_asked = NULL",
    )
    .bind(facility)
    .bind(&account.bank)
    .bind(&account.branch)
    .bind(i64::from(account.kind))
    .bind(&account.number)
    .bind(&account.holder)
    .bind(now_ms)
    .execute(&mut *conn)
    .await?;
    // The trail is never wiped: it says that the account changed, not what it is.
    note(conn, now_ms, operator, "fee.account", facility, json!({ "bank": account.bank })).await?;
    Ok(row)
}

/// The file that asks the bank for every unpaid invoice of a year whose facility has given an account.
pub async fn debit(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    year: i16,
    on: &str,
    dry_run: bool,
) -> Result<DebitFile, OfficeFault> {
    let on = written_date::parse(on).ok_or_else(|| Message::DateForm { given: shown(on) })?;
    if on < dates::day(now_ms) {
        return Err(Message::DateForm { given: on.to_string() }.into());
    }
    if dry_run {
        return debit_in(&mut *store.begin().await?, now_ms, operator, year, on).await;
    }
    transaction!(store, conn => debit_in(conn, now_ms, operator, year, on).await)
}

async fn debit_in(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    year: i16,
    on: Date,
) -> Result<DebitFile, OfficeFault> {
    let creditor = creditor(conn).await?;
    let rows: Vec<Unpaid> = sqlx::query_as(
        "SELECT i.invoice, i.total, i.facility, a.bank, a.branch, a.kind, a.number, a.holder, a.first_asked
         FROM fee_invoice i JOIN fee_account a ON a.facility = i.facility
         WHERE i.fiscal_year = $1 AND i.state = 'open' AND i.total > 0 ORDER BY i.invoice",
    )
    .bind(i64::from(year))
    .fetch_all(&mut *conn)
    .await?;
    let day = on.to_string();
    let mut debits = Vec::with_capacity(rows.len());
    for (invoice, total, facility, bank, branch, kind, number, holder, asked) in rows {
        let (account, asked) = read((bank, branch, kind, number, holder, asked));
        let first = asked.as_deref().is_none_or(|asked| asked == day);
        if asked.is_none() {
            sqlx::query("UPDATE fee_account SET first_asked = $2 WHERE facility = $1")
                .bind(&facility)
                .bind(&day)
                .execute(&mut *conn)
                .await?;
        }
        debits.push(Debit { account, yen: total.unsigned_abs(), first, customer: invoice.replace('-', "") });
    }
    let bytes = zengin::request(&creditor, on, &debits)?;
    let without: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM fee_invoice i LEFT JOIN fee_account a ON a.facility = i.facility
         WHERE i.fiscal_year = $1 AND i.state = 'open' AND i.total > 0 AND a.facility IS NULL",
    )
    .bind(i64::from(year))
    .fetch_one(&mut *conn)
    .await?;
    let total = debits.iter().map(|debit| debit.yen).sum();
    let count = u32::try_from(debits.len()).unwrap_or(u32::MAX);
    let without_account = u32::try_from(without).unwrap_or(u32::MAX);
    let about = json!({ "on": day, "count": count, "total": total });
    note(conn, now_ms, operator, "fee.debit", &year.to_string(), about).await?;
    Ok(DebitFile { name: format!("口座振替_{day}.txt"), on: day, count, total, without_account, bytes })
}

/// What the bank did: paid invoices are noted with the day, the others stay on the unpaid list with the reason.
pub async fn settle(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    bytes: &[u8],
    on: &str,
    dry_run: bool,
) -> Result<DebitReport, OfficeFault> {
    let on = written_date::parse(on).ok_or_else(|| Message::DateForm { given: shown(on) })?.to_string();
    if dates::is_ahead(&on, now_ms) {
        return Err(Message::DateForm { given: on }.into());
    }
    if dry_run {
        return settle_in(&mut *store.begin().await?, now_ms, operator, bytes, &on, true).await;
    }
    transaction!(store, conn => settle_in(conn, now_ms, operator, bytes, &on, false).await)
}

async fn settle_in(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    bytes: &[u8],
    on: &str,
    dry_run: bool,
) -> Result<DebitReport, OfficeFault> {
    let settings = fee_rows::settings(conn).await?;
    let code = settings.get("debit-code").map_or("", String::as_str);
    let mut report = DebitReport { on: on.to_owned(), dry_run, ..DebitReport::default() };
    for (place, settled) in zengin::results(code, bytes)?.into_iter().enumerate() {
        let odd = |ja, en| zengin::odd(Some(place + 2), (ja, en));
        let digits = settled.customer.trim_start_matches('0');
        let number = digits.split_at_checked(4).map(|(year, number)| format!("{year}-{number}"));
        let number =
            number.ok_or_else(|| odd("顧客番号が請求番号ではありません", "the customer is no invoice"))?;
        let found = fee_rows::find(conn, &number).await?;
        let invoice: Invoice =
            found.ok_or_else(|| odd("この請求番号はありません", "there is no such invoice"))?.invoice;
        if invoice.total != settled.yen {
            return Err(odd("金額が請求書と違います", "the sum is not the invoice's").into());
        }
        match (settled.is_paid(), invoice.state.as_str()) {
            (true, "open") => {
                fee_rows::paid(conn, &number, on).await?;
                report.paid += 1;
                report.total += settled.yen;
            }
            // The same file a second time.
            (true, _) => report.known += 1,
            (false, _) => report.unsettled.push(Unsettled {
                invoice: number,
                name: invoice.name,
                total: invoice.total,
                reason_ja: settled.reason().0.to_owned(),
                reason_en: settled.reason().1.to_owned(),
            }),
        }
    }
    let about = json!({ "on": on, "paid": report.paid, "unsettled": report.unsettled.len() });
    note(conn, now_ms, operator, "fee.settled", on, about).await?;
    Ok(report)
}

/// Who is paid, as it was agreed with the bank.
async fn creditor(conn: &mut Conn) -> Result<Creditor, OfficeFault> {
    let settings = fee_rows::settings(conn).await?;
    let value = |name: &str, what: &str| {
        settings.get(name).cloned().ok_or_else(|| Message::DebitSetting { what: what.to_owned() })
    };
    let code = value("debit-code", "委託者コード（debit-code）")?;
    let name = value("debit-name", "委託者名カナ（debit-name）")?;
    let account = value("debit-account", "委託者の口座（debit-account）")?;
    let account = own_account(&account, &name)
        .ok_or_else(|| Message::DebitSetting { what: "委託者の口座（debit-account）".to_owned() })?;
    Ok(Creditor { code, account })
}

/// `0147-001-普通-1234567` and a name.
pub fn own_account(text: &str, name: &str) -> Option<Account> {
    let parts: Vec<&str> = text.split(['-', '－', ' ', '　']).filter(|part| !part.is_empty()).collect();
    let [bank, branch, kind, number] = parts.as_slice() else { return None };
    let account = Account::parse(bank, branch, kind, number, "ｱ").ok()?;
    let holder = crate::zengin_text::name(name).ok().filter(|name| name.chars().count() <= 40)?;
    Some(Account { holder, ..account })
}

async fn note(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    action: &str,
    object: &str,
    detail: serde_json::Value,
) -> Result<(), OfficeFault> {
    let event = Event { actor: &operator.name, action, object, trace: Some(operator.trace), detail };
    audit::append(conn, now_ms, event).await?;
    Ok(())
}
