//! `machine data`: at the first boot the data partition gets its keys and its file system, at every other it is opened.
//! The keys are the TPM's and one on paper; what was begun and not finished is begun anew. Runs as root before anything
//! can be written. An edge: block devices, the stick, consoles, `cryptsetup`, systemd's own tools.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::failure::Failure;
use super::out::Out;
use crate::exit::Exit;
use crate::files;
use crate::keeping::{self, Keep, Means, OPEN_KEY, State, Unfit};
use crate::messages::Message;

const PARTITION: &str = "/dev/disk/by-partlabel/mimamori-data";
/// Below `/dev/mapper`, and in fstab.
const NAME: &str = "mimamori-data";
/// While it is made: whoever waits for the finished one (fsck, the mount) must see nothing else.
const MAKING: &str = "mimamori-data-new";
/// What our kernel's stub handed over (`image/src/initrd.rs`).
const POLICY_KEY: &str = "/run/systemd/tpm2-pcr-public-key.pem";
const POLICY_SIGNATURE: &str = "/run/systemd/tpm2-pcr-signature.json";
/// Four octets of attributes, then the answer.
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The firmware says that there is one; its device comes a moment later.
const TPM_TABLE: &str = "/sys/firmware/acpi/tables/TPM2";
const TPM: &str = "/dev/tpmrm0";
const STICK: &str = "/dev/disk/by-label/MIMAMORI";
const STICK_PLACE: &str = "/run/stick";
const STICK_UNIT: &str = "run-stick.mount";
const WISHES: &str = "machine.toml";
const WISHES_MAX: usize = 4 << 10;
/// What the association prints, twice.
const RECOVERY: &str = "recovery-key.txt";
/// Of memory alone, for as long as it takes to make the partition.
const FIRST_KEY: &str = "/run/mimamori-data.key";
const KEY_LEN: usize = 32;
/// Whoever stands before the machine has one of the two.
const CONSOLES: [&str; 2] = ["/dev/ttyS0", "/dev/tty1"];
/// Disks and TPMs that have not come by then do not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// To fetch an envelope from a safe and to type 64 letters; then the machine starts anew, and asks again.
const TYPING: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(200);
/// How often the TPM is asked, and what lies between.
const TURNS: usize = 3;
const PAUSE: Duration = Duration::from_secs(2);
const REGISTER: &str = "/sys/class/tpm/tpm0/pcr-sha256/11";

pub fn data(out: &Out) -> Result<Exit, Failure> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    wait_for(Path::new(PARTITION), PATIENCE)?;
    let mut head = [0; keeping::HEAD];
    File::open(PARTITION)
        .and_then(|mut disk| disk.read_exact(&mut head))
        .map_err(|error| failed("read", &error))?;
    let keep = match keeping::state(&head) {
        State::Unfinished => make(out)?,
        State::Kept(keep) => keep,
    };
    match (keep, open(keep, NAME)) {
        (_, Ok(())) => {}
        (Keep::Open, Err(failure)) => return Err(failure),
        (Keep::Sealed, Err(failure)) => {
            out.failure(&failure);
            // Open it is, even where it cannot be sealed.
            if let Some(key) = ask_for_recovery()?
                && let Err(failure) = resealed(&key)
            {
                out.failure(&failure);
            }
        }
    }
    Ok(Exit::Ok)
}

/// Without anybody's help.
fn open(keep: Keep, name: &str) -> Result<(), Failure> {
    match keep {
        Keep::Open => unlock(OPEN_KEY.as_bytes(), name),
        Keep::Sealed => {
            let options = "tpm2-device=auto,headless=true";
            patiently(&tool("systemd-cryptsetup"), &["attach", name, PARTITION, "-", options])
        }
    }
}

