//! How engineers get in where the machine is their own authority: the code at the console, the registered keys, and what
//! signs for eight hours. An edge, border: files, consoles, `ssh-keygen`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::out::Out;
use super::realm;
use crate::engineers::{self, Key, NotKept, Window, Wish};
use crate::exit::Exit;
use crate::files;
use crate::kept::since_boot_ms;
use crate::machine::{APPLIED, ENGINEERS, ENGINEERS_CA};
use crate::messages::Message;

/// In `APPLIED`, gone with the machine's power: the code's hash, which is root's, and until when, which everybody may know.
const WINDOW: &str = "registration.json";
const UNTIL: &str = "registration.until";
const LOCK: &str = "registration.lock";
/// Beside the root's folder, and in another envelope.
const RECOVERY_PASSPHRASE: &str = "engineer-recovery-passphrase";
/// Longer than any machine's authority lives.
const RECOVERY_VALID: &str = "-5m:+3650d";
/// A working day; five minutes for a clock that is behind.
const VALID: &str = "-5m:+8h";
/// After a wrong code, before the next one is looked at.
const PAUSE: Duration = Duration::from_secs(1);
const SMALL_MAX: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct WindowFile {
    digest: Vec<u8>,
    until_ms: u64,
    tries: u8,
}

/// Makes the machine its engineers' authority; with a folder for the safe, two certificates for it.
pub fn authority(safe: Option<&Path>, out: &Out) -> Result<Exit, Failure> {
    authority_made()?;
    if let Some(safe) = safe {
        files::private_folder(safe)?;
        recovery(safe)?;
    }
    let public = files::read_limited(&public(), SMALL_MAX)?;
    let public = String::from_utf8_lossy(&public).trim().to_owned();
    out.result(&json!({ "ssh_ca": public }), || format!("{public}\n"))?;
    Ok(Exit::Ok)
}

/// Its key never leaves the machine. The path of its public half.
pub fn authority_made() -> Result<PathBuf, Failure> {
    let public = public();
    if !public.exists() {
        let key = Path::new(ENGINEERS_CA);
        files::remove(key).map_err(|error| failed("authority", &error))?;
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "mimamori-engineers", "-f", ENGINEERS_CA])?;
        let kept = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        kept(key)
            .and_then(|()| kept(&public))
            .and_then(|()| files::sync_folder(key))
            .map_err(|error| failed("authority", &error))?;
    }
    Ok(public)
}

/// Two keys behind one passphrase, each with a certificate of the authority: whoever has them gets in when it is dead.
pub fn recovery(safe: &Path) -> Result<(), Failure> {
    let sealed_by = safe.join(RECOVERY_PASSPHRASE);
    if !sealed_by.exists() {
        let mut random = Zeroizing::new([0u8; 15]);
        getrandom::fill(random.as_mut_slice()).map_err(|error| unready("random", error.to_string()))?;
        let text = Zeroizing::new(format!("{}\n", BASE32_NOPAD.encode(random.as_slice())));
        files::write_new(&sealed_by, text.as_bytes()).map_err(|error| failed("passphrase", &error))?;
    }
    let passphrase = Zeroizing::new(files::read_limited(&sealed_by, SMALL_MAX)?);
    let passphrase = Zeroizing::new(String::from_utf8_lossy(&passphrase).trim().to_owned());
    for number in [1, 2] {
        let name = format!("{}-{number}", engineers::RECOVERY);
        let key = safe.join(&name);
        if safe.join(format!("{name}-cert.pub")).exists() {
            continue;
        }
        let (key, public) = (key.display().to_string(), safe.join(format!("{name}.pub")));
        for half in [Path::new(&key), &public] {
            files::remove(half).map_err(|error| failed("recovery", &error))?;
        }
        // Nobody but root and the rooms is on this machine, and the rooms see no process but their own.
        keygen(&["-q", "-t", "ed25519", "-N", &passphrase, "-C", &name, "-f", &key])?;
        certify(&public, &name, RECOVERY_VALID)?;
    }
    Ok(())
}

/// Whether the configuration names this machine's own authority.
pub fn is_own(config: &Path) -> Result<bool, Failure> {
    if !config.exists() || !Path::new(ENGINEERS_CA).exists() {
        return Ok(false);
    }
    let named = realm::config(config)?.management.ssh_ca.unwrap_or_default();
    let own = fs::read_to_string(public()).unwrap_or_default();
    let body = |line: &str| line.split(' ').nth(1).map(|body| body.trim().to_owned());
    Ok(body(&named).is_some_and(|named| body(&own) == Some(named)))
}

