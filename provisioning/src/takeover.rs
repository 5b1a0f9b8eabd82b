//! Registers that were kept before: one workbook with facilities (the columns of 様式1), staff with pledge and trainings,
//! VPN番号 and paid years becomes facilities with all that belongs to them, or faults at their cells. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pki::chain::Hash;
use unicode_normalization::UnicodeNormalization;
use vpn::slot::SlotNumber;

use crate::door::RowFault;
use crate::facility::fold_word;
use crate::find;
use crate::form1::{self, Application};
use crate::login;
use crate::messages::{Message, shown};
use crate::messages_intake::IntakeMessage;
use crate::sheet_columns::{Line, column, locate};
use crate::sheet_file::{self, Table};
use crate::takeover_sheet::{self, Cell, Column, Found};
use crate::training::TrainingKind;

/// The workbook's sheets.
pub const FACILITIES: &str = "様式1";
pub const STAFF: &str = "職員";
pub const SLOTS: &str = "VPN番号";
pub const PAID: &str = "納付";

pub const STAFF_COLUMNS: [Column; 10] = [
    column("事業所番号", Cell::Code, true),
    column("種別", Cell::Kind, true),
    column("氏名", Cell::Line, true),
    column("ふりがな", Cell::Kana, false),
    column("職種", Cell::Line, false),
    column("メールアドレス", Cell::Address, true),
    column("誓約書取得日", Cell::Date, true),
    column("説明会受講日", Cell::Date, false),
    column("研修受講日", Cell::Date, false),
    column("操作研修受講日", Cell::Date, false),
];
pub const SLOT_COLUMNS: [Column; 4] = [
    column("事業所番号", Cell::Code, true),
    column("種別", Cell::Kind, true),
    column("VPN番号", Cell::Line, true),
    column("Web会議", Cell::Line, false),
];
pub const PAID_COLUMNS: [Column; 3] = [
    column("事業所番号", Cell::Code, true),
    column("種別", Cell::Kind, true),
    column("納付済み年度", Cell::Line, true),
];
/// Years of an association's books.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2099;
/// 令和元年 is 2019.
const REIWA: i16 = 2018;

/// Rows of one sheet: the people of every facility of a prefecture.
pub const ROWS_MAX: usize = 30_000;

/// A facility as it stood elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub row: u32,
    pub application: Application,
    pub staff: Vec<Staff>,
    /// With the sheet's row, and whether it carries meetings.
    pub slots: Vec<(u32, SlotNumber, bool)>,
    pub paid: BTreeSet<i16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staff {
    pub row: u32,
    pub name: String,
    pub kana: String,
    pub profession: String,
    pub address: String,
    /// H-17.
    pub pledged_on: String,
    /// H-18, H-19.
    pub trainings: Vec<(TrainingKind, String)>,
}

impl Taken {
    /// The same register gives the same fingerprint, in whatever order and file it comes again.
    pub fn fingerprint(&self) -> Result<String, serde_json::Error> {
        let mut staff: Vec<String> = self
            .staff
            .iter()
            .map(|person| {
                let held: Vec<String> =
                    person.trainings.iter().map(|(kind, day)| format!("{} {day}", kind.as_str())).collect();
                let address = login::fold(&person.address);
                [
                    &person.name,
                    &person.kana,
                    &person.profession,
                    &address,
                    &person.pledged_on,
                    &held.join(" "),
                ]
                .map(String::as_str)
                .join("\t")
            })
            .collect();
        staff.sort();
        let mut slots: Vec<String> =
            self.slots.iter().map(|(_, slot, meetings)| format!("{slot} {meetings}")).collect();
        slots.sort();
        let paid: Vec<String> = self.paid.iter().map(i16::to_string).collect();
        let whole = [self.application.fingerprint()?, staff.join("\n"), slots.join("\n"), paid.join(" ")];
        Ok(Hash::of(whole.join("\n\n").as_bytes()).to_string())
    }
}

/// The sheets that there are.
pub struct Sheets {
    pub facilities: Table,
    pub staff: Option<Table>,
    pub slots: Option<Table>,
    pub paid: Option<Table>,
}

