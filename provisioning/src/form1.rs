//! 様式1 利用申込書: a table becomes applications, or faults by row, column, reason and remedy (E-01).
//! Headings may stand in any order. Nothing here knows the registry except through `Registered`,
//! a value that is handed in. Pure; `Application` is also the stored form of a case, hence border.

use std::collections::BTreeMap;

use pki::chain::Hash;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::door::RowFault;
use crate::facility::{self, FacilityCode, FacilityKind, MailAddress, OFFICE_CODE};
use crate::login;
use crate::messages::{Message, shown};
use crate::sheet_file::{Row, Table};

/// I-02: two as a rule; more is asked about.
pub const VPN_USUAL: u32 = 2;
/// What one form may ask for; more is a conversation, not a form.
pub const VPN_MAX: u32 = 10;

/// The columns, in the order of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    Code,
    Name,
    Kind,
    PostalAddress,
    Telephone,
    Representative,
    AdminName,
    AdminAddress,
    VpnRequested,
    MedicalNet,
}

impl Column {
    pub const ALL: [Column; 10] = [
        Column::Code,
        Column::Name,
        Column::Kind,
        Column::PostalAddress,
        Column::Telephone,
        Column::Representative,
        Column::AdminName,
        Column::AdminAddress,
        Column::VpnRequested,
        Column::MedicalNet,
    ];

    pub fn heading(self) -> &'static str {
        match self {
            Column::Code => "事業所番号",
            Column::Name => "事業所名",
            Column::Kind => "種別",
            Column::PostalAddress => "所在地",
            Column::Telephone => "電話番号",
            Column::Representative => "代表者名",
            Column::AdminName => "施設内管理者名",
            Column::AdminAddress => "管理画面ログイン用メールアドレス",
            Column::VpnRequested => "VPN申請数",
            Column::MedicalNet => "ふくいメディカルネット参加",
        }
    }

    fn parse(heading: &str) -> Option<Self> {
        let word = facility::fold_word(heading);
        Column::ALL.into_iter().find(|column| facility::fold_word(column.heading()) == word)
    }
}

/// One application as it was meant. Serialised field by field in this order, which the fingerprint relies on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    pub code: String,
    pub kind: String,
    pub name: String,
    pub postal_address: String,
    pub telephone: String,
    pub representative: String,
    pub admin_name: String,
    pub admin_address: String,
    pub vpn_requested: u32,
    pub medical_net: bool,
}

impl Application {
    /// The same application gives the same fingerprint, whatever file, order and width it came in.
    pub fn fingerprint(&self) -> Result<String, serde_json::Error> {
        Ok(Hash::of(&serde_json::to_vec(self)?).to_string())
    }

    /// P-01: a facility with VPN申請数 0 still needs a place for its first device.
    pub fn slots(&self) -> u32 {
        self.vpn_requested.max(1)
    }
}

/// What was read: rows that are right, and what is wrong or doubtful with the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub applications: Vec<(u32, Application)>,
    /// Nothing may be written while there is one.
    pub faults: Vec<RowFault>,
    /// Asked about, not refused.
    pub warnings: Vec<RowFault>,
}

/// Reads the whole table; every bad cell is named, not only the first.
pub fn read(table: &Table) -> Reading {
    let mut reading = Reading::default();
    let Some((headings, rows)) = table.rows.split_first() else { return reading };
    let places = read_headings(headings, &mut reading.faults);
    if !reading.faults.is_empty() {
        return reading;
    }
    for row in rows {
        let cells = Cells { row, places: &places };
        if let Some(application) = cells.application(&mut reading) {
            reading.applications.push((row.number, application));
        }
    }
    refuse_twins(&mut reading);
    if rows.is_empty() {
        reading.faults.push(Message::FileEmpty.at(headings.number + 1, Column::Code.heading()));
    }
    reading
}

type Places = BTreeMap<Column, usize>;

fn read_headings(row: &Row, faults: &mut Vec<RowFault>) -> Places {
    let mut places = Places::new();
    let mut unknown = Vec::new();
    for (place, text) in row.cells.iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        match Column::parse(text) {
            Some(column) if places.contains_key(&column) => {
                faults.push(Message::HeadingTwice.at(row.number, column.heading()));
            }
            Some(column) => {
                places.insert(column, place);
            }
            None => unknown.push(shown(text.trim())),
        }
    }
    for given in &unknown {
        let nearest = facility::nearest(given, Column::ALL.map(Column::heading));
        faults.push(Message::HeadingUnknown { given: given.clone(), nearest }.at(row.number, given));
    }
    for column in Column::ALL.into_iter().filter(|column| !places.contains_key(column)) {
        let near = unknown
            .iter()
            .find(|given| facility::nearest(given, Column::ALL.map(Column::heading)) == column.heading());
        let message = match near {
            Some(found) => Message::HeadingMissingNear { found: found.clone() },
            None => Message::HeadingMissing,
        };
        faults.push(message.at(row.number, column.heading()));
    }
    places
}

/// One row with the places of its columns.
struct Cells<'a> {
    row: &'a Row,
    places: &'a Places,
}

