//! Tables of good and bad 様式1 (E-01, G-01, G-03, I-02).

use super::*;
use crate::sheet_file;

const HEADINGS: &str = "事業所番号,事業所名,種別,所在地,電話番号,代表者名,施設内管理者名,管理画面ログイン用メールアドレス,VPN申請数,ふくいメディカルネット参加";
const GOOD: &str = "1870100128,ケアプランふくい,居宅介護支援事業所,福井市大手1-1-1,0776-00-1234,福井 太郎,福井 花子,kanri@care.example.jp,2,参加";

fn read_rows(rows: &[&str]) -> Reading {
    let text = std::iter::once(HEADINGS).chain(rows.iter().copied()).collect::<Vec<_>>().join("\n");
    read(&sheet_file::read(text.as_bytes()).unwrap())
}

/// A good row with one column changed.
fn with(column: Column, text: &str) -> String {
    let place = Column::ALL.iter().position(|c| *c == column).unwrap();
    let mut cells: Vec<&str> = GOOD.split(',').collect();
    cells[place] = text;
    cells.join(",")
}

fn names(faults: &[RowFault]) -> Vec<(u32, &str, &str)> {
    faults.iter().map(|f| (f.row, f.column.as_str(), f.code.as_str())).collect()
}

#[test]
fn a_good_row_is_an_application() {
    let reading = read_rows(&[GOOD]);
    assert_eq!((reading.faults, reading.warnings), (vec![], vec![]));
    let (row, application) = &reading.applications[0];
    assert_eq!(*row, 2);
    assert_eq!(application.kind, "居宅介護支援事業所");
    assert_eq!((application.vpn_requested, application.slots(), application.medical_net), (2, 2, true));
}

#[test]
fn each_bad_cell_is_named_by_row_column_and_reason() {
    let long = "あ".repeat(101);
    for (column, text, code) in [
        (Column::Code, "", "MM-5201"),
        (Column::Code, "18701001", "MM-5211"),
        (Column::Code, "187010012", "MM-5218"),
        (Column::Code, "18701001２X", "MM-5212"),
        (Column::Code, "9900000001", "MM-5214"),
        (Column::Name, "　", "MM-5201"),
        (Column::Name, long.as_str(), "MM-5202"),
        (Column::Name, "\"さくら\n医院\"", "MM-5203"),
        (Column::Kind, "医化", "MM-5221"),
        (Column::Kind, "事務局", "MM-5221"),
        (Column::Telephone, "1234", "MM-5241"),
        (Column::AdminName, "", "MM-5201"),
        (Column::AdminAddress, "kanri＠", "MM-5231"),
        (Column::AdminAddress, "", "MM-5201"),
        (Column::VpnRequested, "二つ", "MM-5251"),
        (Column::VpnRequested, "-1", "MM-5251"),
        (Column::VpnRequested, "11", "MM-5253"),
        (Column::MedicalNet, "たぶん", "MM-5261"),
    ] {
        let reading = read_rows(&[&with(column, text)]);
        assert_eq!(names(&reading.faults), [(2, column.heading(), code)], "{text}");
        assert!(reading.applications.is_empty());
        let fault = &reading.faults[0];
        assert!(!fault.reason_ja.is_empty() && !fault.remedy_ja.is_empty() && !fault.remedy_en.is_empty());
    }
}

#[test]
fn all_bad_cells_of_all_rows_are_named_at_once() {
    let bad = "12,,x,,,,,y,z,w";
    let reading = read_rows(&[bad, GOOD, bad]);
    assert_eq!(reading.faults.len(), 14);
    assert_eq!(reading.applications.len(), 1);
    assert!(reading.faults.iter().all(|f| f.row == 2 || f.row == 4));
}

#[test]
fn i_02_vpn_requested_reads_blank_full_width_and_warns_above_two() {
    for (text, count, slots) in [("", 0, 1), ("０", 0, 1), ("２", 2, 2), ("2台", 2, 2), ("1.0", 1, 1)] {
        let reading = read_rows(&[&with(Column::VpnRequested, text)]);
        assert_eq!((reading.faults, reading.warnings), (vec![], vec![]), "{text}");
        let application = &reading.applications[0].1;
        assert_eq!((application.vpn_requested, application.slots()), (count, slots), "{text}");
    }
    let reading = read_rows(&[&with(Column::VpnRequested, "3")]);
    assert_eq!(names(&reading.warnings), [(2, "VPN申請数", "MM-5252")]);
    assert_eq!(reading.applications.len(), 1);
}

