//! The mail server of somebody else: Exim (Debian's, see `tests/setup/exim`) in a namespace of its own, with a
//! certificate, a login and a list of whom it knows, delivering into one Maildir; and each message there as
//! programs that are not ours read it. Owns the server's process; folder and namespace end with the world.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use crate::fault::{Fault, Told, While};
use crate::holds;
use crate::net::{Namespace, Net};
use crate::secrets::write_private;
use crate::shell::{self, PATIENCE};

/// As the association's provider calls it.
pub const SMARTHOST: &str = "smtp.provider.example";
pub const OUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 253);
/// For submission, and the configuration's default.
const PORT: u16 = 587;
const LOGIN: &str = "mimamori";
const PASSWORD: &str = "yubin-no-himitsu-0123";
const SCRIPT: &str = "tests/setup/exim";
/// The packages are fetched once per machine.
const FETCH: Duration = Duration::from_secs(300);

pub struct MailServer {
    space: Namespace,
    folder: PathBuf,
    child: Child,
    read: Mutex<BTreeMap<PathBuf, Mail>>,
}

/// The DNS record by which receivers believe the sender.
pub struct DkimRecord {
    pub name: String,
    pub value: String,
}

/// One message, taken apart by Python's mail library; `dkim` is dkimpy's word.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    pub path: PathBuf,
    pub defects: Vec<String>,
    pub headers: BTreeMap<String, String>,
    pub types: Vec<String>,
    pub text: Option<String>,
    pub html: Option<String>,
    pub files: Vec<Attached>,
    pub dkim: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Attached {
    pub name: String,
    pub text: String,
}

impl MailServer {
    /// Knows nobody yet; ready when it listens.
    pub fn start(net: &Net, folder: PathBuf) -> Told<Self> {
        fetch()?;
        fs::create_dir_all(&folder)?;
        let pair = rcgen::generate_simple_self_signed(vec![SMARTHOST.to_owned()]);
        let pair = pair.while_(|| "the mail server's certificate".into())?;
        fs::write(folder.join("roots.pem"), pair.cert.pem())?;
        write_private(&folder.join("tls.pem"), &(pair.cert.pem() + &pair.signing_key.serialize_pem()))?;
        write_private(&folder.join("password"), &format!("{PASSWORD}\n"))?;
        fs::write(folder.join("recipients"), "")?;
        let space = net.add_server("mx", OUTER)?;
        let words = fs::File::create(folder.join("words"))?;
        let mut command = space.command(shell::checkout().join(SCRIPT));
        command.arg("run").arg(&folder).arg(PORT.to_string()).arg(OUTER.to_string());
        command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words);
        let child = command.spawn().while_(|| "starting exim".into())?;
        let mut server = Self { space, folder, child, read: Mutex::default() };
        shell::until("the mail server to listen", PATIENCE, || {
            if let Some(status) = server.child.try_wait()? {
                return Err(Fault::new(format!("exim ended with {status}: {}", server.words())));
            }
            let listening = server.space.sh(&format!("ss -Hltn sport = :{PORT}"))?;
            Ok((!listening.is_empty()).then_some(()))
        })?;
        Ok(server)
    }

    /// Fills in `[mail]` of the configuration that `init` wrote; the secret lies beside the others.
    pub fn configure(&self, config: &Path, secrets: &Path, zone: &str) -> Told<()> {
        let (password, roots) = (secrets.join("smtp"), config.with_file_name("smtp-roots.pem"));
        write_private(&password, PASSWORD)?;
        fs::copy(self.folder.join("roots.pem"), &roots)?;
        let (from, password, roots) =
            (format!("jimukyoku@{zone}"), password.display().to_string(), roots.display().to_string());
        let mut text = fs::read_to_string(config)?;
        for (key, value) in [
            ("smarthost", SMARTHOST),
            ("from", from.as_str()),
            ("username", LOGIN),
            ("password_file", &password),
            ("ca_file", &roots),
        ] {
            let line = text.lines().find(|line| line.starts_with(&format!("# {key} ="))).map(str::to_owned);
            let line = line.ok_or_else(|| Fault::new(format!("init wrote no line for mail.{key}")))?;
            text = text.replacen(&line, &format!("{key} = \"{value}\""), 1);
        }
        fs::write(config, text).map_err(Fault::from)
    }

    /// Whom it takes mail for from now on; everybody else is refused with 550.
    pub fn knows(&self, addresses: &[String]) -> Told<()> {
        fs::write(self.folder.join("recipients"), addresses.join("\n") + "\n").map_err(Fault::from)
    }

    /// How many messages have arrived.
    pub fn count(&self) -> usize {
        fs::read_dir(self.folder.join("mail/new")).map_or(0, Iterator::count)
    }

    /// Every message, in the order of arrival. Each is read once.
    pub fn mails(&self, record: &DkimRecord) -> Told<Vec<Mail>> {
        let entries = fs::read_dir(self.folder.join("mail/new")).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<&PathBuf> = paths.iter().filter(|path| !read.contains_key(*path)).collect();
        if !new.is_empty() {
            let mut command = Command::new(shell::checkout().join(SCRIPT));
            command.arg("read").args([&record.name, &record.value]).args(new);
            let found = shell::run(command)?.ok("reading the Maildir")?;
            let found: Vec<Mail> = serde_json::from_slice(&found.stdout)?;
            read.extend(found.into_iter().map(|mail| (mail.path.clone(), mail)));
        }
        Ok(paths.iter().filter_map(|path| read.get(path).cloned()).collect())
    }

    fn words(&self) -> String {
        fs::read_to_string(self.folder.join("words")).unwrap_or_default()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        shell::end(&mut self.child);
    }
}

impl Mail {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The outbox's name of it.
    pub fn letter(&self) -> &str {
        let id = self.header("message-id");
        id.trim_start_matches('<').split('@').next().unwrap_or_default()
    }

    /// Does it bring this slot's bundle?
    pub fn brings(&self, slot: &str) -> bool {
        self.files.iter().any(|file| file.name.ends_with(&format!("{slot}.conf")))
    }

    /// Headers, both bodies, all files: everything a reader could find.
    pub fn everything(&self) -> String {
        let mut all: Vec<&str> = self.headers.values().map(String::as_str).collect();
        all.extend(self.text.as_deref());
        all.extend(self.html.as_deref());
        all.extend(self.files.iter().flat_map(|file| [file.name.as_str(), file.text.as_str()]));
        all.join("\n")
    }

    /// As a person saves the attachments: these files, in this folder.
    pub fn save(&self, folder: &Path) -> Told<()> {
        holds!(!self.files.is_empty(), "a mail without attachments: {}", self.header("subject"));
        fs::create_dir_all(folder)?;
        for file in &self.files {
            holds!(!file.name.contains(['/', '\\']), "an attachment is named {}", file.name);
            write_private(&folder.join(&file.name), &file.text)?;
        }
        Ok(())
    }
}

/// Outside every namespace, where packages can be fetched.
fn fetch() -> Told<()> {
    let mut command = Command::new(shell::checkout().join(SCRIPT));
    let quiet = command.arg("get").stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = quiet.spawn().while_(|| SCRIPT.into())?;
    let ended = shell::until("Exim's packages", FETCH, || Ok(child.try_wait()?));
    shell::end(&mut child);
    let status = ended?;
    holds!(status.success(), "`tests/setup/exim get` ended with {status}");
    Ok(())
}