/// Nothing is made before somebody stands there with a stick: the recovery key has to go somewhere.
fn make(out: &Out) -> Result<Keep, Failure> {
    loop {
        if !Path::new(STICK).exists() {
            out.told(
                "この機械は空です。MIMAMORI という名の媒体を待っています",
                "this machine is blank; waiting for a stick called MIMAMORI",
            );
        }
        while !Path::new(STICK).exists() {
            std::thread::park_timeout(LOOK);
        }
        let stick = Path::new(STICK_PLACE);
        let made = run("systemctl", &["start", STICK_UNIT], b"")
            .and_then(|_| wished(stick))
            .and_then(|keep| fill(keep, stick));
        if let Err(failure) = &made {
            // Whoever holds the stick may have no other screen.
            let text = failure.text(out.language(), super::table::Ink::Plain);
            let _ = fs::write(stick.join("error.txt"), text);
            out.failure(failure);
        }
        run("systemctl", &["stop", STICK_UNIT], b"")?;
        match made {
            Ok(Keep::Sealed) => {
                out.told("データの区画をTPMに封じました", "the data partition is sealed to the TPM");
                return Ok(Keep::Sealed);
            }
            Ok(Keep::Open) => {
                out.told("データの区画は封じていません", "the data partition is not sealed");
                return Ok(Keep::Open);
            }
            // Another stick, or the same one with other words.
            Err(_) => {
                while Path::new(STICK).exists() {
                    std::thread::park_timeout(LOOK);
                }
            }
        }
    }
}

fn wished(stick: &Path) -> Result<Keep, Failure> {
    let path = stick.join(WISHES);
    let unsealed = if path.exists() {
        let text = files::read_limited(&path, WISHES_MAX)?;
        let said = keeping::unsealed(&String::from_utf8_lossy(&text));
        said.map_err(|why| Message::NotToml { why: format!("{WISHES}: {why}") })?
    } else {
        false
    };
    keeping::decide(means(), unsealed).map_err(|unfit: Unfit| {
        let (ja, en) = unfit.texts();
        Message::DataRefused { why_ja: ja.to_owned(), why_en: en.to_owned() }.into()
    })
}

fn means() -> Means {
    let secure_boot = fs::read(SECURE_BOOT).is_ok_and(|said| said.get(4) == Some(&1));
    let tpm = Path::new(TPM_TABLE).exists() && wait_for(Path::new(TPM), PATIENCE).is_ok();
    let policy = Path::new(POLICY_KEY).exists() && Path::new(POLICY_SIGNATURE).exists();
    Means { secure_boot, tpm, policy }
}

/// Everything happens under a name that nobody waits for; the label is the last thing that is written, and without it
/// everything is begun anew.
fn fill(keep: Keep, stick: &Path) -> Result<Keep, Failure> {
    let mut key = Zeroizing::new([0u8; KEY_LEN]);
    getrandom::fill(&mut key[..])
        .map_err(|error| Message::DataFailed { what: "random".into(), why: error.to_string() })?;
    close(MAKING)?;
    // Every key of it has 256 bits or keeps nobody out: there is nothing for a slow function to slow down.
    let format =
        ["--batch-mode", "luksFormat", "--type", "luks2", "--cipher", "aes-xts-plain64", "--key-size", "512"];
    let cheap = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "-", PARTITION];
    run("cryptsetup", &[&format[..], &cheap[..]].concat(), &key[..])?;
    let first = FirstKey::lay(&key[..])?;
    let recovery = enrol_recovery(&first)?;
    match keep {
        Keep::Sealed => enrol_tpm(&first.argument())?,
        Keep::Open => {
            let add = ["--batch-mode", "luksAddKey", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
            let from = ["--key-file", FIRST_KEY, PARTITION, "-"];
            run("cryptsetup", &[&add[..], &from[..]].concat(), OPEN_KEY.as_bytes())?;
        }
    }
    // As at every later boot: what does not open it now will not open it tomorrow.
    open(keep, MAKING)?;
    let filled =
        run("mkfs.ext4", &["-q", "-m", "1", "-L", "mimamori", &format!("/dev/mapper/{MAKING}")], b"");
    close(MAKING)?;
    filled?;
    hand_over(stick, &recovery)?;
    run("cryptsetup", &["--batch-mode", "luksKillSlot", PARTITION, "0"], b"")?;
    run("cryptsetup", &["config", PARTITION, "--label", keep.label()], b"")?;
    File::open(PARTITION).and_then(|disk| disk.sync_all()).map_err(|error| failed("sync", &error))?;
    Ok(keep)
}

