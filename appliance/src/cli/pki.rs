//! `pki`: the authority's own nouns. Looks through the operator's door; acts under the operator's name in
//! the log. What concerns a device as a whole (tunnel, sessions) is `device`'s.

use std::path::Path;

use pki::door::{CertificateRow, OperatorWish, PkiAct, PkiAnswer, PkiQuestion, Revoke, WISHES_MAX};
use pki::{inspect, lint, pem};
use serde_json::{Value, json};

use super::ask::odd_kind;
use super::authority::{Authority, append, new_folder, read, refused, write};
use super::failure::Failure;
use super::out::Out;
use super::pki_args::{IssueArgs, PkiCommand, RenewArgs, RevokeArgs};
use super::pki_log;
use super::table::Table;
use crate::exit::Exit;
use crate::messages::Message;

/// The proofs of a folder's certificates, in one file: as many files again would cost more than the certificates.
/// Each begins with the name of its form, so that they are told apart.
const PROOFS: &str = "proofs.txt";
/// Certificates of one page when all are wanted.
const ALL: u64 = 0;

pub fn pki(
    config: &Path,
    credentials: Option<&Path>,
    command: PkiCommand,
    out: &Out,
) -> Result<Exit, Failure> {
    let authority = || Authority::of(config, credentials);
    match command {
        PkiCommand::Inspect { file } => inspected(&file, out),
        PkiCommand::Lint { file, issuer } => linted(&file, &issuer, out),
        PkiCommand::Ceremony(command) => super::ceremony::ceremony(command, out),
        PkiCommand::Log(command) => pki_log::log(config, credentials, command, out),
        PkiCommand::Bench(args) => super::bench::bench(&args, out),
        PkiCommand::Renew(RenewArgs { what: Some(what), .. }) => {
            super::renew::renew(config, credentials, what, out)
        }
        command => {
            let authority = authority()?;
            let ended = asked(&authority, command, out);
            authority.close();
            ended
        }
    }
}

fn asked(authority: &Authority, command: PkiCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        PkiCommand::List { slot } => {
            let PkiAnswer::Certificates(rows) = authority.ask(PkiQuestion::List { slot })? else {
                return Err(odd_kind("pki"));
            };
            out.result(&rows, || listed(&rows, out))?;
            Ok(Exit::Ok)
        }
        PkiCommand::Show { serial } => match authority.ask(PkiQuestion::Show { serial })? {
            PkiAnswer::Certificate { row, der } => {
                let pem = der.map(|der| pem::certificate(&der));
                let value = json!({ "certificate": row, "pem": pem });
                out.result(&value, || {
                    format!("{}{}", listed(std::slice::from_ref(&row), out), pem.unwrap_or_default())
                })?;
                Ok(Exit::Ok)
            }
            _ => Err(unknown(serial)),
        },
        PkiCommand::Issue(args) => issue(authority, &args, out),
        PkiCommand::Revoke(args) => revoke(authority, args, out),
        PkiCommand::Crl { shard, out: file } => {
            saved(authority.ask(PkiQuestion::RevocationList { shard })?, file.as_deref(), out)
        }
        PkiCommand::Ocsp { serial, out: file } => match authority.ask(PkiQuestion::Ocsp { serial })? {
            PkiAnswer::NotFound => Err(unknown(serial)),
            answer => saved(answer, file.as_deref(), out),
        },
        PkiCommand::Renew(RenewArgs { dry_run, .. }) => {
            if !dry_run {
                authority.act(PkiAct::Renew)?;
            }
            out.result(&json!({ "renewed": !dry_run }), || {
                out.pick("更新しました\n".to_owned(), "renewed\n".to_owned())
            })?;
            Ok(Exit::Ok)
        }
        PkiCommand::Export { out: folder } => export(authority, &folder, out),
        PkiCommand::Inspect { .. }
        | PkiCommand::Lint { .. }
        | PkiCommand::Log(_)
        | PkiCommand::Ceremony(_)
        | PkiCommand::Bench(_) => Ok(Exit::Ok),
    }
}

fn listed(rows: &[impl std::borrow::Borrow<CertificateRow>], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("シリアル番号", "serial"),
        out.pick("VPN番号", "slot"),
        out.pick("種類", "kind"),
        out.pick("状態", "state"),
        out.pick("期限", "ends"),
        out.pick("台帳", "entry"),
    ]);
    for row in rows {
        let row = row.borrow();
        table.row([
            row.serial.to_string(),
            row.slot.to_string(),
            row.kind.as_str().to_owned(),
            format!("{:?}", row.state).to_lowercase(),
            pki::lifetime::utc(row.not_after),
            row.ledger_entry.to_string(),
        ]);
    }
    table.text(out.ink())
}

/// One wish, and where its certificate goes.
struct Filed {
    wish: OperatorWish,
    certificate: std::path::PathBuf,
}