#[test]
fn g_01_a_wrong_check_digit_is_asked_about() {
    let reading = read_rows(&[&with(Column::Code, "1870100120")]);
    assert_eq!(names(&reading.warnings), [(2, "事業所番号", "MM-5213")]);
    assert_eq!(reading.applications.len(), 1);
}

#[test]
fn twins_in_one_file_are_refused_and_the_first_is_named() {
    let other_kind = with(Column::Kind, "訪問看護ST").replace("kanri@", "houkan@");
    assert_eq!(read_rows(&[GOOD, &other_kind]).faults, [], "G-01: unique per code and kind");
    let same_code = GOOD.replace("kanri@", "other@");
    assert_eq!(names(&read_rows(&[GOOD, &same_code]).faults), [(3, "事業所番号", "MM-5215")]);
    let same_address = GOOD.replace("1870100128", "1870100136").replace("kanri@care", "KANRI@Care");
    let reading = read_rows(&[GOOD, &same_address]);
    assert_eq!(names(&reading.faults), [(3, "管理画面ログイン用メールアドレス", "MM-5232")]);
    assert!(reading.faults[0].reason_ja.contains("2行目"));
}

#[test]
fn headings_stand_in_any_order_and_width() {
    let text = "ＶＰＮ申請数,施設内管理者名,種別,事業所名,事業所番号,代表者名,電話番号,所在地,ふくいメディカルネット参加,管理画面ログイン用メールアドレス\n\
                ,福井 花子,薬局,みどり薬局,1840100127,,,,,kanri@midori.example.jp";
    let reading = read(&sheet_file::read(text.as_bytes()).unwrap());
    assert_eq!(reading.faults, []);
    let application = &reading.applications[0].1;
    assert_eq!((application.name.as_str(), application.kind.as_str()), ("みどり薬局", "保険薬局"));
    assert_eq!((application.vpn_requested, application.medical_net), (0, false));
}

#[test]
fn wrong_headings_are_named_with_the_nearest() {
    let text =
        format!("{}\n{GOOD}", HEADINGS.replace("事業所番号", "事務所番号").replace(",電話番号", ",備考"));
    let reading = read(&sheet_file::read(text.as_bytes()).unwrap());
    assert_eq!(
        names(&reading.faults),
        [
            (1, "事務所番号", "MM-5111"),
            (1, "備考", "MM-5111"),
            (1, "事業所番号", "MM-5113"),
            (1, "電話番号", "MM-5112")
        ]
    );
    assert!(reading.faults[0].remedy_ja.contains("「事業所番号」"));
    let twice = format!("{HEADINGS},種別\n{GOOD},医科");
    assert_eq!(names(&read(&sheet_file::read(twice.as_bytes()).unwrap()).faults), [(1, "種別", "MM-5114")]);
}

#[test]
fn a_form_without_rows_says_so() {
    assert_eq!(names(&read_rows(&[]).faults), [(2, "事業所番号", "MM-5101")]);
}

#[test]
fn the_fingerprint_is_of_what_was_meant() {
    let print = |row: &str| read_rows(&[row]).applications[0].1.fingerprint().unwrap();
    let same =
        with(Column::Code, "１８７０１００１２８").replace(",2,", ",２,").replace("参加", " 参加済み ");
    assert_eq!(print(GOOD), print(&same));
    assert_ne!(print(GOOD), print(&with(Column::VpnRequested, "1")));
}

/// F-07, G-11: the day on which the paper arrived, however it was written.
#[test]
fn the_day_of_receipt_is_read_in_every_form() {
    for (text, day) in [
        ("2024/3/29", Some("2024-03-29")),
        ("令和6年3月29日", Some("2024-03-29")),
        ("R6.3.29", Some("2024-03-29")),
        ("45380", Some("2024-03-29")),
        ("", None),
    ] {
        let text = format!("{HEADINGS},受付日\n{GOOD},{text}");
        let reading = read(&sheet_file::read(text.as_bytes()).unwrap());
        assert_eq!(reading.faults, []);
        assert_eq!(reading.applications[0].1.received_on.as_deref(), day, "{text}");
    }
    let text = format!("{HEADINGS},受付日\n{GOOD},3月末");
    let fault = read(&sheet_file::read(text.as_bytes()).unwrap()).faults.remove(0);
    assert_eq!(
        (fault.code.as_str(), fault.cell.as_deref(), fault.given.as_str()),
        ("MM-5271", Some("K2"), "3月末")
    );
}

