//! A certificate's life and death as a stranger sees them: its proof in the log, checked without the
//! authority, and what OCSP says, checked by stock OpenSSL. Owns nothing beyond a call.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use data_encoding::BASE64;
use serde_json::Value;

use crate::device::Device;
use crate::fault::{Fault, Told};
use crate::holds;
use crate::http::{Credentials, Request};
use crate::shell;
use crate::world::World;

/// What a witness keeps of one certificate.
pub struct Witness {
    folder: PathBuf,
    serial: String,
    /// The log's checkpoint while the certificate lived.
    checkpoint: PathBuf,
    /// The line of its signing, in the log of so many lines.
    pub life: String,
}

/// The proof is fetched in a tunnel, by the serial alone, and holds without the authority.
pub fn proves_life(world: &World, device: &Device, from: &Device) -> Told<Witness> {
    let (certificate, _) =
        device.credentials.certificate.as_ref().ok_or_else(|| Fault::new("no certificate"))?;
    let folder = world.folder.join("witness");
    fs::create_dir_all(&folder)?;
    fs::copy(certificate, folder.join("leaf.pem"))?;
    let printed = openssl(&folder, "x509 -in leaf.pem -noout -serial")?;
    let serial = printed.trim().trim_start_matches("serial=").to_ascii_lowercase();
    fs::write(folder.join("device-ca.der"), published(world, from, "ca/device.crt")?)?;
    fs::write(folder.join("root.der"), published(world, from, "ca/root.crt")?)?;
    for name in ["device-ca", "root"] {
        openssl(&folder, &format!("x509 -inform DER -in {name}.der -out {name}.pem"))?;
    }
    fs::write(folder.join("leaf.proof"), published(world, from, &format!("log/proof/{serial}"))?)?;
    let path = |name: &str| folder.join(name).display().to_string();
    let (proof, leaf, issuer) = (path("leaf.proof"), path("leaf.pem"), path("device-ca.pem"));
    let said = world.server.ok(&[
        "pki",
        "log",
        "verify",
        "--proof",
        &proof,
        "--certificate",
        &leaf,
        "--issuer",
        &issuer,
    ])?;
    holds!(said["ok"] == Value::Bool(true), "the proof does not hold: {said}");
    // Another's certificate with the same proof: the verifier can say no.
    let other = world.server.ask(&[
        "pki",
        "log",
        "verify",
        "--proof",
        &proof,
        "--certificate",
        &issuer,
        "--issuer",
        &issuer,
    ])?;
    holds!(other.code == 1, "the proof held for another certificate");
    let checkpoint = folder.join("checkpoint.then");
    fs::write(&checkpoint, published(world, from, "log/checkpoint")?)?;
    let life = format!("line {} of {} in the signed log", said["seen"]["index"], said["seen"]["size"]);
    let witness = Witness { folder, serial, checkpoint, life };
    shell::until("OCSP to vouch for the living certificate", shell::PATIENCE, || {
        Ok(witness.ocsp(world, from)?.contains("leaf.pem: good").then_some(()))
    })?;
    Ok(witness)
}

impl Witness {
    /// OCSP says so at once; the exported log holds the death, the old checkpoint, and every certificate.
    /// Gives the line of the death.
    pub fn proves_death(&self, world: &World, from: &Device) -> Told<String> {
        let said = self.ocsp(world, from)?;
        holds!(said.contains("leaf.pem: revoked"), "OCSP after the receipt: {said}");
        let said = self.ocsp_by_openssl(world, from)?;
        holds!(said.contains("leaf.pem: revoked"), "OCSP as openssl itself asks: {said}");
        let copy = self.folder.join("copy");
        let (copy_text, older) = (copy.display().to_string(), self.checkpoint.display().to_string());
        world.server.ok(&["pki", "log", "export", "--out", &copy_text])?;
        let said = world.server.ok(&["pki", "log", "verify", &copy_text, "--older", &older])?;
        holds!(said["ok"] == Value::Bool(true), "the exported log does not hold: {said}");
        let lines = fs::read_to_string(copy.join("lines.txt"))?;
        let death = format!(" revoked serial={} ", self.serial);
        let line = lines.lines().position(|line| line.contains(&death));
        let line = line.ok_or_else(|| Fault::new("no line of the log speaks of the revocation"))?;
        fs::write(copy.join("lines.txt"), lines.replace(&death, " revoked serial=0 "))?;
        let forged = world.server.ask(&["pki", "log", "verify", &copy_text])?;
        holds!(forged.code == 1, "a forged log held");
        Ok(format!("line {line}"))
    }

    /// Stock `openssl ocsp` speaks HTTP/1.0, and posts.
    fn ocsp_by_openssl(&self, world: &World, from: &Device) -> Told<String> {
        let url = format!("http://{}/ocsp", world.plan.gateway_open());
        let words = "ocsp -sha256 -issuer device-ca.pem -cert leaf.pem -no_nonce -CAfile root.pem -verify_other device-ca.pem -url";
        let mut command = from.space.command("openssl");
        command.args(words.split(' ')).arg(url).current_dir(&self.folder);
        Ok(shell::run(command)?.text())
    }

    /// What `openssl ocsp` says of the answer that anyone in a tunnel gets.
    fn ocsp(&self, world: &World, from: &Device) -> Told<String> {
        openssl(&self.folder, "ocsp -sha256 -issuer device-ca.pem -cert leaf.pem -no_nonce -reqout req.der")?;
        let request = BASE64.encode(&fs::read(self.folder.join("req.der"))?);
        let request = request.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        fs::write(self.folder.join("resp.der"), published(world, from, &format!("ocsp/{request}"))?)?;
        let words = "ocsp -sha256 -issuer device-ca.pem -cert leaf.pem -no_nonce -respin resp.der -CAfile root.pem -verify_other device-ca.pem";
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).current_dir(&self.folder);
        // Before the first answer is signed it ends with "unauthorized".
        Ok(shell::run(command)?.text())
    }
}

fn published(world: &World, from: &Device, path: &str) -> Told<Vec<u8>> {
    let url = format!("http://{}/{path}", world.plan.gateway_open());
    let plain = Credentials { root: from.credentials.root.clone(), ..Default::default() };
    let answer = Request::get(url).send(&from.space, &plain)?;
    holds!(answer.status == 200, "{path} answers {}", answer.status);
    Ok(answer.body)
}

fn openssl(folder: &std::path::Path, words: &str) -> Told<String> {
    let mut command = Command::new("openssl");
    command.args(words.split(' ')).current_dir(folder);
    Ok(shell::run(command)?.ok(&format!("openssl {words}"))?.text())
}
