//! 接続設定一式: the bootstrap profile, the root certificate and the picture guide of one slot.
//! The profile reaches the claim and start pages and nothing else; it opens nothing without the sheet
//! (ruling 5). Pure: texts out, nothing written. Files wipe themselves when dropped.

use std::net::Ipv4Addr;

use askama::Template;
use data_encoding::BASE64;
use vpn::address::TUNNEL_MTU;
use vpn::key::{PresharedKey, PublicKey};
use vpn::slot::SlotNumber;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::messages::Message;

pub const ROOT_FILE: &str = "mimamori-root.crt";
pub const GUIDE_FILE: &str = "guide.html";

/// A tunnel's private key that this room makes (the bootstrap's, and a final one in the fallback): lives until its
/// text is written, stored nowhere.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TunnelPrivateKey([u8; 32]);

impl TunnelPrivateKey {
    pub fn from_random(random: &[u8; 32]) -> Self {
        let mut key = *random;
        // RFC 7748 5: written clamped, as every tool that reads the profile would make it.
        key[0] &= 0xf8;
        key[31] = (key[31] & 0x7f) | 0x40;
        Self(key)
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::from_bytes(x25519_dalek::PublicKey::from(&StaticSecret::from(self.0)).to_bytes())
    }

    fn expose_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(&self.0))
    }
}

/// A file for one reader.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PrivateFile {
    pub name: String,
    pub text: String,
}

/// What the bundle of a slot is made of.
pub struct Bundle<'a> {
    pub slot: SlotNumber,
    pub facility_name: &'a str,
    pub realm_name: &'a str,
    pub zone: &'a str,
    pub endpoint: &'a str,
    pub server_public_key: PublicKey,
    pub key: &'a TunnelPrivateKey,
    pub psk: &'a PresharedKey,
    /// Where the enrolling seat sits.
    pub address: Ipv4Addr,
    pub gateway_open: Ipv4Addr,
    pub root_pem: &'a str,
    pub root_fingerprint: &'a str,
    pub issued_on: &'a str,
    pub valid_until: &'a str,
    pub office_name: &'a str,
    pub office_telephone: &'a str,
}

/// `mima-18-0042.conf`: Linux and Android take at most 15 characters before the dot.
pub fn profile_file(slot: SlotNumber) -> String {
    format!("mima-{slot}.conf")
}

pub fn files(bundle: &Bundle<'_>) -> Result<Vec<PrivateFile>, Message> {
    Ok(vec![
        PrivateFile { name: profile_file(bundle.slot), text: profile(bundle) },
        PrivateFile { name: ROOT_FILE.to_owned(), text: bundle.root_pem.to_owned() },
        PrivateFile { name: GUIDE_FILE.to_owned(), text: guide(bundle)? },
    ])
}

fn profile(bundle: &Bundle<'_>) -> String {
    let text = profile_text(&Profile {
        key: bundle.key,
        psk: bundle.psk,
        address: bundle.address,
        server_public_key: bundle.server_public_key,
        gateway_open: bundle.gateway_open,
        endpoint: bundle.endpoint,
    });
    format!(
        "# {realm} {slot} 本登録用の仮接続。本登録が済むと使えなくなります。\n{text}",
        realm = bundle.realm_name.replace(['\r', '\n'], " "),
        slot = bundle.slot,
        text = text.as_str(),
    )
}

/// What a bootstrap tunnel is made of.
pub struct Profile<'a> {
    pub key: &'a TunnelPrivateKey,
    pub psk: &'a PresharedKey,
    pub address: Ipv4Addr,
    pub server_public_key: PublicKey,
    pub gateway_open: Ipv4Addr,
    pub endpoint: &'a str,
}

/// A whole wg-quick file. No DNS (names are public) and no keepalive (a phone sleeps).
pub fn profile_text(profile: &Profile<'_>) -> Zeroizing<String> {
    let private_key = profile.key.expose_base64();
    let psk = Zeroizing::new(profile.psk.expose_base64());
    Zeroizing::new(format!(
        "[Interface]\n\
         PrivateKey = {private_key}\n\
         Address = {address}/32\n\
         MTU = {TUNNEL_MTU}\n\
         \n\
         [Peer]\n\
         PublicKey = {server}\n\
         PresharedKey = {psk}\n\
         AllowedIPs = {open}/32\n\
         Endpoint = {endpoint}\n",
        private_key = private_key.as_str(),
        address = profile.address,
        server = profile.server_public_key,
        psk = psk.as_str(),
        open = profile.gateway_open,
        endpoint = profile.endpoint,
    ))
}