impl Sheets {
    /// A sheet that is not there is no fault; one that cannot be read is.
    pub fn open(bytes: &[u8]) -> Result<Self, Message> {
        let sheet = |name: &str| sheet_file::read_up_to(bytes, &[name], ROWS_MAX);
        let may = |name: &str| match sheet(name) {
            Ok(table) => Ok(Some(table)),
            Err(Message::SheetUnclear { .. } | Message::FileEmpty) => Ok(None),
            Err(message) => Err(message),
        };
        let facilities = sheet(FACILITIES)?;
        // A file with one table has no other sheets, and a workbook with one sheet gives that whatever was asked for.
        let others = if facilities.sheet.is_some() {
            [may(STAFF)?, may(SLOTS)?, may(PAID)?]
        } else {
            [None, None, None]
        };
        let [staff, slots, paid] = others.map(|table| table.filter(|table| table.sheet != facilities.sheet));
        Ok(Self { facilities, staff, slots, paid })
    }

    /// Says where a fault stands that was found in a sheet of this name.
    pub fn locate(&self, sheet: &str, fault: &mut RowFault) {
        match (sheet, &self.staff, &self.slots) {
            (STAFF, Some(table), _) => locate(table, &STAFF_COLUMNS, fault),
            (SLOTS, _, Some(table)) => locate(table, &SLOT_COLUMNS, fault),
            _ => form1::locate(&self.facilities, fault),
        }
    }
}

#[derive(Default)]
pub struct Reading {
    pub taken: Vec<Taken>,
    pub faults: Vec<RowFault>,
    pub warnings: Vec<RowFault>,
}

/// The columns of the trainings.
const TRAININGS: [(usize, TrainingKind); 3] =
    [(7, TrainingKind::Briefing), (8, TrainingKind::Security), (9, TrainingKind::System)];

/// The heading under which a training's day stands.
pub fn heading(kind: TrainingKind) -> &'static str {
    let place = TRAININGS.iter().find(|(_, known)| *known == kind).map_or(0, |(place, _)| *place);
    STAFF_COLUMNS.get(place).map_or("", |column| column.heading)
}

/// Of a sheet among the others, in which order its faults are told.
pub fn place(sheet: Option<&str>) -> usize {
    let place =
        |name: &str| [FACILITIES, STAFF, SLOTS, PAID].iter().position(|it| fold_word(it) == fold_word(name));
    sheet.and_then(place).unwrap_or(0)
}

type Places = BTreeMap<(String, String), usize>;

/// Reads all sheets; every bad cell is named, not only the first.
pub fn read(sheets: &Sheets) -> Reading {
    let first = form1::read(&sheets.facilities);
    let mut reading = Reading { taken: Vec::new(), faults: first.faults, warnings: first.warnings };
    let mut places = Places::new();
    for (row, application) in first.applications {
        places.insert((application.code.clone(), application.kind.clone()), reading.taken.len());
        reading.taken.push(Taken {
            row,
            application,
            staff: Vec::new(),
            slots: Vec::new(),
            paid: BTreeSet::new(),
        });
    }
    if let Some(table) = &sheets.staff {
        each(table, &STAFF_COLUMNS, &places, &mut reading, staff);
    }
    if let Some(table) = &sheets.slots {
        each(table, &SLOT_COLUMNS, &places, &mut reading, slot);
    }
    if let Some(table) = &sheets.paid {
        each(table, &PAID_COLUMNS, &places, &mut reading, paid);
    }
    refuse_twins(sheets, &mut reading);
    reading
}

/// What is wrong with which column.
type Fault = (usize, IntakeMessage);

/// The lines of a sheet, each to its facility.
fn each(
    table: &Table,
    columns: &[Column],
    places: &Places,
    reading: &mut Reading,
    put: fn(&mut Taken, &Line) -> Result<(), Fault>,
) {
    let Found { lines, faults, warnings } = takeover_sheet::read(table, columns);
    reading.faults.extend(faults);
    reading.warnings.extend(warnings);
    for line in lines {
        let key = (line.cell(0).to_owned(), line.cell(1).to_owned());
        let taken = places.get(&key).and_then(|place| reading.taken.get_mut(*place));
        let outcome = match taken {
            Some(taken) => put(taken, &line),
            None => {
                let what = format!("{} {}", key.0, key.1);
                Err((0, IntakeMessage::TakeoverRow { what }))
            }
        };
        if let Err((place, message)) = outcome {
            let mut fault = message.at(line.row, columns.get(place).map_or("", |column| column.heading));
            locate(table, columns, &mut fault);
            reading.faults.push(fault);
        }
    }
}

