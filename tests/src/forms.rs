//! 様式1 as thirty facilities of Fukui would send it, of all kinds, in `.xlsx` (our template) and `.csv`.
//! Constant data and two writers; owns nothing. Nobody in it exists.

use std::path::Path;

use calamine::{Reader, Xlsx};

use crate::fault::{Fault, Told, While};
use crate::holds;

pub const CLINIC_A: &str = "みなと内科クリニック";
pub const NURSES_B: &str = "訪問看護ステーションあすわ";
pub const DENTIST_C: &str = "三国歯科医院";

/// kind, name, place, 代表者, 施設内管理者, VPN申請数 (blank: none).
/// The first 24 take 41 numbers, so that the clinic's first slot is 18-0042.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const FACILITIES: [Row; 30] = [
    ("医科", "福井中央診療所", "福井市大手三丁目1-1", "山本 健一", "小林 由美", "2"),
    ("医科", "えちぜん総合病院", "越前市府中一丁目13-7", "髙橋 正樹", "吉田 恵", "2"),
    ("歯科", "あさひ歯科クリニック", "福井市旭町5-12", "渡邉 直人", "渡邉 直子", ""),
    ("保険薬局", "さくら通り薬局", "福井市順化二丁目20-6", "加藤 誠", "森 千晶", ""),
    ("訪問看護ステーション", "訪問看護ステーションひまわり", "鯖江市旭町二丁目4-4", "斎藤 美紀", "斎藤 美紀", "2"),
    ("居宅介護支援事業所", "ケアプランセンターたけふ", "越前市新町8-1", "井上 博", "清水 香織", "2"),
    ("ヘルパー", "ヘルパーステーションほほえみ", "坂井市丸岡町西里丸岡12-21", "松田 和子", "松田 和子", ""),
    ("地域包括支援センター", "坂井地域包括支援センター", "坂井市坂井町下新庄1-1", "岡本 隆", "西村 彩", "2"),
    ("その他介護事業所", "デイサービス九頭竜の里", "大野市天神町1-19", "上田 茂", "橋本 奈々", "2"),
    ("医科", "若狭ハートクリニック", "小浜市大手町5-31", "中村 俊介", "辻 真理子", "2"),
    ("保険薬局", "つるが港薬局", "敦賀市本町一丁目8-16", "前田 大輔", "前田 大輔", "2"),
    ("民生委員", "民生委員 春江地区", "坂井市春江町江留中20-1", "竹内 文子", "竹内 文子", ""),
    ("医科", "鯖江ひかり小児科", "鯖江市桜町一丁目2-15", "藤井 光", "石川 香", "2"),
    ("歯科", "おおの歯科", "大野市元町7-9", "大久保 学", "大久保 学", ""),
    ("訪問看護ステーション", "訪問看護ステーション みどりの丘", "越前市高瀬二丁目3-3", "青木 涼子", "青木 涼子", "2"),
    ("居宅介護支援事業所", "居宅介護支援事業所こころ", "福井市和田東一丁目17-2", "村上 剛", "内田 千恵", "2"),
    ("患者・家族事業所", "患者・家族事業所（佐々木様）", "福井市文京四丁目23-1", "佐々木 進", "佐々木 進", ""),
    ("保険薬局", "ぽぷら薬局 二の宮店", "福井市二の宮五丁目9-9", "近藤 悠", "坂本 楓", "2"),
    ("医科", "勝山おくえつ医院", "勝山市元町一丁目1-1", "長谷川 勉", "宮崎 遥", "2"),
    ("その他介護事業所", "グループホームやまなみ", "あわら市市姫三丁目1-1", "近江 春男", "三浦 瞳", "2"),
    ("ヘルパー", "訪問介護つばさ", "越前市家久町41-2", "丸山 弘", "丸山 弘", ""),
    ("医科", "永平寺町立在宅訪問診療所", "吉田郡永平寺町松岡春日一丁目4", "原田 透", "菊地 さやか", "2"),
    ("地域包括支援センター", "奥越在宅医療連携センター", "大野市天神町2-5", "安藤 百合子", "柴田 豊", "2"),
    ("居宅介護支援事業所", "南条ケアマネジメント", "南条郡南越前町東大道29-1", "酒井 守", "工藤 りえ", "2"),
    ("医科", CLINIC_A, "坂井市三国町中央一丁目5-1", "港 一郎", "港 由紀", "2"),
    ("訪問看護ステーション", NURSES_B, "福井市足羽四丁目10-8", "足羽 静", "足羽 静", "2"),
    ("歯科", DENTIST_C, "坂井市三国町北本町二丁目1-1", "三国 修", "三国 修", ""),
    ("保険薬局", "㈱はなみずき薬局", "福井市花月二丁目7-13", "野口 敦", "𠮷川 恵理", ""),
    ("民生委員", "民生委員 朝日地区", "丹生郡越前町西田中13-5-1", "木下 幸", "木下 幸", ""),
    ("患者・家族事業所", "患者・家族事業所（髙島様）", "敦賀市中央町二丁目1-1", "髙島 梅", "髙島 実", ""),
];

/// Somebody typed it wrongly on the form (E-12): the domain lacks a letter, and the mail server knows nobody there.
pub const MISTYPED: (&str, &str) = ("福井中央診療所", "kanri01@jimusyo.example.jp");

