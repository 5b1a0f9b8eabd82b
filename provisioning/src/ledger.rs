//! 管理台帳 (E-09) of a facility as values: its users with their pledge and the day they went, its devices with theirs, the
//! patients' groups; as a workbook, as CSV, as pages, and read back. What somebody changed in a returned one is a pledge's
//! day or a device's name; everything else has a procedure of its own and is only compared. Pure.

use jiff::civil::Date;
use rust_xlsxwriter::{Format, FormatBorder, Workbook, Worksheet, XlsxError};

use crate::door::RowFault;
use crate::fee_paper::quoted;
use crate::font::Fonts;
use crate::messages_paper::PaperMessage;
use crate::paper_field::Cell;
use crate::paper_page::{self, Listed, Rows};
use crate::paper_sheet::Unprinted;
use crate::sheet_columns::{self, Column, column};
use crate::sheet_file::Table;

pub const PEOPLE_SHEET: &str = "利用者";
pub const DEVICES_SHEET: &str = "端末";
const GROUPS_SHEET: &str = "患者グループ";

/// One line of the users' table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerPerson {
    pub name: String,
    pub profession: String,
    pub admin: bool,
    /// Empty once the account is erased (P-33).
    pub login: String,
    pub pledged_on: String,
    /// 登録削除日; empty: still there.
    pub gone_on: String,
}

/// One line of the devices' table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerDevice {
    pub device: String,
    pub slot: String,
    pub label: String,
    pub state: String,
    pub since: String,
    pub until: String,
}

/// One line of the groups' table: it names a patient, so it has no `Debug` and lives for one answer.
pub struct LedgerGroup {
    pub patient_name: String,
    pub since: String,
    pub invited_by: String,
}

pub struct Ledger {
    pub facility_name: String,
    pub people: Vec<LedgerPerson>,
    pub devices: Vec<LedgerDevice>,
    pub groups: Vec<LedgerGroup>,
}

const PEOPLE: [Column; 6] = [
    column("氏名", Cell::Line, true),
    column("所属(職種)", Cell::Line, false),
    column("管理者", Cell::Line, false),
    column("ID(メール)", Cell::Line, false),
    column("利用開始日(誓約書取得日)", Cell::PastDate, false),
    column("登録削除日", Cell::Date, false),
];
const DEVICES: [Column; 5] = [
    column("VPN番号", Cell::Line, true),
    column("機器の種類・機種", Cell::Line, false),
    column("状態", Cell::Line, false),
    column("登録日", Cell::Date, false),
    column("終了日", Cell::Date, false),
];
/// Address, birthday and the group's end are held nowhere here: they are written in by hand, in the facility's own copy.
const GROUPS: [Column; 6] = [
    column("患者氏名", Cell::Line, true),
    column("住所", Cell::Line, false),
    column("生年月日", Cell::Date, false),
    column("グループ作成日", Cell::Date, false),
    column("招待した事業所", Cell::Line, false),
    column("グループ消去日", Cell::Date, false),
];
const PEOPLE_WIDTHS: [f32; 6] = [18.0, 20.0, 8.0, 34.0, 24.0, 14.0];
const DEVICES_WIDTHS: [f32; 5] = [12.0, 34.0, 14.0, 14.0, 14.0];
const GROUPS_WIDTHS: [f32; 6] = [20.0, 30.0, 14.0, 14.0, 26.0, 14.0];

impl Ledger {
    fn people_rows(&self) -> Vec<Vec<String>> {
        let row = |person: &LedgerPerson| {
            let admin = if person.admin { "○" } else { "" };
            vec![
                person.name.clone(),
                person.profession.clone(),
                admin.to_owned(),
                person.login.clone(),
                person.pledged_on.clone(),
                person.gone_on.clone(),
            ]
        };
        self.people.iter().map(row).collect()
    }