/// What a final tunnel is made of, beside the device's key.
pub struct FinalTunnel<'a> {
    pub address: Ipv4Addr,
    pub psk: &'a PresharedKey,
    pub server_public_key: PublicKey,
    pub gateway: Ipv4Addr,
    pub gateway_open: Ipv4Addr,
    pub endpoint: &'a str,
}

/// `sns-18-0042`: another tunnel than the bootstrap's, so that both can be in the list.
pub fn final_name(slot: SlotNumber) -> String {
    format!("sns-{slot}")
}

/// The whole file as the claim page writes it; without a key for a device that has its own.
pub fn final_text(tunnel: &FinalTunnel<'_>, key: Option<&TunnelPrivateKey>) -> Zeroizing<String> {
    let psk = Zeroizing::new(tunnel.psk.expose_base64());
    let key = key.map(|key| Zeroizing::new(format!("PrivateKey = {}\n", key.expose_base64().as_str())));
    Zeroizing::new(format!(
        "[Interface]\nAddress = {address}/32\nMTU = {TUNNEL_MTU}\n{key}\n[Peer]\nPublicKey = {server}\n\
         PresharedKey = {psk}\nEndpoint = {endpoint}\nAllowedIPs = {gateway}/32, {open}/32\n",
        address = tunnel.address,
        key = key.as_ref().map_or("", |key| key.as_str()),
        server = tunnel.server_public_key,
        psk = psk.as_str(),
        endpoint = tunnel.endpoint,
        gateway = tunnel.gateway,
        open = tunnel.gateway_open,
    ))
}

#[derive(Template)]
#[template(path = "guide.html")]
struct GuidePage<'a> {
    slot: SlotNumber,
    facility_name: &'a str,
    realm_name: &'a str,
    profile_file: String,
    root_file: &'a str,
    fingerprint_lines: Vec<String>,
    claim_url: String,
    issued_on: &'a str,
    valid_until: &'a str,
    office_name: &'a str,
    office_telephone: &'a str,
}

fn guide(bundle: &Bundle<'_>) -> Result<String, Message> {
    let page = GuidePage {
        slot: bundle.slot,
        facility_name: bundle.facility_name,
        realm_name: bundle.realm_name,
        profile_file: profile_file(bundle.slot),
        root_file: ROOT_FILE,
        fingerprint_lines: fingerprint_lines(bundle.root_fingerprint),
        claim_url: claim_url(bundle.zone),
        issued_on: bundle.issued_on,
        valid_until: bundle.valid_until,
        office_name: bundle.office_name,
        office_telephone: bundle.office_telephone,
    };
    page.render().map_err(|error| Message::Internal { what: error.to_string() })
}

pub fn claim_url(zone: &str) -> String {
    format!("https://claim.{zone}/")
}

