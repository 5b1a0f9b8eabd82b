//! F to the yen: the quick table, the campaign, mid-year, membership, tax, and the whole prefecture in a second.

use jiff::civil::date;

use super::*;
use crate::facility::FacilityKind;
use crate::fee_kind;
use crate::fees::{Campaign, Price, Rules};

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// The printed table, as the migration has it (a test of the store compares the two).
pub(crate) fn printed() -> Tariff {
    let row = |group, medical_net, sns, yen, rule: &str| Price {
        from: month("2024-04"),
        group,
        medical_net,
        sns,
        yen,
        rule: rule.to_owned(),
    };
    Tariff {
        prices: vec![
            row(FeeGroup::Institution, true, true, 3000, "F-03"),
            row(FeeGroup::Institution, true, false, 3000, "F-04"),
            row(FeeGroup::Institution, false, true, 1000, "F-02"),
            row(FeeGroup::Service, true, true, 1000, "F-03"),
            row(FeeGroup::Service, true, false, 1000, "F-04"),
            row(FeeGroup::Service, false, true, 500, "F-02"),
            row(FeeGroup::Free, false, true, 0, "F-02"),
        ],
        taxes: vec![(month("2019-10"), 10)],
        campaigns: vec![Campaign {
            name: "一次募集".to_owned(),
            received_by: date(2024, 3, 31),
            free_from: month("2024-04"),
            free_until: month("2024-09"),
        }],
        rules: Rules::default(),
    }
}

fn payer(kind: FacilityKind, medical_net: bool, sns: bool) -> Payer {
    Payer {
        group: fee_kind::group(kind),
        sns,
        received: date(2025, 1, 15),
        started: Some(date(2025, 2, 10)),
        ended: None,
        medical_net,
        changes: Vec::new(),
    }
}

/// F-12: the quick table ①–⑦, each kind of each row, a month and a year, with and without tax.
#[test]
fn f_12_the_seven_rows_of_the_quick_table() {
    use FacilityKind::*;
    let institutions: &[FacilityKind] = &[Medical, Dental, Pharmacy];
    let services: &[FacilityKind] = &[VisitingNurse, CareManagement, OtherCare, SupportCentre];
    let free: &[FacilityKind] = &[Family, Helper, WelfareCommissioner];
    for (row, kinds, medical_net, sns, yen, rule) in [
        ('①', institutions, true, true, 3000, "F-03"),
        ('②', institutions, true, false, 3000, "F-04"),
        ('③', institutions, false, true, 1000, "F-02"),
        ('④', services, true, true, 1000, "F-03"),
        ('⑤', services, true, false, 1000, "F-04"),
        ('⑥', services, false, true, 500, "F-02"),
        ('⑦', free, false, true, 0, "F-02"),
    ] {
        for kind in kinds {
            let bill = bill(&printed(), &payer(*kind, medical_net, sns), FiscalYear(2026));
            let [line] = bill.lines.as_slice() else { panic!("{row} {kind}: {:?}", bill.lines) };
            assert_eq!((line.yen_a_month, line.months, line.rule.as_str()), (yen, 12, rule), "{row} {kind}");
            let net = u64::from(yen) * 12;
            assert_eq!((bill.net, bill.tax, bill.total), (net, net / 10, net + net / 10), "{row} {kind}");
        }
    }
}

/// F-07, F-09: early birds pay from October, six months in the first year; a day later pays all.
#[test]
fn f_07_early_birds_pay_from_october() {
    let early = Payer {
        received: date(2024, 3, 31),
        started: Some(date(2024, 3, 25)),
        ..payer(FacilityKind::Medical, false, true)
    };
    let first = bill(&printed(), &early, FiscalYear(2024));
    let lines: Vec<_> = first
        .lines
        .iter()
        .map(|line| (line.from.to_string(), line.months, line.yen, line.rule.as_str()))
        .collect();
    assert_eq!(lines, [("2024-04".into(), 6, 0, "F-07 一次募集"), ("2024-10".into(), 6, 6_000, "F-02")]);
    assert_eq!((first.net, first.tax, first.total), (6_000, 600, 6_600));
    assert_eq!(bill(&printed(), &early, FiscalYear(2025)).net, 12_000);
    let late = Payer { received: date(2024, 4, 1), ..early.clone() };
    assert_eq!(bill(&printed(), &late, FiscalYear(2024)).net, 12_000);
    // The campaign is the SNS's: the medical network's fee goes on.
    let both = Payer { medical_net: true, ..early };
    assert_eq!(bill(&printed(), &both, FiscalYear(2024)).net, 36_000);
}

