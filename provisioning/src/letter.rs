//! 仮登録完了通知 (M-02, M-02a): the mail that carries a bundle to the facility's admin address; 再発行 carries
//! another one, 延長 only a word. Complete as text and as HTML, without a link and without anything of the printed sheet. The same letter is the same
//! octets at every attempt, with the same Message-ID, so that a receiver can tell a copy. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use askama::Template;
use lettre::Address;
use lettre::Message as Mime;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use vpn::slot::SlotNumber;

use crate::bundle::{GUIDE_FILE, PrivateFile, ROOT_FILE, profile_file};
use crate::messages::Message;

/// Asked of receivers that answer by machine.
const AUTOMATIC: [(&str, &str); 3] =
    [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"), ("Content-Language", "ja")];

const SIGNATURE_KIND: &str = "application/pkcs7-signature";
/// Mail programs know it by this name (RFC 8551 3.2.1).
const SIGNATURE_FILE: &str = "smime.p7s";

/// What every letter has outside: who writes, to whom, about which slot.
pub struct Cover<'a> {
    /// The outbox's name of it: the stable part of the Message-ID and of the bounce address.
    pub message: &'a str,
    pub recipient: &'a str,
    pub slot: SlotNumber,
    pub realm_name: &'a str,
    pub zone: &'a str,
    pub from: &'a str,
    /// When the letter was put into the outbox, Unix milliseconds.
    pub written_at_ms: i64,
}

/// Everything a bundle's mail says, and to whom.
pub struct BundleMail<'a> {
    pub cover: Cover<'a>,
    /// With another key, because something went wrong with the first one.
    pub reissued: bool,
    pub facility_name: &'a str,
    pub office_name: &'a str,
    pub office_telephone: &'a str,
    pub valid_until: &'a str,
    pub files: &'a [PrivateFile],
}

/// Whole but for the signatures.
pub struct Draft {
    envelope: Envelope,
    message: MessageBuilder,
    whole: MultiPart,
    boundary: String,
}

/// Ready for DKIM and to be handed over.
pub struct Composed {
    /// A bounce comes back to an address that names the letter (VERP).
    pub envelope: Envelope,
    pub octets: Vec<u8>,
}

pub fn compose(mail: &BundleMail<'_>) -> Result<Draft, Message> {
    let page = LetterPage::of(mail);
    let html = page.render().map_err(|error| internal(&error))?;
    let bodies = bodies(&mail.cover, &page.text(), &html)?;
    let mut whole = MultiPart::mixed().boundary(boundary(&mail.cover, "all")).multipart(bodies);
    for file in mail.files {
        whole = whole.singlepart(attachment(file)?);
    }
    let subject = if mail.reissued {
        "接続設定の再発行のお知らせ"
    } else {
        "仮登録完了のお知らせ"
    };
    enclose(&mail.cover, subject, whole)
}

/// 延長: `files` are its text and its page, as `notice.rs` makes them.
pub fn compose_extension(cover: &Cover<'_>, files: &[PrivateFile]) -> Result<Draft, Message> {
    let [text, html] = files else {
        return Err(Message::Internal { what: format!("{} has {} files", cover.message, files.len()) });
    };
    enclose(cover, "本登録の期限を延長しました", bodies(cover, &text.text, &html.text)?)
}

/// A notice of a case: what stands before `_` in its file's name is the subject.
pub fn compose_notice(cover: &Cover<'_>, files: &[PrivateFile]) -> Result<Draft, Message> {
    let [text, html] = files else {
        return Err(Message::Internal { what: format!("{} has {} files", cover.message, files.len()) });
    };
    let subject = text.name.split('_').next().unwrap_or_default();
    enclose(cover, subject, bodies(cover, &text.text, &html.text)?)
}

fn bodies(cover: &Cover<'_>, text: &str, html: &str) -> Result<MultiPart, Message> {
    Ok(MultiPart::alternative()
        .boundary(boundary(cover, "text"))
        .singlepart(part(ContentType::TEXT_PLAIN, text)?)
        .singlepart(part(ContentType::TEXT_HTML, html)?))
}