/// Nobody could come in, so whoever stands at the console is asked to: until a key is registered, at every start.
pub fn awaited(config: &Path) -> Result<(), Failure> {
    let nobody = list()?.trim().is_empty();
    if nobody && is_own(config)? { open_window(config) } else { Ok(()) }
}

/// Ten minutes, shown at the consoles and nowhere else.
pub fn open_window(config: &Path) -> Result<(), Failure> {
    if !is_own(config)? {
        return Err(refused(
            "この機械は技術者の認証局ではありません",
            "this machine is not its engineers' authority",
        ));
    }
    let code = fresh_code()?;
    let window = Window::open(&code, since_boot_ms());
    let _turn = turn(LOCK)?;
    keep_window(Some(&window))?;
    show(&format!(
        "\r\nmimamori: 技術者の鍵の登録（10分） / registration of an engineer's key, 10 minutes\r\n\
         code {}\r\nssh -i KEY mm-enrol@ADDRESS {} NAME > KEY-cert.pub\r\n",
        *code, *code
    ));
    Ok(())
}

pub fn fresh_code() -> Result<Zeroizing<String>, Failure> {
    let mut random = [0u8; engineers::CODE_LETTERS];
    getrandom::fill(&mut random).map_err(|error| unready("random", error.to_string()))?;
    Ok(Zeroizing::new(engineers::code(random)))
}

/// For sshd, as `mm-enrol`: any key while a registration is open, registered ones always.
pub fn offered(kind: &str, body: &str, out: &Out) -> Result<Exit, Failure> {
    let Some(key) = Key::parse(&format!("{kind} {body}")) else { return Ok(Exit::Ok) };
    let until = fs::read_to_string(place(UNTIL)).ok().and_then(|text| text.trim().parse().ok());
    let open = until.is_some_and(|until: u64| since_boot_ms() < until);
    if open || engineers::registered(&list()?, &key).is_some() {
        out.plain(&format!("restrict {}\n", key.line()))?;
    }
    Ok(Exit::Ok)
}

/// What a session of `mm-enrol` gets for its line.
pub fn certificate(config: &Path, key: &str, line: &str) -> Result<String, Failure> {
    let key = Key::parse(key)
        .ok_or_else(|| refused("この種類の鍵は使えません", "a key of this kind is not taken"))?;
    let wish = engineers::wish(line).ok_or_else(|| refused("番号と名前です", "a code and a name"))?;
    if !is_own(config)? {
        return Err(refused(
            "この機械は技術者の認証局ではありません",
            "this machine is not its engineers' authority",
        ));
    }
    let _turn = turn(LOCK)?;
    let name = match wish {
        Wish::Renew => engineers::registered(&list()?, &key)
            .map(str::to_owned)
            .ok_or_else(|| refused("この鍵は登録されていません", "this key is not registered"))?,
        Wish::Register { code, name } => {
            register(&key, &code, &name)?;
            name
        }
    };
    log::info!("a certificate of eight hours for {name}, {}", key.fingerprint());
    signed(&key, &name)
}

/// The try is spent before the code is looked at, and the window is shut before the key is kept: whatever is killed in
/// between, no code has an eleventh try or a second use.
fn register(key: &Key, code: &str, name: &str) -> Result<(), Failure> {
    let over = || refused("登録の時間は終わりました", "the time for registration is over");
    let window = window()?.ok_or_else(over)?;
    let Some(window) = window.spent(since_boot_ms()) else {
        keep_window(None)?;
        return Err(over());
    };
    keep_window(Some(&window))?;
    if !window.fits(code) {
        std::thread::park_timeout(PAUSE);
        return Err(refused("番号が違います", "that is not the code"));
    }
    let list = engineers::with(&list()?, name, key).map_err(|why| match why {
        NotKept::Full => refused("登録できる数を超えています", "too many are registered"),
        NotKept::Taken => {
            refused("その名前か鍵はもう登録されています", "that name or key is registered already")
        }
        NotKept::Name => {
            refused("名前は英数字と @ . - _ です", "a name is made of letters, digits and @ . - _")
        }
    })?;
    keep_window(None)?;
    files::replace(Path::new(ENGINEERS), list.as_bytes(), 0o644)
        .map_err(|error| failed("engineers", &error))?;
    log::warn!("{name} is registered as an engineer with the console's code, {}", key.fingerprint());
    Ok(())
}

