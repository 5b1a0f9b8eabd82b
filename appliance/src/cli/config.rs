//! `config`: the configuration's history. Whoever owns the file writes it; on a machine of our image that is
//! root's service, which hears the engineer at a socket of his own. Edge, border: files, that socket, systemctl.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args_config::ConfigCommand;
use super::difference;
use super::failure::{Failure, Words};
use super::out::Out;
use crate::config;
use crate::exit::Exit;
use crate::files;
use crate::history::State;
use crate::kept::{self, Kept, refused};
use crate::machine;
use crate::messages::Message;
use crate::operator::door::now_ms;
use crate::operator::users::Users;

/// As a configuration may be.
const TEXT_MAX: usize = 256 << 10;
/// A text in JSON, with its escapes.
const FRAME_MAX: u64 = 2 << 20;
/// How often the watcher looks at the clock.
const LOOK: Duration = Duration::from_secs(1);
/// Rooms stop within half a minute; a helper that says nothing for longer is gone.
const ANSWER: Duration = Duration::from_secs(180);

/// What only the owner of the file may do.
#[derive(Debug, Serialize, Deserialize)]
enum Act {
    Commit { text: String, confirm_ms: Option<u64>, dry_run: bool },
    Confirm,
    Rollback { back: Option<usize>, confirm_ms: Option<u64> },
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done(Value),
    Refused { exit: u8, code: String, ja: String, en: String, remedy_ja: String, remedy_en: String },
}

pub fn config(path: &Path, command: ConfigCommand, out: &Out) -> Result<Exit, Failure> {
    let act = match command {
        ConfigCommand::Show { back } => {
            let kept = Kept::look(path);
            let text =
                if back == 0 { kept.active_text()? } else { kept.text(before(&kept.state()?, back)?)? };
            out.result(&json!({ "text": text }), || text.clone())?;
            return Ok(Exit::Ok);
        }
        ConfigCommand::History => return history(&Kept::look(path).state()?, out),
        ConfigCommand::Diff { file } => {
            let changes = difference::lines(&Kept::look(path).active_text()?, &given(&file)?);
            out.result(&json!({ "changes": changes }), || {
                changes.iter().map(|line| format!("{line}\n")).collect()
            })?;
            return Ok(Exit::Ok);
        }
        ConfigCommand::Settle { watch } => return settle(path, watch),
        ConfigCommand::Commit { file, confirm, dry_run } => {
            Act::Commit { text: given(&file)?, confirm_ms: confirm.confirm, dry_run }
        }
        ConfigCommand::Confirm => Act::Confirm,
        ConfigCommand::Rollback { back, confirm } => Act::Rollback { back, confirm_ms: confirm.confirm },
    };
    let me = rustix::process::geteuid();
    let helper = Path::new(machine::CONFIG_SOCKET);
    let done = if !me.is_root() && on_machine(path) && helper.exists() {
        ask(helper, &act)?
    } else {
        perform(path, act, &Users::read().name(me.as_raw()))?
    };
    out.result(&done, || said(&done, out))?;
    Ok(Exit::Ok)
}

/// Root's side of the socket: standard input is one connection of the engineer, who has proved his uid by it.
pub fn answer(path: &Path) -> Result<Exit, Failure> {
    let failed = |why: String| Failure::from(Message::Wire { why });
    let input = std::io::stdin();
    let peer =
        rustix::net::sockopt::socket_peercred(input.as_fd()).map_err(|error| failed(error.to_string()))?;
    let by = Users::read().name(peer.uid.as_raw());
    let mut bytes = Vec::new();
    input.lock().take(FRAME_MAX).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    let act: Act = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    let answer = match perform(path, act, &by) {
        Ok(done) => Answer::Done(done),
        Err(Failure { exit, words, .. }) => {
            let Words { code, ja, en, remedy_ja, remedy_en } = *words;
            Answer::Refused { exit: exit.code(), code, ja, en, remedy_ja, remedy_en }
        }
    };
    let text = serde_json::to_vec(&answer).map_err(|error| failed(error.to_string()))?;
    let mut stream =
        UnixStream::from(input.as_fd().try_clone_to_owned().map_err(|error| failed(error.to_string()))?);
    stream.write_all(&text).map_err(|error| failed(error.to_string()))?;
    Ok(Exit::Ok)
}

fn ask(helper: &Path, act: &Act) -> Result<Value, Failure> {
    let failed = |why: String| Failure::from(Message::Wire { why });
    let text = serde_json::to_vec(act).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    let talk = |bytes: &mut Vec<u8>| -> std::io::Result<()> {
        let mut stream = UnixStream::connect(helper)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(&text)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.take(FRAME_MAX).read_to_end(bytes).map(|_| ())
    };
    talk(&mut bytes).map_err(|error| failed(error.to_string()))?;
    match serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))? {
        Answer::Done(value) => Ok(value),
        Answer::Refused { exit, code, ja, en, remedy_ja, remedy_en } => {
            let exit = Exit::ALL.into_iter().find(|known| known.code() == exit).unwrap_or(Exit::Failed);
            let words = Box::new(Words { code, ja, en, remedy_ja, remedy_en });
            Err(Failure { exit, words, trace: None, faults: Vec::new() })
        }
    }
}