fn staff(taken: &mut Taken, line: &Line) -> Result<(), Fault> {
    let trainings = TRAININGS;
    let held = |(place, kind)| Some((kind, line.cell(place).to_owned())).filter(|(_, day)| !day.is_empty());
    taken.staff.push(Staff {
        row: line.row,
        name: line.cell(2).to_owned(),
        kana: line.cell(3).to_owned(),
        profession: line.cell(4).to_owned(),
        address: line.cell(5).to_owned(),
        pledged_on: line.cell(6).to_owned(),
        trainings: trainings.into_iter().filter_map(held).collect(),
    });
    Ok(())
}

/// The number is kept as it is (I-05).
fn slot(taken: &mut Taken, line: &Line) -> Result<(), Fault> {
    let text: String = line.cell(2).nfkc().filter(|c| !c.is_whitespace()).collect();
    let slot = text.parse().map_err(|_| {
        let given = shown(line.cell(2));
        (2, IntakeMessage::SlotForm { given })
    })?;
    let meetings =
        !matches!(fold_word(line.cell(3)).as_str(), "" | "×" | "✕" | "なし" | "無" | "いいえ" | "0");
    taken.slots.push((line.row, slot, meetings));
    Ok(())
}

fn paid(taken: &mut Taken, line: &Line) -> Result<(), Fault> {
    for word in line.cell(2).split(['、', ',', '，', '・', ' ', '　']).filter(|word| !word.is_empty()) {
        let year = year(word).ok_or_else(|| {
            let given = shown(word);
            (2, IntakeMessage::YearForm { given })
        })?;
        taken.paid.insert(year);
    }
    Ok(())
}

/// `2025`, `2025年度`, `令和7年度`, `R7`.
fn year(word: &str) -> Option<i16> {
    let plain: String = word.nfkc().flat_map(char::to_lowercase).collect();
    let plain = plain.trim_end_matches("度").trim_end_matches("年");
    let era = ["令和", "r"].iter().find_map(|era| plain.strip_prefix(era));
    let year = match era {
        Some("元") => REIWA + 1,
        Some(year) => year.parse::<i16>().ok().filter(|year| (1..81).contains(year))? + REIWA,
        None => plain.parse().ok()?,
    };
    YEARS.contains(&year).then_some(year)
}

/// One person under two spellings: 髙 and 高, with a blank or without.
pub fn is_same_name(one: &str, other: &str) -> bool {
    find::fold(one) == find::fold(other)
}

/// One number has one place; an address is a user's or an admin's, never both (G-03), and once in a facility.
fn refuse_twins(sheets: &Sheets, reading: &mut Reading) {
    let mut faults = Vec::new();
    let mut slots = BTreeMap::new();
    let admins = reading.taken.iter().map(|taken| login::fold(&taken.application.admin_address));
    let admins: BTreeSet<String> = admins.collect();
    let mut people: BTreeMap<String, &str> = BTreeMap::new();
    for taken in &reading.taken {
        for (row, slot, _) in &taken.slots {
            if let Some(first) = slots.insert(*slot, taken.application.name.clone()) {
                let twice = IntakeMessage::SlotTaken { slot: slot.to_string(), by: first };
                faults.push((SLOTS, twice.at(*row, "VPN番号")));
            }
        }
        let mut here = BTreeMap::new();
        for person in &taken.staff {
            let address = login::fold(&person.address);
            if admins.contains(&address) {
                faults.push((STAFF, Message::AddressAdmin.at(person.row, "メールアドレス")));
            }
            let first = *people.entry(address.clone()).or_insert(&person.name);
            if let Some(row) = here.insert(address, person.row) {
                faults.push((STAFF, Message::AddressTwice { row }.at(person.row, "メールアドレス")));
            } else if !is_same_name(first, &person.name) {
                let another = IntakeMessage::TakeoverPerson { name: first.to_owned() };
                faults.push((STAFF, another.at(person.row, "メールアドレス")));
            }
        }
    }
    for (sheet, mut fault) in faults {
        sheets.locate(sheet, &mut fault);
        reading.faults.push(fault);
    }
}

