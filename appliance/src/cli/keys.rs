//! `keys`: the one key that is in no backup, carried away under a printed passphrase and brought back where it
//! was lost. Needs the realm's files and no running appliance. Edge: files, randomness.

use std::path::Path;

use serde_json::json;
use sns::escrow::{self, EscrowError};
use zeroize::Zeroizing;

use super::args_keys::KeysCommand;
use super::failure::Failure;
use super::out::Out;
use super::realm;
use crate::backup::manifest::Copied;
use crate::backup::memory;
use crate::compose;
use crate::config::Config;
use crate::exit::Exit;
use crate::files;
use crate::messages::Message;
use crate::operator::door::now_ms;
use crate::secrets;

/// A sealed copy is a few hundred bytes.
const COPY_MAX: usize = 16 << 10;

pub fn keys(
    path: &Path,
    credentials: Option<&Path>,
    command: KeysCommand,
    out: &Out,
) -> Result<Exit, Failure> {
    let config = realm::config(path)?;
    let secret = secrets::open_one("sns_epoch", &config.secrets, credentials)?;
    let room = compose::sns(&config, &secret, None)?;
    match command {
        KeysCommand::ExportEpoch { to, dry_run } => {
            let epochs = export(&room, &to, dry_run, out)?;
            if dry_run { Ok(Exit::Ok) } else { remember(&config, &epochs) }
        }
        KeysCommand::ImportEpoch { from, passphrase_file } => {
            let epochs = import(&room, &from, &passphrase_file, out)?;
            remember(&config, &epochs)
        }
    }
}

/// For `status` and `doctor`: after an erasure they ask for another copy. Last, because the passphrase is shown once.
fn remember(config: &Config, epochs: &[u32]) -> Result<Exit, Failure> {
    let newest = epochs.iter().max();
    let copied = newest.map(|epoch| Copied { at_ms: now_ms(), epoch: *epoch });
    memory::remember(config, |kept| kept.epoch = copied).map_err(|error| {
        let path = config.paths.state.display().to_string();
        Message::FileWrite { path, why: error.to_string() }
    })?;
    Ok(Exit::Ok)
}

fn export(room: &sns::Config, to: &Path, dry_run: bool, out: &Out) -> Result<Vec<u32>, Failure> {
    let words = escrow::passphrase(&*random::<20>()?);
    let sealing = escrow::typed(&words).map_err(|error| failed(error.into()))?;
    let copy =
        escrow::export(&room.dir, &room.epoch_secret, &sealing, &*random()?, *random()?).map_err(failed)?;
    let epochs = list(&copy.epochs);
    if dry_run {
        out.result(&json!({ "epochs": copy.epochs, "to": to, "written": false }), || {
            out.pick(
                format!("世代 {epochs} の鍵を写せます。何も書いていません。\n"),
                format!("epoch {epochs} can be copied; nothing was written\n"),
            )
        })?;
        return Ok(copy.epochs);
    }
    files::write_new(to, copy.sealed.as_bytes())
        .map_err(|error| Message::FileWrite { path: to.display().to_string(), why: error.to_string() })?;
    let (words, shown) = (words.as_str(), to.display());
    out.result(&json!({ "epochs": copy.epochs, "to": to, "written": true, "passphrase": words }), || {
        out.pick(
            format!(
                "世代 {epochs} の鍵の写しを {shown} に書きました。\n\n合言葉  {words}\n\n次にすること\n\
                 1. 合言葉を印刷し、写しとは別の人・別の場所に預ける（二度と表示しません）\n\
                 2. 写しを外部媒体へ移し、前の写しを壊す\n3. 患者の消去のたびに、もう一度実行する\n"
            ),
            format!(
                "a copy of epoch {epochs} is in {shown}\n\npassphrase  {words}\n\nNext\n\
                 1. print the passphrase and give it to another person at another place (it is not shown again)\n\
                 2. move the copy to a medium of its own and destroy the former one\n\
                 3. run this again after every erasure of a patient\n"
            ),
        )
    })?;
    Ok(copy.epochs)
}

fn import(room: &sns::Config, from: &Path, passphrase: &Path, out: &Out) -> Result<Vec<u32>, Failure> {
    let passphrase = secrets::open_given("passphrase", passphrase)?;
    let opening = escrow::typed(passphrase.expose()).map_err(|error| failed(error.into()))?;
    let sealed = String::from_utf8_lossy(&files::read_limited(from, COPY_MAX)?).into_owned();
    let epochs = escrow::import(&room.dir, &room.epoch_secret, &opening, &sealed).map_err(failed)?;
    files::give_like(&room.dir, &room.dir.join("epoch"))?;
    let shown = list(&epochs);
    out.result(&json!({ "epochs": epochs }), || {
        out.pick(
            format!("世代 {shown} の鍵を戻しました。mimamori を起動してください。\n"),
            format!("epoch {shown} is back; start mimamori\n"),
        )
    })?;
    Ok(epochs)
}

fn list(epochs: &[u32]) -> String {
    epochs.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn failed(error: EscrowError) -> Failure {
    let why = error.to_string();
    let why = why.split_once(' ').map_or(why.as_str(), |(_, words)| words).to_owned();
    match error {
        EscrowError::Nothing(_) => Message::EscrowNothing { why },
        EscrowError::Standing(_) => Message::EscrowStanding { why },
        EscrowError::Unreadable(_) | EscrowError::Sealed(_) => Message::EscrowUnreadable { why },
    }
    .into()
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Message> {
    let mut random = Zeroizing::new([0; N]);
    getrandom::fill(random.as_mut_slice())
        .map_err(|error| Message::OpenFailed { room: "appliance".to_owned(), why: error.to_string() })?;
    Ok(random)
}
