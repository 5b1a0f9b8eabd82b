//! A claim in two halves as an Apple device makes it (issue 5, RFC 8555): the page's words give a one-time identifier,
//! and a client of python, openssl and curl that shares nothing with the server turns it into a certificate.

use crate::device::Device;
use crate::fault::Told;
use crate::holds;
use crate::shell;

const CLIENT: &str = include_str!("acme.py");

/// Keys by openssl and wg, the certificate by ACME, the tunnel by the page's answer.
pub fn claim(device: &mut Device, admin_password: Option<&str>) -> Told<()> {
    let sheet = device.handover.sheet.clone();
    let (root, url) = (device.credentials.root.clone(), device.url("claim", ""));
    let folder = device.next_claim()?;
    let mut python = device.space.command("python3");
    python.args(["-c", CLIENT]).arg(&folder).arg(root).arg(url);
    python.arg(sheet.number).arg(sheet.password).arg(admin_password.unwrap_or_default());
    let said = shell::run(python)?.ok("claiming over ACME")?.text();
    holds!(said.trim() == "MM-5422", "an identifier that was used was told {said}");
    device.claimed_elsewhere(&folder)
}
