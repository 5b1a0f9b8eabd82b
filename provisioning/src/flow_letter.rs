//! The mails of the flows (D): complete as text and as page, without a link, without any patient's name. Pure.

use askama::Template;
use vpn::slot::SlotNumber;

use crate::bundle::PrivateFile;
use crate::flow_steps::Mail;
use crate::messages::Message;

/// What every one of them says beside its own words.
pub struct Notice<'a> {
    pub case: &'a str,
    pub slot: SlotNumber,
    pub facility_name: &'a str,
    pub realm_name: &'a str,
    pub office_name: &'a str,
    pub office_telephone: &'a str,
}

#[derive(Template)]
#[template(path = "flow_notice.html")]
struct Page<'a> {
    notice: &'a Notice<'a>,
    title: &'a str,
    body: &'a [&'a str],
}

/// Its words: title and paragraphs; `None` for what is no notice but a bundle.
pub fn words(mail: Mail) -> Option<(&'static str, &'static [&'static str])> {
    Some(match mail {
        Mail::M02 | Mail::M04 => return None,
        Mail::M05 => (
            "利用解除のお知らせ",
            &[
                "お申し出により、利用を解除しました。",
                "解除の後は、過去の記事を見ることはできません。",
                "このお知らせを確かめたことを、電話・FAX・書面のいずれかで事務局にお知らせください。",
            ],
        ),
        Mail::M06 => (
            "事業所の参加のお知らせ",
            &[
                "参加中のチームに、新しい事業所が加わりました。",
                "参加した事業所は、患者の画面で確かめられます。",
            ],
        ),
        Mail::M07 => (
            "事業所の解除のお知らせ",
            &[
                "参加中のチームから、事業所が解除されました。",
                "解除された事業所が書いた記事は、チームに残ります。",
            ],
        ),
        Mail::M08 => (
            "ご家族の参加のお知らせ",
            &[
                "参加中のチームに、ご家族が加わりました。",
                "家族にも公開を選んだ記事だけが、ご家族に表示されます。",
                "このお知らせを確かめたことを、事務局にお知らせください。",
            ],
        ),
        Mail::M10 => (
            "ご家族の離脱のお知らせ",
            &[
                "参加中のチームから、ご家族が離脱しました。",
                "このお知らせを確かめたことを、事務局にお知らせください。",
            ],
        ),
        Mail::M11 => (
            "離脱のお手続きのお知らせ",
            &[
                "お申し出により、離脱のお手続きが済みました。",
                "ログインできないことを確かめ、できてしまうときは事務局にお知らせください。",
            ],
        ),
        Mail::M12 => (
            "紐づけ解除のお知らせ",
            &[
                "同意の撤回により、参加中のチームの紐づけをすべて解除しました。",
                "該当の患者は一覧に表示されません。",
                "このお知らせを確かめたことを、事務局にお知らせください。",
            ],
        ),
        Mail::M13 => (
            "登録内容の変更のお知らせ",
            &[
                "変更申請書（様式3）により、登録内容を変更しました。",
                "お心当たりのないときは、すぐに事務局にお電話ください。",
            ],
        ),
        Mail::End => (
            "支援終了のお知らせ",
            &["参加中のチームの支援が終了し、閲覧のみになりました。", "新しい記事は書けません。"],
        ),
    })
}

/// Its text and its page, in this order; what stands before `_` in their names is the subject.
pub fn files(notice: &Notice<'_>, title: &str, body: &[&str]) -> Result<Vec<PrivateFile>, Message> {
    let page = Page { notice, title, body }
        .render()
        .map_err(|error| Message::Internal { what: error.to_string() })?;
    let Notice { case, slot, facility_name, realm_name, office_name, office_telephone } = notice;
    let paragraphs = body.join("\n");
    let text = format!(
        "{facility_name} 施設内管理者様\n\n{realm_name}からのお知らせです（案件 {case}）。\n\n{paragraphs}\n\n\
         ■ ご注意\n・このメールに、押していただくリンクはありません。番号やパスワードをお尋ねすることもありません。\n\n\
         ■ 問い合わせ先\n{office_name} {office_telephone}\n（このメールは自動で送られています）\n"
    );
    Ok(vec![
        PrivateFile { name: format!("{title}_{case}_{slot}.txt"), text },
        PrivateFile { name: format!("{title}_{case}_{slot}.html"), text: page },
    ])
}

/// 書類不備 (E-12a): what is missing, one line each.
pub fn missing_body(missing: &[String]) -> Vec<String> {
    let mut body =
        vec!["お送りいただいた書類に、次の不足があります。お手数ですが、そろえてお送りください。".to_owned()];
    body.extend(missing.iter().map(|line| format!("・{line}")));
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D, H-24: every mail of a flow says what happened and asks for nothing secret.
    #[test]
    fn d_every_notice_is_complete_and_without_a_link() {
        use Mail::*;
        for mail in [M05, M06, M07, M08, M10, M11, M12, M13, End] {
            let (title, body) = words(mail).unwrap();
            let notice = Notice {
                case: "2026-00042",
                slot: "18-0042".parse().unwrap(),
                facility_name: "さくら<医院>",
                realm_name: "みまもり",
                office_name: "SNS事務局",
                office_telephone: "0776-24-0387",
            };
            let files = files(&notice, title, body).unwrap();
            for file in &files {
                assert!(!file.text.contains("http") && !file.text.contains("<a "), "{title}");
                for wanted in ["2026-00042", "0776-24-0387", body[0]] {
                    assert!(file.text.contains(wanted), "{title}: {wanted}");
                }
            }
            assert!(files[1].text.contains("さくら&#60;医院&#62;"));
        }
        assert!(words(M02).is_none() && words(M04).is_none(), "these carry bundles");
    }
}