/// Into its envelope, with every header.
fn enclose(cover: &Cover<'_>, subject: &str, whole: MultiPart) -> Result<Draft, Message> {
    let from: Address = cover.from.parse().map_err(|error| internal(&error))?;
    let to = address(cover.recipient)?;
    let bounce =
        Address::new(format!("bounce+{}", cover.message), cover.zone).map_err(|error| internal(&error))?;
    let envelope = Envelope::new(Some(bounce), vec![to.clone()]).map_err(|error| internal(&error))?;
    let mut message = Mime::builder()
        .from(Mailbox::new(Some(cover.realm_name.to_owned()), from))
        .to(Mailbox::new(None, to))
        .envelope(envelope.clone())
        .subject(format!("【{}】{subject}（VPN番号 {}）", cover.realm_name, cover.slot))
        .date(date(cover.written_at_ms))
        .message_id(Some(format!("<{}@{}>", cover.message, cover.zone)));
    for (name, value) in AUTOMATIC {
        message =
            message.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
    }
    Ok(Draft { envelope, message, whole, boundary: boundary(cover, "signed") })
}

impl Draft {
    /// What S/MIME signs (RFC 8551 3.1): the body as an entity of its own, every line ended by CR LF. The last line end
    /// belongs to the boundary after it (RFC 2046 5.1.1).
    pub fn content(&self) -> Vec<u8> {
        let mut octets = self.whole.formatted();
        if octets.ends_with(b"\r\n") {
            octets.truncate(octets.len() - 2);
        }
        octets
    }

    pub fn unsigned(self) -> Result<Composed, Message> {
        let message = self.message.multipart(self.whole).map_err(|error| internal(&error))?;
        Ok(Composed { envelope: self.envelope, octets: message.formatted() })
    }

    /// `signature`: detached CMS of `content` (RFC 1847, RFC 8551 3.5.3).
    pub fn signed(self, signature: Vec<u8>) -> Result<Composed, Message> {
        let kind = format!("{SIGNATURE_KIND}; name=\"{SIGNATURE_FILE}\"");
        let kind = ContentType::parse(&kind).map_err(|error| internal(&error))?;
        let part = Attachment::new(SIGNATURE_FILE.to_owned()).body(base64(signature)?, kind);
        let both = MultiPart::signed(SIGNATURE_KIND.to_owned(), "sha-256".to_owned())
            .boundary(self.boundary.clone())
            .multipart(self.whole.clone())
            .singlepart(part);
        Draft { whole: both, ..self }.unsigned()
    }
}

fn internal(error: &dyn std::error::Error) -> Message {
    Message::Internal { what: error.to_string() }
}

/// Addresses were read by `MailAddress`. Japanese carriers gave out names such as `a..b` and `a.`, which
/// RFC 5321 takes only in quotation marks.
fn address(written: &str) -> Result<Address, Message> {
    let wrong = || Message::AddressForm { given: crate::messages::shown(written) };
    let (local, domain) = written.rsplit_once('@').ok_or_else(wrong)?;
    if local.contains("..") || local.starts_with('.') || local.ends_with('.') {
        return Address::new(format!("\"{local}\""), domain).map_err(|_| wrong());
    }
    Address::new(local, domain).map_err(|_| wrong())
}

/// Base64 throughout: nothing on the way has a reason to re-encode what is signed.
fn part(kind: ContentType, text: &str) -> Result<SinglePart, Message> {
    let lines = text.replace("\r\n", "\n").replace('\n', "\r\n");
    Ok(SinglePart::builder().header(kind).body(base64(lines.into_bytes())?))
}

fn attachment(file: &PrivateFile) -> Result<SinglePart, Message> {
    let kind = match file.name.as_str() {
        ROOT_FILE => "application/x-x509-ca-cert",
        GUIDE_FILE => "text/html; charset=utf-8",
        // Never shown inline: it is a file to be saved.
        _ => "application/octet-stream",
    };
    let kind = ContentType::parse(kind).map_err(|error| Message::Internal { what: error.to_string() })?;
    Ok(Attachment::new(file.name.clone()).body(base64(file.text.clone().into_bytes())?, kind))
}

