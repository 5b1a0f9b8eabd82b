//! The lost device, while others go on working: the one place where time decides (issue 2, s8).
//! Owns nothing beyond a call.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use pki::chain::Hash;
use pki::door::Attestation;
use serde_json::Value;

use crate::device::Device;
use crate::fault::{Fault, Told, While};
use crate::holds;
use crate::http::{Credentials, Request};
use crate::people::{Person, text};
use crate::refusals::counted;
use crate::server::find;
use crate::shell;
use crate::stream::Stream;
use crate::team::REPORT;
use crate::world::World;

/// The law: tunnel, TLS, sessions and live streams are gone within it.
const LAW: Duration = Duration::from_secs(1);
/// Every place that must let go (ruling 7).
const POINTS: [&str; 5] = ["vpn", "firewall", "pki", "gateway", "sns"];

/// What was seen from outside while the command ran.
pub struct Cut {
    pub receipt: Value,
    pub gone_after: Duration,
}

/// Revokes by the operator's command and watches the kernel's connections of that device meanwhile.
pub fn revoke(world: &World, device: &Device) -> Told<Cut> {
    let inner = device.inner()?;
    holds!(world.server.connections_of(inner)? > 0, "the device to revoke has no live connection");
    let begun = Instant::now();
    let (said, gone) = std::thread::scope(|scope| {
        let command =
            scope.spawn(|| world.server.ask(&["device", "revoke", &device.slot, "--reason", "lost"]));
        let gone = shell::until("the lost device's connections to be gone", shell::PATIENCE, || {
            Ok((world.server.connections_of(inner)? == 0).then(|| begun.elapsed()))
        });
        (command.join(), gone)
    });
    let said = said.map_err(|_| Fault::new("the command's thread broke"))??;
    holds!(said.code == 0, "the command ended with {}: {}", said.code, said.text);
    Ok(Cut { receipt: said.json, gone_after: gone? })
}

/// Revokes while others work.
pub fn revoke_while(world: &World, device: &Device, work: impl FnOnce() -> Told<()> + Send) -> Told<Cut> {
    std::thread::scope(|scope| {
        let working = scope.spawn(work);
        let cut = revoke(world, device);
        working.join().map_err(|_| Fault::new("the bystander's thread broke"))??;
        cut
    })
}

/// Every point acknowledged within the law, and so did the kernel.
pub fn within_the_law(cut: &Cut) -> Told<u64> {
    let points = find(&cut.receipt, "points").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut slowest = 0;
    for wanted in POINTS {
        let point = points.iter().find(|point| point["point"] == wanted);
        let after = point.and_then(|point| point["after_ms"].as_u64());
        let after =
            after.ok_or_else(|| Fault::new(format!("{wanted} has not acknowledged: {}", cut.receipt)))?;
        slowest = slowest.max(after);
    }
    holds!(slowest <= LAW.as_millis() as u64, "a point took {slowest} ms: {}", cut.receipt);
    holds!(cut.gone_after <= LAW, "the live connection was gone only after {:?}", cut.gone_after);
    holds!(
        find(&cut.receipt, "complete") == Some(&Value::Bool(true)),
        "the receipt is not complete: {}",
        cut.receipt
    );
    Ok(slowest)
}

/// The authority's signature, checked with stock OpenSSL against the published CA.
pub fn signature_holds(world: &World, receipt: &Value, from: &Device) -> Told<()> {
    let signature = find(receipt, "signature")
        .filter(|s| s.is_object())
        .ok_or_else(|| Fault::new("the receipt is not signed"))?;
    let entry = find(signature, "ledger_entry")
        .and_then(Value::as_u64)
        .ok_or_else(|| Fault::new("no ledger entry"))?;
    let hash: Hash = text(signature, "hash")?.parse().while_(|| "the receipt's hash".into())?;
    let head: Hash = text(signature, "ledger_head")?.parse().while_(|| "the ledger's head".into())?;
    let bytes = BASE64.decode(text(signature, "signature")?.as_bytes()).while_(|| "the signature".into())?;
    let subject = format!("receipt {}", text(receipt, "receipt")?);
    let folder = &world.folder;
    fs::write(folder.join("receipt.sig"), bytes)?;
    fs::write(folder.join("receipt.msg"), Attestation::message(entry, &subject, &hash, &head))?;
    let url = format!("http://{}/ca/device.crt", world.plan.gateway_open());
    let plain = Credentials { root: from.credentials.root.clone(), ..Default::default() };
    let ca = Request::get(url).send(&from.space, &plain)?;
    holds!(ca.status == 200, "the device CA is not published: {}", ca.status);
    fs::write(folder.join("device-ca.crt"), &ca.body)?;
    let form = if ca.body.starts_with(b"-----") { "PEM" } else { "DER" };
    openssl(
        folder,
        &["x509", "-inform", form, "-in", "device-ca.crt", "-pubkey", "-noout", "-out", "device-ca.pub"],
    )?;
    openssl(
        folder,
        &["dgst", "-sha256", "-verify", "device-ca.pub", "-signature", "receipt.sig", "receipt.msg"],
    )
}

