//! A device: a namespace, a tunnel raised with stock WireGuard tools from the bundle's file, keys of its own.
//! Owns its namespace's programs and its folder; both end with the world.
//!
//! ```text
//! bundle ──raise_bootstrap──▶ reaches the claim page ──claim──▶ own key + certificate ──raise_final──▶ in service
//! ```

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::fault::{Fault, Told, While};
use crate::holds;
use crate::http::{Answer, Credentials, Request};
use crate::keys;
use crate::net::Namespace;
use crate::shell::{self, PATIENCE};

/// What the secretariat handed over: a folder by mail, a sheet on paper.
#[derive(Clone)]
pub struct Handover {
    pub bundle: PathBuf,
    pub sheet: Sheet,
}

#[derive(Clone)]
pub struct Sheet {
    pub number: String,
    pub password: String,
}

impl Sheet {
    /// The sheet's plain text; people type it from the printed page.
    pub fn read(file: &Path) -> Told<Self> {
        let text = fs::read_to_string(file).while_(|| format!("the sheet {}", file.display()))?;
        let line = |label: &str| {
            let found = text.lines().find_map(|line| line.trim().strip_prefix(label));
            let value = found.map(|rest| rest.trim_start_matches([':', '：', ' ']).trim().to_owned());
            value.ok_or_else(|| Fault::new(format!("the sheet has no line `{label}`")))
        };
        Ok(Self { number: line("証明書取得用No")?, password: line("パスワード")? })
    }
}

pub struct Device {
    pub slot: String,
    pub space: Namespace,
    pub folder: PathBuf,
    pub handover: Handover,
    interface: String,
    zone: String,
    client: PathBuf,
    /// What curl shows; a certificate once there is one.
    pub credentials: Credentials,
    profile: Option<String>,
    claims: u32,
}

/// What one claim gave: kept by those who claim again, to see that it is worth nothing then.
#[derive(Clone)]
pub struct Claimed {
    profile: Option<String>,
    credentials: Credentials,
}

impl Device {
    pub fn new(
        slot: &str,
        space: Namespace,
        interface: String,
        folder: PathBuf,
        handover: Handover,
        zone: &str,
        client: &Path,
    ) -> Told<Self> {
        fs::create_dir_all(&folder)?;
        let credentials = Credentials { root: one_file(&handover.bundle, "crt")?, ..Credentials::default() };
        Ok(Self {
            slot: slot.to_owned(),
            space,
            folder,
            handover,
            interface,
            zone: zone.to_owned(),
            client: client.to_owned(),
            credentials,
            profile: None,
            claims: 0,
        })
    }

    /// The small client that runs on devices.
    pub fn client(&self) -> &Path {
        &self.client
    }

