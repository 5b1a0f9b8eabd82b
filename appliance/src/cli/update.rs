//! `update`: a new version into the slot that does not run. On a machine of our image root's service writes it; the
//! engineer streams the file to that service, or names the stick. An edge, border: that service's socket, the stick.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args_update::UpdateArgs;
use super::failure::{Failure, Words};
use super::out::Out;
use crate::exit::Exit;
use crate::machine;
use crate::messages::Message;
use crate::slots;
use crate::update::package::{self, Bad, LINE_MAX, MAGIC, Manifest};
use crate::update::{self, Refusal, Step};

const STICK_UNIT: &str = "run-stick.mount";
const STICK_FILE: &str = "/run/stick/mimamori.update";
/// Whose updates are taken: the image's builder, and whom the association adds on its own partition.
const KEYS: [&str; 2] = ["/usr/share/mimamori/update-keys", "/etc/mimamori/update-keys"];
const KEYS_MAX: u64 = 16 << 10;
/// A slot is written, and read back, in minutes also on a slow disk.
const ANSWER: Duration = Duration::from_secs(3600);
const ANSWER_MAX: u64 = 1 << 20;
/// How long a new version has to prove itself.
const TRIAL: u32 = 600;

/// The first line to root's service; the file follows unless it is on the stick.
#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    stick: bool,
    restart: bool,
    dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done(Value),
    Refused { exit: u8, code: String, ja: String, en: String, remedy_ja: String, remedy_en: String },
}

pub fn update(args: UpdateArgs, out: &Out) -> Result<Exit, Failure> {
    let ask = Ask { stick: args.stick, restart: args.restart, dry_run: args.dry_run };
    let mut given: Box<dyn Read> = match args.file.as_deref() {
        None => Box::new(std::io::empty()),
        Some(path) if path == Path::new("-") => Box::new(std::io::stdin()),
        Some(path) => Box::new(File::open(path).map_err(|error| Message::FileRead {
            path: path.display().to_string(),
            why: error.to_string(),
        })?),
    };
    let done = if rustix::process::geteuid().is_root() {
        perform(&ask, &mut given)?
    } else {
        request(Path::new(machine::UPDATE_SOCKET), &ask, &mut given)?
    };
    out.result(&done, || {
        let steps = done["steps"].as_array().map_or(0, Vec::len);
        let version = done["version"].as_str().unwrap_or_default();
        if ask.dry_run {
            return out.pick(
                format!("{version} を書けます（{steps} 段）\n"),
                format!("{version} can be written ({steps} steps)\n"),
            );
        }
        out.pick(
            format!("{version} を書きました。次に起動したとき試され、うまくいかなければ元に戻ります\n"),
            format!("{version} is written; it is tried at the next start, and gives way if it fails\n"),
        )
    })?;
    Ok(Exit::Ok)
}

/// Root's side: standard input is one connection of the engineer.
pub fn answer() -> Result<Exit, Failure> {
    let wire = |why: String| Failure::from(Message::Wire { why });
    let input = std::io::stdin();
    let mut stream =
        UnixStream::from(input.as_fd().try_clone_to_owned().map_err(|error| wire(error.to_string()))?);
    let mut reader = BufReader::new(input.lock());
    let mut line = String::new();
    (&mut reader).take(LINE_MAX as u64).read_line(&mut line).map_err(|error| wire(error.to_string()))?;
    let ask: Ask = serde_json::from_str(&line).map_err(|error| wire(error.to_string()))?;
    let (answer, restart) = match perform(&ask, &mut reader) {
        Ok(done) => (Answer::Done(done), ask.restart && !ask.dry_run),
        Err(Failure { exit, words, .. }) => {
            let Words { code, ja, en, remedy_ja, remedy_en } = *words;
            (Answer::Refused { exit: exit.code(), code, ja, en, remedy_ja, remedy_en }, false)
        }
    };
    let text = serde_json::to_vec(&answer).map_err(|error| wire(error.to_string()))?;
    stream.write_all(&text).map_err(|error| wire(error.to_string()))?;
    let _ = stream.shutdown(Shutdown::Both);
    if restart {
        systemctl(&["--no-block", "reboot"])?;
    }
    Ok(Exit::Ok)
}

fn request(socket: &Path, ask: &Ask, given: &mut dyn Read) -> Result<Value, Failure> {
    let wire = |why: String| Failure::from(Message::Wire { why });
    let head = serde_json::to_vec(ask).map_err(|error| wire(error.to_string()))?;
    let mut bytes = Vec::new();
    let mut talk = |bytes: &mut Vec<u8>| -> std::io::Result<()> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(&head)?;
        stream.write_all(b"\n")?;
        // Who refuses does not read to the end; its words follow.
        let _ = std::io::copy(given, &mut stream);
        let _ = stream.shutdown(Shutdown::Write);
        stream.take(ANSWER_MAX).read_to_end(bytes).map(|_| ())
    };
    talk(&mut bytes).map_err(|error| wire(error.to_string()))?;
    match serde_json::from_slice(&bytes).map_err(|error| wire(error.to_string()))? {
        Answer::Done(value) => Ok(value),
        Answer::Refused { exit, code, ja, en, remedy_ja, remedy_en } => {
            let exit = Exit::ALL.into_iter().find(|known| known.code() == exit).unwrap_or(Exit::Failed);
            let words = Box::new(Words { code, ja, en, remedy_ja, remedy_en });
            Err(Failure { exit, words, trace: None, faults: Vec::new() })
        }
    }
}

