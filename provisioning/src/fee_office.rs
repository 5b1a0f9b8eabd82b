//! Fees as the secretariat works with them: a quote, the yearly run, the unpaid list, what was paid, the switches.
//! Each change is one transaction with its audit entry; a dry run does the same and commits nothing. Edge: SQL.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::json;

use crate::audit::{self, Event};
use crate::dates;
use crate::door::Operator;
use crate::door_fee::{FeeAnswer, FeeQuestion, FeeRun, FeeSetting, FeeSettings, Invoice, Quote, Whom};
use crate::facility::FacilityKind;
use crate::fee_bill::{self, Bill, Payer};
use crate::fee_kind;
use crate::fee_paper;
use crate::fee_rows::{self, Debtor};
use crate::fees::{Campaign, FeeGroup, FiscalYear, Price, Rules, Zero, is_registration_number};
use crate::messages::{Message, shown};
use crate::office_fault::OfficeFault;
use crate::store::{Conn, Store, transaction};
use crate::written_date;
use crate::zengin::{self, Account};
use crate::{fee_accounts, zengin_text};

/// Invoices in one answer: a page of them is 4 KB, and an answer must fit the door's frame (16 MiB).
const PAGES_MAX: u32 = 500;
/// More invoices than facilities that a series of numbers could hold.
const LISTED_MAX: i64 = 100_000;
/// What a setting's text may hold.
const VALUE_MAX: usize = 200;
const DUE_DAYS: i32 = 60;
const DUE_DAYS_MAX: i32 = 366;

const ISSUER: [(&str, &str); 9] = [
    ("issuer-name", "請求書の発行者名（なければ事務局の名称）"),
    ("issuer-number", "適格請求書発行事業者の登録番号（Tと13桁）"),
    ("issuer-address", "発行者の所在地"),
    ("issuer-telephone", "発行者の電話番号（なければ事務局の電話番号）"),
    ("issuer-bank", "振込先（銀行、支店、種別、口座番号、名義を1行で）"),
    ("due-days", "発行日から支払期限までの日数（なければ60）"),
    ("debit-code", "口座振替の委託者コード（10桁まで）"),
    ("debit-name", "口座振替の委託者名（カナ40文字まで）"),
    ("debit-account", "口座振替の委託者の口座（例 0147-001-普通-1234567）"),
];

pub async fn answer(
    store: &Store,
    realm_name: &str,
    now_ms: i64,
    operator: &Operator,
    question: FeeQuestion,
) -> Result<FeeAnswer, OfficeFault> {
    let mut conn = store.pool().acquire().await?;
    match question {
        FeeQuestion::Quote { whom, fiscal_year } => {
            quote(&mut conn, whom, year(fiscal_year)?).await.map(FeeAnswer::Quote)
        }
        FeeQuestion::Run { fiscal_year, dry_run } => {
            drop(conn);
            run(store, now_ms, operator, year(fiscal_year)?, dry_run).await.map(FeeAnswer::Run)
        }
        FeeQuestion::List { fiscal_year, unpaid_only } => {
            invoices(&mut conn, fiscal_year, unpaid_only).await.map(FeeAnswer::Invoices)
        }
        FeeQuestion::Csv { fiscal_year, unpaid_only } => {
            let bytes = fee_paper::csv(&invoices(&mut conn, fiscal_year, unpaid_only).await?);
            let name = format!("{}{fiscal_year}.csv", if unpaid_only { "未入金_" } else { "請求_" });
            Ok(FeeAnswer::File { name, bytes })
        }
        FeeQuestion::Pages { fiscal_year, after, limit } => {
            let limit = i64::from(limit.clamp(1, PAGES_MAX));
            let papers = fee_rows::papers(&mut conn, fiscal_year, false, &after, limit).await?;
            let html = fee_paper::pages(realm_name, &fee_rows::issuer(&mut conn).await?, &papers)?;
            let last = papers.last().map(|paper| paper.invoice.invoice.clone());
            Ok(FeeAnswer::Pages { html, last, count: count(papers.len()) })
        }
        FeeQuestion::Paid { invoice, on, dry_run } => {
            drop(conn);
            paid(store, now_ms, operator, &invoice, &on, dry_run)
                .await
                .map(|row| FeeAnswer::Invoices(vec![row]))
        }
        FeeQuestion::Account { facility, bank, branch, kind, number, holder, dry_run } => {
            drop(conn);
            let account = Account::parse(&bank, &branch, &kind, &number, &holder)?;
            let set = fee_accounts::set(store, now_ms, operator, facility.as_str(), &account, dry_run);
            set.await.map(FeeAnswer::Account)
        }
        FeeQuestion::Debit { fiscal_year, on, dry_run } => {
            drop(conn);
            let year = year(fiscal_year)?.0;
            fee_accounts::debit(store, now_ms, operator, year, &on, dry_run).await.map(FeeAnswer::Debit)
        }
        FeeQuestion::Settle { bytes, on, dry_run } => {
            drop(conn);
            fee_accounts::settle(store, now_ms, operator, &bytes, &on, dry_run).await.map(FeeAnswer::Settled)
        }
        FeeQuestion::Settings => settings(&mut conn).await.map(FeeAnswer::Settings),
        FeeQuestion::Set { name, value, dry_run } => {
            drop(conn);
            set(store, now_ms, operator, &name, &value, dry_run).await.map(FeeAnswer::Settings)
        }
    }
}

