//! A piece of outgoing post as pages: the first one is folded so that its address lies in the window, and nothing else is
//! ever seen there. What is secret stands behind it. Pure.

use crate::door_post::Lane;
use crate::envelope::{Address, FOLDS, MM, PAPER, SAFE, SEEN};
use crate::fee_paper::{Issuer, Paper};
use crate::fee_words;
use crate::font::Fonts;
use crate::messages_paper::PaperMessage;
use crate::paper_sheet::{Pace, Sheet, Unprinted};
use crate::pdf::Mark;
use crate::post_connection::{self, Connection};
use crate::post_sheet;

/// Rows of small tables.
const PACE: Pace = Pace { row: 22.0, sign: 24.0 };
/// The sender stands beside the window, in letters of this size at most.
const SENDER: f32 = 9.0;

/// Who sends, on every piece.
pub struct Sender {
    pub realm_name: String,
    pub office: String,
    pub address: String,
    pub telephone: String,
    /// `2026年11月21日`.
    pub date: String,
}

/// One envelope.
pub struct Piece {
    /// `h-2026-00001-3`: on the paper, so that an envelope that comes back is found.
    pub number: String,
    pub lane: Lane,
    pub to: Address,
    /// Handed over by a facility; no address is needed.
    pub hand: bool,
    pub content: Content,
}

/// What lies in it.
pub enum Content {
    /// The paper is at hand: only the letter with the address is printed.
    AtHand,
    Connection(Box<Connection>),
    /// The sheet's lines, heading and value.
    Sheet(Vec<(String, zeroize::Zeroizing<String>)>),
    Letter {
        title: String,
        lines: Vec<String>,
    },
    Invoice(Box<(Paper, Issuer)>),
}

/// The piece as it is printed.
pub fn pages(fonts: &Fonts, sender: &Sender, piece: &Piece) -> Result<Vec<Vec<Mark>>, Unprinted> {
    let mut sheet = Sheet::new(fonts, true);
    front(fonts, &mut sheet, sender, piece)?;
    match &piece.content {
        Content::Letter { title, lines } => letter(&mut sheet, title, lines)?,
        Content::Invoice(both) => invoice(&mut sheet, sender, &both.0, &both.1)?,
        Content::AtHand => cover(&mut sheet, sender, piece.lane)?,
        Content::Connection(connection) => {
            cover(&mut sheet, sender, piece.lane)?;
            sheet.turn();
            post_connection::lay(fonts, &mut sheet, connection)?;
        }
        Content::Sheet(lines) => {
            cover(&mut sheet, sender, piece.lane)?;
            sheet.turn();
            post_sheet::lay(&mut sheet, lines)?;
        }
    }
    if piece.hand {
        sheet.down(10.0);
        sheet.small("・この封筒は、施設の担当者が手渡しでお届けします。封が開いているときは受け取らず、事務局にお電話ください。")?;
    }
    sheet.end(&[format!("発送番号 {}", piece.number)], None)
}

/// Address, sender and the marks to fold at.
fn front(fonts: &Fonts, sheet: &mut Sheet<'_>, sender: &Sender, piece: &Piece) -> Result<(), Unprinted> {
    sheet.place(piece.to.marks(fonts, SAFE)?);
    for fold in FOLDS {
        let (y, from, to) = (fold * MM, 4.0 * MM, 8.0 * MM);
        sheet.place(vec![Mark::Line { from: (from, y), to: (to, y), width: 0.4 }]);
    }
    let room = (PAPER.0 - SEEN.width - 2.0) * MM - crate::paper_sheet::MARGIN;
    sheet.at(18.0 * MM);
    for line in [&sender.date, &sender.realm_name, &sender.office, &sender.address, &sender.telephone] {
        let wide: f32 = fonts.glyphs(line)?.iter().map(|glyph| glyph.width).sum::<f32>() / 1000.0;
        sheet.right(line, SENDER.min(room / wide.max(1.0)))?;
        sheet.down(5.0);
    }
    sheet.at((SEEN.height + 7.0) * MM);
    Ok(())
}