fn issue(authority: &Authority, args: &IssueArgs, out: &Out) -> Result<Exit, Failure> {
    let filed = wishes(args)?;
    if args.dry_run {
        let refusals: Vec<Value> = filed.iter().filter_map(|one| proved(one).err()).collect();
        let value = json!({ "requests": filed.len(), "refused": refusals });
        out.result(&value, || format!("{}: {}\n", filed.len(), json!(refusals)))?;
        return Ok(if refusals.is_empty() { Exit::Ok } else { Exit::Failed });
    }
    if args.csr_dir.is_some() && !args.out.is_dir() {
        new_folder(&args.out)?;
    }
    let (mut issued, mut refusals, mut first) = (0usize, Vec::new(), true);
    for some in filed.chunks(WISHES_MAX) {
        let wishes = some.iter().map(|one| one.wish.clone()).collect();
        let PkiAnswer::Issued(outcomes) = authority.act(PkiAct::Issue { wishes })? else {
            return Err(odd_kind("pki"));
        };
        let serials = outcomes.iter().filter_map(|one| one.as_ref().ok().map(|one| one.serial)).collect();
        let PkiAnswer::Proofs(proofs) = authority.ask(PkiQuestion::Proofs { serials })? else {
            return Err(odd_kind("pki"));
        };
        let proofs: String = proofs.into_iter().flatten().collect();
        match &args.csr_dir {
            None => write(&args.out.with_extension("proof"), proofs.as_bytes())?,
            Some(_) if first => write(&args.out.join(PROOFS), proofs.as_bytes())?,
            Some(_) => append(&args.out.join(PROOFS), proofs.as_bytes())?,
        }
        first = false;
        for (one, outcome) in some.iter().zip(outcomes) {
            match outcome {
                Ok(certificate) => {
                    let chain: String = certificate.chain.iter().map(|der| pem::certificate(der)).collect();
                    write(&one.certificate, chain.as_bytes())?;
                    issued += 1;
                }
                Err(refusal) if filed.len() == 1 => return Err(refused(&refusal)),
                Err(refusal) => {
                    let (slot, code) = (one.wish.slot, refusal.code());
                    refusals
                        .push(json!({ "slot": slot, "code": code, "ja": refusal.ja(), "en": refusal.en() }));
                }
            }
        }
    }
    let value = json!({ "issued": issued, "refused": refusals });
    out.result(&value, || {
        let refused: String =
            refusals.iter().map(|one| format!("{} {} {}\n", one["slot"], one["code"], one["en"])).collect();
        out.pick(format!("{issued} 枚を発行しました\n{refused}"), format!("{issued} issued\n{refused}"))
    })?;
    Ok(if refusals.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn proved(one: &Filed) -> Result<(), Value> {
    let (slot, request) = (one.wish.slot, &one.wish.request);
    pki::request::prove(request).map(drop).map_err(|refusal| json!({ "slot": slot, "code": refusal.code() }))
}

/// The requests that the arguments name.
fn wishes(args: &IssueArgs) -> Result<Vec<Filed>, Failure> {
    let wish = |slot, bytes: &[u8], shared_key| {
        let request = pem::der_of(bytes);
        // The same request for the same slot is the same act, however often the command runs.
        let token = format!("operator {slot} {}", pki::Hash::of(&request));
        OperatorWish { slot, kind: args.kind.into(), request, token, shared_key }
    };
    if let (Some(file), Some(slot)) = (&args.csr, args.slot) {
        return Ok(vec![Filed { wish: wish(slot, &read(file)?, false), certificate: args.out.clone() }]);
    }
    let folder = args.csr_dir.clone().unwrap_or_default();
    let failed = |error: std::io::Error| {
        Failure::from(Message::FileRead { path: folder.display().to_string(), why: error.to_string() })
    };
    let mut filed = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_request = path.extension().is_some_and(|extension| extension == "pem");
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
        if !is_request {
            continue;
        }
        let number: u16 =
            stem.parse().ok().filter(|number| *number <= 9999).ok_or_else(|| argument(&path))?;
        let slot = format!("{}-{number:04}", args.series).parse().map_err(|_| argument(&path))?;
        let certificate = args.out.join(format!("{stem}.crt"));
        filed.push(Filed { wish: wish(slot, &read(&path)?, true), certificate });
    }
    filed.sort_by_key(|one| one.wish.slot);
    Ok(filed)
}

fn argument(path: &Path) -> Failure {
    let why = format!("{}: 0–9999.pem", path.display());
    Message::Argument { name: "--csr-dir".to_owned(), why }.into()
}

fn revoke(authority: &Authority, args: RevokeArgs, out: &Out) -> Result<Exit, Failure> {
    let what = match (args.serial, args.slot, args.key) {
        (Some(serial), _, _) => Revoke::Certificate(serial),
        (None, Some(slot), _) => Revoke::Slot(slot),
        (None, None, key) => Revoke::Key(key.ok_or_else(|| odd_kind("pki"))?),
    };
    if args.dry_run {
        out.result(&json!({ "would_revoke": what }), || format!("{what:?}\n"))?;
        return Ok(Exit::Ok);
    }
    let PkiAnswer::Revoked { serials, snapshot } =
        authority.act(PkiAct::Revoke { what, reason: args.reason })?
    else {
        return Err(odd_kind("pki"));
    };
    out.result(&json!({ "revoked": serials, "snapshot": snapshot }), || {
        serials.iter().map(|serial| format!("{serial}\n")).collect()
    })?;
    Ok(Exit::Ok)
}

/// A list or an answer: into a file, or as an engineer reads it.
fn saved(answer: PkiAnswer, file: Option<&Path>, out: &Out) -> Result<Exit, Failure> {
    let PkiAnswer::Bytes(der) = answer else { return Err(odd_kind("pki")) };
    if let Some(file) = file {
        write(file, &der)?;
        out.result(&json!({ "file": file, "bytes": der.len() }), || format!("{}\n", file.display()))?;
        return Ok(Exit::Ok);
    }
    match inspect::inspect(&der) {
        Some(found) => shown(&found, out),
        None => {
            let base64 = data_encoding::BASE64.encode(&der);
            out.result(&json!({ "der": base64 }), || format!("{base64}\n"))
        }
    }?;
    Ok(Exit::Ok)
}

fn export(authority: &Authority, folder: &Path, out: &Out) -> Result<Exit, Failure> {
    let folder = new_folder(folder)?;
    let PkiAnswer::Certificates(rows) = authority.ask(PkiQuestion::List { slot: None })? else {
        return Err(odd_kind("pki"));
    };
    let mut csv =
        String::from("serial,slot,kind,state,not_before,not_after,revoked_at,reason,ledger_entry\n");
    for row in &rows {
        let (at, reason) =
            row.revoked.map_or((String::new(), ""), |(at, why)| (pki::lifetime::utc(at), why.as_str()));
        csv += &format!(
            "{},{},{},{},{},{},{at},{reason},{}\n",
            row.serial,
            row.slot,
            row.kind.as_str(),
            format!("{:?}", row.state).to_lowercase(),
            pki::lifetime::utc(row.not_before),
            pki::lifetime::utc(row.not_after),
            row.ledger_entry
        );
    }
    write(&folder.join("certificates.csv"), csv.as_bytes())?;
    let (mut from, mut pems, mut count) = (ALL, String::new(), 0usize);
    loop {
        let PkiAnswer::Bodies(page) = authority.ask(PkiQuestion::Certificates { from })? else {
            return Err(odd_kind("pki"));
        };
        let Some((last, _)) = page.last() else { break };
        from = last + 1;
        count += page.len();
        pems.extend(page.iter().map(|(_, der)| pem::certificate(der)));
    }
    write(&folder.join("certificates.pem"), pems.as_bytes())?;
    out.result(&json!({ "folder": folder, "certificates": count }), || format!("{}\n", folder.display()))?;
    Ok(Exit::Ok)
}

fn inspected(file: &Path, out: &Out) -> Result<Exit, Failure> {
    match inspect::inspect(&read(file)?) {
        Some(found) => {
            shown(&found, out)?;
            Ok(Exit::Ok)
        }
        None => {
            let why = "no certificate, request, list, .p12, profile or proof".to_owned();
            Err(Message::FileRead { path: file.display().to_string(), why }.into())
        }
    }
}

fn shown(found: &inspect::Inspected, out: &Out) -> Result<(), Failure> {
    let fields: Vec<Value> = found.fields.iter().map(|(name, value)| json!([name, value])).collect();
    out.result(&json!({ "kind": found.kind, "fields": fields }), || {
        let mut table = Table::new(&[found.kind, ""]);
        for (name, value) in &found.fields {
            table.row([(*name).to_owned(), value.clone()]);
        }
        table.text(out.ink())
    })
}

fn linted(file: &Path, issuer: &Path, out: &Out) -> Result<Exit, Failure> {
    let issuer = pki::ca::CaCertificate::parse(&pem::der_of(&read(issuer)?)).map_err(|error| {
        Failure::from(Message::FileRead { path: issuer.display().to_string(), why: error.to_string() })
    })?;
    let found = lint::finished(&pem::der_of(&read(file)?), &issuer).err();
    let value = json!({ "ok": found.is_none(), "lint": found.as_ref().map(|one| one.lint), "found": found.as_ref().map(|one| &one.found) });
    out.result(&value, || match &found {
        None => out.pick("誤りはありません\n".to_owned(), "no finding\n".to_owned()),
        Some(found) => format!("{found}\n"),
    })?;
    Ok(if found.is_none() { Exit::Ok } else { Exit::Failed })
}

fn unknown(serial: pki::CertificateSerial) -> Failure {
    refused(&pki::door::IssuingRefusal::Unknown { serial })
}