    pub fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}.{}{path}", self.zone)
    }

    pub fn send(&self, request: Request) -> Told<Answer> {
        request.send(&self.space, &self.credentials)
    }

    /// The bundle's file, as it is; only the interface's name is ours (control sockets are shared).
    pub fn raise_bootstrap(&self) -> Told<()> {
        let profile = fs::read_to_string(one_file(&self.handover.bundle, "conf")?)?;
        self.raise(&profile)
    }

    /// The profile made from the claim's answer and the key that never left this device.
    pub fn raise_final(&self) -> Told<()> {
        let profile =
            self.profile.as_ref().ok_or_else(|| Fault::new(format!("{} has claimed nothing", self.slot)))?;
        self.raise(profile)
    }

    pub fn claimed(&self) -> Claimed {
        Claimed { profile: self.profile.clone(), credentials: self.credentials.clone() }
    }

    pub fn raise_claimed(&self, claimed: &Claimed) -> Told<()> {
        self.raise(claimed.profile.as_deref().unwrap_or_default())
    }

    pub fn send_as(&self, claimed: &Claimed, request: Request) -> Told<Answer> {
        request.send(&self.space, &claimed.credentials)
    }

    pub fn lower(&self) -> Told<()> {
        if self.is_up() {
            self.wg_quick("down")?;
        }
        Ok(())
    }

    /// Makes fresh keys on the device and claims them. What comes back is kept for `raise_final`.
    pub fn claim(&mut self, admin_password: Option<&str>) -> Told<Value> {
        self.claims += 1;
        fs::create_dir_all(self.keys())?;
        let mut client = self.space.command(&self.client);
        client.arg("device-keys").arg(self.keys());
        shell::run(client)?.ok("the client on the device")?;
        let answer = self.send(self.claim_request(admin_password)?)?.expect(&[200])?;
        let text = |pointer: &str| {
            let found = answer.pointer(pointer).and_then(Value::as_str);
            found.ok_or_else(|| Fault::new(format!("the claim's answer has no {pointer}")))
        };
        let chain = self.keys().join("device.crt");
        fs::write(&chain, text("/certificate_chain")?)?;
        self.credentials.certificate = Some((chain, self.keys().join(keys::CERTIFICATE_KEY)));
        let allowed = answer.pointer("/peer/allowed_ips").and_then(Value::as_array);
        let allowed: Vec<_> = allowed.into_iter().flatten().filter_map(Value::as_str).collect();
        self.profile = Some(format!(
            "[Interface]\nPrivateKey = {}\nAddress = {}\nMTU = {}\n\n[Peer]\nPublicKey = {}\nPresharedKey = {}\nAllowedIPs = {}\nEndpoint = {}\n",
            fs::read_to_string(self.keys().join(keys::TUNNEL_KEY))?,
            text("/interface/address")?,
            answer.pointer("/interface/mtu").and_then(Value::as_u64).unwrap_or(1280),
            text("/peer/public_key")?,
            text("/peer/preshared_key")?,
            allowed.join(", "),
            text("/peer/endpoint")?,
        ));
        holds!(text("/slot")? == self.slot, "claimed {} and got {}", self.slot, text("/slot")?);
        Ok(answer)
    }

    /// A folder for keys that something else than our client makes.
    pub fn next_claim(&mut self) -> Told<PathBuf> {
        self.claims += 1;
        fs::create_dir_all(self.keys())?;
        Ok(self.keys())
    }

    /// What it made there: `device.crt` with its chain, `device.key`, `tunnel.conf`.
    pub fn claimed_elsewhere(&mut self, folder: &Path) -> Told<()> {
        self.credentials.certificate = Some((folder.join("device.crt"), folder.join(keys::CERTIFICATE_KEY)));
        self.profile = Some(fs::read_to_string(folder.join("tunnel.conf"))?);
        Ok(())
    }

    /// The claim as a value, for those who repeat it or forge it.
    pub fn claim_request(&self, admin_password: Option<&str>) -> Told<Request> {
        let read =
            |name: &str| fs::read_to_string(self.keys().join(name)).while_(|| format!("the device's {name}"));
        let mut body = json!({
            "number": self.handover.sheet.number,
            "password": self.handover.sheet.password,
            "wireguard_public_key": read(keys::TUNNEL_PUBLIC)?,
            "certificate_request": read(keys::REQUEST)?,
            "label": format!("デモ端末 {}", self.slot),
        });
        if let Some(password) = admin_password {
            body["admin_password"] = password.into();
        }
        Ok(Request::post(self.url("claim", "/claim"), &body))
    }

    /// Sends one packet into the tunnel, which starts a handshake when there is none.
    pub fn knock(&self, address: Ipv4Addr) -> Told<()> {
        let mut bash = self.space.command("bash");
        // A datagram to the discard port; nobody needs to answer it.
        bash.args(["-c", &format!("echo > /dev/udp/{address}/9")]);
        shell::run(bash)?;
        Ok(())
    }

    /// Seconds since 1970 of the last handshake as this client saw it; 0: never.
    pub fn last_handshake(&self) -> Told<u64> {
        let line = self.space.sh(&format!("wg show {} latest-handshakes", self.interface))?;
        let stamp = line.split_whitespace().nth(1).and_then(|stamp| stamp.parse().ok());
        stamp.ok_or_else(|| Fault::new("wg shows no peer"))
    }

    /// What an attacker on the device can do to the profile: claim more of the tunnel than it was given.
    pub fn widen(&self, network: &str) -> Told<()> {
        let peer = self.space.sh(&format!("wg show {} peers", self.interface))?;
        let allowed = self.space.sh(&format!("wg show {} allowed-ips", self.interface))?;
        let mut all: Vec<_> = allowed.split_whitespace().skip(1).map(str::to_owned).collect();
        all.push(network.to_owned());
        self.space.sh(&format!(
            "wg set {} peer {} allowed-ips {}",
            self.interface,
            peer.trim(),
            all.join(",")
        ))?;
        self.space.sh(&format!("ip route replace {network} dev {}", self.interface))?;
        Ok(())
    }

    /// Its address inside the tunnel.
    pub fn inner(&self) -> Told<Ipv4Addr> {
        let line = self.space.sh(&format!("ip -4 -oneline address show dev {}", self.interface))?;
        let address = line.split_whitespace().skip_while(|word| *word != "inet").nth(1);
        let address = address.and_then(|a| a.split('/').next()).and_then(|a| a.parse().ok());
        address.ok_or_else(|| Fault::new(format!("{} has no inner address", self.slot)))
    }

    /// The secrets this device holds, for the search of the logs.
    pub fn secrets(&self) -> Vec<String> {
        let profiles = [fs::read_to_string(self.conf()).ok(), self.profile.clone()];
        let lines = profiles.iter().flatten().flat_map(|profile| profile.lines());
        let keys = lines.filter(|line| line.starts_with("PrivateKey") || line.starts_with("PresharedKey"));
        let mut secrets: Vec<String> =
            keys.filter_map(|line| line.split_once(" = ")).map(|(_, key)| key.trim().to_owned()).collect();
        secrets.push(self.handover.sheet.password.clone());
        let pem = fs::read_to_string(self.keys().join(keys::CERTIFICATE_KEY)).unwrap_or_default();
        // One line of the PEM's body identifies it.
        secrets.extend(pem.lines().nth(1).map(str::to_owned));
        secrets
    }

    /// Any profile: one that a browser saved, one that was scanned.
    pub fn raise(&self, profile: &str) -> Told<()> {
        self.lower()?;
        crate::secrets::write_private(&self.conf(), profile)?;
        self.wg_quick("up")?;
        shell::until("the tunnel's device", PATIENCE, || Ok(self.is_up().then_some(())))
    }

    /// Debian's wg-quick takes the kernel's WireGuard where the kernel has it, and wireguard-go otherwise.
    fn wg_quick(&self, verb: &str) -> Told<()> {
        let mut command: Command = self.space.command("wg-quick");
        command.arg(verb).arg(self.conf()).env("WG_QUICK_USERSPACE_IMPLEMENTATION", "wireguard-go");
        shell::run(command)?.ok(&format!("wg-quick {verb} for {}", self.slot))?;
        Ok(())
    }

    fn is_up(&self) -> bool {
        self.space.sh(&format!("wg show {} listen-port", self.interface)).is_ok()
    }

    fn keys(&self) -> PathBuf {
        self.folder.join(format!("claim-{}", self.claims))
    }

    fn conf(&self) -> PathBuf {
        self.folder.join(format!("{}.conf", self.interface))
    }
}

/// The one file of a kind in a bundle: whoever opens it must not have to choose.
fn one_file(folder: &Path, kind: &str) -> Told<PathBuf> {
    let entries = fs::read_dir(folder).while_(|| format!("the bundle {}", folder.display()))?;
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == kind));
    match found.as_slice() {
        [one] => Ok(one.clone()),
        other => Err(Fault::new(format!("{} has {} .{kind} files, not one", folder.display(), other.len()))),
    }
}