#[cfg(test)]
mod register_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        sheet_file::read(text.as_bytes()).unwrap()
    }

    fn sheets(staff: &str, slots: &str, paid: &str) -> Sheets {
        let facilities = "事業所番号,事業所名,種別,所在地,電話番号,代表者名,施設内管理者名,管理画面ログイン用メールアドレス,\
                          VPN申請数,ふくいメディカルネット参加\n\
                          1870100128,ケアプランふくい,居宅介護支援事業所,福井市大手1丁目,0776-20-0001,福井 一郎,福井 花子,\
                          kanri@care.example.jp,2,不参加\n";
        Sheets {
            facilities: table(facilities),
            staff: Some(table(&format!(
                "事業所番号,種別,氏名,職種,メールアドレス,誓約書取得日,研修受講日\n{staff}"
            ))),
            slots: Some(table(&format!("事業所番号,種別,VPN番号,Web会議\n{slots}"))),
            paid: Some(table(&format!("事業所番号,種別,納付済み年度\n{paid}"))),
        }
    }

    #[test]
    fn a_register_is_taken_with_its_numbers_pledges_years_and_trainings() {
        let reading = read(&sheets(
            "1870100128,居宅,山田 太郎,看護師,taro@care.example.jp,R6.2.15,2026/6/1\n",
            "1870100128,居宅,１８－００４２,○\n1870100128,居宅,18-0043,\n",
            "1870100128,居宅,\"2024、令和7年度\"\n",
        ));
        assert_eq!(reading.faults, []);
        let taken = &reading.taken[0];
        let slots: Vec<(String, bool)> =
            taken.slots.iter().map(|(_, slot, media)| (slot.to_string(), *media)).collect();
        assert_eq!(slots, [("18-0042".to_owned(), true), ("18-0043".to_owned(), false)]);
        assert_eq!(taken.paid, BTreeSet::from([2024, 2025]));
        assert_eq!(taken.staff[0].pledged_on, "2024-02-15");
        assert_eq!(taken.staff[0].trainings, [(TrainingKind::Security, "2026-06-01".to_owned())]);
    }

    #[test]
    fn the_same_register_has_one_fingerprint() {
        let print = |slots: &str, paid: &str| read(&sheets("", slots, paid)).taken[0].fingerprint().unwrap();
        let (one, two) = ("1870100128,居宅,18-0042,○\n", "1870100128,居宅,18-0043,\n");
        let both = print(&format!("{one}{two}"), "1870100128,居宅,2024\n");
        assert_eq!(both, print(&format!("{two}{one}"), "1870100128,居宅,R6\n"));
        assert_ne!(both, print(one, "1870100128,居宅,2024\n"));
    }

    #[test]
    fn what_belongs_to_nobody_or_to_two_is_named_at_its_cell() {
        let reading = read(&sheets(
            "1870100199,居宅,山田,,a@care.example.jp,R6.2.15,\n1870100128,居宅,福井,,KANRI@care.example.jp,R6.2.15,\n\
             1870100128,居宅,山田,,b@care.example.jp,R6.2.15,\n1870100128,居宅,川田,,B@care.example.jp,R6.2.15,\n",
            "1870100128,居宅,18-0042,\n1870100128,居宅,18-0042,\n1870100128,居宅,42,\n",
            "1870100128,居宅,昔\n",
        ));
        let found: Vec<(&str, &str)> = reading
            .faults
            .iter()
            .map(|fault| (fault.code.as_str(), fault.cell.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(
            found,
            [
                ("MM-5941", "A2"),
                ("MM-5946", "C4"),
                ("MM-5945", "C2"),
                ("MM-5942", "C3"),
                ("MM-5233", "E3"),
                ("MM-5232", "E5")
            ]
        );
    }
}
