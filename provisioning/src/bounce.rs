//! What came back to the bounce mailbox: which letter it is about, whether it is final, and the code with the words of
//! whoever refused. RFC 3464 reports first; then the forms that carriers and old servers use instead, which only say it
//! in their text. Foreign octets, sent by anybody: nothing here is believed beyond what a clerk should look at. Pure.

/// A report with the whole mail in it; more is nobody's bounce.
pub const MAIL_MAX: usize = 1024 * 1024;
/// Parts of one mail, and headers of one part: a bounce has three and thirty.
const PARTS_MAX: usize = 20;
const LINES_MAX: usize = 20_000;
/// What is kept of the server's words.
const WORDS_MAX: usize = 300;
/// Ours, see `letter`: `bounce+<letter>@<zone>`.
const VERP: &str = "bounce+";
/// What carriers and old servers say when there is nobody.
const NOBODY: [&str; 10] = [
    "user unknown",
    "unknown user",
    "no such user",
    "invalid recipient",
    "recipient address rejected",
    "does not exist",
    "host unknown",
    "host or domain name not found",
    "address not found",
    "宛先不明",
];
const FULL: [&str; 5] =
    ["mailbox full", "over quota", "quota exceeded", "mailbox is full", "insufficient system storage"];

/// What somebody's server says about one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// The outbox's name of the letter.
    pub letter: String,
    pub kind: BounceKind,
    /// `550 5.1.1 …`, as an answer of a mail server would stand in the outbox.
    pub answer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BounceKind {
    /// It will not arrive.
    Failed,
    /// Somebody still tries.
    Delayed,
    /// It has arrived, or was passed on.
    Delivered,
}

/// Why a mail is no bounce of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBounce {
    #[error("it is larger than any report")]
    TooLarge,
    #[error("it names no letter of ours")]
    NoLetter,
    #[error("it says nothing about a delivery")]
    NoReport,
}

/// Reads one mail as it lies in the mailbox.
pub fn read(zone: &str, mail: &[u8]) -> Result<Bounce, NoBounce> {
    if mail.len() > MAIL_MAX {
        return Err(NoBounce::TooLarge);
    }
    let text = String::from_utf8_lossy(mail).replace("\r\n", "\n");
    let whole = Entity::read(&text);
    let letter = letter(zone, &whole, &text).ok_or(NoBounce::NoLetter)?;
    // A report by the book speaks for itself; words count only where there is none.
    let reported = match whole.status() {
        Some(status) => reported(&status),
        None => whole.is_machines().then(|| spoken(&whole.body)).flatten(),
    };
    let (kind, answer) = reported.ok_or(NoBounce::NoReport)?;
    Ok(Bounce { letter, kind, answer })
}

/// Headers and what stands below them.
struct Entity {
    headers: Vec<(String, String)>,
    body: String,
}

impl Entity {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        Self { headers: headers(head), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Was it written by a machine? A person's answer that quotes us is no bounce.
    fn is_machines(&self) -> bool {
        let from = self.header("from").unwrap_or_default().to_lowercase();
        let sender = self.header("return-path").map(str::trim);
        let replies = self.header("auto-submitted").is_some_and(|value| value.starts_with("auto-replied"));
        let daemon = ["mailer-daemon", "postmaster", "mail delivery", "mail system"];
        let is_daemon = sender == Some("<>") || daemon.iter().any(|name| from.contains(name));
        is_daemon && (!replies || self.header("x-failed-recipients").is_some())
    }

    fn parts(&self) -> Vec<Entity> {
        let media = self.header("content-type").unwrap_or_default();
        if !media.trim_start().to_ascii_lowercase().starts_with("multipart/") {
            return Vec::new();
        }
        let Some(boundary) = parameter(media, "boundary") else { return Vec::new() };
        let line = format!("\n--{boundary}");
        let body = format!("\n{}", self.body);
        body.split(line.as_str())
            .skip(1)
            .take(PARTS_MAX)
            .filter(|part| !part.starts_with("--"))
            .filter_map(|part| part.split_once('\n'))
            .map(|(_, part)| Entity::read(part.trim_start_matches('\n')))
            .collect()
    }

