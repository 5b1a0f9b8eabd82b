//! 様式1 利用申込書: a table becomes applications, or faults by row, column, reason and remedy (E-01).
//! Headings may stand in any order. Nothing here knows the registry except through `Registered`,
//! a value that is handed in. Pure; `Application` is also the stored form of a case, hence border.

use std::collections::BTreeMap;

use pki::chain::Hash;
use serde::{Deserialize, Serialize};

use crate::door::RowFault;
use crate::facility::{self, FacilityCode, FacilityKind, MailAddress, OFFICE_CODE};
use crate::form1_cell;
use crate::login;
use crate::messages::{Message, shown};
use crate::sheet_file::{Habit, Row, Table, letters};

pub use crate::form1_cell::VPN_MAX;
pub use crate::form1_column::Column;

/// I-02: two as a rule; more is asked about.
pub const VPN_USUAL: u32 = 2;
/// Above its headings a form has a title and a few lines, no more.
const TITLE_ROWS: usize = 10;
/// Headings that must be known before a row is taken for the headings.
const HEADINGS_MIN: usize = 3;

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
    /// ISO date; a form without it has come in when it was imported, and keeps the fingerprint it always had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_on: Option<String>,
    /// As written; empty forms keep the fingerprint that they always had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kana: Option<String>,
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
    let (headings, rows) = split(table);
    let Some(headings) = headings else { return reading };
    let places = read_headings(headings, &mut reading.faults);
    if reading.faults.is_empty() {
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
    }
    reading.faults.iter_mut().chain(&mut reading.warnings).for_each(|fault| locate(table, fault));
    reading
}

/// Says where in the table a fault stands: the sheet, the cell, what was read and what belongs there.
pub fn locate(table: &Table, fault: &mut RowFault) {
    fault.sheet.clone_from(&table.sheet);
    let column = Column::ALL.into_iter().find(|column| column.heading() == fault.column);
    if let Some(column) = column {
        column.expected_ja().clone_into(&mut fault.expected_ja);
    }
    let Some(headings) = split(table).0 else { return };
    let is_it = |text: &String| match column {
        Some(column) => Column::parse(text) == Some(column),
        None => shown(text.trim()) == fault.column,
    };
    let Some(place) = headings.cells.iter().position(is_it) else { return };
    fault.cell = Some(format!("{}{}", letters(place), fault.row));
    let row = table.rows.iter().find(|row| row.number == fault.row);
    fault.given = row.map_or_else(String::new, |row| shown(row.cell(place).trim()));
}

/// The row of headings and what stands below it. A title above them is passed over.
fn split(table: &Table) -> (Option<&Row>, &[Row]) {
    let known = |row: &Row| row.cells.iter().filter(|text| Column::parse(text).is_some()).count();
    let found = table.rows.iter().take(TITLE_ROWS).position(|row| known(row) >= HEADINGS_MIN).unwrap_or(0);
    let below = table.rows.get(found + 1..).unwrap_or(&[]);
    (table.rows.get(found), below)
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
        let nearest = Column::nearest(given);
        faults.push(Message::HeadingUnknown { given: given.clone(), nearest }.at(row.number, given));
    }
    let missing = |column: &Column| !places.contains_key(column) && !column.is_optional();
    for column in Column::ALL.into_iter().filter(missing) {
        let near = unknown.iter().find(|given| Column::nearest(given) == column.heading());
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

    fn habit(&self, column: Column) -> Option<&Habit> {
        self.places.get(&column).and_then(|place| self.row.habit(*place))
    }

    /// All cells are looked at before the row is given up.
    fn application(&self, reading: &mut Reading) -> Option<Application> {
        let faults = &mut reading.faults;
        let code = self.take(Column::Code, faults, form1_cell::code);
        let kind = self.take(Column::Kind, faults, FacilityKind::parse_applicant);
        let name = self.take(Column::Name, faults, facility::line);
        let admin_name = self.take(Column::AdminName, faults, facility::line);
        let admin_address = self.take(Column::AdminAddress, faults, MailAddress::of_admin);
        let postal_address = self.may(Column::PostalAddress, faults, form1_cell::postal_address);
        let telephone = self.may(Column::Telephone, faults, form1_cell::telephone);
        let representative = self.may(Column::Representative, faults, facility::line);
        let vpn_requested = self.may(Column::VpnRequested, faults, form1_cell::count);
        let medical_net = self.may(Column::MedicalNet, faults, form1_cell::yes_no);
        let received_on = self.may(Column::ReceivedOn, faults, form1_cell::date);
        let kana = self.may(Column::Kana, faults, form1_cell::kana);
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
            received_on: received_on?.map(|day| day.to_string()),
            kana: Some(kana?).filter(|kana| !kana.is_empty()),
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
        let parsed = form1_cell::look(column, text, self.habit(column))
            .and_then(|()| if text.is_empty() { Err(Message::CellEmpty) } else { parse(text) });
        parsed.map_err(|message| faults.push(message.at(self.row.number, column.heading()))).ok()
    }

    /// A cell that may be blank.
    fn may<T: Default>(
        &self,
        column: Column,
        faults: &mut Vec<RowFault>,
        parse: impl Fn(&str) -> Result<T, Message>,
    ) -> Option<T> {
        let is_blank = self.text(column).is_empty()
            && !matches!(self.habit(column), Some(Habit::Merged(_) | Habit::Uncomputed));
        if is_blank { Some(T::default()) } else { self.take(column, faults, parse) }
    }

    /// What is allowed, but asked about.
    fn doubts(&self, application: &Application, warnings: &mut Vec<RowFault>) {
        for column in self.places.keys().filter(|column| self.habit(**column) == Some(&Habit::Computed)) {
            warnings.push(Message::CellComputed.at(self.row.number, column.heading()));
        }
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
