//! `backup` and `restore`: the realm's two sealed files, a rehearsal, and the way back. Needs the realm's files and,
//! for a restore, nothing but an empty place. An edge: files, the clock, root's socket.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::json;
use zeroize::Zeroizing;

use super::args_backup::{BackupCommand, MakeArgs, RestoreArgs, Sealed, Which};
use super::backup_target::{Target, unmade};
use super::backup_wire::{self, Act, Pieces};
use super::failure::Failure;
use super::out::Out;
use super::pki_log;
use crate::backup::age::{Identity, RECIPIENTS_MAX, Recipient};
use crate::backup::back::{self, BackError, Given};
use crate::backup::make::{self, Counted, Scratch, Source};
use crate::backup::manifest::{Drilled, Made, Remembered};
use crate::backup::parts::Part;
use crate::backup::relocate::Home;
use crate::backup::{drill, memory};
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::files;
use crate::machine;
use crate::messages::Message;
use crate::operator::door::now_ms;
use crate::secrets::{self, Opened, Secret};
use crate::settle::Places;

/// Beside the configuration; the engineer, who may change that, cannot change this.
const RECIPIENTS: &str = "backup-recipients";
const SMALL_MAX: usize = 64 << 10;

pub fn backup(
    path: &Path,
    credentials: Option<&Path>,
    command: BackupCommand,
    out: &Out,
) -> Result<Exit, Failure> {
    match command {
        BackupCommand::Key { out: file } => return key(&file, out),
        BackupCommand::Page => return out.plain(PAGE).map(|()| Exit::Ok),
        _ => {}
    }
    let helper = Path::new(machine::BACKUP_SOCKET);
    if !rustix::process::geteuid().is_root() && path == Path::new(machine::CONFIG) && helper.exists() {
        return carried(helper, command, out);
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let realm = Realm::open(path, credentials)?;
    match command {
        BackupCommand::Make(args) => made(&realm, path, &args, out),
        BackupCommand::Stream { part, sealed } => {
            not_for_a_screen()?;
            let stdout = BufWriter::new(std::io::stdout().lock());
            stream(&realm, path, part, &sealed, stdout).map(|_| Exit::Ok)
        }
        BackupCommand::Drill => told(&rehearsed(&realm)?, out),
        BackupCommand::Key { .. } | BackupCommand::Page => Ok(Exit::Ok),
    }
}

/// The configuration and every secret of it.
struct Realm {
    config: Config,
    text: String,
    secrets: Opened,
    mail: Option<Secret>,
    smime: Option<Secret>,
    bounces: Option<Secret>,
    pin: Option<Secret>,
}

impl Realm {
    fn open(path: &Path, credentials: Option<&Path>) -> Result<Self, Failure> {
        let text = files::read_config(path)?;
        let config = config::read(&text).map_err(Failure::config)?;
        if config.secrets.database.is_some() {
            return Err(Message::BackupServer {}.into());
        }
        // On a machine of ours systemd hands them to each room from here; root may look itself.
        let credentials = credentials.or(Some(Path::new(machine::SECRETS)));
        let secrets = secrets::open(&config.secrets, credentials);
        let secrets = secrets.map_err(|mut messages| Failure::from(messages.remove(0)))?;
        let mail = config.mail.as_ref().map(|mail| secrets::open_mail(mail, credentials)).transpose()?;
        let smime = config.mail.as_ref().map(|mail| secrets::open_smime(mail, credentials)).transpose()?;
        let bounces = config.bounces.as_ref();
        let bounces = bounces.map(|place| secrets::open_bounces(place, credentials)).transpose()?;
        let pin = config.token.as_ref().map(|token| secrets::open_pin(token, credentials)).transpose()?;
        Ok(Self { config, text, secrets, mail: mail.flatten(), smime: smime.flatten(), bounces, pin })
    }

    fn source(&self) -> Source<'_> {
        let Self { config, text, secrets, mail, smime, bounces, pin } = self;
        let (mail, smime, bounces) = (mail.as_ref(), smime.as_ref(), bounces.as_ref());
        Source { config, text, secrets, mail, smime, bounces, pin: pin.as_ref() }
    }

    fn remember(&self, change: impl FnOnce(&mut Remembered)) -> Result<(), Failure> {
        memory::remember(&self.config, change).map_err(|error| {
            let path = self.config.paths.state.display().to_string();
            Message::FileWrite { path, why: error.to_string() }.into()
        })
    }
}