    /// RFC 3464: the part for machines.
    fn status(&self) -> Option<Entity> {
        self.parts().into_iter().find(|part| {
            let media = part.header("content-type").unwrap_or_default().to_ascii_lowercase();
            media.contains("message/delivery-status") || media.contains("message/global-delivery-status")
        })
    }
}

/// The block of the recipient that says the most.
fn reported(status: &Entity) -> Option<(BounceKind, String)> {
    let mut worst: Option<(BounceKind, String)> = None;
    for block in status.body.split("\n\n").map(headers) {
        let value = |name: &str| block.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let Some(action) = value("action") else { continue };
        let kind = match action.trim().to_ascii_lowercase().as_str() {
            "failed" => BounceKind::Failed,
            "delayed" => BounceKind::Delayed,
            "delivered" | "relayed" | "expanded" => BounceKind::Delivered,
            _ => continue,
        };
        let words = value("diagnostic-code").map_or("", |text| text.split_once(';').map_or(text, |(_, w)| w));
        let status = value("status").map(|status| status.trim()).unwrap_or_default();
        if worst.as_ref().is_none_or(|(known, _)| kind == BounceKind::Failed && *known != kind) {
            worst = Some((kind, answer(kind, status, words.trim())));
        }
    }
    worst
}

fn headers(head: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in head.lines().take(LINES_MAX) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = found.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            found.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

fn parameter(media: &str, name: &str) -> Option<String> {
    media.split(';').skip(1).find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        let value = value.trim().trim_matches('"');
        (key.trim().eq_ignore_ascii_case(name) && !value.is_empty()).then(|| value.to_owned())
    })
}

/// The letter that the mail is addressed about: in the address it came to, else in the headers it gives back.
fn letter(zone: &str, whole: &Entity, text: &str) -> Option<String> {
    for name in ["delivered-to", "x-original-to", "envelope-to", "to", "x-failed-recipients"] {
        if let Some(found) = whole.header(name).and_then(|value| verp(zone, value)) {
            return Some(found);
        }
    }
    // Our own Message-ID, in whatever part the mail is given back.
    let after = text.lines().take(LINES_MAX).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let known = name.trim().trim_start_matches('>').trim().eq_ignore_ascii_case("message-id");
        let (letter, of) = value.trim().trim_start_matches('<').trim_end_matches('>').split_once('@')?;
        (known && of.eq_ignore_ascii_case(zone)).then(|| letter.to_owned())
    });
    after.filter(|letter| is_letter(letter))
}

fn verp(zone: &str, value: &str) -> Option<String> {
    let lower = value.to_ascii_lowercase();
    let from = lower.find(VERP)? + VERP.len();
    let rest = lower.get(from..)?;
    let (letter, rest) = rest.split_once('@')?;
    let of: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect();
    (of == zone.to_ascii_lowercase() && is_letter(letter)).then(|| letter.to_owned())
}

/// `o-bundle-18-0001-1`: what the outbox calls its letters.
fn is_letter(text: &str) -> bool {
    text.starts_with("o-")
        && text.len() <= 60
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A bounce that says it in words only: carriers, qmail, old gateways.
fn spoken(body: &str) -> Option<(BounceKind, String)> {
    let line = |wanted: &dyn Fn(&str) -> bool| {
        body.lines().take(LINES_MAX).map(str::trim).find(|line| wanted(line)).map(str::to_owned)
    };
    // The conversation with the refusing server, as many quote it.
    let coded = line(&|line| {
        code(line.trim_start_matches(['<', '>', ' '])).is_some_and(|code| code.starts_with('5'))
    });
    if let Some(found) = coded {
        let found = found.trim_start_matches(['<', '>', ' ']).to_owned();
        return Some((BounceKind::Failed, short(&found)));
    }
    let enhanced = |line: &str| line.split(|c: char| !(c.is_ascii_digit() || c == '.')).any(is_permanent);
    let lower = body.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let status = if says(&NOBODY) {
        "5.1.1"
    } else if says(&FULL) {
        "5.2.2"
    } else if line(&|line| enhanced(line)).is_some() {
        "5.0.0"
    } else {
        return None;
    };
    let told = line(&|line| {
        let lower = line.to_lowercase();
        NOBODY.iter().chain(&FULL).any(|word| lower.contains(word)) || enhanced(line)
    });
    Some((BounceKind::Failed, answer(BounceKind::Failed, status, &told.unwrap_or_default())))
}

/// `550`, when a line begins as an SMTP reply does.
fn code(line: &str) -> Option<&str> {
    let (code, rest) = line.split_at_checked(3)?;
    let is_code = code.bytes().all(|b| b.is_ascii_digit()) && matches!(code.as_bytes()[0], b'4' | b'5');
    (is_code && rest.starts_with([' ', '-'])).then_some(code)
}

fn is_permanent(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    matches!(parts.as_slice(), ["5", subject, detail]
        if (1..=3).contains(&subject.len()) && (1..=3).contains(&detail.len()))
}

/// As the server itself would have answered us, so that one table explains both.
fn answer(kind: BounceKind, status: &str, words: &str) -> String {
    if code(words).is_some() {
        return short(words);
    }
    let code = match (kind, status.as_bytes().first()) {
        (BounceKind::Delivered, _) => "250",
        (BounceKind::Delayed, _) | (_, Some(b'4')) => "450",
        _ => "550",
    };
    short(&[code, status, words].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
}

fn short(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORDS_MAX)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests;
