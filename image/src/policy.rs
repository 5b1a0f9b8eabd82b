//! Who says which kernels may open a machine's data: a key of its own, made once beside the one that signs kernels,
//! whose public half and signature go into each kernel. An edge: Debian's `openssl`, files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measure;
use crate::tools::{BuildError, at, run};

/// Of 2048 bits: TPMs that check a signature of 3072 are rare.
const KIND: [&str; 4] = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];

/// The public half, as the section `.pcrpkey` carries it.
pub fn public_key(keys: &Path) -> Result<Vec<u8>, BuildError> {
    let key = private_key(keys)?;
    let said = run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&key))?;
    Ok(said.into_bytes())
}

/// The section `.pcrsig` for a kernel that has every other section.
pub fn signature(kernel: &[u8], keys: &Path, out: &Path) -> Result<Vec<u8>, BuildError> {
    let wrong =
        |error: crate::uki::StubError| BuildError::Program { program: "stub".into(), why: error.to_string() };
    let policy = measure::policy(&measure::register(kernel).map_err(wrong)?);
    let key = private_key(keys)?;
    let (plain, signed, public) = (out.join("policy"), out.join("policy.sig"), out.join("policy.der"));
    fs::write(&plain, policy).map_err(at(&plain))?;
    let mut sign = Command::new("openssl");
    sign.args(["dgst", "-sha256", "-sign"]).arg(&key).arg("-out").arg(&signed).arg(&plain);
    run(&mut sign)?;
    let mut show = Command::new("openssl");
    show.args(["rsa", "-RSAPublicKey_out", "-outform", "DER", "-in"]).arg(&key).arg("-out").arg(&public);
    run(&mut show)?;
    let (signature, der) = (fs::read(&signed).map_err(at(&signed))?, fs::read(&public).map_err(at(&public))?);
    for path in [&plain, &signed, &public] {
        fs::remove_file(path).map_err(at(path))?;
    }
    Ok(measure::signature_text(&policy, &der, &signature).into_bytes())
}

fn private_key(keys: &Path) -> Result<PathBuf, BuildError> {
    let key = keys.join("policy.key");
    if !key.exists() {
        fs::create_dir_all(keys).map_err(at(keys))?;
        fs::set_permissions(keys, Permissions::from_mode(0o700)).map_err(at(keys))?;
        let half = keys.join("policy.key.new");
        run(Command::new("openssl").arg("genpkey").args(KIND).arg("-out").arg(&half))?;
        fs::set_permissions(&half, Permissions::from_mode(0o600)).map_err(at(&half))?;
        fs::rename(&half, &key).map_err(at(&key))?;
    }
    Ok(key)
}
