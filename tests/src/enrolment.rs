//! From the bundle to a device in service: bootstrap, claim, final key (s4, s5; ruling 5).
//! Owns the story's devices.

use serde_json::json;

use crate::acme;
use crate::device::Device;
use crate::est;
use crate::fault::{Fault, Told, While};
use crate::holds;
use crate::http::{Credentials, Request};
use crate::refusals::counted;
use crate::shell::{self, PATIENCE};
use crate::world::World;

/// The admins' own passwords, chosen at the claim (G-05). P-09: twelve characters at least.
pub const ADMIN_PASSWORD: &str = "minato-no-hikari-2026";

/// A certificate that the authority no longer counts among the living.
const CERTIFICATE_UNLISTED: &str = "MM-3010";

pub struct Devices {
    pub office: Device,
    pub clinic: Device,
    pub nurses: Device,
    pub dentist: Device,
    /// Raises its bootstrap tunnel and never claims.
    pub newcomer: Device,
}

impl Devices {
    pub fn all(&self) -> [&Device; 5] {
        [&self.office, &self.clinic, &self.nurses, &self.dentist, &self.newcomer]
    }
}

pub fn bring_devices(world: &mut World) -> Told<Devices> {
    bring_devices_and(world, "18-0001")
}

/// The four of the story, and one that will never claim.
pub fn bring_devices_and(world: &mut World, newcomer: &str) -> Told<Devices> {
    world.needles.forgotten("an admin's password", ADMIN_PASSWORD);
    let devices = Devices {
        office: world.device("18-0000")?,
        clinic: world.device("18-0042")?,
        nurses: world.device("18-0044")?,
        dentist: world.device("18-0046")?,
        newcomer: world.device(newcomer)?,
    };
    for device in devices.all() {
        device.raise_bootstrap()?;
        world.remember_secrets_of(device);
    }
    Ok(devices)
}

/// The bundle alone leads to the two pages it is for.
pub fn bootstrap_reaches_claim_and_start(world: &World, device: &Device) -> Told<()> {
    let claim = device.send(Request::get(device.url("claim", "/")))?;
    holds!(claim.status == 200, "the claim page answered {} {}", claim.status, claim.curl);
    let plain = Credentials { root: device.credentials.root.clone(), ..Credentials::default() };
    let start = Request::get(format!("http://{}/", world.plan.gateway_open())).send(&device.space, &plain)?;
    holds!(start.status == 200, "the start page answered {} {}", start.status, start.curl);
    holds!(device.last_handshake()? > 0, "a page was reached without a tunnel");
    Ok(())
}

/// 再発行 (ruling 5): the mailed key is dead for whoever has it, another mail brings another, and the sheet stays.
pub fn reissued_bundle_replaces_the_first(world: &World, device: &mut Device) -> Told<()> {
    let (slot, sheet) = (device.slot.clone(), device.handover.sheet.clone());
    // Somebody who has the mail sits in the tunnel when it happens.
    let page = Request::get(device.url("claim", "/"));
    holds!(device.send(page)?.status == 200, "the first mail's tunnel does not reach the claim page");
    let told = world.server.ok(&["slot", "reissue", &slot])?;
    let after = device.send(Request::get(device.url("claim", "/")).attack())?;
    holds!(after.nothing(), "an open tunnel of the first mail outlived the reissue: {}", after.status);
    device.raise_bootstrap()?;
    counted(world, "drops", "handshake-unknown-key", || device.knock(world.plan.gateway_open()))?;
    holds!(device.last_handshake()? == 0, "the key of the first mail still works");

    let mail = world.arrived("the bundle once more", |mail| told["letter"] == mail.letter())?;
    let text = mail.text.clone().unwrap_or_default();
    holds!(mail.dkim && mail.brings(&slot), "the second mail is {}", mail.header("subject"));
    holds!(text.contains("先にお届けした接続設定は、もう使えません"), "it does not say what is dead: {text}");
    device.handover.bundle = world.received(&slot)?;
    let printed = world.sheet(&slot)?;
    holds!(printed.number == sheet.number && printed.password == sheet.password, "another sheet was printed");
    device.raise_bootstrap()?;
    bootstrap_reaches_claim_and_start(world, device)
}

