//! `report`: the yearly report of operation as text or data (M4-06).

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_report::{ReportQuestion, YearReport};

use super::args_incident::ReportArgs;
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;

pub fn report(door: &Door, args: ReportArgs, out: &Out) -> Result<Exit, Failure> {
    let question = ReportQuestion::Year { year: args.year };
    let ProvisioningAnswer::Report(report) = door.provisioning(ProvisioningQuestion::Report(question))?
    else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&report, || text(&report, out))?;
    Ok(Exit::Ok)
}

fn text(report: &YearReport, out: &Out) -> String {
    let YearReport { facilities, people, devices, patients, letters, trainings, incidents, fees, .. } =
        report;
    let mut table = Table::new(&[out.pick("項目", "what"), out.pick("数", "count")]);
    for (ja, en, count) in [
        ("参加機関", "facilities", facilities.active),
        ("新しい参加機関", "joined", facilities.joined),
        ("解除", "ended", facilities.ended),
        ("利用者（職員）", "staff", people.staff),
        ("施設内管理者", "administrators", people.admins),
        ("患者・家族", "family", people.family),
        ("患者の登録", "patients registered", patients.registered),
        ("利用中の端末", "devices in use", devices.active),
        ("紛失・盗難", "lost or stolen", devices.lost),
        ("送ったメール", "letters sent", letters.sent),
        ("研修を受けた人", "trained", trainings.trained),
        ("事故", "incidents", incidents.by_kind.iter().map(|(_, count)| count).sum()),
        ("請求（円）", "invoiced (yen)", fees.total),
        ("入金（円）", "paid (yen)", fees.paid),
    ] {
        table.row([out.pick(ja, en).to_owned(), count.to_string()]);
    }
    format!("{} - {}\n{}", report.from, report.until, table.text(out.ink()))
}