/// The thirty rows under the template's headings.
pub fn rows(headings: &[String]) -> Told<Vec<Vec<String>>> {
    FACILITIES
        .iter()
        .enumerate()
        .map(|(place, row)| headings.iter().map(|heading| cell(place, row, heading)).collect())
        .collect()
}

/// The headings of our template, as `mimamori facility template` gives it.
pub fn headings(template: &Path) -> Told<Vec<String>> {
    let mut book: Xlsx<_> =
        calamine::open_workbook(template).map_err(|e: calamine::XlsxError| Fault::new(e.to_string()))?;
    let sheet = book.worksheet_range_at(0).ok_or_else(|| Fault::new("the template has no sheet"))?;
    let sheet = sheet.while_(|| "the template".into())?;
    let headings: Vec<String> = sheet.rows().next().into_iter().flatten().map(ToString::to_string).collect();
    let headings: Vec<String> = headings.into_iter().filter(|heading| !heading.trim().is_empty()).collect();
    holds!(headings.len() >= 8, "the template has only the headings {headings:?}");
    Ok(headings)
}

pub fn write_xlsx(file: &Path, headings: &[String], rows: &[Vec<String>]) -> Told<()> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    let lines = std::iter::once(headings.to_vec()).chain(rows.iter().cloned());
    for (number, line) in lines.enumerate() {
        for (column, text) in line.iter().enumerate() {
            let place = (number as u32, column as u16);
            // A count is a number in Excel, a code is text: leading zeroes and ten digits stay.
            let written = match text.parse::<f64>() {
                Ok(count) if text.len() < 3 => sheet.write_number(place.0, place.1, count),
                _ => sheet.write_string(place.0, place.1, text),
            };
            written.while_(|| "writing the form".into())?;
        }
    }
    book.save(file).while_(|| format!("writing {}", file.display()))
}

/// As Excel saves it: CRLF, quotes where needed, with or without the byte order mark.
pub fn write_csv(file: &Path, headings: &[String], rows: &[Vec<String>], mark: bool) -> Told<()> {
    let mut text = String::from(if mark { "\u{feff}" } else { "" });
    for line in std::iter::once(headings).chain(rows.iter().map(Vec::as_slice)) {
        let cells: Vec<String> = line.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    std::fs::write(file, text).map_err(Fault::from)
}

/// Where the secretariat reads its own mail: its operator's address.
pub const OFFICE_ADDRESS: &str = "jimukyoku@ishikai.example.jp";

/// Everybody who is written to: the admins, and the secretariat itself (M-16).
pub fn letterboxes() -> Vec<String> {
    let mut addresses = admin_addresses();
    addresses.push(OFFICE_ADDRESS.to_owned());
    addresses
}

/// Everybody whom the mail server knows: all admins at their right addresses.
pub fn admin_addresses() -> Vec<String> {
    FACILITIES.iter().map(|row| admin_address(row.1)).collect()
}

/// The admin's right address of the facility with this name.
pub fn admin_address(name: &str) -> String {
    let place = FACILITIES.iter().position(|row| row.1 == name).unwrap_or_default();
    format!("kanri{:02}@jimusho.example.jp", place + 1)
}

fn cell(place: usize, row: &Row, heading: &str) -> Told<String> {
    let (kind, name, address, representative, admin, vpn) = row;
    Ok(match heading {
        "事業所番号" => code(place, kind),
        "事業所名" => (*name).to_owned(),
        "種別" => (*kind).to_owned(),
        "所在地" => format!("福井県{address}"),
        "電話番号" => format!("0776-{:02}-{:04}", 20 + place, 1000 + 37 * place),
        "代表者名" => (*representative).to_owned(),
        "施設内管理者名" => (*admin).to_owned(),
        "管理画面ログイン用メールアドレス" if *name == MISTYPED.0 => MISTYPED.1.to_owned(),
        "管理画面ログイン用メールアドレス" => admin_address(name),
        "VPN申請数" => (*vpn).to_owned(),
        // Told later, by telephone, as most do.
        "事業所名ふりがな" => String::new(),
        // All on one day: cases, and with them numbers, go by the year of their receipt.
        "受付日" => "R6.2.15".to_owned(),
        "ふくいメディカルネット参加" => {
            if place.is_multiple_of(3) {
                "○".to_owned()
            } else {
                String::new()
            }
        }
        other => return Err(Fault::new(format!("the template asks for `{other}`, which nobody filled in"))),
    })
}

/// Ten digits with their check digit (G-01); pseudo-numbers for those who have none (P-20).
fn code(place: usize, kind: &str) -> String {
    let head = match kind {
        "医科" => "181",
        "歯科" => "183",
        "保険薬局" => "184",
        "民生委員" | "患者・家族事業所" => "990",
        _ => "187",
    };
    let body = format!("{head}{:06}", 10_001 + 211 * place);
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, digit)| u32::from(digit - b'0') * if i.is_multiple_of(2) { 2 } else { 1 })
        .map(|product| product / 10 + product % 10)
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clinic_gets_number_0042() {
        let before = FACILITIES.iter().take_while(|row| row.1 != CLINIC_A);
        let numbers: u32 = before.map(|row| row.5.parse::<u32>().unwrap_or(0).max(1)).sum();
        assert_eq!(numbers + 1, 42);
    }

    #[test]
    fn codes_and_addresses_are_unique() {
        let mut codes: Vec<_> = FACILITIES.iter().enumerate().map(|(i, row)| code(i, row.0)).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), 30);
        assert!(codes.iter().all(|code| code.len() == 10));
    }
}