    fn device_rows(&self) -> Vec<Vec<String>> {
        let row = |device: &LedgerDevice| {
            let LedgerDevice { slot, label, state, since, until, .. } = device;
            vec![slot.clone(), label.clone(), state.clone(), since.clone(), until.clone()]
        };
        self.devices.iter().map(row).collect()
    }

    fn group_rows(&self) -> Vec<Vec<String>> {
        let row = |group: &LedgerGroup| {
            let (by_hand, invited_by) = (String::new, group.invited_by.clone());
            vec![group.patient_name.clone(), by_hand(), by_hand(), group.since.clone(), invited_by, by_hand()]
        };
        self.groups.iter().map(row).collect()
    }

    /// Every cell a text, so that Excel changes none of them.
    pub fn xlsx(&self) -> Result<Vec<u8>, XlsxError> {
        let mut book = Workbook::new();
        sheet(book.add_worksheet().set_name(PEOPLE_SHEET)?, &PEOPLE, &PEOPLE_WIDTHS, &self.people_rows())?;
        sheet(book.add_worksheet().set_name(DEVICES_SHEET)?, &DEVICES, &DEVICES_WIDTHS, &self.device_rows())?;
        sheet(book.add_worksheet().set_name(GROUPS_SHEET)?, &GROUPS, &GROUPS_WIDTHS, &self.group_rows())?;
        book.save_to_buffer()
    }

    /// The users' table, or the devices', as Excel opens it.
    pub fn csv(&self, devices: bool) -> Vec<u8> {
        let (columns, rows): (&[Column], _) =
            if devices { (&DEVICES[..], self.device_rows()) } else { (&PEOPLE[..], self.people_rows()) };
        let heading: Vec<String> = columns.iter().map(|column| column.heading.to_owned()).collect();
        let line =
            |row: &Vec<String>| row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n";
        let text: String = std::iter::once(&heading).chain(&rows).map(line).collect();
        format!("\u{feff}{text}").into_bytes()
    }

    pub fn pdf(&self, fonts: &Fonts, printed_on: &str) -> Result<Vec<u8>, Unprinted> {
        let (people, devices) = (shares(&PEOPLE, &PEOPLE_WIDTHS), shares(&DEVICES, &DEVICES_WIDTHS));
        let groups = shares(&GROUPS, &GROUPS_WIDTHS);
        let tables = [
            Rows { caption: "1　利用者名簿", columns: &people, rows: self.people_rows() },
            Rows { caption: "2　端末", columns: &devices, rows: self.device_rows() },
            Rows { caption: "3　患者グループ名簿", columns: &groups, rows: self.group_rows() },
        ];
        let foot = format!("事業所で保管　印刷日 {printed_on}");
        let below = format!("事業所名　{}", self.facility_name);
        paper_page::list(fonts, &Listed { title: "管理台帳", below: &below, tables: &tables, foot: &foot })
    }
}

fn shares<const N: usize>(columns: &[Column; N], widths: &[f32; N]) -> [(&'static str, f32); N] {
    std::array::from_fn(|place| (columns[place].heading, widths[place]))
}

fn sheet(
    sheet: &mut Worksheet,
    columns: &[Column],
    widths: &[f32],
    rows: &[Vec<String>],
) -> Result<(), XlsxError> {
    let heading = Format::new().set_bold().set_text_wrap().set_border(FormatBorder::Thin);
    let text = Format::new().set_num_format("@").set_border(FormatBorder::Hair);
    for ((place, column), width) in (0u16..).zip(columns).zip(widths) {
        sheet.write_string_with_format(0, place, column.heading, &heading)?;
        sheet.set_column_width(place, f64::from(*width))?;
    }
    for (row, cells) in (1u32..).zip(rows) {
        for (place, cell) in (0u16..).zip(cells) {
            sheet.write_string_with_format(row, place, cell, &text)?;
        }
    }
    sheet.set_freeze_panes(1, 1)?;
    sheet.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0).set_repeat_rows(0, 0)?;
    Ok(())
}

