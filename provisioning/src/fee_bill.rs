//! One facility's bill for one fiscal year: which months cost what and why, tax once per rate, every yen with the
//! rule that explains it (F-05, F-06, F-09, F-10). Pure; the bill is also stored with its invoice, hence border.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fees::{Change, FeeGroup, FiscalYear, Leave, MedicalNet, Month, Rounding, Start, Tariff};

/// What is known of who pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payer {
    pub group: FeeGroup,
    pub sns: bool,
    /// When the application arrived (F-07).
    pub received: Date,
    /// 本登録; `None` while the facility cannot use anything yet.
    pub started: Option<Date>,
    /// The last day.
    pub ended: Option<Date>,
    /// Membership of the medical network at the start, and what changed from a day on, in order.
    pub medical_net: bool,
    pub changes: Vec<(Date, bool)>,
}

/// Months in a row that cost the same for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    pub from: Month,
    pub until: Month,
    pub months: u32,
    pub yen_a_month: u32,
    pub yen: u64,
    pub medical_net: bool,
    pub tax_percent: u32,
    /// `F-02`, or `F-07 一次募集`.
    pub rule: String,
}

/// Tax is counted once per rate and invoice, as an 適格請求書 must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaxSum {
    pub percent: u32,
    pub net: u64,
    pub tax: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bill {
    pub lines: Vec<Line>,
    pub taxes: Vec<TaxSum>,
    pub net: u64,
    pub tax: u64,
    pub total: u64,
}

/// The bill of a year; no lines when nothing of the year is the payer's.
pub fn bill(tariff: &Tariff, payer: &Payer, year: FiscalYear) -> Bill {
    let mut bill = Bill::default();
    let Some(first) = first_month(tariff, payer, year) else { return bill };
    for month in year.months().into_iter().filter(|month| *month >= first && !is_over(tariff, payer, *month))
    {
        let priced = priced(tariff, payer, year, first, month);
        add(&mut bill.lines, month, priced, tariff.tax_percent(month));
    }
    for line in &bill.lines {
        match bill.taxes.iter_mut().find(|sum| sum.percent == line.tax_percent) {
            Some(sum) => sum.net += line.yen,
            None => bill.taxes.push(TaxSum { percent: line.tax_percent, net: line.yen, tax: 0 }),
        }
    }
    for sum in &mut bill.taxes {
        sum.tax = rounded(sum.net, sum.percent, tariff.rules.rounding);
    }
    bill.net = bill.lines.iter().map(|line| line.yen).sum();
    bill.tax = bill.taxes.iter().map(|sum| sum.tax).sum();
    bill.total = bill.net + bill.tax;
    bill
}

/// The first month that costs, by the switch for starts in mid-year.
fn first_month(tariff: &Tariff, payer: &Payer, year: FiscalYear) -> Option<Month> {
    let started = Month::of(payer.started?);
    let first = match tariff.rules.start {
        // Who has started before the fiscal year pays all of it.
        Start::NextMonth => started.next(),
        Start::SameMonth => started,
        Start::WholeYear => started.fiscal_year().first(),
    };
    // Whoever had left before the year began owes nothing of it.
    let gone = payer.ended.is_some_and(|day| Month::of(day) < year.first());
    (first.fiscal_year() <= year && !gone).then(|| first.max(year.first()))
}

fn is_over(tariff: &Tariff, payer: &Payer, month: Month) -> bool {
    match tariff.rules.leave {
        Leave::NoRefund => false,
        Leave::UntilMonth => payer.ended.is_some_and(|day| Month::of(day) < month),
    }
}

struct Priced {
    yen: u32,
    medical_net: bool,
    rule: String,
}

fn priced(tariff: &Tariff, payer: &Payer, year: FiscalYear, first: Month, month: Month) -> Priced {
    let asked = match tariff.rules.change {
        // The membership of the year's first month that costs is the year's.
        Change::NextFiscalYear => first.max(year.first()),
        Change::NextMonth => month,
    };
    let medical_net = membership(payer, asked);
    if medical_net && tariff.rules.medical_net == MedicalNet::Elsewhere {
        return Priced { yen: 0, medical_net, rule: "F-08".to_owned() };
    }
    let price = |sns: bool| tariff.price(month, payer.group, medical_net, sns);
    let full = price(payer.sns);
    if let Some(campaign) = tariff.campaign(month, payer.received).filter(|_| payer.sns) {
        // The SNS costs nothing: what is left is what the facility would pay without it.
        let yen = price(false).map_or(0, |price| price.yen);
        return Priced { yen, medical_net, rule: format!("F-07 {}", campaign.name) };
    }
    full.map_or(Priced { yen: 0, medical_net, rule: "F-02".to_owned() }, |price| Priced {
        yen: price.yen,
        medical_net,
        rule: price.rule.clone(),
    })
}

/// Membership on the first day of a month: a change counts from the month after it.
fn membership(payer: &Payer, month: Month) -> bool {
    let before =
        |(day, _): &&(Date, bool)| Month::of(*day) < month || (Month::of(*day) == month && day.day() == 1);
    payer.changes.iter().rfind(before).map_or(payer.medical_net, |(_, member)| *member)
}

fn add(lines: &mut Vec<Line>, month: Month, priced: Priced, tax_percent: u32) {
    let Priced { yen, medical_net, rule } = priced;
    if let Some(last) = lines.last_mut()
        && (last.yen_a_month, last.medical_net, last.tax_percent) == (yen, medical_net, tax_percent)
        && last.rule == rule
    {
        last.until = month;
        last.months += 1;
        last.yen += u64::from(yen);
        return;
    }
    lines.push(Line {
        from: month,
        until: month,
        months: 1,
        yen_a_month: yen,
        yen: u64::from(yen),
        medical_net,
        tax_percent,
        rule,
    });
}

fn rounded(net: u64, percent: u32, rounding: Rounding) -> u64 {
    let hundredths = net * u64::from(percent);
    match rounding {
        Rounding::Down => hundredths / 100,
        Rounding::Nearest => (hundredths + 50) / 100,
        Rounding::Up => hundredths.div_ceil(100),
    }
}

#[cfg(test)]
mod tests;