/// The serial is on the published list; the list's signature is the CA's.
pub fn on_the_list(world: &World, lost: &Device, from: &Device) -> Told<()> {
    let (certificate, _) =
        lost.credentials.certificate.as_ref().ok_or_else(|| Fault::new("no certificate"))?;
    let folder = &world.folder;
    let printed = openssl_said(
        folder,
        &[
            "x509",
            "-in",
            &certificate.to_string_lossy(),
            "-noout",
            "-serial",
            "-ext",
            "crlDistributionPoints",
        ],
    )?;
    let serial = printed.lines().find_map(|line| line.strip_prefix("serial=")).unwrap_or_default().to_owned();
    let url =
        printed.split("URI:").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let plain = Credentials { root: from.credentials.root.clone(), ..Default::default() };
    let list = Request::get(url).send(&from.space, &plain)?;
    holds!(list.status == 200, "the list {url} answers {}", list.status);
    fs::write(folder.join("device.crl"), &list.body)?;
    let listed = openssl_said(folder, &["crl", "-inform", "DER", "-in", "device.crl", "-noout", "-text"])?;
    holds!(!serial.is_empty() && listed.contains(&serial), "serial {serial} is not on the list {url}");
    Ok(())
}

/// A new handshake with the right key is answered by nobody.
pub fn handshake_refused(world: &World, lost: &Device) -> Told<()> {
    lost.raise_final()?;
    counted(world, "drops", "handshake-unknown-key", || lost.knock(world.plan.gateway()))?;
    holds!(lost.last_handshake()? == 0, "a revoked tunnel came up again");
    Ok(())
}

/// Its certificate is refused in any tunnel; the gateway knows it is no longer one of the living.
pub fn tls_refused(lost: &Device, through: &Device) -> Told<()> {
    let mut credentials = through.credentials.clone();
    credentials.certificate = lost.credentials.certificate.clone();
    let answer =
        Request::get(through.url("sns", "/api/teams")).attack().send(&through.space, &credentials)?;
    holds!(answer.nothing(), "the lost certificate was answered with {}", answer.status);
    Ok(())
}

/// The session is worth nothing from that device.
pub fn nothing_answers(lost: &Device, person: &Person) -> Told<()> {
    let answer = person.send(person.request_get("/api/teams").attack())?;
    holds!(answer.nothing(), "{} was answered with {}", lost.slot, answer.status);
    Ok(())
}

/// Numbered posts around the revocation.
pub fn post_numbered(writer: &Person, patient: &str, from: u32, to: u32) -> Told<()> {
    for number in from..=to {
        writer.write(patient, &numbered(number), Some(&format!("story-{number}")))?.expect(&[201])?;
    }
    Ok(())
}

/// All of them, in order, each exactly once, on the stream that was open all the time.
pub fn nothing_lost(stream: &Stream, from: u32, to: u32) -> Told<()> {
    let last = numbered(to);
    stream.event("the last numbered post", |event| event.data.contains(&last))?;
    let seen: Vec<String> =
        stream.events().into_iter().filter(|e| e.kind == "post").map(|e| e.data).collect();
    let numbers: Vec<u32> =
        seen.iter().filter_map(|data| (from..=to).find(|n| data.contains(&numbered(*n)))).collect();
    let wanted: Vec<u32> = (from..=to).collect();
    holds!(numbers == wanted, "the bystander saw {numbers:?}, not {wanted:?}");
    holds!(!stream.ended(), "the bystander's stream ended");
    Ok(())
}

/// Not a word of what was posted after the receipt reached the lost device.
pub fn heard_nothing_since(stream: &Stream, from: u32, to: u32) -> Told<()> {
    let heard =
        |event: &crate::stream::Event| (from..=to).any(|number| event.data.contains(&numbered(number)));
    holds!(!stream.events().iter().any(heard), "the lost device still heard the stream");
    Ok(())
}

/// No other number contains it.
fn numbered(number: u32) -> String {
    format!("{REPORT}〔{number}〕番")
}

fn openssl(folder: &Path, words: &[&str]) -> Told<()> {
    openssl_said(folder, words).map(|_| ())
}

fn openssl_said(folder: &Path, words: &[&str]) -> Told<String> {
    let mut command = Command::new("openssl");
    command.args(words).current_dir(folder);
    Ok(shell::run(command)?.ok(&format!("openssl {}", words[0]))?.text())
}
