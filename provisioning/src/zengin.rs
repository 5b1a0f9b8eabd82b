//! 口座振替 as banks exchange it (全国銀行協会 format, 種別91): records of 120 octets, a head, a line for each debit, a sum,
//! an end. We write the request and read back what the bank did with it; what it returns is foreign and judged octet by
//! octet. Pure.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::messages::Message;
use crate::zengin_text::octets;

/// Octets of a record, without its line end.
pub const RECORD: usize = 120;
/// Debits in one file: six digits hold their number.
pub const DEBITS_MAX: usize = 999_999;
/// A file of that many, with line ends; nothing larger is read.
pub const FILE_MAX: usize = (DEBITS_MAX + 3) * (RECORD + 2);

/// Digits of an account, and its kind: 1 普通, 2 当座.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub bank: String,
    pub branch: String,
    pub kind: u8,
    pub number: String,
    /// In the bank's letters.
    pub holder: String,
}

impl Account {
    /// `0147`, `001`, `普通`, `1234567`, `ｲ)ｻｸﾗｶｲ`, in any width.
    pub fn parse(bank: &str, branch: &str, kind: &str, number: &str, holder: &str) -> Result<Self, Message> {
        let kind = match crate::facility::fold_word(kind).as_str() {
            "普通" | "1" => 1,
            "当座" | "2" => 2,
            _ => {
                return Err(Message::AccountForm {
                    ja: "種別（普通、当座）",
                    en: "kind (1 ordinary, 2 current)",
                });
            }
        };
        let holder = crate::zengin_text::name(holder)?;
        if holder.chars().count() > HOLDER {
            return Err(Message::AccountForm {
                ja: "口座名義（カナ30文字まで）",
                en: "holder (at most 30 letters of kana)",
            });
        }
        Ok(Self {
            bank: digits(bank, 4, false, ("銀行番号（4桁）", "bank (4 digits)"))?,
            branch: digits(branch, 3, false, ("支店番号（3桁）", "branch (3 digits)"))?,
            kind,
            // Old accounts have fewer digits; banks put zeros before them.
            number: digits(number, 7, true, ("口座番号（7桁まで）", "number (at most 7 digits)"))?,
            holder,
        })
    }

    pub fn kind_ja(&self) -> &'static str {
        if self.kind == 2 { "当座" } else { "普通" }
    }
}

/// Octets that an account's holder has in a record.
const HOLDER: usize = 30;
/// Octets of the creditor's name.
const CREDITOR: usize = 40;

/// Whoever is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creditor {
    /// 委託者コード.
    pub code: String,
    pub account: Account,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debit {
    pub account: Account,
    pub yen: u64,
    /// 新規コード: asked of this account for the first time.
    pub first: bool,
    /// The invoice's digits.
    pub customer: String,
}

/// What became of a debit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub customer: String,
    pub yen: u64,
    /// 振替結果コード.
    pub code: u8,
}

impl Settled {
    pub fn is_paid(&self) -> bool {
        self.code == 0
    }

    /// The bank's word for it, in Japanese and English.
    pub fn reason(&self) -> (&'static str, &'static str) {
        match self.code {
            0 => ("振替済み", "debited"),
            1 => ("資金不足", "not enough money"),
            2 => ("取引なし", "no such account"),
            3 => ("預金者の都合による振替停止", "stopped by the account's holder"),
            4 => ("預金口座振替依頼書なし", "no mandate"),
            8 => ("委託者の都合による振替停止", "stopped by us"),
            _ => ("その他", "another reason"),
        }
    }
}

/// A reason in Japanese and English.
type Why = (&'static str, &'static str);

/// What is wrong with a file, at a line of it or, without one, with the whole.
pub fn odd(line: Option<usize>, (ja, en): Why) -> Message {
    match line {
        Some(line) => {
            Message::DebitFile { ja: format!("の{line}行目: {ja}"), en: format!(", line {line}: {en}") }
        }
        None => Message::DebitFile { ja: format!("全体: {ja}"), en: format!(" as a whole: {en}") },
    }
}

