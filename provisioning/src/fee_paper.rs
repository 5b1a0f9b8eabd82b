//! 適格請求書 as pages for the printer, and the list as a CSV that Excel opens: who asks whom for how much, each
//! line with the rule that explains it (F-11). Pure.

use askama::Template;

use crate::door_fee::Invoice;
use crate::fee_bill::Bill;
use crate::fee_words;
use crate::messages::Message;

/// Who issues, as it must stand on the paper.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuer {
    pub name: String,
    /// 登録番号.
    pub number: String,
    pub address: String,
    pub telephone: String,
    /// Where to pay, as one line of text.
    pub bank: String,
}

/// An invoice with its lines.
pub struct Paper {
    pub invoice: Invoice,
    pub bill: Bill,
    pub postal_address: String,
    pub addressee: String,
}

#[derive(Template)]
#[template(path = "invoices.html")]
struct Pages<'a> {
    realm_name: &'a str,
    issuer: &'a Issuer,
    papers: &'a [Paper],
}

pub fn pages(realm_name: &str, issuer: &Issuer, papers: &[Paper]) -> Result<String, Message> {
    Pages { realm_name, issuer, papers }
        .render()
        .map_err(|error| Message::Internal { what: error.to_string() })
}

/// The list with the byte order mark and line ends that Excel wants.
pub fn csv(invoices: &[Invoice]) -> Vec<u8> {
    let mut text = String::from(
        "\u{feff}請求番号,年度,事業所番号,事業所名,種別,税抜金額,消費税,請求金額,状態,発行日,支払期限,入金日\r\n",
    );
    for invoice in invoices {
        let state = match invoice.state.as_str() {
            "open" => "未入金",
            "paid" => "入金済み",
            _ => "取消",
        };
        let row = [
            quoted(&invoice.invoice),
            quoted(&fee_words::year(&invoice.fiscal_year)),
            // Ten digits: Excel keeps them only when they look like a text.
            format!("=\"{}\"", invoice.code),
            quoted(&invoice.name),
            quoted(&invoice.kind),
            invoice.net.to_string(),
            invoice.tax.to_string(),
            invoice.total.to_string(),
            state.to_owned(),
            invoice.issued_on.clone(),
            invoice.due_on.clone(),
            invoice.paid_on.clone().unwrap_or_default(),
        ];
        text.push_str(&row.join(","));
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// A text that Excel does not take for a formula, whatever a facility calls itself.
pub(crate) fn quoted(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if risky { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use pki::identity::FacilityId;

    use super::*;
    use crate::fee_bill::{Line, TaxSum};

    fn paper(name: &str) -> Paper {
        let line = |from: &str, until: &str, months, yen_a_month, rule: &str| Line {
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            months,
            yen_a_month,
            yen: u64::from(yen_a_month) * u64::from(months),
            medical_net: false,
            tax_percent: 10,
            rule: rule.to_owned(),
        };
        let lines = vec![
            line("2024-04", "2024-09", 6, 0, "F-07 一次募集"),
            line("2024-10", "2025-03", 6, 1000, "F-02"),
        ];
        let taxes = vec![TaxSum { percent: 10, net: 6000, tax: 600 }];
        Paper {
            invoice: Invoice {
                invoice: "2024-00001".into(),
                fiscal_year: 2024,
                facility: FacilityId::from_random([1; 10]),
                code: "0110112340".into(),
                name: name.into(),
                kind: "医科".into(),
                net: 6000,
                tax: 600,
                total: 6600,
                state: "open".into(),
                issued_on: "2024-04-01".into(),
                due_on: "2024-05-31".into(),
                paid_on: None,
            },
            bill: Bill { lines, taxes, net: 6000, tax: 600, total: 6600 },
            postal_address: "福井県福井市大手1-1".into(),
            addressee: "桜井 健一".into(),
        }
    }

    /// F-11: what the law wants on an 適格請求書, and the rule of each line.
    #[test]
    fn f_11_an_invoice_says_all_that_it_must() {
        let issuer = Issuer {
            name: "福井県医師会".into(),
            number: "T7000012050002".into(),
            address: "福井市大願寺3-4-10".into(),
            telephone: "0776-24-0387".into(),
            bank: "○○銀行 本店 普通 1234567".into(),
        };
        let html = pages("みまもり", &issuer, &[paper("さくら<医院>"), paper("みどり薬局")]).unwrap();
        for wanted in [
            "福井県医師会",
            "T7000012050002",
            "さくら&#60;医院&#62;",
            "2024年4月1日",
            "2024年5月31日",
            "令和6年度",
            "10%対象",
            "6,000",
            "600",
            "6,600",
            "F-07",
            "F-02",
            "2024年4月から2024年9月まで（6か月）",
            "0110112340",
            "○○銀行",
        ] {
            assert!(html.contains(wanted), "{wanted}");
        }
        assert_eq!(html.matches("class=\"invoice\"").count(), 2);
        assert!(!html.contains("<script"));
    }

    #[test]
    fn the_list_opens_in_excel_and_never_as_a_formula() {
        let evil = paper("=HYPERLINK(\"http://x\")").invoice;
        let text = String::from_utf8(csv(&[evil])).unwrap();
        assert!(text.starts_with('\u{feff}') && text.ends_with("\r\n"));
        assert!(
            text.contains("\"'=HYPERLINK(\"\"http://x\"\")\"") && text.contains("=\"0110112340\""),
            "{text}"
        );
        let table = crate::sheet_file::read(text.as_bytes()).unwrap();
        assert_eq!(table.rows[1].cells[2], "0110112340");
    }
}