fn perform(ask: &Ask, given: &mut dyn Read) -> Result<Value, Failure> {
    if !ask.stick {
        return write(ask, &mut BufReader::new(given));
    }
    systemctl(&["start", STICK_UNIT])?;
    let done = File::open(STICK_FILE)
        .map_err(|error| Message::FileRead { path: STICK_FILE.to_owned(), why: error.to_string() }.into())
        .and_then(|file| write(ask, &mut BufReader::new(file)));
    systemctl(&["stop", STICK_UNIT])?;
    done
}

fn write(ask: &Ask, package: &mut dyn BufRead) -> Result<Value, Failure> {
    let manifest = head(package)?;
    let failed = |what: &str, error: &std::io::Error| {
        Failure::from(Message::UpdateFailed { what: what.to_owned(), why: error.to_string() })
    };
    let running = slots::running().map_err(|error| failed("slots", &error))?;
    let version = update::version_of(&manifest.version).unwrap_or_default();
    let steps = update::plan(&running, &version, &manifest.root_hash).map_err(refused)?;
    let mut done = Vec::new();
    for step in &steps {
        if !ask.dry_run {
            slots::perform(step, &manifest, package).map_err(|error| failed(name(step), &error))?;
        }
        done.push(name(step));
    }
    Ok(
        json!({ "version": manifest.version, "root_hash": manifest.root_hash, "steps": done, "dry_run": ask.dry_run }),
    )
}

fn head(package: &mut dyn BufRead) -> Result<Manifest, Failure> {
    let mut line = || -> Result<String, Failure> {
        let mut text = String::new();
        let read = package.take(LINE_MAX as u64).read_line(&mut text);
        read.map_err(|error| Message::Wire { why: error.to_string() })?;
        Ok(text)
    };
    if line()? != MAGIC {
        return Err(bad(Bad::NotOurs));
    }
    let (manifest, signature) = (line()?, line()?);
    let mut keys = String::new();
    for path in KEYS {
        if let Ok(file) = File::open(path) {
            let _ = file.take(KEYS_MAX).read_to_string(&mut keys);
            keys.push('\n');
        }
    }
    package::manifest(&manifest, &signature, &keys).map_err(bad)
}

/// The health gate: what is on trial stays when every room answers, and gives way when time is up.
pub fn bless(config: &Path) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| {
        Failure::from(Message::UpdateFailed { what: "bless".into(), why: error.to_string() })
    };
    let Some((from, to)) = update::blessing(&slots::running().map_err(failed)?) else { return Ok(Exit::Ok) };
    crate::log::install(log::LevelFilter::Info, Some("update"));
    for _ in 0..TRIAL {
        if healthy(config) {
            slots::bless(&from, &to).map_err(failed)?;
            log::info!("the new version stays");
            return Ok(Exit::Ok);
        }
        std::thread::park_timeout(Duration::from_secs(1));
    }
    log::warn!("the new version does not become healthy; starting anew");
    systemctl(&["--no-block", "reboot"])?;
    Ok(Exit::Degraded)
}

/// A machine without a realm has nothing that could fail.
fn healthy(config: &Path) -> bool {
    if !config.exists() {
        return true;
    }
    let own = fs::read_link("/proc/self/exe").unwrap_or_else(|_| "/usr/bin/mimamori".into());
    let mut check = Command::new(own);
    check.args(["status", "--check"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    check.status().is_ok_and(|status| status.success())
}

fn systemctl(words: &[&str]) -> Result<(), Failure> {
    let done = Command::new("systemctl").args(words).stdin(Stdio::null()).stdout(Stdio::null()).status();
    if done.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(Message::Apply { what: "systemctl".to_owned(), why: words.join(" ") }.into())
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Forget(_) => "forget",
        Step::Root(_) => "root",
        Step::Tree(_) => "tree",
        Step::Check(_) => "check",
        Step::Kernel => "kernel",
        Step::Commit(_) => "commit",
    }
}

fn bad(bad: Bad) -> Failure {
    let (ja, en) = match bad {
        Bad::NotOurs => ("更新ファイルではありません", "it is no update"),
        Bad::Signature => (
            "知らない鍵で署名されているか、署名の後に変わっています",
            "no known key has signed it, or it was changed since",
        ),
        Bad::Manifest => ("中身の記述が正しくありません", "what it says about its contents makes no sense"),
    };
    Message::UpdateBad { why_ja: ja.to_owned(), why_en: en.to_owned() }.into()
}

fn refused(refusal: Refusal) -> Failure {
    let (ja, en) = match refusal {
        Refusal::OnTrial => ("いまの版がまだ試されているところです", "what runs is still on trial"),
        Refusal::Older => ("いまの版より古い版です", "it is older than what runs"),
        Refusal::Same => ("いまの版と同じものです", "it is what runs"),
        Refusal::Lost => (
            "いまの版のカーネルが起動区画にありません",
            "the kernel of what runs is not on the boot partition",
        ),
    };
    Message::UpdateRefused { why_ja: ja.to_owned(), why_en: en.to_owned() }.into()
}