fn made(realm: &Realm, path: &Path, args: &MakeArgs, out: &Out) -> Result<Exit, Failure> {
    let (records, keys) = recipients(path, &args.sealed)?;
    let to = Target::parse(&args.to)?;
    let at_ms = now_ms();
    let stamp = stamp(at_ms);
    let name = |part: Part| format!("{}-{stamp}.{}.age", realm.config.realm.zone, part.as_str());
    let names = Part::ALL.map(name);
    if args.dry_run {
        out.result(&json!({ "written": false, "files": names, "to": args.to }), || {
            let [records, keys] = &names;
            out.pick(
                format!("{} に {records} と {keys} を作れます。何も書いていません。\n", args.to),
                format!("{records} and {keys} can be made in {}; nothing was written\n", args.to),
            )
        })?;
        return Ok(Exit::Ok);
    }
    let scratch = Scratch::of(&realm.config.paths.state).map_err(unmade)?;
    let mut bytes = 0;
    for (part, name) in Part::ALL.into_iter().zip(&names) {
        let sealed_to = if part == Part::Records { &records } else { &keys };
        let written = to.put(name, |sink| {
            let counted = Counted { inner: sink, bytes: 0 };
            let done =
                make::write(&realm.source(), part, sealed_to, &scratch, at_ms, counted).map_err(unmade)?;
            Ok(done.bytes)
        });
        bytes += written?;
    }
    realm.remember(|remembered| {
        remembered.made = Some(Made { at_ms, to: args.to.clone(), bytes });
    })?;
    out.result(&json!({ "written": true, "files": names, "to": args.to, "bytes": bytes }), || {
        let [records, keys] = &names;
        out.pick(
            format!(
                "{} に書きました（{bytes} バイト）。\n{records}\n{keys}\n\nこの二つに、患者の鍵を包む鍵は入っていません。\
                 患者の消去のたびに mimamori keys export-epoch をもう一度実行してください。\n",
                args.to
            ),
            format!(
                "written to {} ({bytes} bytes)\n{records}\n{keys}\n\nThe key that wraps the patients' keys is in neither: \
                 run mimamori keys export-epoch again after every erasure.\n",
                args.to
            ),
        )
    })?;
    Ok(Exit::Ok)
}

/// The engineer of a machine of our image asks root's service, which seals to whom the association named there.
fn carried(helper: &Path, command: BackupCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        BackupCommand::Stream { part, sealed } => {
            if !sealed.recipients.is_empty() || !sealed.keys_recipients.is_empty() {
                let (name, why) = ("--recipient".to_owned(), machine::BACKUP_RECIPIENTS.to_owned());
                return Err(Message::Argument { name, why }.into());
            }
            not_for_a_screen()?;
            let act = if part == Which::Records { Act::Records } else { Act::Keys };
            let mut stdout = BufWriter::new(std::io::stdout().lock());
            backup_wire::ask(helper, act, &mut stdout).map(|_| Exit::Ok)
        }
        BackupCommand::Drill => {
            let done = backup_wire::ask(helper, Act::Drill, &mut std::io::sink())?;
            let drilled =
                serde_json::from_value(done).map_err(|error| Message::Wire { why: error.to_string() })?;
            told(&drilled, out)
        }
        _ => Err(Message::ShellVerb { verb: "backup make".into() }.into()),
    }
}

/// Root's side: standard input is one connection of the engineer.
pub fn answer(path: &Path) -> Result<Exit, Failure> {
    let wire = |why: String| Failure::from(Message::Wire { why });
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    crate::log::install(log::LevelFilter::Info, Some("backup"));
    let input = std::io::stdin();
    let owned = input.as_fd().try_clone_to_owned().map_err(|error| wire(error.to_string()))?;
    let connection = UnixStream::from(owned);
    // Whoever does not ask, or does not take, keeps nobody waiting.
    connection.set_read_timeout(Some(backup_wire::ASKING)).map_err(|error| wire(error.to_string()))?;
    connection.set_write_timeout(Some(backup_wire::TAKING)).map_err(|error| wire(error.to_string()))?;
    let mut to = BufWriter::new(connection);
    let mut line = String::new();
    let mut from = BufReader::new(input.lock().take(backup_wire::ASK_MAX));
    from.read_line(&mut line).map_err(|error| wire(error.to_string()))?;
    let act: Act = serde_json::from_str(&line).map_err(|error| wire(error.to_string()))?;
    log::info!("an engineer fetches: {act:?}");
    let nobody = Sealed { recipients: Vec::new(), keys_recipients: Vec::new() };
    let ended = Realm::open(path, None).and_then(|realm| {
        let part = match act {
            Act::Records => Which::Records,
            Act::Keys => Which::Keys,
            Act::Drill => {
                let drilled = rehearsed(&realm)?;
                return serde_json::to_value(&drilled).map_err(|error| wire(error.to_string()));
            }
        };
        let bytes = stream(&realm, path, part, &nobody, Pieces(&mut to))?;
        Ok(json!({ "bytes": bytes }))
    });
    backup_wire::end(&mut to, ended)?;
    Ok(Exit::Ok)
}