/// 32 octets as four lines of eight pairs: two people can compare them by telephone.
pub fn fingerprint_lines(fingerprint: &str) -> Vec<String> {
    let digits: Vec<char> =
        fingerprint.chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_uppercase()).collect();
    let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    pairs.chunks(8).map(|line| line.join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_bundle<T>(test: impl FnOnce(&Bundle<'_>) -> T) -> T {
        let slot: SlotNumber = "18-0042".parse().unwrap();
        let plan = vpn::AddressPlan::new(10, vec![(slot.series(), 18)]).unwrap();
        test(&Bundle {
            slot,
            facility_name: "<さくら> & 医院",
            realm_name: "みまもり試験",
            zone: "mimamori.example.jp",
            endpoint: "vpn.mimamori.example.jp:51820",
            server_public_key: PublicKey::from_bytes([9; 32]),
            key: &TunnelPrivateKey::from_random(&[7; 32]),
            psk: &PresharedKey::from_bytes([8; 32]),
            address: plan.address(slot, vpn::Place::Enrolling).unwrap(),
            gateway_open: plan.gateway_open(),
            root_pem: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            root_fingerprint: &"ab".repeat(32),
            issued_on: "2026年11月20日",
            valid_until: "2026年12月20日",
            office_name: "みまもり事務局",
            office_telephone: "0776-00-0000",
        })
    }

    fn file(name: &str) -> String {
        with_bundle(|bundle| files(bundle).unwrap().iter().find(|f| f.name == name).unwrap().text.clone())
    }

    /// Ruling 3 and 5: claim and start pages only, nothing that wakes a sleeping phone.
    #[test]
    fn the_profile_reaches_only_the_open_gateway() {
        let profile = file("mima-18-0042.conf");
        let values: Vec<(&str, &str)> = profile.lines().filter_map(|line| line.split_once(" = ")).collect();
        let value = |name: &str| values.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        assert_eq!(value("Address"), Some("10.18.100.142/32"));
        assert_eq!(value("AllowedIPs"), Some("10.18.255.2/32"));
        assert_eq!(value("MTU"), Some("1280"));
        assert_eq!(value("Endpoint"), Some("vpn.mimamori.example.jp:51820"));
        assert_eq!(
            values.len(),
            7,
            "no DNS, no PersistentKeepalive: {:?}",
            values.iter().map(|v| v.0).collect::<Vec<_>>()
        );
        assert!(
            profile_file("18FA-9999".parse().unwrap()).len() <= 15 + ".conf".len(),
            "an interface's name"
        );
    }

    #[test]
    fn the_profile_holds_the_key_whose_public_half_is_seated() {
        let profile = file("mima-18-0042.conf");
        let private = profile.lines().find_map(|line| line.strip_prefix("PrivateKey = ")).unwrap();
        let private: [u8; 32] = BASE64.decode(private.as_bytes()).unwrap().try_into().unwrap();
        let public = x25519_dalek::PublicKey::from(&StaticSecret::from(private));
        assert_eq!(public.as_bytes(), TunnelPrivateKey::from_random(&[7; 32]).public().as_bytes());
    }

    /// Octet for octet the page's.
    #[test]
    fn the_final_tunnel_is_the_one_that_the_page_writes() {
        let tunnel = FinalTunnel {
            address: [10, 18, 0, 142].into(),
            psk: &PresharedKey::from_bytes([8; 32]),
            server_public_key: PublicKey::from_bytes([9; 32]),
            gateway: [10, 18, 255, 1].into(),
            gateway_open: [10, 18, 255, 2].into(),
            endpoint: "vpn.mimamori.example.jp:51820",
        };
        // The page's test holds a key as it is drawn; this room writes it clamped, as RFC 7748 uses it.
        let golden = include_str!("../assets/test/golden/sns-18-0042.conf");
        let line = |text: &str| text.lines().find(|line| line.starts_with("PrivateKey")).unwrap().to_owned();
        let key = TunnelPrivateKey::from_random(&std::array::from_fn(|place| (place * 7 + 3) as u8));
        let made = final_text(&tunnel, Some(&key));
        assert_eq!(made.replace(&line(&made), &line(golden)), golden);
        assert!(!final_text(&tunnel, None).contains("PrivateKey"));
        assert_eq!(format!("{}.conf", final_name("18-0042".parse().unwrap())), "sns-18-0042.conf");
    }

    #[test]
    fn the_guide_stands_alone_and_holds_no_key() {
        let guide = file(GUIDE_FILE);
        for needed in [
            "18-0042",
            "mima-18-0042.conf",
            "https://claim.mimamori.example.jp/",
            "iPhone",
            "Android",
            "Windows",
            "0776-00-0000",
            "AB AB",
        ] {
            assert!(guide.contains(needed), "{needed}");
        }
        for foreign in ["<script", "src=", "@import", "url(", "<link"] {
            assert!(!guide.contains(foreign), "self-contained: {foreign}");
        }
        assert!(guide.contains("&#60;さくら&#62;"), "what applicants write is escaped");
        with_bundle(|bundle| {
            assert!(!guide.contains(bundle.key.expose_base64().as_str()));
            assert!(!guide.contains(&bundle.psk.expose_base64()));
        });
    }
}
