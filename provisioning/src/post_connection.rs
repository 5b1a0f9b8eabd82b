//! Envelope 1 on paper: what the mail would have carried, as a code that WireGuard reads, the same as text for a computer
//! without a camera, a picture guide, and the fingerprint of the certificate that the start page hands out. It opens nothing
//! without the other envelope (P-05). Pure.

use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::bundle::fingerprint_lines;
use crate::envelope::MM;
use crate::font::Fonts;
use crate::messages_paper::PaperMessage;
use crate::paper_sheet::{MARGIN, Pace, Sheet, Unprinted};
use crate::pdf::{self, Mark};

/// A phone's camera reads modules of half a millimetre; these are larger.
pub const CODE: f32 = 62.0 * MM;
const PACE: Pace = Pace { row: 22.0, sign: 24.0 };

pub struct Connection {
    pub slot: SlotNumber,
    pub facility_name: String,
    /// The wg-quick file.
    pub profile: Zeroizing<String>,
    pub valid_until: String,
    /// Where the certificate is.
    pub start_url: String,
    pub claim_url: String,
    pub fingerprint: String,
    pub office: String,
}

/// Without remarks: what a code carries, and what somebody types.
pub fn bare(profile: &str) -> Zeroizing<String> {
    let mut bare = Zeroizing::new(String::with_capacity(profile.len()));
    for line in profile.lines().filter(|line| !line.starts_with('#')) {
        bare.push_str(line);
        bare.push('\n');
    }
    bare
}

pub fn lay(fonts: &Fonts, sheet: &mut Sheet<'_>, connection: &Connection) -> Result<(), Unprinted> {
    let Connection { slot, facility_name, valid_until, start_url, claim_url, office, .. } = connection;
    let profile = bare(&connection.profile);
    sheet.centred(&format!("接続設定ガイド　VPN番号 {slot}"), 15.0)?;
    sheet.down(2.0);
    sheet.field("事業所", facility_name, "", PACE)?;
    sheet.field("有効期限", &format!("{valid_until} まで"), "延長したときは、お知らせの日付まで", PACE)?;
    sheet.down(8.0);
    pictures(fonts, sheet)?;
    for (number, text) in [
        (
            "1．",
            "App Store か Google Play で WireGuard を探し、スマートフォンかタブレットに入れます（無料）。"
                .to_owned(),
        ),
        (
            "2．",
            format!(
                "WireGuard の「＋」→「QRコードから作成」で下のコードを読み取り、名前を mima-{slot} として保存し、オンにします。カメラのアプリでは読み取れません。"
            ),
        ),
        (
            "3．",
            format!(
                "オンのまま、ブラウザーで {start_url} を開き、「ルート証明書を受け取る」から端末に入れます。画面の指紋が、次と同じことを確かめてください。"
            ),
        ),
    ] {
        sheet.article(number, &text)?;
    }
    for line in fingerprint_lines(&connection.fingerprint) {
        sheet.paragraph(&line, 46.0)?;
    }
    sheet.article("4．", &format!("2通目の封筒が届いたら、オンのまま {claim_url} を開き、用紙の番号とパスワードで本登録をします。本登録が済むと、このコードは使えなくなります。"))?;
    sheet.code(&profile, CODE)?;
    sheet.small("・このコードは端末の鍵です。写真に撮ったり、コピーや転送をしたりしないでください。本登録が済んだら裁断してください。")?;
    sheet.small(&format!("・困ったときは、VPN番号 {slot} をお伝えください。{office}"))?;
    sheet.turn();
    typed(sheet, *slot, &profile)?;
    Ok(())
}

/// A computer has no camera: the same to type or to have typed.
fn typed(sheet: &mut Sheet<'_>, slot: SlotNumber, profile: &str) -> Result<(), PaperMessage> {
    sheet.heading("パソコンで使うとき（Windows・Mac）")?;
    sheet.article("1．", "wireguard.com（Mac は App Store）から WireGuard を入れます。")?;
    sheet.article("2．", &format!("「空のトンネルを追加」を選び、名前に mima-{slot} と入れ、下の内容を、そのまま打ち込みます。大文字と小文字を区別します（0 と O、1 と l と I に気をつけてください）。打ち込みが難しいときは、事務局にお電話ください。"))?;
    sheet.article("3．", "有効化し、表の手順3から続けます。")?;
    sheet.down(4.0);
    for line in profile.lines() {
        let (name, value) = line.split_once(" = ").unwrap_or((line, ""));
        if !name.is_empty() {
            sheet.typed(name, &[value.to_owned()], 11.0)?;
        }
    }
    Ok(())
}

/// Four small telephones, one for each step.
fn pictures(fonts: &Fonts, sheet: &mut Sheet<'_>) -> Result<(), PaperMessage> {
    const HIGH: f32 = 58.0;
    const WIDE: f32 = 34.0;
    let captions = [("入手", "アプリ"), ("＋", "QRを読む"), ("証明書", "信頼する"), ("本登録", "2通目と")];
    let top = sheet.height();
    let step = (pdf::WIDTH - 2.0 * MARGIN) / captions.len() as f32;
    for (place, (inside, below)) in captions.into_iter().enumerate() {
        let middle = MARGIN + step * (place as f32 + 0.5);
        let (left, right) = (middle - WIDE / 2.0, middle + WIDE / 2.0);
        let line = |from, to| Mark::Line { from, to, width: 1.1 };
        let mut marks = vec![
            line((left, top), (right, top)),
            line((right, top), (right, top + HIGH)),
            line((right, top + HIGH), (left, top + HIGH)),
            line((left, top + HIGH), (left, top)),
            line((middle - 4.0, top + 5.0), (middle + 4.0, top + 5.0)),
        ];
        for (text, size, y) in [(inside, 9.5, top + 33.0), (below, 9.0, top + HIGH + 13.0)] {
            let glyphs = fonts.glyphs(text)?;
            let wide: f32 = glyphs.iter().map(|glyph| glyph.width).sum::<f32>() * size / 1000.0;
            marks.push(Mark::Text { x: middle - wide / 2.0, y, size, glyphs });
        }
        let number = fonts.glyphs(&format!("{}", place + 1))?;
        marks.push(Mark::Text { x: left - 13.0, y: top + 12.0, size: 11.0, glyphs: number });
        if place > 0 {
            let from = middle - step + WIDE / 2.0 + 14.0;
            let (to, y) = (left - 20.0, top + 30.0);
            marks.push(line((from, y), (to, y)));
            marks.push(line((to - 5.0, y - 3.5), (to, y)));
            marks.push(line((to - 5.0, y + 3.5), (to, y)));
        }
        sheet.place(marks);
    }
    sheet.at(top + HIGH + 22.0);
    Ok(())
}
