//! The rescue by two, root's side: who asks, who agrees, and the console's shell that opens for the code which the second
//! was told. What its screen shows is written down. An edge, border: files, the console, `script`, `systemctl`.

use std::fs;
use std::io::{BufRead, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::engineers::{failed, fresh_code, place, refused, turn, unready};
use super::failure::Failure;
use super::out::Out;
use crate::engineers::Window;
use crate::engineers::certificate::{NotOne, Person};
use crate::engineers::rescue::{self, Asked, NotOpened, Wanted};
use crate::exit::Exit;
use crate::files;
use crate::kept::since_boot_ms;
use crate::machine::RESCUE_CA;
use crate::operator::door::now_ms;

/// In `APPLIED`, root's alone, gone with the machine's power.
const ASKED: &str = "rescue-asked.json";
const OPEN: &str = "rescue-open.json";
const LOCK: &str = "rescue.lock";
const SHELL_UNIT: &str = "mimamori-rescue.service";
const REGISTRATION_UNIT: &str = "mimamori-registration.service";
const TRANSCRIPTS: &str = "/var/log/mimamori-rescue";
const SMALL_MAX: usize = 16 << 10;
/// A code, and what somebody leaned on.
const TYPED_MAX: u64 = 256;

#[derive(Serialize, Deserialize)]
struct AskedFile {
    name: String,
    point: Vec<u8>,
    registration: bool,
    reason: String,
    until_ms: u64,
}

/// Whom the shell at the console waits for.
#[derive(Serialize, Deserialize)]
struct OpenFile {
    digest: Vec<u8>,
    until_ms: u64,
    tries: u8,
    asked: String,
    agreed: String,
    reason: String,
}

pub fn ask(certificate: &str, registration: bool, reason: &str) -> Result<Value, Failure> {
    let by = person(certificate)?;
    let wanted = if registration { Wanted::Registration } else { Wanted::Shell };
    let asked = Asked::new(by, wanted, reason, since_boot_ms())
        .ok_or_else(|| refused("理由がありません", "there is no reason"))?;
    let _turn = turn(LOCK)?;
    log::warn!("{} asks for {}: {}", asked.by.name, named(wanted), asked.reason);
    let shown = shown(&asked);
    let Asked { by, reason, until_ms, .. } = asked;
    write(ASKED, &AskedFile { name: by.name, point: by.point, registration, reason, until_ms })?;
    Ok(shown)
}

pub fn show(certificate: &str) -> Result<Value, Failure> {
    person(certificate)?;
    let asked = asked()?.filter(|asked| since_boot_ms() < asked.until_ms);
    Ok(asked.map_or(json!({ "asked": null }), |asked| shown(&asked)))
}

/// What was asked for is forgotten before anything opens: nothing is agreed with twice.
pub fn agree(certificate: &str, with: &str) -> Result<Value, Failure> {
    let by = person(certificate)?;
    let _turn = turn(LOCK)?;
    let asked = asked()?;
    rescue::second(asked.as_ref(), &by, with, since_boot_ms()).map_err(|why| match why {
        NotOpened::Nobody => refused("だれも求めていません", "nobody asks for it"),
        NotOpened::Another => refused("求めている人の名前が違います", "somebody else asks: see rescue show"),
        NotOpened::Same => refused(
            "同じ人か同じ鍵です。もう一人の、別の鍵が要ります",
            "the same person, or the same key; it takes another person with another key",
        ),
    })?;
    let Some(asked) = asked else {
        return Err(refused("だれも求めていません", "nobody asks for it"));
    };
    files::remove(&place(ASKED)).map_err(|error| failed("rescue", &error))?;
    log::warn!("{} agrees with {}: {}, {}", by.name, asked.by.name, named(asked.wanted), asked.reason);
    if asked.wanted == Wanted::Registration {
        start(REGISTRATION_UNIT)?;
        return Ok(json!({ "opened": "registration" }));
    }
    let code = fresh_code()?;
    let Window { digest, until_ms, tries } = Window::open(&code, since_boot_ms());
    let (agreed, reason) = (by.name, asked.reason);
    write(OPEN, &OpenFile { digest, until_ms, tries, asked: asked.by.name, agreed, reason })?;
    start(SHELL_UNIT)?;
    Ok(json!({ "opened": "shell", "code": *code }))
}

/// The unit at the console: first the code, then the shell. systemd ends it after half an hour.
pub fn console(out: &Out) -> Result<Exit, Failure> {
    crate::log::install(log::LevelFilter::Info, Some("rescue"));
    let Some(open) = read::<OpenFile>(OPEN)? else { return Ok(Exit::Denied) };
    let OpenFile { asked, agreed, reason, .. } = open;
    out.plain(&format!("\nmimamori: rescue shell, asked by {asked}, agreed by {agreed}: {reason}\n"))?;
    loop {
        out.plain("番号 / code: ")?;
        let mut typed = String::new();
        let read = std::io::stdin().lock().take(TYPED_MAX).read_line(&mut typed);
        if !matches!(read, Ok(1..)) {
            return Ok(Exit::Denied);
        }
        match judged(typed.trim())? {
            Some(true) => break,
            Some(false) => out.plain("番号が違います / that is not the code\n")?,
            None => {
                log::warn!("nobody typed the rescue shell's code in time");
                return Ok(Exit::Denied);
            }
        }
    }
    files::private_folder(Path::new(TRANSCRIPTS))?;
    let at = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default();
    let transcript = format!("{TRANSCRIPTS}/rescue-{}.log", at.strftime("%Y%m%dT%H%M%SZ"));
    log::warn!("the rescue shell of {asked} and {agreed} is open; {transcript}");
    let done = Command::new("/usr/bin/script")
        .args(["--quiet", "--flush", "--log-out", &transcript, "--command", "/bin/bash --noprofile --norc"])
        .status();
    log::warn!("the rescue shell of {asked} and {agreed} is closed");
    done.map(|_| Exit::Ok).map_err(|error| failed("script", &error))
}

/// A try is spent before it is looked at; the right one is the last. `None`: it is over.
fn judged(typed: &str) -> Result<Option<bool>, Failure> {
    let _turn = turn(LOCK)?;
    let Some(open) = read::<OpenFile>(OPEN)? else { return Ok(None) };
    let window = Window { digest: open.digest.clone(), until_ms: open.until_ms, tries: open.tries };
    let Some(left) = window.spent(since_boot_ms()) else {
        files::remove(&place(OPEN)).map_err(|error| failed("rescue", &error))?;
        return Ok(None);
    };
    write(OPEN, &OpenFile { tries: left.tries, ..open })?;
    let right = left.fits(typed);
    if right {
        files::remove(&place(OPEN)).map_err(|error| failed("rescue", &error))?;
    }
    Ok(Some(right))
}

/// Of the authority that the realm began with: whoever commits another one does not become two by it.
fn person(certificate: &str) -> Result<Person, Failure> {
    let path = Path::new(RESCUE_CA);
    if !path.exists() {
        return Err(refused("技術者の認証局がありません", "there is no authority of the engineers"));
    }
    let authorities = String::from_utf8_lossy(&files::read_limited(path, SMALL_MAX)?).into_owned();
    let now_s = u64::try_from(now_ms() / 1000).unwrap_or_default();
    Person::of(certificate, &authorities, now_s).map_err(|why| match why {
        NotOne::Unreadable => refused("証明書で入った人だけです", "only for who came with a certificate"),
        NotOne::Stranger => refused(
            "領域の初めからの認証局の証明書ではありません",
            "the certificate is not of the authority that the realm began with",
        ),
        NotOne::NotNow => {
            refused("証明書の期限か役割が合いません", "not the certificate's time, or its role")
        }
        NotOne::Name => refused("証明書の名前が使えません", "the certificate's name is no name"),
    })
}

fn shown(asked: &Asked) -> Value {
    let left = asked.until_ms.saturating_sub(since_boot_ms()) / 1000;
    json!({ "asked": asked.by.name, "for": named(asked.wanted), "reason": asked.reason, "left_s": left })
}

fn named(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Shell => "the rescue shell",
        Wanted::Registration => "another registration",
    }
}

fn asked() -> Result<Option<Asked>, Failure> {
    Ok(read::<AskedFile>(ASKED)?.map(|file| Asked {
        by: Person { name: file.name, point: file.point },
        wanted: if file.registration { Wanted::Registration } else { Wanted::Shell },
        reason: file.reason,
        until_ms: file.until_ms,
    }))
}

fn read<T: DeserializeOwned>(name: &str) -> Result<Option<T>, Failure> {
    let path = place(name);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).map_err(|error| failed(name, &error))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| unready(name, error.to_string()))
}

fn write(name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(value).map_err(|error| unready(name, error.to_string()))?;
    files::replace(&place(name), &bytes, 0o600).map_err(|error| failed(name, &error))
}

fn start(unit: &str) -> Result<(), Failure> {
    let mut start = Command::new("systemctl");
    start.args(["--no-block", "start", unit]).stdin(Stdio::null()).stdout(Stdio::null());
    if start.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(unready("systemctl", unit.to_owned()))
}
