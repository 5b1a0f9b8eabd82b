//! Chromium and its DevTools protocol over a pipe: no port is opened, nothing is downloaded.
//! Owns the process; ends it with `Browser.close`, by its id on drop.
//!
//! Messages are JSON, each ended by a NUL, on descriptors 3 (to the browser) and 4 (from it).

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fault::{Fault, Told, While};
use crate::shell;

/// How often a wait looks up, so that an interruption ends it.
const LOOK: Duration = Duration::from_millis(100);
/// A page asks before it is left.
pub const DIALOG: &str = "Page.javascriptDialogOpening";
const DIALOG_ANSWER: &str = "Page.handleJavaScriptDialog";
/// The shell hands its own pipes on as 3 and 4.
const HAND_ON: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null";
const STILL: &str = include_str!("still.py");
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--lang=ja",
    "--remote-debugging-pipe",
];

/// What the browser told without being asked.
#[derive(Clone, Debug)]
pub struct Event {
    pub session: String,
    pub method: String,
    pub params: Value,
}

#[derive(Default)]
struct Heard {
    answers: BTreeMap<u64, Result<Value, String>>,
    events: Vec<Event>,
    /// Tabs that stand still until somebody answers 「このページを離れますか」.
    dialogs: Vec<String>,
    ended: bool,
}

pub struct Protocol {
    child: Child,
    input: Mutex<(ChildStdin, u64)>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

impl Protocol {
    /// `command` runs `sh` where the browser should live; `home` is all that it may remember.
    pub fn start(mut command: Command, home: &Path) -> Told<Self> {
        let words = fs::File::create(home.join("chromium.log"))?;
        command.args(["-c", HAND_ON, "sh", "python3", "-c", STILL, "chromium"]).args(FLAGS);
        command.arg(format!("--user-data-dir={}", home.join("profile").display())).arg("about:blank");
        command.env("HOME", home).env("LANGUAGE", "ja").env("LANG", "ja_JP.UTF-8").current_dir(home);
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DISPLAY"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(words);
        let mut child = command.spawn().while_(|| "starting chromium".into())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Fault::new("chromium without its pipes"));
        };
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let listening = heard.clone();
        std::thread::spawn(move || listen(BufReader::new(output), &listening));
        let protocol = Self { child, input: Mutex::new((input, 0)), heard };
        protocol.ask("", "Browser.getVersion", json!({}))?;
        Ok(protocol)
    }

    /// One question and its answer. `session`: the tab it is about, or nothing.
    pub fn ask(&self, session: &str, method: &str, params: Value) -> Told<Value> {
        let mut message = json!({"method": method, "params": params});
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        let id = self.send(message)?;
        self.wait(method, |heard| heard.answers.remove(&id))?
            .map_err(|said| Fault::new(format!("{method}: {said}")))
    }

    /// Every event of a tab so far, of one method.
    pub fn events(&self, session: &str, method: &str) -> Vec<Event> {
        let heard = self.lock();
        let ours = |event: &&Event| event.session == session && event.method == method;
        heard.events.iter().filter(ours).cloned().collect()
    }

    fn send(&self, mut message: Value) -> Told<u64> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.1 += 1;
        let id = input.1;
        message["id"] = id.into();
        input.0.write_all(format!("{message}\0").as_bytes()).while_(|| "speaking to chromium".into())?;
        Ok(id)
    }

    fn wait<T>(&self, what: &str, mut found: impl FnMut(&mut Heard) -> Option<T>) -> Told<T> {
        let begun = Instant::now();
        let mut heard = self.lock();
        loop {
            if let Some(found) = found(&mut heard) {
                return Ok(found);
            }
            // Who leaves a page means it; that the page asked is in the events.
            while let Some(session) = heard.dialogs.pop() {
                let agree =
                    json!({"method": DIALOG_ANSWER, "params": {"accept": true}, "sessionId": session});
                self.send(agree)?;
            }
            if heard.ended {
                return Err(Fault::new(format!("chromium ended before it answered {what}")));
            }
            if shell::interrupted() || begun.elapsed() > shell::PATIENCE {
                return Err(Fault::new(format!("waited in vain for chromium's answer to {what}")));
            }
            heard = self.heard.1.wait_timeout(heard, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Protocol {
    fn drop(&mut self) {
        // It writes its profile before it goes; whoever starts it again finds what it knew.
        if self.send(json!({"method": "Browser.close"})).is_ok() {
            let gone = || Ok(self.lock().ended.then_some(()));
            let _ = shell::until("chromium to close", shell::PATIENCE / 6, gone);
        }
        shell::end(&mut self.child);
    }
}

fn listen(mut from: impl BufRead, heard: &(Mutex<Heard>, Condvar)) {
    let mut message = Vec::new();
    while matches!(from.read_until(0, &mut message), Ok(read) if read > 0) {
        message.pop();
        if let Ok(mut said) = serde_json::from_slice::<Value>(&message) {
            let mut heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match said["id"].as_u64() {
                Some(id) if said["error"].is_null() => {
                    heard.answers.insert(id, Ok(said["result"].take()));
                }
                Some(id) => {
                    heard.answers.insert(id, Err(text(&said["error"]["message"])));
                }
                None => {
                    let (session, method) = (text(&said["sessionId"]), text(&said["method"]));
                    if method == DIALOG {
                        heard.dialogs.push(session.clone());
                    }
                    heard.events.push(Event { session, method, params: said["params"].take() });
                }
            }
        }
        heard.1.notify_all();
        message.clear();
    }
    heard.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
    heard.1.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_events_are_told_apart() {
        let heard = (Mutex::new(Heard::default()), Condvar::new());
        let said = "{\"id\":7,\"result\":{\"a\":1}}\0{\"id\":8,\"error\":{\"message\":\"no\"}}\0\
                    {\"method\":\"Page.loaded\",\"params\":{},\"sessionId\":\"S\"}\0";
        listen(said.as_bytes(), &heard);
        let heard = heard.0.into_inner().unwrap();
        assert_eq!(heard.answers[&7], Ok(json!({"a": 1})));
        assert_eq!(heard.answers[&8], Err("no".to_owned()));
        assert_eq!((heard.events[0].method.as_str(), heard.events[0].session.as_str()), ("Page.loaded", "S"));
        assert!(heard.ended);
    }
}
