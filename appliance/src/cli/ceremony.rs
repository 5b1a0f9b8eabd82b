//! `pki ceremony`: the root's passphrase in the hands of several. Shares it, joins shares again, and checks that
//! what is kept still opens the root's key. Works offline, beside no appliance. Touches files.

use std::path::{Path, PathBuf};

use pki::ceremony::ROOT_KEY;
use pki::folders::{ROOT_KEY_SEALED, ROOT_PEM};
use pki::shares::{self, Share, ShareError, Terms};
use pki::signer::{MemoryKey, Signer, random};
use pki::{CertificateSerial, Secret, ca::CaCertificate, pem, renewal};
use serde_json::json;
use zeroize::Zeroizing;

use super::authority::{new_folder, read};
use super::failure::Failure;
use super::out::Out;
use super::pki_args::CeremonyCommand;
use crate::exit::Exit;
use crate::files;
use crate::messages::Message;
use crate::operator::door::now_ms;
use crate::sheets::{self, Heading, shared};

/// In the safe's folder: one line per signature of the root's key since the ceremony.
const RENEWALS: &str = "renewals.txt";

pub fn ceremony(command: CeremonyCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        CeremonyCommand::Split { passphrase_file, shares, root, out: folder, dry_run } => {
            split(&passphrase_file, shares, &root, (!dry_run).then_some(folder.as_path()), out)
        }
        CeremonyCommand::Join { share, out: file } => {
            let joined = joined(&share)?;
            files::write_new(&file, &joined).map_err(|error| written(&file, &error))?;
            out.result(&json!({ "passphrase": file }), || format!("{}\n", file.display()))?;
            Ok(Exit::Ok)
        }
        CeremonyCommand::Renew { root, passphrase_file, share, ca, out: file, dry_run } => {
            let passphrase = told(passphrase_file.as_deref(), &share)?;
            renew(&root, &passphrase, &ca, (!dry_run).then_some(file.as_path()), out)
        }
        CeremonyCommand::Check { root, passphrase_file, share } => {
            let fingerprint = opens(&root, &told(passphrase_file.as_deref(), &share)?)?;
            out.result(&json!({ "ok": true, "root_fingerprint": fingerprint }), || {
                out.pick(
                    format!("ルートの鍵が開きました: {fingerprint}\n"),
                    format!("the root's key opens: {fingerprint}\n"),
                )
            })?;
            Ok(Exit::Ok)
        }
    }
}

/// The root's key signs once more, for a CA that it signed before; the safe keeps a line of it.
fn renew(root: &Path, passphrase: &[u8], ca: &Path, file: Option<&Path>, out: &Out) -> Result<Exit, Failure> {
    let (certificate, key) = opened(root, passphrase)?;
    let old = CaCertificate::parse(&pem::der_of(&read(ca)?)).map_err(|error| unreadable(ca, &error))?;
    let random = random().map_err(|error| unopened(&error))?;
    let serial = CertificateSerial::from_random(random);
    let new = renewal::certify(&old, &certificate, &key, serial, now_ms() / 1000)
        .map_err(|error| unopened(&error))?;
    let new = CaCertificate::parse(&new).map_err(|error| unopened(&error))?;
    let (until, fingerprint) = (pki::lifetime::utc(new.not_after()), pki::Hash::of(new.der()).to_string());
    if let Some(file) = file {
        let line = format!(
            "{} {} {serial} {until} {fingerprint}\n",
            pki::lifetime::utc(now_ms() / 1000),
            new.common_name()
        );
        let kept = root.join(RENEWALS);
        let mut lines = std::fs::read(&kept).unwrap_or_default();
        lines.extend_from_slice(line.as_bytes());
        // The line first: what was signed and not kept is known of.
        std::fs::write(&kept, &lines).map_err(|error| written(&kept, &error))?;
        files::write_new(file, pem::certificate(new.der()).as_bytes())
            .map_err(|error| written(file, &error))?;
    }
    let value = json!({
        "ca": new.common_name(), "serial": serial, "not_after": until, "fingerprint": fingerprint,
        "certificate": file, "dry_run": file.is_none(),
    });
    out.result(&value, || {
        out.pick(
            format!("{} 期限 {until}\n指紋 {fingerprint}\n", new.common_name()),
            format!("{} until {until}\nSHA-256 {fingerprint}\n", new.common_name()),
        )
    })?;
    Ok(Exit::Ok)
}