/// Whoever looks at every new disk (udev) may still hold it.
fn close(name: &str) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    let mapped = Path::new("/dev/mapper").join(name);
    loop {
        match run("cryptsetup", &["close", name], b"") {
            _ if !mapped.exists() => return Ok(()),
            Err(failure) if begun.elapsed() > PATIENCE => return Err(failure),
            _ => std::thread::park_timeout(LOOK),
        }
    }
}

/// A file of memory that goes whatever happens.
struct FirstKey;

impl FirstKey {
    fn lay(key: &[u8]) -> Result<Self, Failure> {
        let path = Path::new(FIRST_KEY);
        files::remove(path)
            .and_then(|()| files::write_new(path, key))
            .map_err(|error| failed("key", &error))?;
        Ok(Self)
    }

    fn argument(&self) -> String {
        format!("--unlock-key-file={FIRST_KEY}")
    }
}

impl Drop for FirstKey {
    fn drop(&mut self) {
        let _ = files::remove(Path::new(FIRST_KEY));
    }
}

fn enrol_recovery(first: &FirstKey) -> Result<Zeroizing<String>, Failure> {
    let said = run("systemd-cryptenroll", &[&first.argument(), "--recovery-key", PARTITION], b"")?;
    let said = Zeroizing::new(String::from_utf8_lossy(&said).into_owned());
    let key = said.lines().find_map(keeping::typed).map(|(key, _)| Zeroizing::new(key));
    key.ok_or_else(|| Message::DataFailed { what: "recovery key".into(), why: "cryptenroll".into() }.into())
}

/// Register 7: Secure Boot is on, with these keys. Register 11: a kernel for which the builder signed.
fn enrol_tpm(unlock: &str) -> Result<(), Failure> {
    let key = format!("--tpm2-public-key={POLICY_KEY}");
    let signature = format!("--tpm2-signature={POLICY_SIGNATURE}");
    let to = ["--tpm2-device=auto", "--tpm2-pcrs=7", "--tpm2-public-key-pcrs=11"];
    patiently("systemd-cryptenroll", &[&[unlock, &key, &signature], &to[..], &[PARTITION]].concat())
}

/// On the stick and read back, before it is the only way in.
fn hand_over(stick: &Path, recovery: &str) -> Result<(), Failure> {
    let text = Zeroizing::new(format!(
        "{recovery}\n\n回復鍵。二枚印刷して別々の金庫に入れ、このファイルを消してください。\n\
         The recovery key of this machine's data: print it twice, for two safes, and delete this file.\n"
    ));
    let path = stick.join(RECOVERY);
    let written = (|| -> std::io::Result<bool> {
        let mut file = File::create(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        File::open(stick)?.sync_all()?;
        Ok(fs::read_to_string(&path)? == *text)
    })();
    match written {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed("stick", &std::io::Error::other("reads back otherwise"))),
        Err(error) => Err(failed("stick", &error)),
    }
}

fn unlock(key: &[u8], name: &str) -> Result<(), Failure> {
    run("cryptsetup", &["open", "--type", "luks2", "--key-file", "-", PARTITION, name], key).map(|_| ())
}

/// A TPM that is busy, or measures something else at that moment, is asked again; one that refuses, refuses each time.
/// What register 11 holds then says whether another kernel was started.
fn patiently(program: &str, words: &[&str]) -> Result<(), Failure> {
    let mut told = attempt(program, words, b"");
    for _ in 1..TURNS {
        if told.is_ok() {
            break;
        }
        std::thread::park_timeout(PAUSE);
        told = attempt(program, words, b"");
    }
    told.map(|_| ()).map_err(|error| {
        let register = fs::read_to_string(REGISTER).unwrap_or_default();
        failed(program, &std::io::Error::other(format!("{error}; register 11: {}", register.trim())))
    })
}