/// 送付状.
fn cover(sheet: &mut Sheet<'_>, sender: &Sender, lane: Lane) -> Result<(), PaperMessage> {
    let (title, words, inside): (&str, &[&str], &str) = match lane {
        Lane::Connection => (
            "接続設定のお届け（1通目）",
            &[
                "お申し込みいただいた端末の接続設定をお届けします。",
                "本登録に使う番号とパスワードの用紙は、別の封筒（2通目）で、日を改めてお届けします。届くまで、この封筒の中身を保管してください。この封筒だけでは、何も開くことはできません。",
                "10日たっても2通目が届かないときは、お手数ですが事務局にお電話ください。",
            ],
            "接続設定（QRコードと手順）　1部",
        ),
        Lane::Sheet => (
            "番号とパスワードのお届け",
            &[
                "本登録に使う番号とパスワードの用紙をお届けします。",
                "先にお届けした接続設定で端末をつなぎ、本登録をしてください。この用紙だけでは、何も開くことはできません。",
                "接続設定がまだ届いていないとき、封筒が開いていたときは、使わずに事務局にお電話ください。",
            ],
            "証明書取得用No・パスワードのお知らせ　1枚",
        ),
        Lane::Letter => ("お知らせのお届け", &["お知らせをお届けします。"], "お知らせ　1通"),
        Lane::Invoice => ("請求書のお届け", &["請求書をお届けします。"], "請求書　1通"),
    };
    sheet.centred(title, 15.0)?;
    sheet.down(6.0);
    sheet.paragraph(&format!("　{}をご利用いただき、ありがとうございます。", sender.realm_name), 0.0)?;
    for line in words {
        sheet.paragraph(&format!("　{line}"), 0.0)?;
    }
    sheet.heading("同封したもの")?;
    sheet.paragraph(inside, 12.0)?;
    sheet.heading("問い合わせ先")?;
    sheet.paragraph(&format!("{}　{}", sender.office, sender.telephone), 12.0)?;
    Ok(())
}

fn letter(sheet: &mut Sheet<'_>, title: &str, lines: &[String]) -> Result<(), PaperMessage> {
    sheet.centred(title, 15.0)?;
    sheet.down(6.0);
    for line in lines {
        match line.strip_prefix("■ ") {
            Some(heading) => sheet.heading(heading)?,
            None if line.trim().is_empty() => sheet.down(6.0),
            None => sheet.paragraph(line, 0.0)?,
        }
    }
    Ok(())
}

/// What a mail says, as a letter: without its greeting, which the address is, and without what only a mail says.
pub fn letter_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .skip_while(|line| line.ends_with("様") || line.trim().is_empty())
        .filter(|line| !line.contains("自動で送られています"))
        .map(|line| line.replace("このメール", "この手紙"))
        .collect();
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    lines
}

/// 適格請求書 (F-11).
fn invoice(
    sheet: &mut Sheet<'_>,
    sender: &Sender,
    paper: &Paper,
    issuer: &Issuer,
) -> Result<(), PaperMessage> {
    let Paper { invoice, bill, .. } = paper;
    sheet.centred("請求書", 17.0)?;
    sheet.down(4.0);
    let year = fee_words::year(&invoice.fiscal_year);
    sheet.paragraph(
        &format!("　{}の{year}分の利用料（年間一括）を、次のとおりご請求申し上げます。", sender.realm_name),
        0.0,
    )?;
    sheet.down(4.0);
    sheet.large("ご請求金額（税込）", &[format!("{}円", fee_words::yen(&invoice.total))], 14.0)?;
    sheet.down(6.0);
    let columns =
        [("内容", 31.0), ("期間", 34.0), ("月額（税抜）", 13.0), ("税率", 7.0), ("金額（税抜）", 13.0)];
    let mut rows: Vec<Vec<String>> = bill
        .lines
        .iter()
        .map(|line| {
            vec![
                format!("{}（根拠 {}）", fee_words::what(line), line.rule),
                fee_words::span(line),
                format!("{}円", fee_words::monthly(line)),
                format!("{}%", line.tax_percent),
                format!("{}円", fee_words::yen(&line.yen)),
            ]
        })
        .collect();
    for sum in &bill.taxes {
        let what = format!("{}%対象 {}円　消費税", sum.percent, fee_words::yen(&sum.net));
        rows.push(vec![
            what,
            String::new(),
            String::new(),
            format!("{}%", sum.percent),
            format!("{}円", fee_words::yen(&sum.tax)),
        ]);
    }
    let total = format!("{}円", fee_words::yen(&bill.total));
    rows.push(vec!["合計".to_owned(), String::new(), String::new(), String::new(), total]);
    sheet.table(&columns, &rows)?;
    sheet.down(8.0);
    for (heading, value) in [
        ("請求番号", invoice.invoice.clone()),
        ("事業所番号", format!("{}（{}）", invoice.code, invoice.kind)),
        ("発行日", fee_words::day(&invoice.issued_on)),
        ("お支払期限", fee_words::day(&invoice.due_on)),
        ("お振込先", issuer.bank.clone()),
        ("発行者", format!("{}　登録番号 {}", issuer.name, issuer.number)),
        ("発行者の所在地・電話", format!("{}　{}", issuer.address, issuer.telephone).trim().to_owned()),
    ] {
        if !value.is_empty() {
            sheet.field(heading, &value, "", PACE)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "post_paper/tests.rs"]
mod tests;