fn perform(path: &Path, act: Act, by: &str) -> Result<Value, Failure> {
    let kept = Kept::open(path)?;
    let (state, active) = (kept.state()?, kept.active_text()?);
    let now = kept::now()?;
    let (writes, text, dry_run) = match act {
        Act::Confirm => (state.confirm().map_err(refused)?, active.clone(), false),
        Act::Rollback { back: None, .. } => {
            let text = kept.text(state.confirmed().unwrap_or_default())?;
            (state.abandon().map_err(refused)?, text, false)
        }
        Act::Rollback { back: Some(back), confirm_ms } => {
            let text = kept.text(before(&state, back)?)?;
            (committed(&state, &text, &active, by, confirm_ms, &now)?, text, false)
        }
        Act::Commit { text, confirm_ms, dry_run } => {
            (committed(&state, &text, &active, by, confirm_ms, &now)?, text, dry_run)
        }
    };
    let changes = difference::lines(&active, &text);
    if !dry_run && kept.write(&writes)? {
        drop(kept);
        follow(path)?;
    }
    let pending = Kept::look(path).state()?.pending;
    let left = pending.map(|pending| pending.until_ms.saturating_sub(now.since_boot_ms) / 1000);
    Ok(json!({ "changes": changes, "dry_run": dry_run, "confirm_within_s": left }))
}

/// No text becomes active that `check` would refuse.
fn committed(
    state: &State,
    text: &str,
    active: &str,
    by: &str,
    confirm_ms: Option<u64>,
    now: &crate::history::Now,
) -> Result<Vec<crate::history::Write>, Failure> {
    config::read(text).map_err(Failure::config)?;
    Ok(state.commit(text, Some(active), (now_ms(), by), confirm_ms, now).map_err(refused)?)
}

fn before(state: &State, back: usize) -> Result<u64, Failure> {
    Ok(state.before(back).map_err(refused)?)
}

/// Drops what is overdue; what cannot be read now may be readable in a moment.
fn settle(path: &Path, watch: bool) -> Result<Exit, Failure> {
    if watch {
        crate::log::install(log::LevelFilter::Info, Some("config"));
    }
    loop {
        if path.exists() {
            let settled = Kept::open(path).and_then(|kept| Ok((kept.settle()?, kept.owes())));
            match settled {
                Ok((fell, owed)) => {
                    if fell {
                        log::warn!("a configuration that nobody confirmed fell back to the one before it");
                    }
                    // Also what somebody else has changed and was ended before he could tell.
                    if owed {
                        follow(path)?;
                    }
                }
                Err(message) if !watch => return Err(message.into()),
                Err(message) => log::warn!("{} {}", message.code(), message.en()),
            }
        }
        if !watch {
            return Ok(Exit::Ok);
        }
        std::thread::park_timeout(LOOK);
    }
}

/// On a machine of our image the wall and the rooms take the new text; elsewhere somebody restarts them. Under the lock:
/// what changes meanwhile is owed anew, after this was paid.
fn follow(path: &Path) -> Result<(), Failure> {
    let kept = Kept::open(path)?;
    tell(path)?;
    Ok(kept.told()?)
}

fn tell(path: &Path) -> Result<(), Failure> {
    if !on_machine(path) || !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    // At the start of the machine neither runs yet, and both will read the right text.
    let units: [&[&str]; 2] = [
        &["--no-block", "try-reload-or-restart", "mimamori-wall.service"],
        &["--no-block", "try-restart", "mimamori-rooms.target"],
    ];
    for words in units {
        let done = Command::new("systemctl").args(words).stdin(Stdio::null()).stdout(Stdio::null()).status();
        if !done.is_ok_and(|status| status.success()) {
            return Err(Message::Apply { what: "systemctl".to_owned(), why: words.join(" ") }.into());
        }
    }
    Ok(())
}

fn on_machine(path: &Path) -> bool {
    path == Path::new(machine::CONFIG)
}

fn given(file: &Path) -> Result<String, Failure> {
    let bytes = if file == Path::new("-") {
        files::read_limited(Path::new("/dev/stdin"), TEXT_MAX)?
    } else {
        files::read_limited(file, TEXT_MAX)?
    };
    String::from_utf8(bytes).map_err(|error| Message::NotToml { why: error.to_string() }.into())
}

fn history(state: &State, out: &Out) -> Result<Exit, Failure> {
    let pending = state.pending.as_ref().map(|pending| pending.number);
    out.result(state, || {
        let line = |(back, revision): (usize, &crate::history::Revision)| {
            let at = jiff::Timestamp::from_millisecond(revision.at_ms)
                .map(|at| at.to_string())
                .unwrap_or_default();
            let mark = if pending == Some(revision.number) {
                out.pick("  未確定", "  not confirmed")
            } else {
                ""
            };
            format!("{back:>3}  {at}  {}{mark}\n", revision.by)
        };
        state.revisions.iter().rev().enumerate().map(line).collect()
    })?;
    Ok(Exit::Ok)
}

fn said(done: &Value, out: &Out) -> String {
    let mut text: String = done["changes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|line| format!("{line}\n"))
        .collect();
    if let Some(seconds) = done["confirm_within_s"].as_u64() {
        text.push_str(&out.pick(
            format!("{seconds}秒以内に config confirm がなければ、元に戻ります\n"),
            format!("falls back in {seconds} s unless config confirm comes\n"),
        ));
    }
    text
}