#[test]
fn a_fault_says_the_cell_what_was_read_and_what_belongs_there() {
    let reading = read_rows(&[GOOD, &with(Column::Telephone, "776-00-1234")]);
    let fault = &reading.faults[0];
    assert_eq!((fault.sheet.as_deref(), fault.cell.as_deref()), (None, Some("E3")));
    assert_eq!((fault.given.as_str(), fault.code.as_str()), ("776-00-1234", "MM-5242"));
    assert!(fault.reason_ja.contains("0776-00-1234") && fault.expected_ja.contains("市外局番"));
    let wrong = format!("{}\n{GOOD}", HEADINGS.replace("代表者名", "代表者"));
    let faults = read(&sheet_file::read(wrong.as_bytes()).unwrap()).faults;
    assert_eq!(names(&faults), [(1, "代表者", "MM-5111"), (1, "代表者名", "MM-5113")]);
    assert_eq!((faults[0].cell.as_deref(), faults[1].cell.as_deref()), (Some("F1"), None));
}

#[test]
fn a_title_above_the_headings_is_passed_over() {
    let text = format!("ふくいみまもりSNS 利用申込書（様式1）\n\n記入日,2026/4/1\n{HEADINGS}\n{GOOD}");
    let reading = read(&sheet_file::read(text.as_bytes()).unwrap());
    assert_eq!((reading.faults, reading.applications[0].0), (vec![], 5));
}

/// E-01: the workbook as Excel's users leave it; each cell is named with its sheet, letter and range.
#[test]
fn a_workbook_with_every_habit_is_named_cell_by_cell() {
    use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("様式1").unwrap();
    for (place, heading) in HEADINGS.split(',').chain(["受付日"]).enumerate() {
        sheet.write_string(0, place as u16, heading).unwrap();
    }
    for row in 1..=6 {
        for (place, text) in GOOD
            .replace("1870100128", &format!("18701001{row}9"))
            .replace("kanri@", &format!("kanri{row}@"))
            .split(',')
            .enumerate()
        {
            sheet.write_string(row, place as u16, text).unwrap();
        }
    }
    let day = Format::new().set_num_format("yyyy/m/d");
    let date = ExcelDateTime::from_ymd(2009, 1, 12).unwrap();
    sheet.write_number(1, 0, 110_100_128.0).unwrap();
    sheet.write_number(1, 4, 776_001_234.0).unwrap();
    sheet.write_datetime_with_format(2, 3, &date, &day).unwrap();
    sheet.write_datetime_with_format(2, 10, &date, &day).unwrap();
    sheet.merge_range(3, 2, 4, 2, "医科", &Format::new()).unwrap();
    sheet.write_formula(5, 1, Formula::new("=\"ケア\"&\"プラン\"").set_result("ケアプラン")).unwrap();
    sheet.write_formula(6, 1, Formula::new("=VLOOKUP(A7,Z:Z,1)").set_result("#N/A")).unwrap();
    let reading = read(&sheet_file::read(&book.save_to_buffer().unwrap()).unwrap());
    let told = |faults: &[RowFault]| -> Vec<(String, String)> {
        assert!(faults.iter().all(|fault| fault.sheet.as_deref() == Some("様式1")));
        faults.iter().map(|fault| (fault.cell.clone().unwrap(), fault.code.clone())).collect()
    };
    let expected = [
        ("A2", "MM-5218"),
        ("E2", "MM-5242"),
        ("D3", "MM-5207"),
        ("C4", "MM-5206"),
        ("C5", "MM-5206"),
        ("B7", "MM-5205"),
    ];
    assert_eq!(told(&reading.faults), expected.map(|(cell, code)| (cell.to_owned(), code.to_owned())));
    assert!(told(&reading.warnings).contains(&("B6".to_owned(), "MM-5209".to_owned())));
    assert!(reading.faults[3].reason_ja.contains("C4:C5"));
}
