//! `pki log`: the copy that is kept elsewhere, and its check without the authority. Touches files.

use std::path::Path;

use data_encoding::BASE64;
use pki::ca::CaCertificate;
use pki::checkpoint::{LineProof, ProofError, origin};
use pki::door::{PkiAnswer, PkiQuestion};
use pki::ledger::Ledger;
use pki::witness::{self, CERTIFICATES, CHECKPOINT, DEVICE_CA, Export, LINES};
use pki::{CertificateSerial, folders, pem, restore};
use serde_json::json;

use super::ask::odd_kind;
use super::authority::{Authority, new_folder, read, refused, write};
use super::failure::Failure;
use super::out::Out;
use super::pki_args::{LogCommand, VerifyArgs};
use crate::config;
use crate::exit::Exit;
use crate::files;
use crate::messages::Message;

pub fn log(
    config: &Path,
    credentials: Option<&Path>,
    command: LogCommand,
    out: &Out,
) -> Result<Exit, Failure> {
    match command {
        LogCommand::Verify(args) => verify(&args, out),
        LogCommand::Restore { from, dry_run } => again(config, &from, dry_run, out),
        command => {
            let authority = Authority::of(config, credentials)?;
            let ended = asked(&authority, config, command, out);
            authority.close();
            ended
        }
    }
}

fn asked(authority: &Authority, config: &Path, command: LogCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        LogCommand::Proof { serial } => match authority.ask(PkiQuestion::Proof { serial })? {
            PkiAnswer::Text(text) => said(&text, out),
            _ => Err(refused(&pki::door::IssuingRefusal::Unknown { serial })),
        },
        LogCommand::Checkpoint => said(&checkpoint(authority)?, out),
        LogCommand::Export { out: folder } => {
            let export = exported(authority, config)?;
            let folder = new_folder(&folder)?;
            write(&folder.join(LINES), export.lines.as_bytes())?;
            write(&folder.join(CERTIFICATES), export.certificates.as_bytes())?;
            write(&folder.join(CHECKPOINT), export.checkpoint.as_bytes())?;
            write(&folder.join(DEVICE_CA), &export.device_ca)?;
            let lines = export.lines.lines().count();
            out.result(&json!({ "folder": folder, "lines": lines }), || format!("{}\n", folder.display()))?;
            Ok(Exit::Ok)
        }
        LogCommand::Verify(_) | LogCommand::Restore { .. } => Ok(Exit::Ok),
    }
}

fn said(text: &str, out: &Out) -> Result<Exit, Failure> {
    out.result(&json!({ "text": text }), || text.to_owned())?;
    Ok(Exit::Ok)
}

fn checkpoint(authority: &Authority) -> Result<String, Failure> {
    match authority.ask(PkiQuestion::Checkpoint)? {
        PkiAnswer::Text(text) => Ok(text),
        _ => Err(odd_kind("pki")),
    }
}

/// The checkpoint first, then exactly the lines that it signs.
fn exported(authority: &Authority, config: &Path) -> Result<Export, Failure> {
    let checkpoint = checkpoint(authority)?;
    let size: usize =
        checkpoint.lines().nth(1).and_then(|size| size.parse().ok()).ok_or_else(|| odd_kind("pki"))?;
    let (mut lines, mut count) = (String::new(), 0usize);
    while count < size {
        let PkiAnswer::Lines(page) = authority.ask(PkiQuestion::Lines { from: count as u64 })? else {
            return Err(odd_kind("pki"));
        };
        if page.is_empty() {
            return Err(odd_kind("pki"));
        }
        for line in page.iter().take(size - count) {
            lines.push_str(line);
            lines.push('\n');
        }
        count += page.len();
    }
    let signed: std::collections::BTreeSet<&str> =
        lines.lines().filter_map(|line| line.split_once(" signed serial=")?.1.split(' ').next()).collect();
    let (mut certificates, mut from) = (String::new(), 0);
    loop {
        let PkiAnswer::Bodies(page) = authority.ask(PkiQuestion::Certificates { from })? else {
            return Err(odd_kind("pki"));
        };
        let Some((last, _)) = page.last() else { break };
        from = last + 1;
        for (entry, der) in &page {
            // What was signed since the checkpoint is the next copy's.
            let inspected = pki::inspect::inspect(der);
            let serial =
                inspected.and_then(|found| found.fields.into_iter().find(|(name, _)| *name == "serial"));
            if serial.is_some_and(|(_, serial)| signed.contains(serial.as_str())) {
                certificates += &format!("{entry} {}\n", BASE64.encode(der));
            }
        }
    }
    let dir = config::read(&files::read_config(config)?).map_err(Failure::config)?.paths.room("pki");
    let device_ca = read(&dir.join(folders::DEVICE_CA_DER))?;
    Ok(Export { lines, certificates, checkpoint, device_ca })
}