pub fn digits(text: &str, length: usize, pad: bool, (ja, en): Why) -> Result<String, Message> {
    let plain: String = crate::facility::fold_word(text);
    let fits = !plain.is_empty() && plain.len() <= length && plain.bytes().all(|b| b.is_ascii_digit());
    if !fits || (plain.len() < length && !pad) {
        return Err(Message::AccountForm { ja, en });
    }
    Ok(format!("{plain:0>length$}"))
}

/// The file that asks the bank. Lines end as banks' software on Windows writes them.
pub fn request(creditor: &Creditor, day: Date, debits: &[Debit]) -> Result<Vec<u8>, Message> {
    let mut file = Vec::with_capacity((debits.len() + 3) * (RECORD + 2));
    let total: u64 = debits.iter().map(|debit| debit.yen).sum();
    let too_much = debits.len() > DEBITS_MAX || total > 999_999_999_999;
    if too_much || debits.iter().any(|debit| debit.yen > 9_999_999_999) {
        let why = ("1つのファイルに入る件数か金額を超えています", "more debits or yen than one file takes");
        return Err(odd(None, why));
    }
    let mut head = Line::new(1);
    head.digits("91", 2).digits("0", 1).digits(&creditor.code, 10).text(&creditor.account.holder, CREDITOR);
    head.digits(&format!("{:02}{:02}", day.month(), day.day()), 4);
    head.digits(&creditor.account.bank, 4).blank(15).digits(&creditor.account.branch, 3).blank(15);
    head.digits(&creditor.account.kind.to_string(), 1).digits(&creditor.account.number, 7).blank(17);
    head.end(&mut file)?;
    for debit in debits {
        let Account { bank, branch, kind, number, holder } = &debit.account;
        let mut line = Line::new(2);
        line.digits(bank, 4).blank(15).digits(branch, 3).blank(15).blank(4);
        line.digits(&kind.to_string(), 1).digits(number, 7).text(holder, HOLDER);
        line.digits(&debit.yen.to_string(), 10).digits(if debit.first { "1" } else { "0" }, 1);
        line.digits(&debit.customer, 20).digits("0", 1).blank(8);
        line.end(&mut file)?;
    }
    let mut sum = Line::new(8);
    sum.digits(&debits.len().to_string(), 6).digits(&total.to_string(), 12);
    sum.digits("0", 6).digits("0", 12).digits("0", 6).digits("0", 12).blank(65);
    sum.end(&mut file)?;
    let mut end = Line::new(9);
    end.blank(119);
    end.end(&mut file)?;
    Ok(file)
}

/// A record in the making.
struct Line {
    octets: Vec<u8>,
    /// A value that its field cannot hold.
    odd: bool,
}

impl Line {
    fn new(kind: u8) -> Self {
        Self { octets: vec![b'0' + kind], odd: false }
    }

    /// To the right, zeros before it.
    fn digits(&mut self, value: &str, length: usize) -> &mut Self {
        self.odd |= value.len() > length || !value.bytes().all(|b| b.is_ascii_digit());
        self.octets.extend_from_slice(format!("{value:0>length$}").as_bytes());
        self
    }

    /// To the left, blanks after it.
    fn text(&mut self, value: &str, length: usize) -> &mut Self {
        let mut octets = octets(value).unwrap_or_default();
        self.odd |= octets.is_empty() || octets.len() > length;
        octets.resize(length, b' ');
        self.octets.append(&mut octets);
        self
    }

    fn blank(&mut self, length: usize) -> &mut Self {
        self.octets.resize(self.octets.len() + length, b' ');
        self
    }

    fn end(mut self, file: &mut Vec<u8>) -> Result<(), Message> {
        if self.odd || self.octets.len() != RECORD {
            let line = file.len() / (RECORD + 2) + 1;
            return Err(odd(Some(line), ("欄に入らない値があります", "a value does not fit its field")));
        }
        self.octets.extend_from_slice(b"\r\n");
        file.append(&mut self.octets);
        Ok(())
    }
}

