//! `fee`: what facilities pay, the yearly run, invoices on paper and as a list. Writes the files that the operator
//! names; decides nothing.

use std::path::{Path, PathBuf};

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_fee::{FeeAnswer, FeeQuestion, FeeRun, FeeSettings, Invoice, Quote, Whom};
use provisioning::fee_words::{monthly, span, what, yen};
use serde_json::json;

use super::args_fee::{AccountArgs, FeeCommand, QuoteArgs};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;
use crate::files;
use crate::messages::Message;

/// A bank's file about ten thousand debits, with room to spare; a question must fit the door's frame.
const BANK_FILE_MAX: usize = 3 << 20;
/// Invoices in one file for the printer.
const A_FILE: u32 = 500;

pub fn fee(door: &Door, command: FeeCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        FeeCommand::Quote(args) => quote(door, args, out)?,
        FeeCommand::Run { year, dry_run } => {
            let FeeAnswer::Run(run) = ask(door, FeeQuestion::Run { fiscal_year: year, dry_run })? else {
                return Err(odd_kind("provisioning"));
            };
            out.result(&run, || run_text(&run, out))?;
        }
        FeeCommand::List { year, unpaid, csv: Some(path) } => csv(door, year, unpaid, &path, out)?,
        FeeCommand::List { year, unpaid, csv: None } => {
            invoices(door, FeeQuestion::List { fiscal_year: year, unpaid_only: unpaid }, out)?;
        }
        FeeCommand::Print { year, out: folder } => print(door, year, &folder, out)?,
        FeeCommand::Paid { invoice, on, dry_run } => {
            invoices(door, FeeQuestion::Paid { invoice, on, dry_run }, out)?;
        }
        FeeCommand::Account(args) => account(door, args, out)?,
        FeeCommand::Debit { year, on, out: file, dry_run } => {
            debit(door, FeeQuestion::Debit { fiscal_year: year, on, dry_run }, file, out)?;
        }
        FeeCommand::Settle { file, on, dry_run } => settle(door, &file, on, dry_run, out)?,
        FeeCommand::Settings => settings(door, FeeQuestion::Settings, out)?,
        FeeCommand::Set { name, value, dry_run } => {
            settings(door, FeeQuestion::Set { name, value, dry_run }, out)?;
        }
    }
    Ok(Exit::Ok)
}

fn ask(door: &Door, question: FeeQuestion) -> Result<FeeAnswer, Failure> {
    match door.provisioning(ProvisioningQuestion::Fee(question))? {
        ProvisioningAnswer::Fee(answer) => Ok(answer),
        _ => Err(odd_kind("provisioning")),
    }
}

fn quote(door: &Door, args: QuoteArgs, out: &Out) -> Result<(), Failure> {
    let whom = match (args.facility, args.kind) {
        (Some(facility), _) => Whom::Facility(facility),
        (None, kind) => {
            let started_on = args.started.unwrap_or_default();
            Whom::Anybody {
                kind: kind.unwrap_or_default(),
                medical_net: args.medical_net,
                sns: !args.no_sns,
                received_on: args.received.unwrap_or_else(|| started_on.clone()),
                started_on,
            }
        }
    };
    let FeeAnswer::Quote(quote) = ask(door, FeeQuestion::Quote { whom, fiscal_year: args.year })? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&quote, || quote_text(&quote, out))?;
    Ok(())
}

fn quote_text(quote: &Quote, out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("内容", "what"),
        out.pick("期間", "months"),
        out.pick("月額", "a month"),
        out.pick("金額（税抜）", "net"),
        out.pick("根拠", "rule"),
    ]);
    for line in &quote.bill.lines {
        table.row([what(line), span(line), monthly(line), yen(&line.yen), line.rule.clone()]);
    }
    let bill = &quote.bill;
    let (net, tax, total) = (yen(&bill.net), yen(&bill.tax), yen(&bill.total));
    let sum = out.pick(
        format!("{} 税抜 {net}円　消費税 {tax}円　合計 {total}円\n", quote.who),
        format!("{}: net {net}, tax {tax}, total {total} yen\n", quote.who),
    );
    format!("{}{sum}", table.text(out.ink()))
}

fn run_text(run: &FeeRun, out: &Out) -> String {
    let rehearsed = if run.dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" };
    let (net, tax, total) = (yen(&run.net), yen(&run.tax), yen(&run.total));
    out.pick(
        format!(
            "{}年度: 事業所 {}　請求書 {}　発行済み {}　0円 {}　対象外（本登録前・終了） {}\n税抜 {net}円　消費税 {tax}円　合計 {total}円{rehearsed}\n",
            run.fiscal_year, run.facilities, run.invoices, run.known, run.zero, run.not_due,
        ),
        format!(
            "{}: {} facilities, {} invoices, {} known, {} over nothing, {} not due\nnet {net}, tax {tax}, total {total} yen{rehearsed}\n",
            run.fiscal_year, run.facilities, run.invoices, run.known, run.zero, run.not_due,
        ),
    )
}

fn invoices(door: &Door, question: FeeQuestion, out: &Out) -> Result<(), Failure> {
    let FeeAnswer::Invoices(rows) = ask(door, question)? else { return Err(odd_kind("provisioning")) };
    out.result(&rows, || invoices_text(&rows, out))?;
    Ok(())
}