/// What a returned ledger asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// H-17, by login.
    Pledge {
        login: String,
        on: String,
    },
    Label {
        device: String,
        label: String,
    },
}

/// A returned table of users or of devices against the ledger as it is: changes, or what may not be changed here.
pub fn returned(ledger: &Ledger, table: &Table, today: Date) -> (Vec<Change>, Vec<RowFault>) {
    let of_devices = table.sheet.as_deref() == Some(DEVICES_SHEET)
        || (table.sheet.is_none() && sheet_columns::read(table, &DEVICES, today).1.is_empty());
    let columns: &[Column] = if of_devices { &DEVICES } else { &PEOPLE };
    let (lines, mut faults) = sheet_columns::read(table, columns, today);
    let mut changes = Vec::new();
    for line in lines {
        let found = if of_devices { device(ledger, &line.cells) } else { person(ledger, &line.cells) };
        match found {
            Ok(change) => changes.extend(change),
            Err((place, message)) => {
                let heading = columns.get(place).map_or("", |column| column.heading);
                let mut fault = message.at(line.row, heading);
                sheet_columns::locate(table, columns, &mut fault);
                faults.push(fault);
            }
        }
    }
    (changes, faults)
}

type Found = Result<Option<Change>, (usize, PaperMessage)>;

/// As it stood before CSV made it harmless for Excel (`fee_paper::quoted`).
fn cell(cells: &[String], place: usize) -> &str {
    let text = cells.get(place).map_or("", String::as_str);
    text.strip_prefix('\'').filter(|bare| bare.starts_with(['=', '+', '-', '@'])).unwrap_or(text)
}

fn fixed(columns: &[Column], place: usize) -> (usize, PaperMessage) {
    let column = columns.get(place).map_or("", |column| column.heading).to_owned();
    (place, PaperMessage::LedgerFixed { column })
}

fn person(ledger: &Ledger, cells: &[String]) -> Found {
    let [name, profession, admin, login, pledged, gone] = std::array::from_fn(|place| cell(cells, place));
    // The same login may stand in both parts, for whoever came back.
    let same = |person: &&LedgerPerson| person.login == login && person.gone_on == gone;
    let by_name = |person: &&LedgerPerson| login.is_empty() && person.login.is_empty() && person.name == name;
    let known = ledger.people.iter().find(same).or_else(|| ledger.people.iter().find(by_name));
    let Some(known) = known else {
        if ledger.people.iter().any(|person| !login.is_empty() && person.login == login) {
            return Err(fixed(&PEOPLE, 5));
        }
        return Err((
            3,
            PaperMessage::LedgerRow { what: if login.is_empty() { name } else { login }.to_owned() },
        ));
    };
    let was = [&known.name, &known.profession].map(String::as_str);
    if let Some(place) = [name, profession].iter().zip(was).position(|(now, was)| *now != was) {
        return Err(fixed(&PEOPLE, place));
    }
    if admin.is_empty() == known.admin {
        return Err(fixed(&PEOPLE, 2));
    }
    if pledged == known.pledged_on {
        return Ok(None);
    }
    if pledged.is_empty() || !gone.is_empty() {
        return Err(fixed(&PEOPLE, 4));
    }
    Ok(Some(Change::Pledge { login: login.to_owned(), on: pledged.to_owned() }))
}

