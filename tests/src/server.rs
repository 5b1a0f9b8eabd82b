//! The real binary in its namespace, used as an operator uses it: by its commands and exit codes.
//! Owns the running process and its log; ends it by its id, on drop too.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use appliance::process::Name;
use serde_json::Value;

use crate::fault::{Fault, Told, While};
use crate::launcher::Launcher;
use crate::net::Namespace;
use crate::shell::{self, PATIENCE};

/// How the appliance runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Together,
    /// One process per row of the process table.
    Separated,
}

impl Form {
    pub fn parse(text: &str) -> Option<Self> {
        [Form::Together, Form::Separated].into_iter().find(|form| form.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Form::Together => "together",
            Form::Separated => "separated",
        }
    }
}

/// Where the records are (ruling 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    #[default]
    Sqlite,
    Postgres,
}

impl Engine {
    pub fn parse(text: &str) -> Option<Self> {
        [Engine::Sqlite, Engine::Postgres].into_iter().find(|engine| engine.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        }
    }
}

pub struct Server {
    form: Form,
    space: Namespace,
    binary: PathBuf,
    pub home: PathBuf,
    pub log: PathBuf,
    child: Option<Child>,
    launcher: Option<Launcher>,
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub json: Value,
    pub text: String,
}

impl Server {
    pub fn new(form: Form, space: Namespace, binary: &Path, home: PathBuf, log: PathBuf) -> Self {
        Self { form, space, binary: binary.to_owned(), home, log, child: None, launcher: None }
    }