fn year(fiscal_year: i16) -> Result<FiscalYear, Message> {
    let year = FiscalYear(fiscal_year);
    if year.is_sensible() {
        Ok(year)
    } else {
        Err(Message::FiscalYearForm { given: fiscal_year.to_string() })
    }
}

async fn quote(conn: &mut Conn, whom: Whom, year: FiscalYear) -> Result<Quote, OfficeFault> {
    let tariff = fee_rows::tariff(conn).await?;
    let (who, payer) = match whom {
        Whom::Facility(facility) => {
            let debtor = fee_rows::debtors(conn, facility.as_str()).await?.pop();
            let debtor = debtor.ok_or_else(|| Message::FacilityAbsent { facility: facility.to_string() })?;
            (debtor.name, debtor.payer)
        }
        Whom::Anybody { kind, medical_net, sns, received_on, started_on } => {
            let kind = FacilityKind::parse_applicant(&kind)?;
            let payer = Payer {
                group: fee_kind::group(kind),
                sns,
                received: day(&received_on)?,
                started: Some(day(&started_on)?),
                ended: None,
                medical_net,
                changes: Vec::new(),
            };
            (kind.to_string(), payer)
        }
    };
    Ok(Quote { fiscal_year: year.0, who, bill: fee_bill::bill(&tariff, &payer, year) })
}

fn day(text: &str) -> Result<Date, Message> {
    written_date::parse(text).ok_or_else(|| Message::DateForm { given: shown(text) })
}

/// The yearly run. Twice gives nothing twice; who joins later gets an invoice by the next run.
pub async fn run(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    year: FiscalYear,
    dry_run: bool,
) -> Result<FeeRun, OfficeFault> {
    if dry_run {
        // Never committed: dropping it takes everything back.
        return run_in(&mut *store.begin().await?, now_ms, operator, year, true).await;
    }
    transaction!(store, conn => run_in(conn, now_ms, operator, year, false).await)
}

async fn run_in(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    year: FiscalYear,
    dry_run: bool,
) -> Result<FeeRun, OfficeFault> {
    let tariff = fee_rows::tariff(conn).await?;
    let billed = fee_rows::billed(conn, year.0).await?;
    let debtors = fee_rows::debtors(conn, "").await?;
    let mut report =
        FeeRun { fiscal_year: year.0, dry_run, facilities: count(debtors.len()), ..FeeRun::default() };
    let mut new: Vec<(&Debtor, Bill)> = Vec::new();
    for debtor in &debtors {
        if billed.contains(&debtor.facility) {
            report.known += 1;
            continue;
        }
        let bill = fee_bill::bill(&tariff, &debtor.payer, year);
        if bill.lines.is_empty() {
            report.not_due += 1;
        } else if bill.total == 0 && tariff.rules.zero == Zero::Suppress {
            report.zero += 1;
        } else {
            new.push((debtor, bill));
        }
    }
    report.invoices = count(new.len());
    report.net = new.iter().map(|(_, bill)| bill.net).sum();
    report.tax = new.iter().map(|(_, bill)| bill.tax).sum();
    report.total = new.iter().map(|(_, bill)| bill.total).sum();
    if new.is_empty() || dry_run {
        return Ok(report);
    }
    issue(conn, now_ms, year, &new).await?;
    note(conn, now_ms, operator, "fee.run", &year.0.to_string(), json!(report)).await?;
    Ok(report)
}