/// A guess is counted and answered without a hint; it costs one of the five.
pub fn wrong_password_opens_nothing(device: &Device) -> Told<()> {
    let body = json!({
        "number": device.handover.sheet.number, "password": "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA",
        "wireguard_public_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "certificate_request": "",
    });
    let answer = device.send(Request::post(device.url("claim", "/claim"), &body))?;
    holds!((400..500).contains(&answer.status), "a wrong password got {}: {}", answer.status, answer.text());
    for hidden in ["preshared_key", "certificate_chain"] {
        holds!(!answer.text().contains(hidden), "a wrong password was given a {hidden}");
    }
    Ok(())
}

/// The page was closed too early: the device claims again, and what it got first is worth nothing.
pub fn second_claim_voids_the_first(world: &World, device: &mut Device) -> Told<()> {
    device.claim(Some(ADMIN_PASSWORD))?;
    let first = device.claimed();
    let again = device.claim(Some(ADMIN_PASSWORD))?;
    holds!(again["claims_left"] == 1, "after two claims of three: {again}");

    device.raise_claimed(&first)?;
    counted(world, "drops", "handshake-unknown-key", || device.knock(world.plan.gateway()))?;
    holds!(device.last_handshake()? == 0, "the first claim's tunnel key still works");

    in_service(world, device)?;
    let refused = counted(world, "refusals", CERTIFICATE_UNLISTED, || {
        device.send_as(&first, Request::get(device.url("sns", "/sign-in")).attack())
    })?;
    holds!(refused.nothing(), "the first claim's certificate still works: {}", refused.status);
    Ok(())
}

/// After the first handshake with the final key the mailed one opens nothing, for nobody.
pub fn bootstrap_key_is_dead(world: &World, device: &Device) -> Told<()> {
    device.raise_bootstrap()?;
    counted(world, "drops", "handshake-unknown-key", || device.knock(world.plan.gateway_open()))?;
    holds!(device.last_handshake()? == 0, "the bootstrap key still works");
    in_service(world, device)
}

/// The ordinary course.
pub fn claim(world: &World, device: &mut Device) -> Told<()> {
    device.claim(Some(ADMIN_PASSWORD))?;
    in_service(world, device)
}

/// The page's claim first, because an admin's own password is chosen there (G-05); then, within its ten minutes, a
/// machine's with other keys, which voids it.
pub fn claim_over_est(world: &World, device: &mut Device) -> Told<()> {
    device.claim(Some(ADMIN_PASSWORD))?;
    est::claim(device)?;
    in_service(world, device)?;
    est::renewal_client_asks(device)
}

/// The page's claim, and then the way of Apple's hardware, which voids it: the sheet's words give a one-time identifier,
/// and the device asks with it over ACME.
pub fn claim_over_acme(world: &World, device: &mut Device) -> Told<()> {
    device.claim(Some(ADMIN_PASSWORD))?;
    acme::claim(device, Some(ADMIN_PASSWORD))?;
    in_service(world, device)
}

/// The final profile is raised, the sign-in page answers, and the registry knows the device as active.
fn in_service(world: &World, device: &Device) -> Told<()> {
    device.raise_final()?;
    let page = device.send(Request::get(device.url("sns", "/sign-in")))?;
    holds!(
        page.status == 200,
        "{} asked for the sign-in page and got {} {}",
        device.slot,
        page.status,
        page.curl
    );
    let shown = || world.server.ok(&["slot", "show", &device.slot]);
    shell::until("the slot to be active", PATIENCE, || {
        let slot = shown()?;
        let state = slot["row"]["state"].as_str().ok_or_else(|| Fault::new("a slot without a state"))?;
        Ok((state == "active").then_some(()))
    })
    .while_(|| format!("the registry says {}", shown().unwrap_or_default()))
}