fn device(ledger: &Ledger, cells: &[String]) -> Found {
    let [slot, label, state, since, until] = std::array::from_fn(|place| cell(cells, place));
    let same = |device: &&LedgerDevice| device.slot == slot && device.since == since && device.until == until;
    let Some(known) = ledger.devices.iter().find(same) else {
        return Err((0, PaperMessage::LedgerRow { what: slot.to_owned() }));
    };
    if state != known.state {
        return Err(fixed(&DEVICES, 2));
    }
    if label == known.label {
        return Ok(None);
    }
    if !until.is_empty() {
        return Err(fixed(&DEVICES, 1));
    }
    Ok(Some(Change::Label { device: known.device.clone(), label: label.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::tests::installed;
    use crate::sheet_file;

    const TODAY: Date = Date::constant(2026, 11, 21);

    fn ledger() -> Ledger {
        let person = |name: &str, login: &str, gone_on: &str| LedgerPerson {
            name: name.into(),
            profession: "看護師".into(),
            admin: false,
            login: login.into(),
            pledged_on: "2026-04-01".into(),
            gone_on: gone_on.into(),
        };
        let device = LedgerDevice {
            device: "d-1".into(),
            slot: "18-0042".into(),
            label: "-80 iPad".into(),
            state: "利用中".into(),
            since: "2026-04-02".into(),
            until: String::new(),
        };
        Ledger {
            facility_name: "ケアプランふくい".into(),
            people: vec![
                person("髙橋 花子", "hanako@care.example.jp", ""),
                person("佐藤 一", "", "2026-09-30"),
            ],
            devices: vec![device],
            groups: vec![LedgerGroup {
                patient_name: "山田 太郎".into(),
                since: "2026-05-01".into(),
                invited_by: "さくら医院".into(),
            }],
        }
    }

    fn sheets(bytes: &[u8]) -> [Table; 2] {
        [PEOPLE_SHEET, DEVICES_SHEET].map(|name| sheet_file::read_sheet(bytes, &[name]).unwrap())
    }

    /// Requirements H-05.
    #[test]
    fn e_09_what_is_exported_comes_back_without_a_change_in_every_form() {
        let ledger = ledger();
        for table in sheets(&ledger.xlsx().unwrap()) {
            assert_eq!(returned(&ledger, &table, TODAY), (vec![], vec![]), "{:?}", table.sheet);
        }
        for devices in [false, true] {
            let table = sheet_file::read(&ledger.csv(devices)).unwrap();
            assert_eq!(returned(&ledger, &table, TODAY), (vec![], vec![]), "{devices}");
        }
        assert!(ledger.pdf(&installed(), "2026-11-21").unwrap().starts_with(b"%PDF"));
    }

    #[test]
    fn h_17_a_pledge_and_a_devices_name_come_back_and_nothing_else_does() {
        let before = ledger();
        let mut after = ledger();
        after.people[0].pledged_on = "2026-10-01".into();
        after.devices[0].label = "iPad 10".into();
        let found: Vec<Change> = sheets(&after.xlsx().unwrap())
            .iter()
            .flat_map(|table| returned(&before, table, TODAY).0)
            .collect();
        let login = "hanako@care.example.jp".to_owned();
        assert_eq!(
            found,
            [
                Change::Pledge { login, on: "2026-10-01".into() },
                Change::Label { device: "d-1".into(), label: "iPad 10".into() }
            ]
        );
        let refused = |change: fn(&mut Ledger)| {
            let mut after = ledger();
            change(&mut after);
            let faults: Vec<RowFault> = sheets(&after.xlsx().unwrap())
                .iter()
                .flat_map(|table| returned(&before, table, TODAY).1)
                .collect();
            faults.into_iter().map(|fault| fault.code).collect::<Vec<_>>()
        };
        assert_eq!(refused(|it| it.people[0].profession = "医師".into()), ["MM-5932"]);
        assert_eq!(refused(|it| it.people[0].admin = true), ["MM-5932"]);
        assert_eq!(refused(|it| it.people[0].gone_on = "2026-10-01".into()), ["MM-5932"]);
        assert_eq!(refused(|it| it.people[0].login = "new@care.example.jp".into()), ["MM-5931"]);
        assert_eq!(refused(|it| it.devices[0].slot = "18-0043".into()), ["MM-5931"]);
        assert_eq!(refused(|it| it.devices[0].state = "廃止".into()), ["MM-5932"]);
        assert_eq!(refused(|it| it.people[0].pledged_on = "2027-01-01".into()), ["MM-5924"], "of tomorrow");
    }
}