fn verify(args: &VerifyArgs, out: &Out) -> Result<Exit, Failure> {
    let held = if let (Some(proof), Some(certificate), Some(issuer)) =
        (&args.proof, &args.certificate, &args.issuer)
    {
        proven(proof, certificate, issuer)
    } else {
        let folder = args.dir.clone().unwrap_or_default();
        let mut older = Vec::new();
        for file in &args.older {
            older.push(text(file)?);
        }
        witness::verify(&import(&folder)?, &older).map_err(|error| error.to_string()).map(|seen| {
            json!({ "lines": seen.lines, "root": seen.root, "certificates": seen.certificates, "revoked": seen.revoked })
        })
    };
    let value = match &held {
        Ok(seen) => json!({ "ok": true, "seen": seen }),
        Err(why) => json!({ "ok": false, "why": why }),
    };
    out.result(&value, || match &held {
        Ok(seen) => out.pick(format!("正しい: {seen}\n"), format!("it holds: {seen}\n")),
        Err(why) => format!("{why}\n"),
    })?;
    Ok(if held.is_ok() { Exit::Ok } else { Exit::Failed })
}

fn proven(proof: &Path, certificate: &Path, issuer: &Path) -> Result<serde_json::Value, String> {
    let file = |path: &Path| read(path).map_err(|failure| failure.words.en);
    let ca = CaCertificate::parse(&pem::der_of(&file(issuer)?)).map_err(|error| error.to_string())?;
    let zone = ca.device_zone().map_err(|error| error.to_string())?;
    let der = pem::der_of(&file(certificate)?);
    let text = String::from_utf8_lossy(&file(proof)?).into_owned();
    let serial = pki::inspect::inspect(&der)
        .and_then(|found| found.fields.into_iter().find(|(name, _)| *name == "serial"))
        .and_then(|(_, serial)| serial.parse().ok())
        .ok_or("not a certificate of ours")?;
    let proof = one_of(&text, &serial, &der)?;
    let checkpoint = proof.verify(&origin(&zone), ca.key()).map_err(|error| error.to_string())?;
    Ok(json!({ "index": proof.index, "size": checkpoint.size, "root": checkpoint.root, "line": proof.line }))
}

/// The proof of this certificate among those of a file.
fn one_of(text: &str, serial: &CertificateSerial, der: &[u8]) -> Result<LineProof, String> {
    let mut why = ProofError::Form.to_string();
    for proof in LineProof::each(text) {
        let spoken = proof.map_err(|error| error.to_string()).and_then(|proof| {
            proof.speaks_of(serial, der).map_err(|error| error.to_string()).map(|()| proof)
        });
        match spoken {
            Ok(proof) => return Ok(proof),
            Err(error) => why = error,
        }
    }
    Err(why)
}

pub fn import(folder: &Path) -> Result<Export, Failure> {
    Ok(Export {
        lines: text(&folder.join(LINES))?,
        certificates: text(&folder.join(CERTIFICATES))?,
        checkpoint: text(&folder.join(CHECKPOINT))?,
        device_ca: pem::der_of(&read(&folder.join(DEVICE_CA))?),
    })
}

fn text(path: &Path) -> Result<String, Failure> {
    let utf8 = |_| Message::FileRead { path: path.display().to_string(), why: "not UTF-8".to_owned() };
    Ok(String::from_utf8(read(path)?).map_err(utf8)?)
}

/// Takes up what the copy has beyond the ledger; refused while the authority runs.
fn again(config: &Path, from: &Path, dry_run: bool, out: &Out) -> Result<Exit, Failure> {
    let failed = |why: String| Failure::from(Message::OpenFailed { room: "pki".to_owned(), why });
    let dir = config::read(&files::read_config(config)?).map_err(Failure::config)?.paths.room("pki");
    let export = import(from)?;
    let own = read(&dir.join(folders::DEVICE_CA_DER))?;
    if own != export.device_ca {
        return Err(failed("the copy is of another authority".to_owned()));
    }
    let _lock = pki::room::lock(&dir).map_err(|error| failed(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let restored = runtime.block_on(async {
        let ledger = Ledger::open(&dir.join(folders::LEDGER)).await.map_err(|error| error.to_string())?;
        let restored = restore::restore(&ledger, &export, dry_run).await.map_err(|error| error.to_string());
        ledger.close().await;
        restored
    });
    let restored = restored.map_err(failed)?;
    let value = json!({
        "dry_run": dry_run, "lines": restored.lines, "certificates": restored.certificates,
        "revocations": restored.revocations,
    });
    out.result(&value, || format!("{value}\n"))?;
    Ok(Exit::Ok)
}