/// For one role, with a terminal and nothing else; its name says in the journal whose it was.
fn signed(key: &Key, name: &str) -> Result<String, Failure> {
    let folder = place(&format!("sign-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    files::private_folder(&folder)?;
    let public = folder.join("key.pub");
    let made = files::write_new(&public, format!("{}\n", key.line()).as_bytes())
        .map_err(|error| failed("key", &error))
        .and_then(|()| certify(&public, name, VALID))
        .and_then(|()| {
            fs::read_to_string(folder.join("key-cert.pub")).map_err(|error| failed("certificate", &error))
        });
    let _ = fs::remove_dir_all(&folder);
    made
}

fn certify(public: &Path, name: &str, valid: &str) -> Result<(), Failure> {
    let shown = public.display().to_string();
    let options = ["-n", "operator", "-O", "clear", "-O", "permit-pty"];
    let words = ["-q", "-s", ENGINEERS_CA, "-I", name, "-V", valid];
    keygen(&[&words[..], &options[..], &[shown.as_str()]].concat())
}

fn list() -> Result<String, Failure> {
    let path = Path::new(ENGINEERS);
    if !path.exists() {
        return Ok(String::new());
    }
    Ok(String::from_utf8_lossy(&files::read_limited(path, SMALL_MAX)?).into_owned())
}

fn public() -> PathBuf {
    PathBuf::from(format!("{ENGINEERS_CA}.pub"))
}

pub fn place(name: &str) -> PathBuf {
    Path::new(APPLIED).join(name)
}

/// One after the other: nobody guesses in parallel. Let go with the file.
pub fn turn(lock: &str) -> Result<File, Failure> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(place(lock));
    let file = file.map_err(|error| failed("lock", &error))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed("lock", &error.into()))?;
    Ok(file)
}

fn window() -> Result<Option<Window>, Failure> {
    let path = place(WINDOW);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = files::read_limited(&path, SMALL_MAX)?;
    let file: WindowFile =
        serde_json::from_slice(&bytes).map_err(|error| unready("window", error.to_string()))?;
    let WindowFile { digest, until_ms, tries } = file;
    Ok(Some(Window { digest, until_ms, tries }))
}

fn keep_window(window: Option<&Window>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| failed("window", &error);
    let Some(window) = window else {
        files::remove(&place(UNTIL)).map_err(failed)?;
        return files::remove(&place(WINDOW)).map_err(failed);
    };
    let file = WindowFile { digest: window.digest.clone(), until_ms: window.until_ms, tries: window.tries };
    let text = serde_json::to_vec(&file).map_err(|error| unready("window", error.to_string()))?;
    files::replace(&place(WINDOW), &text, 0o600).map_err(failed)?;
    files::replace(&place(UNTIL), window.until_ms.to_string().as_bytes(), 0o644).map_err(failed)
}

/// Those that the kernel writes to; a container has but one. A console that does not read waits for nobody here.
fn show(text: &str) {
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let names = active.split_whitespace().map(|name| if name == "tty0" { "tty1" } else { name });
    let open = |name: &str| {
        let flags = i32::try_from((OFlags::NOCTTY | OFlags::NONBLOCK).bits()).unwrap_or_default();
        OpenOptions::new().write(true).custom_flags(flags).open(Path::new("/dev").join(name)).ok()
    };
    let mut consoles: Vec<File> = names.filter_map(open).collect();
    if consoles.is_empty() {
        consoles.extend(open("console"));
    }
    for mut console in consoles {
        let _ = console.write_all(text.as_bytes());
    }
}

fn keygen(words: &[&str]) -> Result<(), Failure> {
    let done = Command::new("ssh-keygen").args(words).stdin(Stdio::null()).stdout(Stdio::null()).output();
    let done = done.map_err(|error| failed("ssh-keygen", &error))?;
    if done.status.success() {
        return Ok(());
    }
    Err(unready("ssh-keygen", String::from_utf8_lossy(&done.stderr).chars().take(300).collect()))
}

pub fn refused(ja: &str, en: &str) -> Failure {
    Message::EngineerRefused { why_ja: ja.to_owned(), why_en: en.to_owned() }.into()
}

pub fn failed(what: &str, error: &std::io::Error) -> Failure {
    unready(what, error.to_string())
}

pub fn unready(what: &str, why: String) -> Failure {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    Message::Apply { what: what.to_owned(), why }.into()
}