/// F-10: who starts in mid-year, by each position of the switch.
#[test]
fn f_10_a_start_in_mid_year() {
    for (start, started, months) in [
        (Start::NextMonth, date(2026, 6, 30), 9),
        (Start::NextMonth, date(2026, 4, 1), 11),
        (Start::NextMonth, date(2026, 3, 31), 12),
        (Start::NextMonth, date(2027, 3, 1), 0),
        (Start::SameMonth, date(2026, 6, 30), 10),
        (Start::SameMonth, date(2027, 3, 31), 1),
        (Start::WholeYear, date(2027, 3, 31), 12),
        (Start::WholeYear, date(2027, 4, 1), 0),
    ] {
        let mut tariff = printed();
        tariff.rules.start = start;
        let payer = Payer { started: Some(started), ..payer(FacilityKind::VisitingNurse, false, true) };
        let bill = bill(&tariff, &payer, FiscalYear(2026));
        assert_eq!(bill.net, months * 500, "{start:?} {started}");
    }
    let never = Payer { started: None, ..payer(FacilityKind::Medical, false, true) };
    assert_eq!(bill(&printed(), &never, FiscalYear(2026)), Bill::default());
}

#[test]
fn f_10_leaving_in_mid_year_refunds_nothing_unless_the_switch_says_so() {
    let leaver = Payer { ended: Some(date(2026, 7, 15)), ..payer(FacilityKind::Dental, false, true) };
    assert_eq!(bill(&printed(), &leaver, FiscalYear(2026)).net, 12_000);
    assert_eq!(bill(&printed(), &leaver, FiscalYear(2027)), Bill::default());
    let mut tariff = printed();
    tariff.rules.leave = Leave::UntilMonth;
    assert_eq!(bill(&tariff, &leaver, FiscalYear(2026)).net, 4_000);
}

#[test]
fn f_10_a_change_of_membership_counts_from_the_next_fiscal_year() {
    let joins =
        Payer { changes: vec![(date(2026, 7, 15), true)], ..payer(FacilityKind::Medical, false, true) };
    assert_eq!(bill(&printed(), &joins, FiscalYear(2026)).net, 12_000);
    assert_eq!(bill(&printed(), &joins, FiscalYear(2027)).net, 36_000);
    let mut tariff = printed();
    tariff.rules.change = Change::NextMonth;
    let split = bill(&tariff, &joins, FiscalYear(2026));
    assert_eq!(
        split.lines.iter().map(|line| (line.months, line.yen)).collect::<Vec<_>>(),
        [(4, 4_000), (8, 24_000)]
    );
    // F-08: another office bills the medical network.
    tariff.rules.medical_net = MedicalNet::Elsewhere;
    let elsewhere = bill(&tariff, &joins, FiscalYear(2027));
    assert_eq!((elsewhere.net, elsewhere.lines[0].rule.as_str()), (0, "F-08"));
}

/// F-05, F-10, F-11: tax by the month's rate, rounded once per rate and invoice.
#[test]
fn f_11_tax_is_rounded_once_per_rate() {
    let mut tariff = printed();
    tariff.taxes.push((month("2026-10"), 12));
    tariff.prices.push(Price { from: month("2027-01"), yen: 1_001, ..tariff.prices[2].clone() });
    let bill = bill(&tariff, &payer(FacilityKind::Pharmacy, false, true), FiscalYear(2026));
    let sums: Vec<_> = bill.taxes.iter().map(|sum| (sum.percent, sum.net, sum.tax)).collect();
    assert_eq!(sums, [(10, 6_000, 600), (12, 6_003, 720)]);
    assert_eq!((bill.net, bill.total), (12_003, 13_323));
    assert_eq!(bill.lines.iter().map(|line| line.yen).sum::<u64>(), bill.net);
    for (rounding, tax) in [(Rounding::Down, 1), (Rounding::Nearest, 2), (Rounding::Up, 2)] {
        assert_eq!(rounded(15, 10, rounding), tax);
    }
}

/// The yearly run's arithmetic for the whole prefecture and more; the limit of a second belongs to the bench.
#[test]
fn ten_thousand_facilities_are_billed() {
    let tariff = printed();
    let kinds = FacilityKind::APPLICANTS;
    let total: u64 = (0..10_000)
        .map(|n| bill(&tariff, &payer(kinds[n % kinds.len()], n % 3 == 0, true), FiscalYear(2026)).net)
        .sum();
    assert!(total > 0);
}