/// What the bank sent back. Its counts and sums must be those of its lines; anything else is not read at all.
pub fn results(creditor: &str, bytes: &[u8]) -> Result<Vec<Settled>, Message> {
    let wrong = |line: usize, why: Why| odd(Some(line), why);
    if bytes.len() > FILE_MAX {
        return Err(odd(None, ("ファイルが大きすぎます", "it is too large")));
    }
    let lines = split(bytes)
        .ok_or_else(|| odd(None, ("120文字の行になっていません", "its lines are not of 120 octets")))?;
    let [head, debits @ .., sum, end] = lines.as_slice() else {
        return Err(odd(None, ("行が足りません", "lines are missing")));
    };
    let of_us = field(head, 4, 10).is_some_and(|code| format!("{creditor:0>10}").as_bytes() == code);
    if head.first() != Some(&b'1') || field(head, 1, 2) != Some(b"91") || !of_us {
        let why = (
            "この委託者コードの口座振替（種別91）ではありません",
            "it is no direct debit (kind 91) of our creditor's code",
        );
        return Err(wrong(1, why));
    }
    let mut settled = Vec::with_capacity(debits.len());
    let mut seen = BTreeSet::new();
    for (place, line) in debits.iter().enumerate() {
        let number = place + 2;
        if line.first() != Some(&b'2') {
            return Err(wrong(number, ("明細の行ではありません", "it is no debit")));
        }
        let yen = count(line, 80, 10)
            .ok_or_else(|| wrong(number, ("金額が数字ではありません", "the sum is no number")))?;
        let customer = field(line, 91, 20).and_then(|octets| std::str::from_utf8(octets).ok());
        let customer = customer.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let customer = customer
            .ok_or_else(|| wrong(number, ("顧客番号が数字ではありません", "the customer is no number")))?
            .to_owned();
        let code = count(line, 111, 1).and_then(|code| u8::try_from(code).ok());
        let code =
            code.ok_or_else(|| wrong(number, ("振替結果が数字ではありません", "the result is no number")))?;
        if !seen.insert(customer.clone()) {
            return Err(wrong(number, ("同じ顧客番号が2度あります", "the customer stands there twice")));
        }
        settled.push(Settled { customer, yen, code });
    }
    agree(&settled, sum, lines.len())?;
    if end.first() != Some(&b'9') {
        return Err(wrong(lines.len(), ("終わりの行がありません", "the end is missing")));
    }
    Ok(settled)
}

fn agree(settled: &[Settled], sum: &[u8], lines: usize) -> Result<(), Message> {
    let total = |of: &dyn Fn(&&Settled) -> bool| {
        let chosen: Vec<&Settled> = settled.iter().filter(of).collect();
        (Some(chosen.len() as u64), Some(chosen.iter().map(|one| one.yen).sum::<u64>()))
    };
    let told = |at: usize| (count(sum, at, 6), count(sum, at + 6, 12));
    let is_sum = sum.first() == Some(&b'8')
        && told(1) == total(&|_| true)
        && told(19) == total(&|one| one.is_paid())
        && told(37) == total(&|one| !one.is_paid());
    if is_sum {
        return Ok(());
    }
    let why = ("件数か金額の合計が、明細と合いません", "counts or sums are not those of its debits");
    Err(odd(Some(lines - 1), why))
}

/// Records with or without line ends; a last end-of-file sign of old software is none.
fn split(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let bytes = bytes.strip_suffix(&[0x1a]).unwrap_or(bytes);
    let mut rest = bytes;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(RECORD)?;
        if line.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
            return None;
        }
        lines.push(line);
        let after = after.strip_prefix(b"\r").unwrap_or(after);
        rest = after.strip_prefix(b"\n").unwrap_or(after);
    }
    Some(lines)
}

fn field(line: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    line.get(at..at + length)
}

fn count(line: &[u8], at: usize, length: usize) -> Option<u64> {
    let octets = field(line, at, length)?;
    octets
        .iter()
        .try_fold(0u64, |sum, octet| octet.is_ascii_digit().then(|| sum * 10 + u64::from(octet - b'0')))
}

#[cfg(test)]
mod tests;