fn invoices_text(rows: &[Invoice], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("請求番号", "invoice"),
        out.pick("事業所番号", "code"),
        out.pick("事業所名", "facility"),
        out.pick("請求金額", "total"),
        out.pick("状態", "state"),
        out.pick("支払期限", "due"),
        out.pick("入金日", "paid"),
    ]);
    for row in rows {
        let state = match row.state.as_str() {
            "open" => out.pick("未入金", "open"),
            "paid" => out.pick("入金済み", "paid"),
            _ => out.pick("取消", "void"),
        };
        table.row([
            row.invoice.clone(),
            row.code.clone(),
            row.name.clone(),
            yen(&row.total),
            state.to_owned(),
            row.due_on.clone(),
            row.paid_on.clone().unwrap_or_default(),
        ]);
    }
    table.text(out.ink())
}

fn csv(door: &Door, fiscal_year: i16, unpaid_only: bool, path: &Path, out: &Out) -> Result<(), Failure> {
    let FeeAnswer::File { bytes, .. } = ask(door, FeeQuestion::Csv { fiscal_year, unpaid_only })? else {
        return Err(odd_kind("provisioning"));
    };
    let file = write(path, &bytes)?;
    out.result(&json!({ "file": file, "bytes": bytes.len() }), || format!("{file}\n"))
}

fn print(door: &Door, fiscal_year: i16, folder: &Path, out: &Out) -> Result<(), Failure> {
    files::private_folder(folder)?;
    let (mut after, mut files) = (String::new(), Vec::new());
    loop {
        let question = FeeQuestion::Pages { fiscal_year, after: after.clone(), limit: A_FILE };
        let FeeAnswer::Pages { html, last, .. } = ask(door, question)? else {
            return Err(odd_kind("provisioning"));
        };
        let Some(last) = last else { break };
        files.push(write(&folder.join(format!("請求書_{last}まで.html")), html.as_bytes())?);
        after = last;
    }
    out.result(&json!({ "files": files }), || files.iter().map(|file| format!("{file}\n")).collect())
}

fn account(door: &Door, args: AccountArgs, out: &Out) -> Result<(), Failure> {
    let AccountArgs { facility, bank, branch, kind, number, holder, dry_run } = args;
    let question = FeeQuestion::Account { facility, bank, branch, kind, number, holder, dry_run };
    let FeeAnswer::Account(row) = ask(door, question)? else { return Err(odd_kind("provisioning")) };
    out.result(&row, || {
        format!("{} {}-{} {} {} {}\n", row.facility, row.bank, row.branch, row.kind, row.number, row.holder)
    })
}

fn debit(door: &Door, question: FeeQuestion, path: Option<PathBuf>, out: &Out) -> Result<(), Failure> {
    let FeeAnswer::Debit(file) = ask(door, question)? else { return Err(odd_kind("provisioning")) };
    let written = path.map(|path| write(&path, &file.bytes)).transpose()?;
    let told = json!({
        "file": written, "on": file.on, "count": file.count, "total": file.total,
        "without_account": file.without_account,
    });
    out.result(&told, || {
        let (count, total, without) = (file.count, yen(&file.total), file.without_account);
        out.pick(
            format!("{} {count}件 {total}円（口座の登録がない未入金 {without}件）\n", file.on),
            format!("{}: {count} debits, {total} yen ({without} unpaid without an account)\n", file.on),
        )
    })
}

fn settle(door: &Door, path: &Path, on: String, dry_run: bool, out: &Out) -> Result<(), Failure> {
    let bytes = files::read_limited(path, BANK_FILE_MAX)?;
    let FeeAnswer::Settled(report) = ask(door, FeeQuestion::Settle { bytes, on, dry_run })? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&report, || {
        let (paid, total, left) = (report.paid, yen(&report.total), report.unsettled.len());
        let mut text = out.pick(
            format!(
                "振替済み {paid}件 {total}円　記録済み {}件　振替できなかったもの {left}件\n",
                report.known
            ),
            format!("{paid} paid, {total} yen; {} known; {left} not collected\n", report.known),
        );
        for one in &report.unsettled {
            let reason = out.pick(&one.reason_ja, &one.reason_en);
            text.push_str(&format!("  {} {} {} {reason}\n", one.invoice, one.name, yen(&one.total)));
        }
        text
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<String, Failure> {
    let shown = path.display().to_string();
    files::write_new(path, bytes)
        .map_err(|error| Message::FileWrite { path: shown.clone(), why: error.to_string() })?;
    Ok(shown)
}

fn settings(door: &Door, question: FeeQuestion, out: &Out) -> Result<(), Failure> {
    let FeeAnswer::Settings(settings) = ask(door, question)? else { return Err(odd_kind("provisioning")) };
    out.result(&settings, || settings_text(&settings, out))?;
    Ok(())
}

fn settings_text(settings: &FeeSettings, out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("設定", "setting"),
        out.pick("値", "value"),
        out.pick("選べる値", "choices"),
        out.pick("意味", "meaning"),
    ]);
    for row in &settings.settings {
        table.row([row.name.clone(), row.value.clone(), row.choices.join(" "), row.meaning_ja.clone()]);
    }
    let mut text = table.text(out.ink());
    for (title, lines) in [
        (out.pick("料金表（円/月、税抜）", "prices, yen a month without tax"), &settings.prices),
        (out.pick("消費税（%）", "tax, percent"), &settings.taxes),
        (out.pick("無料期間（名称、必着日、始め、終わり）", "campaigns"), &settings.campaigns),
    ] {
        text.push_str(&format!("\n{title}\n"));
        for line in lines {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}
