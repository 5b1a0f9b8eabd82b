//! The file that an update travels in (`appliance::update::package` reads it), signed with a key that is made once
//! and stays outside; its public half is in every image. An edge: Debian's `openssl`, `sha256sum`, files.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use appliance::update::package::MAGIC;

use crate::disk::Booted;
use crate::seal::Sealed;
use crate::tools::{BuildError, at, run};

/// Of Ed25519 in PEM: what stands before the key itself, in base64.
const BEFORE_KEY: usize = 16;

/// The public half, as machines keep it; the private one is made in `keys` if it is not there.
pub fn public_key(keys: &Path) -> Result<String, BuildError> {
    let private = private_key(keys)?;
    let said = run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&private))?;
    let body = said.lines().find(|line| !line.starts_with('-')).and_then(|line| line.get(BEFORE_KEY..));
    let body = body.ok_or_else(|| BuildError::Program { program: "openssl".into(), why: said.clone() })?;
    Ok(format!("{body}\n"))
}

fn private_key(keys: &Path) -> Result<PathBuf, BuildError> {
    let key = keys.join("update.key");
    if !key.exists() {
        fs::create_dir_all(keys).map_err(at(keys))?;
        fs::set_permissions(keys, Permissions::from_mode(0o700)).map_err(at(keys))?;
        let half = keys.join("update.key.new");
        run(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&half))?;
        fs::set_permissions(&half, Permissions::from_mode(0o600)).map_err(at(&half))?;
        fs::rename(&half, &key).map_err(at(&key))?;
    }
    Ok(key)
}

pub fn make(sealed: &Sealed, booted: &Booted, keys: &Path, out: &Path) -> Result<PathBuf, BuildError> {
    let parts = [&sealed.erofs, &sealed.verity, &booted.kernel];
    let mut lines = Vec::new();
    for path in parts {
        let size = fs::metadata(path).map_err(at(path))?.len();
        let said = run(Command::new("sha256sum").arg(path))?;
        let sum = said.split_whitespace().next().unwrap_or_default();
        lines.push(format!("{{\"size\":{size},\"sha256\":\"{sum}\"}}"));
    }
    let manifest = format!(
        "{{\"version\":\"{}\",\"root_hash\":\"{}\",\"root\":{},\"tree\":{},\"kernel\":{}}}",
        env!("CARGO_PKG_VERSION"),
        sealed.root_hash,
        lines[0],
        lines[1],
        lines[2]
    );
    let (text, signature) = (out.join("update.manifest"), out.join("update.signature"));
    fs::write(&text, &manifest).map_err(at(&text))?;
    let mut sign = Command::new("openssl");
    sign.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(private_key(keys)?);
    run(sign.arg("-in").arg(&text).arg("-out").arg(&signature))?;
    let signed = run(Command::new("openssl").args(["base64", "-A", "-in"]).arg(&signature))?;
    let update = out.join("mimamori.update");
    let write = || -> io::Result<()> {
        let mut to = File::create(&update)?;
        to.write_all(format!("{MAGIC}{manifest}\n{}\n", signed.trim()).as_bytes())?;
        for path in parts {
            io::copy(&mut File::open(path)?, &mut to)?;
        }
        to.sync_all()
    };
    write().map_err(at(&update))?;
    for path in [&text, &signature] {
        fs::remove_file(path).map_err(at(path))?;
    }
    Ok(update)
}
