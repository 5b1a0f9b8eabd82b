//! `paper`: scans that are taken in, sorted, seen and thrown away. Reads and writes the files that the operator names.

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, Trouble};
use provisioning::door_scan::{ScanAnswer, ScanLine, ScanQuestion, ScanReport};

use super::args_scan::{PaperCommand, ScanDiscard, ScanFile, ScanTake};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::imported::written;
use super::out::Out;
use super::said::at;
use super::table::Table;
use crate::exit::Exit;
use crate::files;

/// As base64 in JSON it must fit the door's frame.
const SCAN_MAX: usize = 11 << 20;

pub fn paper(door: &Door, command: PaperCommand, out: &Out) -> Result<Exit, Failure> {
    let question = match command {
        PaperCommand::Scan(args) => return take(door, args, out),
        PaperCommand::Show { scan, out: path } => {
            let question = ProvisioningQuestion::Scan(ScanQuestion::Show { scan });
            let ProvisioningAnswer::File { bytes, .. } = door.provisioning(question)? else {
                return Err(odd_kind("provisioning"));
            };
            return written(&path, &bytes, out);
        }
        PaperCommand::Scans { case } => ScanQuestion::List { case },
        PaperCommand::Tray => ScanQuestion::Tray,
        PaperCommand::File(ScanFile { scan, case, form, dry_run }) => {
            ScanQuestion::File { scan, case, form, dry_run }
        }
        PaperCommand::Discard(ScanDiscard { scan, why, dry_run }) => {
            ScanQuestion::Discard { scan, why, dry_run }
        }
    };
    match ask(door, question)? {
        ScanAnswer::Lines(lines) => out.result(&lines, || lines_text(&lines, out))?,
        ScanAnswer::Line(line) => {
            out.result(&*line, || lines_text(std::slice::from_ref(&*line), out))?;
        }
        ScanAnswer::Taken(_) => return Err(odd_kind("provisioning")),
    }
    Ok(Exit::Ok)
}

fn ask(door: &Door, question: ScanQuestion) -> Result<ScanAnswer, Failure> {
    match door.provisioning(ProvisioningQuestion::Scan(question))? {
        ProvisioningAnswer::Scan(answer) => Ok(answer),
        _ => Err(odd_kind("provisioning")),
    }
}

/// One file after the other; the receipt is one.
fn take(door: &Door, args: ScanTake, out: &Out) -> Result<Exit, Failure> {
    let ScanTake { files, came: came_by, dry_run } = args;
    let mut all = ScanReport { dry_run, ..ScanReport::default() };
    for (place, path) in files.iter().enumerate() {
        let bytes = files::read_limited(path, SCAN_MAX)?;
        out.progress("スキャンを読んでいます", "reading the scan");
        let answer = ask(door, ScanQuestion::Take { bytes, came_by, dry_run })?;
        let ScanAnswer::Taken(mut report) = answer else { return Err(odd_kind("provisioning")) };
        let file = u32::try_from(place + 1).unwrap_or(u32::MAX);
        report.pages.iter_mut().for_each(|page| page.file = file);
        report.faults.iter_mut().for_each(|fault| fault.file = file);
        all.pages.append(&mut report.pages);
        all.faults.append(&mut report.faults);
    }
    out.result(&all, || report_text(&all, out))?;
    Ok(if all.faults.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn report_text(report: &ScanReport, out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("ファイル", "file"),
        out.pick("ページ", "page"),
        out.pick("行き先", "went"),
        out.pick("案件", "case"),
        out.pick("様式", "form"),
        out.pick("スキャン", "scan"),
        out.pick("理由", "why"),
    ]);
    for page in &report.pages {
        let went = match page.went.as_str() {
            "filed" => out.pick("案件", "case"),
            "tray" => out.pick("仕分け待ち", "tray"),
            "known" => out.pick("取り込み済み", "known"),
            _ => out.pick("白紙", "blank"),
        };
        table.row([
            page.file.to_string(),
            page.page.to_string(),
            went.to_owned(),
            page.case.clone().unwrap_or_default(),
            page.form.clone().unwrap_or_default(),
            page.scan.clone().unwrap_or_default(),
            page.reason.as_ref().map(|reason| said(reason, out)).unwrap_or_default(),
        ]);
    }
    let mut text = table.text(out.ink());
    for fault in &report.faults {
        let Trouble { code, .. } = &fault.trouble;
        let remedy = out.pick(&fault.trouble.remedy_ja, &fault.trouble.remedy_en);
        text.push_str(&out.pick(
            format!(
                "{}番目のファイルは取り込んでいません: {} {remedy} {code}\n",
                fault.file, fault.trouble.ja
            ),
            format!("file {} was not taken: {} {remedy} {code}\n", fault.file, fault.trouble.en),
        ));
    }
    if report.dry_run {
        text.push_str(out.pick("（確かめただけ）\n", "(dry run)\n"));
    }
    text
}

fn said(trouble: &Trouble, out: &Out) -> String {
    format!("{} {}", out.pick(&trouble.ja, &trouble.en), trouble.code)
}

fn lines_text(lines: &[ScanLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("スキャン", "scan"),
        out.pick("状態", "state"),
        out.pick("案件", "case"),
        out.pick("様式", "form"),
        out.pick("届き方", "came"),
        out.pick("取り込み", "taken"),
        out.pick("鍵", "key"),
        out.pick("残り日数", "days left"),
        out.pick("理由", "why"),
    ]);
    for line in lines {
        let state = match line.state.as_str() {
            "tray" => out.pick("仕分け待ち", "tray"),
            "filed" => out.pick("案件", "filed"),
            "discarded" => out.pick("破棄", "discarded"),
            _ => out.pick("期限切れ", "ended"),
        };
        let key = match line.key.as_str() {
            "patient" => out.pick("患者", "patient"),
            "office" => out.pick("事務局", "office"),
            "tray" => out.pick("仕分け待ち", "tray"),
            _ => out.pick("なし", "none"),
        };
        let why = line.reason.as_ref().map(|reason| said(reason, out));
        table.row([
            line.scan.clone(),
            state.to_owned(),
            line.case.clone().unwrap_or_default(),
            line.form.clone().unwrap_or_default(),
            out.pick(line.came_by.ja(), line.came_by.as_str()).to_owned(),
            at(&line.taken),
            key.to_owned(),
            line.days_left.map(|days| days.to_string()).unwrap_or_default(),
            why.or_else(|| line.gone_ja.clone()).unwrap_or_default(),
        ]);
    }
    table.text(out.ink())
}