async fn issue(
    conn: &mut Conn,
    now_ms: i64,
    year: FiscalYear,
    new: &[(&Debtor, Bill)],
) -> Result<(), OfficeFault> {
    let settings = fee_rows::settings(conn).await?;
    // Without it the paper is no 適格請求書, and a number once issued is not taken back.
    if !settings.get("issuer-number").is_some_and(|number| is_registration_number(number)) {
        return Err(Message::IssuerNumberMissing.into());
    }
    let due_days = settings.get("due-days").and_then(|days| days.parse().ok()).unwrap_or(DUE_DAYS);
    let today = dates::day(now_ms);
    let due = today.checked_add(due_days.days()).unwrap_or(today);
    let days = (today.to_string(), due.to_string());
    let first = fee_rows::take_numbers(conn, year.0, i64::from(count(new.len()))).await?;
    let numbered: Vec<(String, &Debtor, &Bill)> = (first..)
        .zip(new)
        .map(|(number, (debtor, bill))| (format!("{}-{number:05}", year.0), *debtor, bill))
        .collect();
    for some in numbered.chunks(fee_rows::INSERT_MAX) {
        fee_rows::insert(conn, year.0, some, (&days.0, &days.1)).await?;
    }
    Ok(())
}

async fn invoices(conn: &mut Conn, fiscal_year: i16, unpaid_only: bool) -> Result<Vec<Invoice>, OfficeFault> {
    let papers = fee_rows::papers(conn, fiscal_year, unpaid_only, "", LISTED_MAX).await?;
    Ok(papers.into_iter().map(|paper| paper.invoice).collect())
}

/// Notes a payment; the same day noted twice changes nothing.
pub async fn paid(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    invoice: &str,
    on: &str,
    dry_run: bool,
) -> Result<Invoice, OfficeFault> {
    let on = day(on)?.to_string();
    if dates::is_ahead(&on, now_ms) {
        return Err(Message::DateForm { given: on }.into());
    }
    if dry_run {
        return paid_in(&mut *store.begin().await?, now_ms, operator, invoice, &on).await;
    }
    transaction!(store, conn => paid_in(conn, now_ms, operator, invoice, &on).await)
}

async fn paid_in(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    invoice: &str,
    on: &str,
) -> Result<Invoice, OfficeFault> {
    let unknown = || Message::InvoiceUnknown { invoice: shown(invoice) };
    let found = fee_rows::find(conn, invoice).await?.ok_or_else(unknown)?.invoice;
    match (found.state.as_str(), found.paid_on.as_deref()) {
        ("open", _) => {}
        ("paid", Some(day)) if day == on => return Ok(found),
        _ => {
            return Err(Message::InvoiceClosed {
                invoice: found.invoice,
                on: found.paid_on.unwrap_or_default(),
            }
            .into());
        }
    }
    fee_rows::paid(conn, invoice, on).await?;
    note(conn, now_ms, operator, "fee.paid", invoice, json!({ "on": on, "total": found.total })).await?;
    Ok(fee_rows::find(conn, invoice).await?.ok_or_else(unknown)?.invoice)
}

async fn settings(conn: &mut Conn) -> Result<FeeSettings, OfficeFault> {
    let tariff = fee_rows::tariff(conn).await?;
    let stored = fee_rows::settings(conn).await?;
    let switches = Rules::SWITCHES.iter().map(|(name, words)| FeeSetting {
        name: (*name).to_owned(),
        value: tariff.rules.get(name).to_owned(),
        choices: words.iter().map(|word| (*word).to_owned()).collect(),
        meaning_ja: meaning(name).to_owned(),
    });
    let issuer = ISSUER.iter().map(|(name, meaning)| FeeSetting {
        name: (*name).to_owned(),
        value: stored.get(*name).cloned().unwrap_or_default(),
        choices: Vec::new(),
        meaning_ja: (*meaning).to_owned(),
    });
    let networks = |price: &Price| match (price.medical_net, price.sns) {
        (true, true) => "medical-net+sns",
        (true, false) => "medical-net",
        (false, _) => "sns",
    };
    Ok(FeeSettings {
        settings: switches.chain(issuer).collect(),
        prices: tariff
            .prices
            .iter()
            .map(|price| {
                format!(
                    "{} {} {} {} {}",
                    price.from,
                    price.group.as_str(),
                    networks(price),
                    price.yen,
                    price.rule
                )
            })
            .collect(),
        taxes: tariff.taxes.iter().map(|(from, percent)| format!("{from} {percent}")).collect(),
        campaigns: tariff
            .campaigns
            .iter()
            .map(|c| format!("{} {} {} {}", c.name, c.received_by, c.free_from, c.free_until))
            .collect(),
    })
}