fn base64(octets: Vec<u8>) -> Result<Body, Message> {
    Body::new_with_encoding(octets, ContentTransferEncoding::Base64)
        .map_err(|_| Message::Internal { what: "base64 refuses octets".to_owned() })
}

/// `=_` stands in no base64 text, so that a boundary is never met inside a part.
fn boundary(cover: &Cover<'_>, part: &str) -> String {
    format!("=_{}-{part}", cover.message)
}

fn date(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[derive(Template)]
#[template(path = "letter.html")]
struct LetterPage<'a> {
    title: &'a str,
    /// What has happened.
    news: String,
    /// What became of the sheet.
    sheet: &'a str,
    slot: SlotNumber,
    facility_name: &'a str,
    realm_name: &'a str,
    profile_file: String,
    root_file: &'a str,
    guide_file: &'a str,
    valid_until: &'a str,
    office_name: &'a str,
    office_telephone: &'a str,
}

impl<'a> LetterPage<'a> {
    fn of(mail: &BundleMail<'a>) -> Self {
        let realm = mail.cover.realm_name;
        let (title, news, sheet) = if mail.reissued {
            (
                "接続設定の再発行のお知らせ",
                format!(
                    "{realm}の接続設定を再発行しました。先にお届けした接続設定は、もう使えません。端末から削除してください。"
                ),
                "先にお届けした用紙（証明書取得用No・パスワードのお知らせ）は、そのまま使えます。手元に用意し、",
            )
        } else {
            (
                "仮登録完了のお知らせ",
                format!("{realm}の仮登録が完了しました。"),
                "別便でお届けする用紙（証明書取得用No・パスワードのお知らせ）を手元に用意し、",
            )
        };
        Self {
            title,
            news,
            sheet,
            slot: mail.cover.slot,
            facility_name: mail.facility_name,
            realm_name: realm,
            profile_file: profile_file(mail.cover.slot),
            root_file: ROOT_FILE,
            guide_file: GUIDE_FILE,
            valid_until: mail.valid_until,
            office_name: mail.office_name,
            office_telephone: mail.office_telephone,
        }
    }

    /// Says everything that the page says.
    fn text(&self) -> String {
        format!(
            "{facility} 施設内管理者様\n\
             \n\
             {news}\n\
             VPN番号は {slot} です。このメールの添付ファイルが、端末1台分の接続設定一式です。\n\
             \n\
             ■ 次にしていただくこと\n\
             1. 端末で {guide} を開き、図のとおりに進めてください。\n\
             2. 接続設定 {profile} と証明書 {root} を端末に入れてください。\n\
             3. {sheet}\n\
             \u{3000}\u{3000}案内の画面で本登録をしてください。\n\
             \n\
             本登録の期限: {valid}\n\
             \n\
             ■ 添付ファイル\n\
             ・{profile}（本登録用の仮の接続設定。本登録が済むと使えなくなります）\n\
             ・{root}（{realm}の証明書）\n\
             ・{guide}（図入りの手順書。印刷してお使いになれます）\n\
             \n\
             ■ ご注意\n\
             ・添付ファイルだけでは何も見られません。用紙の番号とパスワードが必要です。\n\
             ・このメールを転送しないでください。端末は1台だけ登録できます。\n\
             ・このメールに、押していただくリンクはありません。番号やパスワードをメールや\n\
             \u{3000}電話でお尋ねすることもありません。\n\
             ・お心当たりのない方は、開かずに下記へお知らせください。\n\
             \n\
             ■ 問い合わせ先\n\
             {office} {telephone}\n\
             （このメールは自動で送られています）\n",
            facility = self.facility_name,
            news = self.news,
            sheet = self.sheet,
            realm = self.realm_name,
            slot = self.slot,
            guide = self.guide_file,
            profile = self.profile_file,
            root = self.root_file,
            valid = self.valid_until,
            office = self.office_name,
            telephone = self.office_telephone,
        )
    }
}

#[cfg(test)]
mod tests;