impl Cells<'_> {
    fn text(&self, column: Column) -> &str {
        self.places.get(&column).map_or("", |place| self.row.cell(*place)).trim()
    }

    /// All cells are looked at before the row is given up.
    fn application(&self, reading: &mut Reading) -> Option<Application> {
        let faults = &mut reading.faults;
        let code = self.take(Column::Code, faults, FacilityCode::parse);
        let kind = self.take(Column::Kind, faults, FacilityKind::parse_applicant);
        let name = self.take(Column::Name, faults, facility::line);
        let admin_name = self.take(Column::AdminName, faults, facility::line);
        let admin_address = self.take(Column::AdminAddress, faults, MailAddress::parse);
        let postal_address = self.may(Column::PostalAddress, faults, facility::line);
        let telephone = self.may(Column::Telephone, faults, facility::telephone);
        let representative = self.may(Column::Representative, faults, facility::line);
        let vpn_requested = self.may(Column::VpnRequested, faults, read_count);
        let medical_net = self.may(Column::MedicalNet, faults, read_yes_no);
        if code.as_ref().is_some_and(|code| code.as_str() == OFFICE_CODE) {
            let given = OFFICE_CODE.to_owned();
            faults.push(Message::CodeReserved { given }.at(self.row.number, Column::Code.heading()));
            return None;
        }
        let application = Application {
            code: code?.to_string(),
            kind: kind?.to_string(),
            name: name?,
            postal_address: postal_address?,
            telephone: telephone?,
            representative: representative?,
            admin_name: admin_name?,
            admin_address: admin_address?.written().to_owned(),
            vpn_requested: vpn_requested?,
            medical_net: medical_net?,
        };
        self.doubts(&application, &mut reading.warnings);
        Some(application)
    }

    /// A cell that must be filled.
    fn take<T>(
        &self,
        column: Column,
        faults: &mut Vec<RowFault>,
        parse: impl Fn(&str) -> Result<T, Message>,
    ) -> Option<T> {
        let text = self.text(column);
        let parsed = if text.is_empty() { Err(Message::CellEmpty) } else { parse(text) };
        parsed.map_err(|message| faults.push(message.at(self.row.number, column.heading()))).ok()
    }

    /// A cell that may be blank.
    fn may<T: Default>(
        &self,
        column: Column,
        faults: &mut Vec<RowFault>,
        parse: impl Fn(&str) -> Result<T, Message>,
    ) -> Option<T> {
        if self.text(column).is_empty() { Some(T::default()) } else { self.take(column, faults, parse) }
    }

    /// What is allowed, but asked about.
    fn doubts(&self, application: &Application, warnings: &mut Vec<RowFault>) {
        let code = FacilityCode::parse(&application.code);
        if code.is_ok_and(|code| !code.check_digit_matches()) {
            let given = application.code.clone();
            warnings.push(Message::CodeCheck { given }.at(self.row.number, Column::Code.heading()));
        }
        if let Some(domain) = login::carrier(&application.admin_address.to_lowercase()) {
            let domain = domain.to_owned();
            warnings
                .push(Message::AddressCarrier { domain }.at(self.row.number, Column::AdminAddress.heading()));
        }
        if application.vpn_requested > VPN_USUAL {
            let unusual = Message::CountUnusual { given: application.vpn_requested, usual: VPN_USUAL };
            warnings.push(unusual.at(self.row.number, Column::VpnRequested.heading()));
        }
    }
}

/// `2`, `２`, `2台`, `2.0`.
fn read_count(text: &str) -> Result<u32, Message> {
    let plain: String = text.nfkc().collect();
    let plain = plain.trim().trim_end_matches(['台', '個', '本']);
    let plain = plain.strip_suffix(".0").unwrap_or(plain).trim();
    let count: u32 = plain.parse().map_err(|_| Message::CountForm { given: shown(text) })?;
    if count > VPN_MAX { Err(Message::CountTooMany { given: count, limit: VPN_MAX }) } else { Ok(count) }
}

fn read_yes_no(text: &str) -> Result<bool, Message> {
    match facility::fold_word(text).as_str() {
        "参加" | "参加済" | "参加済み" | "参加している" | "有" | "あり" | "はい" | "○" | "〇" | "◯" | "●"
        | "1" | "true" | "yes" => Ok(true),
        "不参加"
        | "未参加"
        | "参加していない"
        | "無"
        | "なし"
        | "いいえ"
        | "×"
        | "✕"
        | "0"
        | "false"
        | "no" => Ok(false),
        _ => Err(Message::YesNoForm { given: shown(text) }),
    }
}

/// Two rows of one file may share neither code and kind (G-01) nor the admin address.
fn refuse_twins(reading: &mut Reading) {
    let mut codes = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (row, application) in &reading.applications {
        let first = *codes.entry((&application.code, &application.kind)).or_insert(*row);
        if first != *row {
            reading.faults.push(Message::CodeTwice { row: first }.at(*row, Column::Code.heading()));
        }
        let first = *addresses.entry(application.admin_address.to_lowercase()).or_insert(*row);
        if first != *row {
            reading
                .faults
                .push(Message::AddressTwice { row: first }.at(*row, Column::AdminAddress.heading()));
        }
    }
}

#[cfg(test)]
mod tests;
