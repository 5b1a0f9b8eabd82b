//! 延長のお知らせ: that there is more time, in a mail without files or on paper; number and sheet stay (ruling 5).
//! Pure: texts out.

use askama::Template;
use vpn::slot::SlotNumber;

use crate::bundle::PrivateFile;
use crate::messages::Message;

#[derive(Template)]
#[template(path = "extension.html")]
pub struct Extension<'a> {
    pub slot: SlotNumber,
    pub facility_name: &'a str,
    pub realm_name: &'a str,
    pub valid_until: &'a str,
    pub office_name: &'a str,
    pub office_telephone: &'a str,
}

/// Its text and its page, in this order.
pub fn files(extension: &Extension<'_>) -> Result<Vec<PrivateFile>, Message> {
    let page = extension.render().map_err(|error| Message::Internal { what: error.to_string() })?;
    let name = |end: &str| format!("{}-extension.{end}", extension.slot);
    Ok(vec![
        PrivateFile { name: name("txt"), text: text(extension) },
        PrivateFile { name: name("html"), text: page },
    ])
}

/// Says everything that the page says.
fn text(extension: &Extension<'_>) -> String {
    let Extension { slot, facility_name, realm_name, valid_until, office_name, office_telephone } = extension;
    format!(
        "{facility_name} 施設内管理者様\n\
         \n\
         {realm_name}の本登録の期限を延長しました。\n\
         VPN番号 {slot}\n\
         新しい期限: {valid_until}\n\
         \n\
         ■ 次にしていただくこと\n\
         1. 先にお届けした接続設定一式と用紙（証明書取得用No・パスワードのお知らせ）は、そのまま使えます。\n\
         \u{3000}\u{3000}用紙の有効期限は、上の期限に読み替えてください。\n\
         2. 端末で接続を入れ、案内の画面で本登録をしてください。\n\
         3. 最初に正しく入力してからは、24時間以内に本登録を終えてください。\n\
         \n\
         ■ ご注意\n\
         ・このメールに、押していただくリンクはありません。番号やパスワードをメールや\n\
         \u{3000}電話でお尋ねすることもありません。\n\
         ・延長をお願いした覚えのない方は、下記へお知らせください。\n\
         \n\
         ■ 問い合わせ先\n\
         {office_name} {office_telephone}\n\
         （このメールは自動で送られています）\n"
    )
}
