//! Envelope 2 on paper: number and password, to be typed beside what came in the other envelope or by mail. Its only code is
//! the address of the page. Pure.

use zeroize::Zeroizing;

use crate::paper_sheet::{Pace, Sheet, Unprinted};

const PACE: Pace = Pace { row: 24.0, sign: 24.0 };
/// Groups of the password in one line.
const GROUPS: usize = 4;
const CODE: f32 = 96.0;
/// As `sheet` spells it.
const PASSWORD: &str = "パスワード";
const LARGE: [&str; 2] = ["VPN番号", "証明書取得用No"];
const PAGE: &str = "本登録ページ";

/// `heading: value`, a line each, as the sheet's text has it.
pub fn read(text: &str) -> Vec<(String, Zeroizing<String>)> {
    let pair = |line: &str| {
        let (heading, value) = line.split_once(": ")?;
        Some((heading.to_owned(), Zeroizing::new(value.to_owned())))
    };
    text.lines().filter_map(pair).collect()
}

pub fn lay(sheet: &mut Sheet<'_>, lines: &[(String, Zeroizing<String>)]) -> Result<(), Unprinted> {
    sheet.centred("証明書取得用No・パスワードのお知らせ", 15.0)?;
    sheet.down(4.0);
    for (heading, value) in lines {
        if heading == PASSWORD {
            let groups: Vec<&str> = value.split('-').collect();
            let shown: Vec<String> = groups.chunks(GROUPS).map(|some| some.join(" ")).collect();
            sheet.typed(heading, &shown, 16.0)?;
        } else if LARGE.contains(&heading.as_str()) {
            sheet.typed(heading, &[value.to_string()], 16.0)?;
        } else {
            sheet.field(heading, value, "", PACE)?;
        }
    }
    sheet.small("・パスワードは数字と英大文字です。英字の I・L・O・U は使っていません。空白は入力しなくてかまいません。")?;
    sheet.heading("本登録の手順")?;
    for (number, text) in [
        ("1．", "先に届いた接続設定で、端末の WireGuard をオンにします。"),
        (
            "2．",
            "オンのまま、本登録ページを開きます（下のコードからも開けます）。つながっていないと開きません。",
        ),
        ("3．", "番号とパスワードを入力し、ご自身の新しいパスワードを決めます。"),
        ("4．", "画面のとおりに、証明書と本接続の設定を受け取ります。"),
    ] {
        sheet.article(number, text)?;
    }
    if let Some((_, url)) = lines.iter().find(|(heading, _)| heading == PAGE) {
        sheet.code(url, CODE)?;
    }
    sheet.heading("ご注意")?;
    for text in [
        "・この用紙を写真に撮る、メールや FAX で送る、端末と一緒に保管することはしないでください。",
        "・5回続けて間違えると15分間、合わせて15回間違えると使えなくなります。最初に正しく入力してからは24時間以内に終えてください。",
        "・事務局がパスワードをお尋ねすることはありません。本登録が済んだら、この用紙は裁断してください。",
    ] {
        sheet.small(text)?;
    }
    Ok(())
}
