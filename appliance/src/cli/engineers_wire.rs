//! Between an engineer's session and root's service: the session of `mm-enrol`, the operator's `rescue`, and the service
//! that hears both and knows by the kernel which it is. An edge, border: root's socket.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args_engineers::RescueCommand;
use super::engineers::{certificate, refused};
use super::failure::{Failure, Words};
use super::out::Out;
use super::rescue;
use crate::engineers;
use crate::exit::Exit;
use crate::files;
use crate::machine::{ENGINEERS_SOCKET, ENROL_USER, OPERATOR_USER};
use crate::messages::Message;
use crate::operator::users::Users;

const AUTH_MAX: usize = 64 << 10;
const FRAME_MAX: u64 = 64 << 10;
/// Wrong codes of others wait a second each.
const ANSWER: Duration = Duration::from_secs(30);
/// Whoever asks has its question ready.
const ASKING: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Act {
    /// With the client's line: a code and a name to be registered, nothing for the next certificate.
    Certificate {
        key: String,
        line: String,
    },
    Ask {
        certificate: String,
        registration: bool,
        reason: String,
    },
    Show {
        certificate: String,
    },
    Agree {
        certificate: String,
        with: String,
    },
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Done(Value),
    Refused { exit: u8, code: String, ja: String, en: String, remedy_ja: String, remedy_en: String },
}

/// The session of `mm-enrol`: `ssh mm-enrol@machine [CODE NAME] > key-cert.pub`. It reads nothing but that line.
pub fn enrol(out: &Out) -> Result<Exit, Failure> {
    let key = came_with()?;
    let line = std::env::var("SSH_ORIGINAL_COMMAND").unwrap_or_default();
    if engineers::wish(&line).is_none() {
        return Err(Message::ShellLine { why: "CODE NAME".to_owned() }.into());
    }
    let done = ask(&Act::Certificate { key, line })?;
    out.plain(done.as_str().unwrap_or_default()).map(|()| Exit::Ok)
}

pub fn rescue(command: RescueCommand, out: &Out) -> Result<Exit, Failure> {
    let certificate = came_with()?;
    let act = match command {
        RescueCommand::Ask { reason, registration } => Act::Ask { certificate, registration, reason },
        RescueCommand::Show => Act::Show { certificate },
        RescueCommand::Agree { name } => Act::Agree { certificate, with: name },
    };
    let done = ask(&act)?;
    out.result(&done, || said(&done, out))?;
    Ok(Exit::Ok)
}

fn said(done: &Value, out: &Out) -> String {
    let word = |name: &str| done[name].as_str().unwrap_or_default();
    match (word("opened"), word("asked")) {
        ("shell", _) => out.pick(
            format!("画面で番号を入れてください（10分）: {}\n非常用シェルは30分で閉じ、記録されます\n", word("code")),
            format!("type this code at the console within 10 minutes: {}\nthe rescue shell ends after 30 minutes and is written down\n", word("code")),
        ),
        ("registration", _) => out.pick(
            "画面に登録の番号が出ています（10分）\n".to_owned(),
            "the console shows a registration's code for 10 minutes\n".to_owned(),
        ),
        (_, "") => out.pick("だれも求めていません\n".to_owned(), "nobody asks for anything\n".to_owned()),
        (_, asked) => out.pick(
            format!("{asked} が求めています（{}）: {}\nもう一人: rescue agree {asked}\n", word("for"), word("reason")),
            format!("{asked} asks for {}: {}\nthe second person: rescue agree {asked}\n", word("for"), word("reason")),
        ),
    }
}

/// Root's side: standard input is one connection, and the kernel says whose.
pub fn answer(config: &Path) -> Result<Exit, Failure> {
    crate::log::install(log::LevelFilter::Info, Some("engineers"));
    let input = std::io::stdin();
    let peer = rustix::net::sockopt::socket_peercred(input.as_fd()).map_err(|error| wire(&error.into()))?;
    let by = Users::read().name(peer.uid.as_raw());
    let stream = input.as_fd().try_clone_to_owned().map_err(|error| wire(&error))?;
    let mut stream = UnixStream::from(stream);
    stream.set_read_timeout(Some(ASKING)).map_err(|error| wire(&error))?;
    let mut bytes = Vec::new();
    (&mut stream).take(FRAME_MAX).read_to_end(&mut bytes).map_err(|error| wire(&error))?;
    let act: Act = serde_json::from_slice(&bytes).map_err(|error| wire(&error.into()))?;
    let answer = match performed(config, by.strip_prefix("unix:"), act) {
        Ok(value) => Answer::Done(value),
        Err(Failure { exit, words, .. }) => {
            log::warn!("{}", words.en);
            let Words { code, ja, en, remedy_ja, remedy_en } = *words;
            Answer::Refused { exit: exit.code(), code, ja, en, remedy_ja, remedy_en }
        }
    };
    let text = serde_json::to_vec(&answer).map_err(|error| wire(&error.into()))?;
    stream.write_all(&text).map_err(|error| wire(&error))?;
    Ok(Exit::Ok)
}

fn performed(config: &Path, by: Option<&str>, act: Act) -> Result<Value, Failure> {
    match (by, act) {
        (Some(ENROL_USER), Act::Certificate { key, line }) => Ok(json!(certificate(config, &key, &line)?)),
        (Some(OPERATOR_USER), Act::Ask { certificate, registration, reason }) => {
            rescue::ask(&certificate, registration, &reason)
        }
        (Some(OPERATOR_USER), Act::Show { certificate }) => rescue::show(&certificate),
        (Some(OPERATOR_USER), Act::Agree { certificate, with }) => rescue::agree(&certificate, &with),
        _ => Err(refused("この利用者にはできません", "not for this user")),
    }
}

fn ask(act: &Act) -> Result<Value, Failure> {
    let text = serde_json::to_vec(act).map_err(|error| wire(&error.into()))?;
    let mut bytes = Vec::new();
    let talk = |bytes: &mut Vec<u8>| -> std::io::Result<()> {
        let mut stream = UnixStream::connect(ENGINEERS_SOCKET)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(&text)?;
        stream.shutdown(Shutdown::Write)?;
        stream.take(FRAME_MAX).read_to_end(bytes).map(|_| ())
    };
    talk(&mut bytes).map_err(|error| wire(&error))?;
    match serde_json::from_slice(&bytes).map_err(|error| wire(&error.into()))? {
        Answer::Done(value) => Ok(value),
        Answer::Refused { exit, code, ja, en, remedy_ja, remedy_en } => {
            let exit = Exit::ALL.into_iter().find(|known| known.code() == exit).unwrap_or(Exit::Failed);
            let words = Box::new(Words { code, ja, en, remedy_ja, remedy_en });
            Err(Failure { exit, words, trace: None, faults: Vec::new() })
        }
    }
}

/// sshd says it in a file of this session's own.
fn came_with() -> Result<String, Failure> {
    let refused = || refused("SSHで入った人だけです", "only for who came over SSH");
    let path = std::env::var_os("SSH_USER_AUTH").map(PathBuf::from).ok_or_else(refused)?;
    let text = String::from_utf8_lossy(&files::read_limited(&path, AUTH_MAX)?).into_owned();
    Ok(engineers::came_with(&text).ok_or_else(refused)?.to_owned())
}

fn wire(error: &std::io::Error) -> Failure {
    Message::Wire { why: error.to_string() }.into()
}