    /// The separate processes, when they run.
    pub fn launcher(&self) -> Option<&Launcher> {
        self.launcher.as_ref()
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// The processes that run now, by their names in the process table.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        if let Some(launcher) = &self.launcher {
            let pid = |name: Name| Some((name.as_str(), launcher.pid(name)?));
            return Name::SERVED.into_iter().filter_map(pid).collect();
        }
        self.child.iter().map(|child| ("mimamori", child.id())).collect()
    }

    /// Kills one process and waits until all is well again (ruling 8: nobody has to do anything).
    pub fn kill(&self, name: Name) -> Told<()> {
        let launcher =
            self.launcher.as_ref().ok_or_else(|| Fault::new("there is one process, and it is not killed"))?;
        let births = launcher.births(name);
        crate::holds!(launcher.kill(name), "{} does not run", name.as_str());
        shell::until("it to be started again", PATIENCE, || {
            Ok((launcher.births(name) > births).then_some(()))
        })?;
        self.whole().map_err(|fault| Fault::new(format!("after {} was killed: {fault}", name.as_str())))
    }

    /// `status --check` finds nothing missing.
    pub fn whole(&self) -> Told<()> {
        let mut last = String::new();
        let told = shell::until("every room to answer", PATIENCE, || {
            let said = self.ask(&["status", "--check"])?;
            last = said.text;
            Ok((said.code == 0).then_some(()))
        });
        told.map_err(|fault| Fault::new(format!("{fault}: {last}")))
    }

    pub fn binary(&self) -> PathBuf {
        self.binary.clone()
    }

    pub fn config(&self) -> PathBuf {
        self.home.join("mimamori.toml")
    }

    /// A path or text of the configuration, by its key.
    pub fn setting(&self, key: &str) -> Told<String> {
        let text = fs::read_to_string(self.config())?;
        let found = text.lines().find_map(|line| {
            let (name, value) = line.split_once(" = ")?;
            (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
        });
        found.ok_or_else(|| Fault::new(format!("mimamori.toml has no `{key}`")))
    }

    /// One command, answered in JSON.
    pub fn ask(&self, words: &[&str]) -> Told<Said> {
        let mut command = self.space.command(&self.binary);
        command.arg("--config").arg(self.config()).args(["-o", "json"]).args(words);
        self.said(command)
    }

    pub fn said(&self, command: std::process::Command) -> Told<Said> {
        let done = shell::run(command)?;
        self.note(&done.stderr)?;
        let json = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
        let text = format!("{}{}", done.stderr.trim_end(), done.text().trim_end());
        Ok(Said { code: done.code.unwrap_or(-1), json, text })
    }

    /// A command that must succeed.
    pub fn ok(&self, words: &[&str]) -> Told<Value> {
        let said = self.ask(words)?;
        if said.code == 0 {
            return Ok(said.json);
        }
        let text: String = said.text.chars().take(1500).collect();
        Err(Fault::new(format!("`mimamori {}` ended with {}: {text}", words.join(" "), said.code)))
    }

    pub fn init(&self, words: &[&str]) -> Told<Value> {
        let mut command = self.space.command(&self.binary);
        command.args(["-o", "json", "init", "--dir"]).arg(&self.home).args(words);
        let said = self.said(command)?;
        if said.code == 0 {
            Ok(said.json)
        } else {
            Err(Fault::new(format!("init ended with {}: {}", said.code, said.text)))
        }
    }

    /// Starts it and waits until its status command answers.
    pub fn start(&mut self) -> Told<()> {
        if self.form == Form::Separated {
            self.launcher = Some(Launcher::start(&self.space, &self.binary, &self.home, &self.log)?);
            return self.whole().map_err(|fault| Fault::new(format!("{fault}\n{}", self.last_words())));
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = self.space.command(&self.binary);
        command.arg("--config").arg(self.config()).arg("run");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Not a service here: the log goes to the file that is searched afterwards.
        for name in ["JOURNAL_STREAM", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"] {
            command.env_remove(name);
        }
        let mut child = command.spawn().while_(|| "starting mimamori".into())?;
        let ready = shell::until("mimamori to answer", PATIENCE, || {
            if let Some(status) = child.try_wait()? {
                return Err(Fault::new(format!("mimamori ended with {status}:\n{}", self.last_words())));
            }
            Ok((self.ask(&["status"])?.code == 0).then_some(()))
        });
        self.child = Some(child);
        ready.map_err(|fault| Fault::new(format!("{fault}\n{}", self.last_words())))
    }

    /// Politely; it must end by itself.
    pub fn stop(&mut self) -> Told<()> {
        if let Some(mut launcher) = self.launcher.take() {
            return launcher.stop();
        }
        let Some(mut child) = self.child.take() else { return Ok(()) };
        shell::signal(child.id(), rustix::process::Signal::TERM);
        let ended = shell::until("mimamori to stop", PATIENCE, || Ok(child.try_wait()?));
        shell::end(&mut child);
        let status = ended?;
        crate::holds!(status.success(), "mimamori stopped with {status}:\n{}", self.last_words());
        Ok(())
    }

    pub fn status(&self) -> Told<Value> {
        self.ok(&["status"])
    }

    /// A number that the status counts under `map` (refusals, drops) for `reason`; 0 before the first.
    pub fn counted(&self, map: &str, reason: &str) -> Told<u64> {
        let status = self.status()?;
        let counts = find(&status, map).ok_or_else(|| Fault::new(format!("the status has no `{map}`")))?;
        Ok(counts.get(reason).and_then(Value::as_u64).unwrap_or(0))
    }

    pub fn counts(&self, map: &str) -> Told<Value> {
        let status = self.status()?;
        find(&status, map).cloned().ok_or_else(|| Fault::new(format!("the status has no `{map}`")))
    }

    /// Established TCP connections from a device, as the kernel counts them.
    pub fn connections_of(&self, device: Ipv4Addr) -> Told<usize> {
        let mut command = self.space.command("ss");
        command.args(["-Htn", "state", "established", "dst", &device.to_string()]);
        Ok(shell::run(command)?.ok("ss")?.text().lines().count())
    }

    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(25).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// What commands print on stderr is searched for secrets, too.
    fn note(&self, text: &str) -> Told<()> {
        use std::io::Write;
        let mut log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        log.write_all(text.as_bytes()).map_err(Fault::from)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            shell::end(child);
        }
    }
}

/// The first value under a key, however deep.
pub fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|v| find(v, key))),
        Value::Array(list) => list.iter().find_map(|v| find(v, key)),
        _ => None,
    }
}
