//! What the facilities' admins find in their letterbox (s3): every bundle by mail through somebody else's server,
//! signed, complete, in Japanese twice over, and nothing of any sheet in it (P-05); and the one address that was
//! mistyped, which is told, corrected and sent again with the same number and the same sheet (D-01). Owns nothing.

use serde_json::Value;

use crate::fault::{Fault, Told};
use crate::forms::{self, MISTYPED};
use crate::holds;
use crate::mailserver::Mail;
use crate::shell::{self, PATIENCE};
use crate::world::{World, ZONE};

/// The facility with the mistyped address; its device is the newcomer of s4.
const MISTYPED_SLOT: &str = "18-0001";

/// Twenty-nine mails arrive, the thirtieth is refused; returns how many were checked.
pub fn every_bundle_arrives_signed_and_whole(world: &World) -> Told<usize> {
    shell::until("twenty-nine mails", PATIENCE, || Ok((world.mail.count() >= 29).then_some(())))?;
    let mails = world.mail.mails(&world.dkim_record()?)?;
    let facilities = world.server.ok(&["facility", "list"])?;
    let facilities = facilities.as_array().cloned().unwrap_or_default();
    holds!(facilities.len() == 30, "the list shows {} facilities", facilities.len());
    for facility in facilities.iter().filter(|row| row["name"] != MISTYPED.0) {
        let slot = facility["slots"][0].as_str().unwrap_or_default();
        let mine: Vec<&Mail> = mails.iter().filter(|mail| mail.brings(slot)).collect();
        holds!(mine.len() == 1, "{} mails bring the bundle of {slot}", mine.len());
        complete(mine[0], slot, facility)?;
    }
    holds!(mails.len() == 29, "{} mails arrived: somebody was written to twice", mails.len());
    nothing_of_a_sheet(world, &mails)?;
    Ok(mails.len())
}

/// One mail: to whom, from whom, believed, and the same words in both forms.
fn complete(mail: &Mail, slot: &str, facility: &Value) -> Told<()> {
    let name = facility["name"].as_str().unwrap_or_default();
    holds!(mail.defects.is_empty(), "the mail for {slot} is not well formed: {:?}", mail.defects);
    holds!(mail.dkim, "a stranger's verifier does not believe the mail for {slot}");
    holds!(mail.header("to") == facility["admin_address"], "{slot} went to {}", mail.header("to"));
    holds!(mail.header("from").ends_with(&format!("@{ZONE}>")), "it comes from {}", mail.header("from"));
    let (received, subject) = (mail.header("received"), mail.header("subject"));
    holds!(received.contains("with esmtpsa"), "it came without TLS or without a login: {received}");
    holds!(subject.contains(slot) && !subject.is_ascii(), "the subject is {subject}");
    let bodies = ["text/plain;utf-8", "text/html;utf-8"];
    holds!(bodies.iter().all(|kind| mail.types.iter().any(|found| found == kind)), "parts: {:?}", mail.types);
    let (text, html) = (mail.text.as_deref().unwrap_or_default(), mail.html.as_deref().unwrap_or_default());
    let (plain, shown) = (words(text), words(&without_tags(html)));
    holds!(plain == shown, "text and HTML of the mail for {slot} say different things:\n{plain}\n{shown}");
    for said in [name, slot, "施設内管理者様", "本登録の期限", "SNS事務局"] {
        holds!(plain.contains(&words(said)), "the mail for {slot} does not say {said}");
    }
    let files: Vec<&str> = mail.files.iter().map(|file| file.name.as_str()).collect();
    holds!(files.len() == 3, "the mail for {slot} brings {files:?}");
    for file in files {
        holds!(plain.contains(file), "the mail for {slot} does not name its file {file}");
    }
    Ok(())
}

/// P-05, ruling 5: no mail holds the number or the password of any sheet, in any part, however it is written.
pub fn nothing_of_a_sheet(world: &World, mails: &[Mail]) -> Told<()> {
    let facilities = world.server.ok(&["facility", "list"])?;
    let mut secrets = Vec::new();
    for facility in facilities.as_array().into_iter().flatten() {
        let slot = facility["slots"][0].as_str().unwrap_or_default();
        let sheet = world.sheet(slot)?;
        for secret in [sheet.number, sheet.password] {
            secrets.push((slot.to_owned(), bare(&secret)));
        }
    }
    holds!(
        secrets.iter().all(|(_, secret)| secret.len() >= 10),
        "a sheet's secret is too short to search for"
    );
    for mail in mails {
        let raw = String::from_utf8_lossy(&std::fs::read(&mail.path)?).into_owned();
        let (raw, decoded) = (bare(&raw), bare(&mail.everything()));
        for (slot, secret) in &secrets {
            holds!(
                !raw.contains(secret) && !decoded.contains(secret),
                "the mail {} holds what only the sheet of {slot} may say",
                mail.letter()
            );
        }
    }
    Ok(())
}