/// The passphrase from its file, or from shares.
fn told(file: Option<&Path>, shares: &[PathBuf]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match file {
        Some(file) => passphrase(file),
        None => joined(shares),
    }
}

/// A passphrase that opens nothing is not shared.
fn split(file: &Path, terms: Terms, root: &Path, folder: Option<&Path>, out: &Out) -> Result<Exit, Failure> {
    let passphrase = passphrase(file)?;
    let fingerprint = opens(root, &passphrase)?;
    let shares = shared(&passphrase, terms)?;
    let mut sheets = Vec::new();
    if let Some(folder) = folder {
        let certificate = root_certificate(root)?;
        let heading = Heading { realm: certificate.organization(), fingerprint: &fingerprint };
        sheets = sheets::write(&new_folder(folder)?, &shares, &heading)?;
    }
    let checks: Vec<String> = shares.iter().map(Share::check).collect();
    let value = json!({ "shares": terms.to_string(), "sheets": sheets, "checks": checks });
    out.result(&value, || sheets.iter().map(|sheet| format!("{}\n", sheet.display())).collect())?;
    Ok(Exit::Ok)
}

/// From files of lines, or from what is typed or scanned into the standard input (`-`).
fn joined(files: &[PathBuf]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut shares = Vec::new();
    for file in files {
        let file = if file.as_os_str() == "-" { Path::new("/dev/stdin") } else { file };
        let text = Zeroizing::new(read(file)?);
        let text = Zeroizing::new(String::from_utf8_lossy(&text).into_owned());
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            shares.push(Share::read(line).map_err(|error| refused(&error))?);
        }
    }
    shares::join(&shares).map_err(|error| refused(&error))
}

fn passphrase(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut text = Zeroizing::new(read(file)?);
    let length = text.trim_ascii_end().len();
    text.truncate(length);
    Ok(text)
}

fn root_certificate(root: &Path) -> Result<CaCertificate, Failure> {
    let path = root.join(ROOT_PEM);
    CaCertificate::parse(&pem::der_of(&read(&path)?)).map_err(|error| unreadable(&path, &error))
}

/// That this passphrase opens the root's key, and that it is this root's. Gives the root's fingerprint.
fn opens(root: &Path, passphrase: &[u8]) -> Result<String, Failure> {
    opened(root, passphrase).map(|(certificate, _)| pki::Hash::of(certificate.der()).to_string())
}

fn opened(root: &Path, passphrase: &[u8]) -> Result<(CaCertificate, MemoryKey), Failure> {
    let certificate = root_certificate(root)?;
    let path = root.join(ROOT_KEY_SEALED);
    let sealed = String::from_utf8_lossy(&read(&path)?).into_owned();
    let secret = Secret::new(passphrase.to_vec()).map_err(|error| unopened(&error))?;
    let key = MemoryKey::unseal(ROOT_KEY, &sealed, &secret).map_err(|error| unopened(&error))?;
    if &key.public_key() == certificate.key() {
        Ok((certificate, key))
    } else {
        Err(unopened(&"the key is another root's"))
    }
}

fn unopened(why: &dyn std::fmt::Display) -> Failure {
    Message::OpenFailed { room: "pki".to_owned(), why: why.to_string() }.into()
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Message::FileRead { path: path.display().to_string(), why: why.to_string() }.into()
}

fn written(path: &Path, error: &std::io::Error) -> Failure {
    Message::FileWrite { path: path.display().to_string(), why: error.to_string() }.into()
}

fn refused(error: &ShareError) -> Failure {
    Message::Argument { name: "--share".to_owned(), why: error.to_string() }.into()
}
