//! The printed sheets of a ceremony: one page per holder of a share, self-contained, with a QR code, and large
//! letters in groups of four for whoever has to type it. Touches files (private, never over an old one), randomness.

use std::path::{Path, PathBuf};

use pki::shares::{self, SET_LEN, Share, Terms};
use zeroize::Zeroizing;

use crate::files;
use crate::messages::Message;

/// What stands on every sheet of a set.
pub struct Heading<'a> {
    pub realm: &'a str,
    /// Of the root certificate, in hexadecimal.
    pub fingerprint: &'a str,
}

/// With fresh randomness.
pub fn shared(passphrase: &[u8], terms: Terms) -> Result<Vec<Share>, Message> {
    let failed = |why: String| Message::OpenFailed { room: "pki".to_owned(), why };
    let mut random = Zeroizing::new(vec![0; terms.randomness(passphrase)]);
    let mut set = [0; SET_LEN];
    getrandom::fill(&mut random)
        .and_then(|()| getrandom::fill(&mut set))
        .map_err(|error| failed(error.to_string()))?;
    shares::split(passphrase, terms, set, &random).map_err(|error| failed(error.to_string()))
}

/// One file per share: `share-2-of-5.html`.
pub fn write(folder: &Path, shares: &[Share], heading: &Heading<'_>) -> Result<Vec<PathBuf>, Message> {
    let mut written = Vec::with_capacity(shares.len());
    for share in shares {
        let path = folder.join(format!("share-{}-of-{}.html", share.number(), share.terms().all()));
        let page = page(share, heading)?;
        files::write_new(&path, page.as_bytes()).map_err(|error| Message::FileWrite {
            path: path.display().to_string(),
            why: error.to_string(),
        })?;
        written.push(path);
    }
    Ok(written)
}

/// For the ceremony's transcript: which shares there are, and nothing of what is in them.
pub fn told(shares: &[Share]) -> String {
    let Some(first) = shares.first() else { return String::new() };
    let checks: Vec<String> =
        shares.iter().map(|share| format!("{} = {}", share.number(), share.check())).collect();
    format!("{} ({})  {}", first.terms(), first.set(), checks.join("  "))
}

fn page(share: &Share, heading: &Heading<'_>) -> Result<Zeroizing<String>, Message> {
    let text = share.text();
    let drawn = provisioning::qr::svg(&text)
        .map_err(|_| Message::OpenFailed { room: "pki".to_owned(), why: "no QR code".to_owned() })?;
    let drawn = Zeroizing::new(drawn);
    let terms = share.terms();
    let (needed, all, number) = (terms.needed(), terms.all(), share.number());
    let (realm, set, check) = (escaped(heading.realm), share.set(), share.check());
    let fingerprint = groups(heading.fingerprint);
    let letters = Zeroizing::new(groups(&text));
    Ok(Zeroizing::new(format!(
        "<!DOCTYPE html>\n<html lang=\"ja\"><head><meta charset=\"utf-8\"><title>分散パスフレーズ {number}/{all}</title>\n\
         <style>{STYLE}</style></head><body>\n\
         <h1>ルート認証局の分散パスフレーズ <span>{number} 枚目（全 {all} 枚）</span></h1>\n\
         <p class=\"en\">Share {number} of {all} of the root CA's passphrase</p>\n\
         <dl><dt>組織 / realm</dt><dd>{realm}</dd><dt>組の番号 / set</dt><dd>{set}</dd>\
         <dt>照合番号 / check</dt><dd>{check}</dd>\
         <dt>ルートの指紋 / root fingerprint</dt><dd class=\"mono\">{fingerprint}</dd></dl>\n\
         <div class=\"code\">{}</div>\n<p class=\"mono letters\">{}</p>\n\
         <ol><li>{needed} 枚がそろうと、ルート認証局の鍵を開けます。{} 枚以下では何も分かりません。\
         <span class=\"en\">Any {needed} open the root's key; fewer say nothing.</span></li>\
         <li>封筒に入れて封をし、ほかの用紙とは別の人が、別の場所で保管してください。\
         <span class=\"en\">Seal it in an envelope; keep it apart from the other sheets, each with another person.</span></li>\
         <li>印刷したら、このファイルを消してください。写真に撮らないでください。\
         <span class=\"en\">Delete this file once it is printed. Take no photograph.</span></li>\
         <li>照合番号は認証局の作成記録にもあります。年に一度、封筒を開けずに封印を確かめてください。\
         <span class=\"en\">The check stands in the transcript, too. Look at the seal once a year.</span></li></ol>\n\
         <p>受け取った人 ______________________ 日付 ____________ 署名 ______________________</p>\n</body></html>\n",
        drawn.as_str(),
        letters.as_str(),
        needed - 1,
    )))
}

const STYLE: &str = "@page{size:A4;margin:18mm}body{font-family:'BIZ UDPGothic','Noto Sans JP',sans-serif;\
    line-height:1.7;color:#1a1a1a;max-width:170mm;margin:0 auto}h1{font-size:20pt;margin:0}h1 span{font-size:14pt}\
    .en{color:#555;font-size:9pt;display:block;margin:0}dl{display:grid;grid-template-columns:max-content 1fr;\
    gap:1mm 6mm}dt{color:#555}dd{margin:0;font-weight:bold}.code svg{width:62mm;height:62mm}\
    .mono{font-family:'Noto Sans Mono',monospace;overflow-wrap:anywhere}.letters{font-size:14pt;letter-spacing:.06em}";

/// In fours, as people read aloud; the reader of a share minds no spaces.
fn groups(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    escaped(&groups.join(" "))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use pki::shares::{self, Terms};

    use super::*;

    fn shares() -> Vec<Share> {
        let terms: Terms = "2/3".parse().unwrap();
        let secret = b"correct horse battery staple, 44 characters!";
        shares::split(secret, terms, [1, 2, 3, 4], &vec![7; terms.randomness(secret)]).unwrap()
    }

    #[test]
    fn what_is_printed_can_be_typed_back_and_holds_one_share_only() {
        let shares = shares();
        let heading = Heading { realm: "協議会 <b>&\"", fingerprint: "0123456789abcdef" };
        let page = page(&shares[1], &heading).unwrap();
        let letters = page.split("letters\">").nth(1).unwrap().split('<').next().unwrap();
        assert_eq!(Share::read(letters).unwrap().check(), shares[1].check());
        assert!(page.contains("協議会 &lt;b&gt;&amp;&quot;") && page.contains("<svg"));
        for other in [&shares[0], &shares[2]] {
            assert!(!page.contains(&other.check()) && !page.contains(&groups(&other.text())));
        }
    }

    #[test]
    fn the_transcript_learns_the_checks_and_nothing_else() {
        let shares = shares();
        let told = told(&shares);
        assert!(told.starts_with("2/3 (01020304)  1 = "), "{told}");
        for share in &shares {
            assert!(told.contains(&share.check()));
            let secret = share.text().split(':').nth(5).unwrap().to_owned();
            assert!(!told.contains(&secret));
        }
    }

    #[test]
    fn sheets_are_private_and_never_written_over() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let heading = Heading { realm: "x", fingerprint: "00" };
        let written = write(dir.path(), &shares(), &heading).unwrap();
        assert_eq!(written.len(), 3);
        for path in &written {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        }
        assert!(write(dir.path(), &shares(), &heading).is_err());
    }
}