/// At every console at once; the first that opens it wins. The key, where it shall seal the data anew.
fn ask_for_recovery() -> Result<Option<Zeroizing<String>>, Failure> {
    let (told, heard) = mpsc::channel::<String>();
    let mut consoles: Vec<File> = Vec::new();
    for path in CONSOLES {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let Ok((console, reader)) = opened.and_then(|file| Ok((file.try_clone()?, file))) else { continue };
        consoles.push(console);
        // Whoever keeps what the console says need not keep this. On a machine whose console knows no such thing it echoes.
        let _ = run("stty", &["-F", path, "-echo"], b"");
        let told = told.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    break;
                }
            }
        });
    }
    let mut say = |text: &str| {
        for console in &mut consoles {
            let _ = console.write_all(text.as_bytes());
        }
    };
    say(
        "\r\nmimamori: the TPM does not open the data. Somebody changed firmware, keys or kernel, or the disk is in\r\n\
         another machine. Type the recovery key; `reseal KEY` seals it to this machine again.\r\nrecovery key: ",
    );
    let begun = std::time::Instant::now();
    loop {
        let left = TYPING.saturating_sub(begun.elapsed());
        let Ok(line) = heard.recv_timeout(left).map(Zeroizing::new) else {
            return Err(
                Message::DataFailed { what: "recovery key".into(), why: "nobody typed it".into() }.into()
            );
        };
        match keeping::typed(&line).map(|(key, reseal)| (Zeroizing::new(key), reseal)) {
            Some((key, reseal)) if unlock(key.as_bytes(), NAME).is_ok() => {
                say("\r\nopen\r\n");
                for path in CONSOLES {
                    let _ = run("stty", &["-F", path, "echo"], b"");
                }
                return Ok(reseal.then_some(key));
            }
            _ => say("\r\nno. recovery key: "),
        }
    }
}

/// A TPM of the same make under the same firmware asks for the same policy: while the former one's slot is there, this
/// one's would count as enrolled.
fn resealed(key: &str) -> Result<(), Failure> {
    if let Err(unfit) = keeping::decide(means(), false) {
        let (ja, en) = unfit.texts();
        return Err(Message::DataRefused { why_ja: ja.to_owned(), why_en: en.to_owned() }.into());
    }
    run("systemd-cryptenroll", &["--wipe-slot=tpm2", PARTITION], b"")?;
    let laid = FirstKey::lay(key.as_bytes())?;
    enrol_tpm(&laid.argument())
}

fn wait_for(path: &Path, limit: Duration) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    while !path.exists() {
        if begun.elapsed() > limit {
            return Err(failed(
                "device",
                &std::io::Error::other(format!("{} does not come", path.display())),
            ));
        }
        std::thread::park_timeout(LOOK);
    }
    Ok(())
}

/// systemd's own tools have moved between releases.
fn tool(name: &str) -> String {
    let old = format!("/usr/lib/systemd/{name}");
    if PathBuf::from(format!("/usr/bin/{name}")).exists() { name.to_owned() } else { old }
}

/// To its end, with a key on its standard input and never among its arguments; what it wrote.
fn run(program: &str, words: &[&str], input: &[u8]) -> Result<Vec<u8>, Failure> {
    attempt(program, words, input).map_err(|error| failed(program, &error))
}

fn attempt(program: &str, words: &[&str], input: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who asks for nothing ends without reading.
        let _ = stdin.write_all(input);
    }
    let done = child.wait_with_output()?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let why = String::from_utf8_lossy(&done.stderr);
    let why: Vec<&str> = why.split_whitespace().collect();
    Err(std::io::Error::other(why.join(" ").chars().take(300).collect::<String>()))
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Message::DataFailed { what: what.to_owned(), why: error.to_string() }.into()
}