/// Sealed bytes are not for a screen.
fn not_for_a_screen() -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        return Err(Message::Argument { name: "stream".into(), why: "> file".into() }.into());
    }
    Ok(())
}

fn stream(realm: &Realm, path: &Path, part: Which, sealed: &Sealed, to: impl Write) -> Result<u64, Failure> {
    let (records, keys) = recipients(path, sealed)?;
    let (part, recipients) = match part {
        Which::Records => (Part::Records, records),
        Which::Keys => (Part::Keys, keys),
    };
    let scratch = Scratch::of(&realm.config.paths.state).map_err(unmade)?;
    let at_ms = now_ms();
    let sink = Counted { inner: to, bytes: 0 };
    let mut done = make::write(&realm.source(), part, &recipients, &scratch, at_ms, sink).map_err(unmade)?;
    done.flush().map_err(|error| Message::Output { why: error.to_string() })?;
    let bytes = done.bytes;
    realm.remember(|remembered| {
        remembered.made = Some(Made { at_ms, to: "stdout".into(), bytes });
    })?;
    Ok(bytes)
}

fn rehearsed(realm: &Realm) -> Result<Drilled, Failure> {
    let drilled = drill::drill(&realm.source(), now_ms()).map_err(unmade)?;
    realm.remember(|remembered| remembered.drill = Some(drilled.clone()))?;
    match drilled.fault.clone() {
        Some(why) => Err(Message::DrillFailed { why }.into()),
        None => Ok(drilled),
    }
}

fn told(drilled: &Drilled, out: &Out) -> Result<Exit, Failure> {
    let (certificates, ms) = (drilled.certificates, drilled.took_ms);
    out.result(drilled, || {
        out.pick(
            format!("控えから戻せました: 証明書 {certificates} 件、{ms} ミリ秒。\n"),
            format!("a backup was made and restored beside: {certificates} certificates, {ms} ms\n"),
        )
    })?;
    Ok(Exit::Ok)
}

fn key(file: &Path, out: &Out) -> Result<Exit, Failure> {
    let identity = make::identity().map_err(unmade)?;
    let public = identity.recipient().map_err(|error| Message::BackupKey { why: error.to_string() })?;
    let text = Zeroizing::new(format!("# public key: {public}\n{}\n", identity.text().as_str()));
    files::write_new(file, text.as_bytes())
        .map_err(|error| Message::FileWrite { path: file.display().to_string(), why: error.to_string() })?;
    let (shown, public) = (file.display(), public.to_string());
    out.result(&json!({ "recipient": public, "file": file }), || {
        out.pick(
            format!("公開鍵  {public}\n{shown} を二枚印刷し、別々の金庫に入れ、ファイルを消してください。\n"),
            format!("public half  {public}\nprint {shown} twice, into two safes, and delete the file\n"),
        )
    })?;
    Ok(Exit::Ok)
}

pub fn restore(args: RestoreArgs, out: &Out) -> Result<Exit, Failure> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let mut identities = Vec::new();
    for path in &args.identities {
        let text = Zeroizing::new(files::read_limited(path, SMALL_MAX)?);
        let identity = Identity::parse(&String::from_utf8_lossy(&text));
        identities.push(identity.map_err(|error| Message::BackupKey { why: error.to_string() })?);
    }
    let epoch = match (&args.epoch, &args.epoch_passphrase_file) {
        (Some(file), Some(passphrase)) => {
            let sealed = String::from_utf8_lossy(&files::read_limited(file, SMALL_MAX)?).into_owned();
            let passphrase = secrets::open_given("passphrase", passphrase)?;
            let typed = sns::escrow::typed(passphrase.expose());
            Some((sealed, typed.map_err(|error| Message::EscrowUnreadable { why: error.to_string() })?))
        }
        _ => None,
    };
    let log = args.log.as_deref().map(pki_log::import).transpose()?;
    let given = Given {
        records: &args.records,
        keys: &args.keys,
        identities: &identities,
        epoch: epoch.as_ref().map(|(sealed, passphrase)| (sealed.as_str(), passphrase)),
        log: log.as_ref(),
    };
    let (back, config) = match args.dir {
        Some(dir) => {
            let dir = std::path::absolute(&dir)
                .map_err(|error| unrestored(BackError::File("--dir".into(), error)))?;
            back::begin(&dir).map_err(unrestored)?;
            let back = back::restore(&given, Home::Folder(&dir), &dir).map_err(unrestored)?;
            let config = back::finish(&dir, &back.text).map_err(unrestored)?;
            (back, config)
        }
        None => on_machine(&given)?,
    };
    let value = json!({
        "config": config, "made_ms": back.manifest.at_ms, "zone": back.manifest.zone, "ledger_lines": back.lines,
        "certificates": back.certificates, "epochs": back.epochs, "revoke_again": back.revoked,
        "log": back.log.map(|log| json!({
            "lines": log.lines, "certificates": log.certificates, "revocations": log.revocations
        })),
    });
    out.result(&value, || restored_text(&back, &config, out))?;
    Ok(Exit::Ok)
}

