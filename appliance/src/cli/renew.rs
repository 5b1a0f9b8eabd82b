//! `pki renew gateway`, `device-ca`, `server-ca`: certificates that follow others, for the same keys. The authority signs or
//! looks and records; this command puts the result where the gateway reads it, and tells a running one. Touches files.

use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use gateway::door::{GatewayAnswer, GatewayQuestion};
use pki::ca::CaCertificate;
use pki::door::{Certified, PkiAct, PkiAnswer};
use pki::folders::{DEVICE_CA_DER, GATEWAY_CHAIN, ROOT_DER, SERVER_CA_DER};
use pki::renewal::{self, Issuing};
use pki::{inspect, lifetime, pem};
use serde_json::json;

use super::ask::{Door, odd_kind};
use super::authority::{Authority, read};
use super::failure::Failure;
use super::out::Out;
use super::pki_args::{RenewCommand, TakeUpArgs};
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::files;
use crate::messages::Message;
use crate::operator::door::now_ms;

pub fn renew(
    path: &Path,
    credentials: Option<&Path>,
    command: RenewCommand,
    out: &Out,
) -> Result<Exit, Failure> {
    let config = config::read(&files::read_config(path)?).map_err(Failure::config)?;
    let act = |act: PkiAct| {
        let authority = Authority::of(path, credentials)?;
        let answer = authority.act(act);
        authority.close();
        match answer? {
            PkiAnswer::Certified(certified) => Ok(certified),
            _ => Err(odd_kind("pki")),
        }
    };
    match command {
        RenewCommand::Gateway { out: file, dry_run } => gateway(&config, file.as_deref(), dry_run, act, out),
        RenewCommand::DeviceCa(args) => ca(&config, &args, Issuing::Devices, act, out),
        RenewCommand::ServerCa(args) => ca(&config, &args, Issuing::Servers, act, out),
    }
}

fn gateway(
    config: &Config,
    file: Option<&Path>,
    dry_run: bool,
    act: impl FnOnce(PkiAct) -> Result<Certified, Failure>,
    out: &Out,
) -> Result<Exit, Failure> {
    let place = config.paths.room("gateway").join(GATEWAY_CHAIN);
    let certificate = pem::der_of(&read(&place)?);
    if dry_run {
        let now = inspect::inspect(&certificate);
        let now = now.ok_or_else(|| refused("--dry-run", &place.display().to_string()))?;
        let fields: serde_json::Map<_, _> =
            now.fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        out.result(&json!({ "dry_run": true, "certificate": fields }), || {
            now.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
        })?;
        return Ok(Exit::Ok);
    }
    let certified = act(PkiAct::RenewGateway { certificate })?;
    let chain: String = certified.chain.iter().map(|der| pem::certificate(der)).collect();
    let reloaded = match file {
        Some(file) => {
            files::write_new(file, chain.as_bytes()).map(|()| false).map_err(|error| written(file, &error))?
        }
        None => {
            replace(&place, chain.as_bytes())?;
            reload(config)?
        }
    };
    told(&certified, file.unwrap_or(&place), reloaded, out)
}

fn ca(
    config: &Config,
    args: &TakeUpArgs,
    which: Issuing,
    act: impl FnOnce(PkiAct) -> Result<Certified, Failure>,
    out: &Out,
) -> Result<Exit, Failure> {
    let certificate = pem::der_of(&read(&args.certificate)?);
    let folder = config.paths.room("pki");
    let name = match which {
        Issuing::Devices => DEVICE_CA_DER,
        Issuing::Servers => SERVER_CA_DER,
    };
    let parsed =
        |der: &[u8]| CaCertificate::parse(der).map_err(|error| refused("--certificate", &error.to_string()));
    if Issuing::of(&parsed(&certificate)?) != which {
        return Err(refused("--certificate", which.as_str()));
    }
    if args.dry_run {
        let (old, root) = (parsed(&read(&folder.join(name))?)?, parsed(&read(&folder.join(ROOT_DER))?)?);
        let new = renewal::follows(&certificate, &old, &root, now_ms() / 1000)
            .map_err(|error| refused("--certificate", &error.to_string()))?;
        let (until, now) = (lifetime::utc(new.not_after()), lifetime::utc(old.not_after()));
        out.result(&json!({ "dry_run": true, "not_after": until, "now": now }), || {
            format!("{now} -> {until}\n")
        })?;
        return Ok(Exit::Ok);
    }
    let certified = act(PkiAct::TakeUp { certificate: certificate.clone() })?;
    let reloaded = if which == Issuing::Devices {
        replace(&config.paths.room("gateway").join(DEVICE_CA_DER), &certificate)?;
        reload(config)?
    } else {
        false
    };
    told(&certified, &folder.join(name), reloaded, out)
}

fn told(certified: &Certified, place: &Path, reloaded: bool, out: &Out) -> Result<Exit, Failure> {
    let until = lifetime::utc(certified.not_after);
    let value = json!({
        "serial": certified.serial, "not_after": until, "ledger_entry": certified.ledger_entry,
        "file": place, "reloaded": reloaded,
    });
    out.result(&value, || {
        let (ja, en) = if reloaded {
            ("ゲートウェイは読み直しました。", "the gateway has read it anew")
        } else {
            ("次の起動から使います。", "in use from the next start on")
        };
        out.pick(
            format!("{} 期限 {until}\n{ja}\n", place.display()),
            format!("{} until {until}\n{en}\n", place.display()),
        )
    })?;
    Ok(Exit::Ok)
}

/// A gateway that runs takes it up for the next handshakes; one that does not, at its start.
fn reload(config: &Config) -> Result<bool, Failure> {
    let door = Door::new(&config.paths)?;
    if !door.is_there() {
        return Ok(false);
    }
    match door.gateway(GatewayQuestion::Reload { dry_run: false })? {
        GatewayAnswer::Reloaded => Ok(true),
        // Its key was handed over at the start: it takes the file at the next one.
        GatewayAnswer::Failed { why } if why.contains("MM-3116") => Ok(false),
        GatewayAnswer::Failed { why } => Err(Message::OpenFailed { room: "gateway".to_owned(), why }.into()),
        _ => Err(odd_kind("gateway")),
    }
}

/// Whole or not at all, for the same reader as before.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let put = || {
        let like = std::fs::metadata(path)?;
        files::remove(&new)?;
        files::write_new(&new, bytes)?;
        chown(&new, Some(like.uid()), Some(like.gid()))?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(like.mode() & 0o777))?;
        std::fs::rename(&new, path)?;
        files::sync_folder(path)
    };
    put().map_err(|error| written(path, &error))
}

fn refused(name: &str, why: &str) -> Failure {
    Message::Argument { name: name.to_owned(), why: why.to_owned() }.into()
}

fn written(path: &Path, error: &std::io::Error) -> Failure {
    Message::FileWrite { path: path.display().to_string(), why: error.to_string() }.into()
}