fn meaning(switch: &str) -> &'static str {
    match switch {
        "start" => "年度の途中で始めたとき、どの月から請求するか",
        "leave" => "年度の途中でやめたとき、いつまで請求するか",
        "change" => "ふくいメディカルネットへの参加が変わったとき、いつから料金を変えるか",
        "medical-net" => "ふくいメディカルネットの利用料を、ここで請求するか",
        "rounding" => "消費税の1円未満の扱い",
        "zero" => "0円の請求書を発行するか",
        _ => "",
    }
}

/// Sets a switch, a text of the issuer, or a row of the tables (`price:2027-04:institution:sns`, `tax:2029-04`,
/// `campaign:NAME`).
pub async fn set(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    name: &str,
    value: &str,
    dry_run: bool,
) -> Result<FeeSettings, OfficeFault> {
    if dry_run {
        return set_in(&mut *store.begin().await?, now_ms, operator, name, value).await;
    }
    transaction!(store, conn => set_in(conn, now_ms, operator, name, value).await)
}

async fn set_in(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    name: &str,
    value: &str,
) -> Result<FeeSettings, OfficeFault> {
    let wrong = || Message::SettingForm { name: shown(name), given: shown(value) };
    let value = value.trim();
    if value.chars().count() > VALUE_MAX || value.chars().any(char::is_control) {
        return Err(wrong().into());
    }
    let parts: Vec<&str> = name.split(':').collect();
    match parts.as_slice() {
        ["price", from, group, networks] => {
            let (medical_net, sns, rule) = match *networks {
                "medical-net+sns" => (true, true, "F-03"),
                "medical-net" => (true, false, "F-04"),
                "sns" => (false, true, "F-02"),
                _ => return Err(wrong().into()),
            };
            let price = Price {
                from: from.parse().map_err(|_| wrong())?,
                group: FeeGroup::parse(group).ok_or_else(wrong)?,
                medical_net,
                sns,
                yen: value.parse().map_err(|_| wrong())?,
                rule: rule.to_owned(),
            };
            fee_rows::set_price(conn, &price).await?;
        }
        ["tax", from] => {
            let percent = value.parse().ok().filter(|percent| *percent <= 100).ok_or_else(wrong)?;
            fee_rows::set_tax(conn, from.parse().map_err(|_| wrong())?, percent).await?;
        }
        ["campaign", campaign] if !campaign.is_empty() => {
            let days: Vec<&str> = value.split(',').map(str::trim).collect();
            let [by, from, until] = days.as_slice() else { return Err(wrong().into()) };
            let campaign = Campaign {
                name: (*campaign).to_owned(),
                received_by: written_date::parse(by).ok_or_else(wrong)?,
                free_from: from.parse().map_err(|_| wrong())?,
                free_until: until.parse().map_err(|_| wrong())?,
            };
            fee_rows::set_campaign(conn, &campaign).await?;
        }
        [one] if fits(one, value) => fee_rows::set(conn, one, value).await?,
        _ => return Err(wrong().into()),
    }
    note(conn, now_ms, operator, "fee.set", name, json!({ "value": value })).await?;
    settings(conn).await
}

/// A switch or a text of the issuer, and a value that it may have.
fn fits(name: &str, value: &str) -> bool {
    match name {
        "issuer-number" => is_registration_number(value),
        "debit-code" => zengin::digits(value, 10, true, ("", "")).is_ok(),
        "debit-name" => zengin_text::name(value).is_ok_and(|name| name.chars().count() <= 40),
        "debit-account" => fee_accounts::own_account(value, "ｱ").is_some(),
        "due-days" => value.parse().is_ok_and(|days: i32| (1..=DUE_DAYS_MAX).contains(&days)),
        name if ISSUER.iter().any(|(known, _)| *known == name) => true,
        name => Rules::default().set(name, value).is_some(),
    }
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

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
