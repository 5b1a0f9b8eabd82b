//! 証明書取得用No・パスワードのお知らせ: the printed sheet, as a page for the printer and as plain text.
//! It goes by post, by hand or by telephone, never with the bundle (P-05, ruling 5). Pure.

use askama::Template;
use vpn::slot::SlotNumber;

use crate::bundle::{PrivateFile, claim_url};
use crate::messages::Message;
use crate::qr;
use crate::ticket::{TicketNumber, TicketPassword};

pub struct Sheet<'a> {
    pub slot: SlotNumber,
    pub facility_name: &'a str,
    pub admin_name: &'a str,
    pub realm_name: &'a str,
    pub zone: &'a str,
    pub number: &'a TicketNumber,
    pub password: &'a TicketPassword,
    pub issued_on: &'a str,
    pub valid_until: &'a str,
    pub office_name: &'a str,
    pub office_telephone: &'a str,
}

pub fn files(sheet: &Sheet<'_>) -> Result<Vec<PrivateFile>, Message> {
    Ok(vec![
        PrivateFile { name: format!("{}.html", sheet.slot), text: page(sheet)? },
        PrivateFile { name: format!("{}.txt", sheet.slot), text: text(sheet) },
    ])
}

fn text(sheet: &Sheet<'_>) -> String {
    format!(
        "{realm} 証明書取得用No・パスワードのお知らせ\n\
         事業所: {facility}\n\
         施設内管理者: {admin}\n\
         VPN番号: {slot}\n\
         証明書取得用No: {number}\n\
         パスワード: {password}\n\
         本登録ページ: {url}\n\
         発行日: {issued}\n\
         有効期限: {valid}\n\
         問い合わせ先: {office} {telephone}\n",
        realm = sheet.realm_name,
        facility = sheet.facility_name,
        admin = sheet.admin_name,
        slot = sheet.slot,
        number = sheet.number.as_str(),
        password = sheet.password.expose_printed().as_str(),
        url = claim_url(sheet.zone),
        issued = sheet.issued_on,
        valid = sheet.valid_until,
        office = sheet.office_name,
        telephone = sheet.office_telephone,
    )
}

#[derive(Template)]
#[template(path = "sheet.html")]
struct SheetPage<'a> {
    slot: SlotNumber,
    facility_name: &'a str,
    admin_name: &'a str,
    realm_name: &'a str,
    number_groups: [&'a str; 2],
    password_groups: Vec<&'a str>,
    claim_url: &'a str,
    qr_svg: String,
    issued_on: &'a str,
    valid_until: &'a str,
    office_name: &'a str,
    office_telephone: &'a str,
}

fn page(sheet: &Sheet<'_>) -> Result<String, Message> {
    let password = sheet.password.expose_printed();
    let (left, right) = sheet.number.as_str().split_at(5);
    let url = claim_url(sheet.zone);
    let page = SheetPage {
        slot: sheet.slot,
        facility_name: sheet.facility_name,
        admin_name: sheet.admin_name,
        realm_name: sheet.realm_name,
        number_groups: [left, right],
        password_groups: password.split('-').collect(),
        // The address of the page only, never a secret: a photograph of the code opens nothing.
        qr_svg: qr::svg(&url)?,
        claim_url: &url,
        issued_on: sheet.issued_on,
        valid_until: sheet.valid_until,
        office_name: sheet.office_name,
        office_telephone: sheet.office_telephone,
    };
    page.render().map_err(|error| Message::Internal { what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet_files() -> (Vec<PrivateFile>, String, TicketNumber) {
        let number = TicketNumber::from_random([3; 8]);
        let password = TicketPassword::from_random(&[5; 16]);
        let files = files(&Sheet {
            slot: "18-0042".parse().unwrap(),
            facility_name: "さくら<医院>",
            admin_name: "福井 花子",
            realm_name: "みまもり試験",
            zone: "mimamori.example.jp",
            number: &number,
            password: &password,
            issued_on: "2026年11月20日",
            valid_until: "2026年12月20日",
            office_name: "みまもり事務局",
            office_telephone: "0776-00-0000",
        })
        .unwrap();
        (files, password.expose_printed().to_string(), number)
    }

    #[test]
    fn the_text_has_one_line_for_each_thing_to_type() {
        let (files, password, number) = sheet_files();
        let text = &files[1];
        assert_eq!(text.name, "18-0042.txt");
        assert!(text.text.lines().any(|line| line == format!("証明書取得用No: {}", number.as_str())));
        assert!(text.text.lines().any(|line| line == format!("パスワード: {password}")));
    }

    #[test]
    fn the_page_stands_alone_and_its_code_holds_no_secret() {
        let (files, password, number) = sheet_files();
        let page = &files[0];
        assert_eq!(page.name, "18-0042.html");
        for needed in [
            "<svg",
            "18-0042",
            "さくら&#60;医院&#62;",
            "0776-00-0000",
            "2026年12月20日",
            &number.as_str()[..5],
        ] {
            assert!(page.text.contains(needed), "{needed}");
        }
        for group in password.split('-') {
            assert!(page.text.contains(group));
        }
        for foreign in ["<script", "src=", "@import", "url(", "<link", "<?xml"] {
            assert!(!page.text.contains(foreign), "{foreign}");
        }
    }
}