/// By the folder of `init`, so that nothing is in its place before everything is.
fn on_machine(given: &Given<'_>) -> Result<(back::Back, PathBuf), Failure> {
    let places = Places { root: Path::new("/") };
    places.free()?;
    let stage = Path::new(machine::STAGE);
    back::begin(stage).map_err(unrestored)?;
    let back = back::restore(given, Home::Machine, stage).map_err(unrestored)?;
    places.settle(stage, &back.text)?;
    // The root was never on this machine; `settle` makes its folder for what `init` leaves there.
    let _ = fs::remove_dir(machine::ROOT);
    Ok((back, machine::CONFIG.into()))
}

fn restored_text(back: &back::Back, config: &Path, out: &Out) -> String {
    let (config, at) = (config.display(), stamp(back.manifest.at_ms));
    let (lines, certificates) = (back.lines, back.certificates);
    let epoch = if back.epochs.is_empty() {
        out.pick(
            "患者の鍵を包む鍵がまだありません: 起動の前に mimamori keys import-epoch\n",
            "the key that wraps the patients' keys is missing: mimamori keys import-epoch, before it is started\n",
        )
    } else {
        ""
    };
    let again: String =
        back.revoked.iter().map(|slot| format!("  mimamori device revoke {slot}\n")).collect();
    let again = if again.is_empty() {
        again
    } else {
        out.pick(
            format!("控えの後に失効した端末。起動したら、もう一度利用停止にしてください:\n{again}"),
            format!("revoked since the backup; the registry must be told again:\n{again}"),
        )
    };
    out.pick(
        format!("{at} の領域を戻しました: {config}\n証明書 {certificates} 件、台帳 {lines} 行、すべて確かめました。\n{epoch}{again}"),
        format!(
            "the realm of {at} is back: {config}\n{certificates} certificates, a ledger of {lines} lines, all verified\n{epoch}{again}"
        ),
    )
}

/// Records and keys; both from the command, or both from the file beside the configuration.
fn recipients(path: &Path, sealed: &Sealed) -> Result<(Vec<Recipient>, Vec<Recipient>), Failure> {
    let mut given: Vec<String> = sealed.recipients.clone();
    let file = path.with_file_name(RECIPIENTS);
    if given.is_empty() && file.exists() {
        let text = String::from_utf8_lossy(&files::read_limited(&file, SMALL_MAX)?).into_owned();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        given.extend(lines.map(str::to_owned));
    }
    if given.is_empty() || given.len() > RECIPIENTS_MAX {
        return Err(Message::BackupNobody { path: file.display().to_string() }.into());
    }
    let parse = |texts: &[String]| -> Result<Vec<Recipient>, Failure> {
        let one = |text: &String| Recipient::parse(text);
        let all: Result<Vec<_>, _> = texts.iter().map(one).collect();
        all.map_err(|error| Message::BackupKey { why: error.to_string() }.into())
    };
    let records = parse(&given)?;
    let keys =
        if sealed.keys_recipients.is_empty() { records.clone() } else { parse(&sealed.keys_recipients)? };
    Ok((records, keys))
}

/// `20261121T103000Z`, in every name and text alike.
fn stamp(at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn unrestored(error: BackError) -> Failure {
    match error {
        BackError::Taken(dir) => Message::RestoreTaken { dir },
        other => Message::RestoreFailed { what: "restore".into(), why: other.to_string() },
    }
    .into()
}

/// Printed with every backup (ruling 14); a test follows it with stock programs only.
const PAGE: &str = include_str!("../../../docs/backup.md");