/// The server's 550 is told where the clerk looks; with the right address the same letter leaves.
pub fn a_mistyped_address_is_corrected(world: &World) -> Told<()> {
    let letter = shell::until("the refusal to be noted", PATIENCE, || {
        let letters = world.server.ok(&["mail", "list"])?;
        let mine = letters.as_array().into_iter().flatten().find(|row| row["recipient"] == MISTYPED.1);
        Ok(mine.filter(|row| row["state"] == "failed").cloned())
    })?;
    let (answer, meaning) = (letter["answer"].as_str(), letter["meaning_ja"].as_str());
    holds!(answer == Some("550 no such user here"), "the answer is {letter}");
    holds!(meaning.is_some_and(|ja| ja.contains("宛先")), "no clerk understands {letter}");
    let case = case_of(world, MISTYPED.0)?;
    let shown = world.server.ok(&["case", "show", &case])?;
    holds!(shown["letters"][0]["answer"] == letter["answer"], "the case does not show the answer: {shown}");
    let degraded = world.server.ask(&["status", "--check"])?;
    holds!(degraded.text.contains("送れなかったメール"), "the status is content: {}", degraded.text);

    // Trying the same again changes nothing but the count.
    let again = world.server.ok(&["mail", "retry", "--failed"])?;
    holds!(again.as_array().is_some_and(|rows| rows.len() == 1), "more than one was tried again: {again}");
    shell::until("the second refusal", PATIENCE, || {
        let letters = world.server.ok(&["mail", "list"])?;
        let mine = letters.as_array().into_iter().flatten().find(|row| row["recipient"] == MISTYPED.1);
        Ok(mine.filter(|row| row["state"] == "failed").map(|_| ()))
    })?;

    let (facility, right) =
        (letter["facility"].as_str().unwrap_or_default(), forms::admin_address(MISTYPED.0));
    let before = (world.server.ok(&["slot", "show", MISTYPED_SLOT])?, sheet_file(world)?);
    let words = ["facility", "admin-address", facility, &right];
    world.server.ok(&[&words[..], &["--dry-run"]].concat())?;
    let listed = world.server.ok(&["mail", "list"])?.to_string();
    holds!(listed.contains(MISTYPED.1) && !listed.contains(&right), "a dry run changed the address");
    world.server.ok(&words)?;
    let mail = world.mail_for(MISTYPED_SLOT)?;
    holds!(mail.header("to") == right && mail.dkim, "it went to {}", mail.header("to"));
    holds!(mail.letter() == letter["message"], "another letter left: {}", mail.letter());
    let after = (world.server.ok(&["slot", "show", MISTYPED_SLOT])?, sheet_file(world)?);
    holds!(before == after, "number or sheet changed with the address");
    shell::until("the office to be content again", PATIENCE, || {
        let left = world.server.ok(&["mail", "list"])?;
        Ok(left.as_array().into_iter().flatten().all(|row| row["state"] == "sent").then_some(()))
    })
}

fn case_of(world: &World, facility: &str) -> Told<String> {
    let cases = world.server.ok(&["case", "list"])?;
    let found = cases.as_array().into_iter().flatten().find(|row| row["facility_name"] == facility);
    let case = found.and_then(|row| row["case"].as_str()).map(str::to_owned);
    case.ok_or_else(|| Fault::new(format!("no case of {facility}")))
}

fn sheet_file(world: &World) -> Told<String> {
    let file = world.output()?.join("sheets").join(format!("{MISTYPED_SLOT}.txt"));
    std::fs::read_to_string(file).map_err(Fault::from)
}

/// Only what is said: no blanks, no bullets, no numbering.
fn words(text: &str) -> String {
    let line = |line: &str| {
        let line = line.trim();
        let numbered =
            line.split_once(". ").filter(|(n, _)| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()));
        numbered.map_or(line, |(_, rest)| rest).trim_start_matches(['■', '・']).to_owned()
    };
    let lines: String = text.lines().map(line).collect();
    lines.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The text of a page's body.
fn without_tags(html: &str) -> String {
    let body = html.split_once("<body").map_or(html, |(_, rest)| rest);
    let mut text = String::new();
    for piece in format!("<body{body}").split('<') {
        text.push_str(piece.split_once('>').map_or("", |(_, after)| after));
    }
    text.replace("&#38;", "&").replace("&amp;", "&")
}

/// Without the blanks and hyphens that group a number for the eye.
fn bare(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_a_text_that_say_the_same_are_equal_and_others_are_not() {
        let html = "<html><head><title>x</title></head><body style=\"a\"><h2>注意</h2><ol><li>一つ <b>a</b></li></ol></body></html>";
        assert_eq!(words("■ 注意\n1. 一つ\n\u{3000}a\n"), words(&without_tags(html)));
        assert_ne!(words("■ 注意\n2. 二つ a\n"), words(&without_tags(html)));
        assert_eq!(bare("AB12-CD34 EF\n56"), "AB12CD34EF56");
    }
}
