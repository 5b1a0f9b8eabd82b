//! Apple's configuration profile for the fallback in which the server makes the keys: the same property list as the claim
//! page's `apple.js`, octet for octet (golden files hold both), which the authority then signs. Identifiers come from
//! zone and slot alone, so that the next profile replaces the last one. Pure: text out.

use data_encoding::BASE64;
use vpn::slot::SlotNumber;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Apple's two systems: WireGuard's apps look for their own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppleSystem {
    Mobile,
    Mac,
}

impl AppleSystem {
    pub const ALL: [AppleSystem; 2] = [AppleSystem::Mobile, AppleSystem::Mac];

    /// As the page names it.
    pub fn as_str(self) -> &'static str {
        match self {
            AppleSystem::Mobile => "apple-mobile",
            AppleSystem::Mac => "mac",
        }
    }

    fn subtype(self) -> &'static str {
        match self {
            AppleSystem::Mobile => "com.wireguard.ios",
            AppleSystem::Mac => "com.wireguard.macos",
        }
    }

    pub fn file(self, slot: SlotNumber) -> String {
        let system = if self == AppleSystem::Mac { "mac" } else { "iphone" };
        format!("mimamori-{slot}-{system}.mobileconfig")
    }
}

/// What a profile holds.
pub struct AppleProfile<'a> {
    pub system: AppleSystem,
    pub slot: SlotNumber,
    pub zone: &'a str,
    pub realm: &'a str,
    pub friendly_name: &'a str,
    /// Certificates (DER).
    pub root: &'a [u8],
    pub ca: &'a [u8],
    /// One certificate with its key; the device asks for the password.
    pub p12: &'a [u8],
    /// The whole wg-quick text.
    pub tunnel: &'a str,
    pub tunnel_name: &'a str,
    pub endpoint: &'a str,
}

/// Random octets of one UUID per payload and one for the whole.
pub type Uuids = [[u8; 16]; 5];

/// A value of a property list.
enum Value<'a> {
    Text(&'a str),
    Number(u32),
    Data(&'a [u8]),
    List(Vec<Value<'a>>),
    /// Written in the order of the keys' letters.
    Dictionary(Vec<(&'static str, Value<'a>)>),
}

/// Text that holds the tunnel's key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct ProfileText(pub String);

/// The whole file, unsigned.
pub fn profile(profile: &AppleProfile<'_>, uuids: &Uuids) -> ProfileText {
    let zone: Vec<&str> = profile.zone.split('.').rev().collect();
    let own = format!("{}.{}", zone.join("."), profile.slot);
    let id = |part: &str| format!("{own}.{part}");
    let ids = [id("root"), id("ca"), id("identity"), id("tunnel"), id("profile")];
    let uuids = uuids.each_ref().map(uuid);
    let names = [format!("{} ルート証明書", profile.realm), format!("{} 端末認証局", profile.realm)];
    let identity_file = format!("mimamori-{}.p12", profile.slot);
    let payload = |place: usize, kind: &'static str, name, mut more: Vec<(&'static str, _)>| {
        more.extend([
            ("PayloadDisplayName", Value::Text(name)),
            ("PayloadIdentifier", Value::Text(&ids[place])),
            ("PayloadType", Value::Text(kind)),
            ("PayloadUUID", Value::Text(&uuids[place])),
            ("PayloadVersion", Value::Number(1)),
        ]);
        Value::Dictionary(more)
    };
    let file = |name, octets| {
        vec![("PayloadCertificateFileName", Value::Text(name)), ("PayloadContent", Value::Data(octets))]
    };
    let vpn = vec![
        ("AuthenticationMethod", Value::Text("Password")),
        ("RemoteAddress", Value::Text(profile.endpoint)),
    ];
    let vendor = vec![("WgQuickConfig", Value::Text(profile.tunnel))];
    let tunnel = vec![
        ("UserDefinedName", Value::Text(profile.tunnel_name)),
        ("VPN", Value::Dictionary(vpn)),
        ("VPNSubType", Value::Text(profile.system.subtype())),
        ("VPNType", Value::Text("VPN")),
        ("VendorConfig", Value::Dictionary(vendor)),
    ];
    let content = vec![
        payload(0, "com.apple.security.root", &names[0], file("mimamori-root.crt", profile.root)),
        payload(1, "com.apple.security.pkcs1", &names[1], file("mimamori-device-ca.crt", profile.ca)),
        payload(2, "com.apple.security.pkcs12", profile.friendly_name, file(&identity_file, profile.p12)),
        payload(3, "com.apple.vpn.managed", profile.tunnel_name, tunnel),
    ];
    let told = "接続設定と端末の証明書です。入れるときに、画面に出ている証明書のパスワードを使います。";
    let whole = vec![
        ("PayloadContent", Value::List(content)),
        ("PayloadDescription", Value::Text(told)),
        ("PayloadOrganization", Value::Text(profile.realm)),
        ("PayloadScope", Value::Text("User")),
    ];
    // Room for all of it: text that grows leaves copies of a key behind.
    let room = 8 * 1024 + 2 * (profile.root.len() + profile.ca.len() + profile.p12.len());
    let mut text = String::with_capacity(room + 6 * (profile.tunnel.len() + profile.realm.len()));
    text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str(
        "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n",
    );
    text.push_str("<plist version=\"1.0\">\n");
    write(&mut text, payload(4, "Configuration", profile.friendly_name, whole), 0);
    text.push_str("</plist>\n");
    ProfileText(text)
}

fn write(text: &mut String, value: Value<'_>, depth: usize) {
    let indent = "\t".repeat(depth);
    match value {
        Value::Text(said) => {
            text.extend([&indent, "<string>"]);
            escape(text, said);
            text.push_str("</string>\n");
        }
        Value::Number(number) => text.push_str(&format!("{indent}<integer>{number}</integer>\n")),
        Value::Data(octets) => {
            text.push_str(&format!("{indent}<data>\n"));
            for line in BASE64.encode(octets).as_bytes().chunks(68) {
                text.extend([&indent, &*String::from_utf8_lossy(line), "\n"]);
            }
            text.push_str(&format!("{indent}</data>\n"));
        }
        Value::List(values) => {
            text.push_str(&format!("{indent}<array>\n"));
            values.into_iter().for_each(|value| write(text, value, depth + 1));
            text.push_str(&format!("{indent}</array>\n"));
        }
        Value::Dictionary(mut entries) => {
            entries.sort_by_key(|(key, _)| *key);
            text.push_str(&format!("{indent}<dict>\n"));
            for (key, value) in entries {
                text.push_str(&format!("{indent}\t<key>{key}</key>\n"));
                write(text, value, depth + 1);
            }
            text.push_str(&format!("{indent}</dict>\n"));
        }
    }
}

/// Text that XML 1.0 can hold; what it cannot is left out.
fn escape(text: &mut String, said: &str) {
    for sign in said.chars() {
        match sign {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => text.push(sign),
            _ => {}
        }
    }
}

/// RFC 9562, version 4.
fn uuid(random: &[u8; 16]) -> String {
    let mut octets = *random;
    octets[6] = (octets[6] & 0x0f) | 0x40;
    octets[8] = (octets[8] & 0x3f) | 0x80;
    let hex = data_encoding::HEXUPPER.encode(&octets);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(size: usize, first: usize) -> Vec<u8> {
        (0..size).map(|place| ((place * 7 + first) % 256) as u8).collect()
    }

    /// The golden files are the page's.
    #[test]
    fn both_profiles_are_octet_for_octet_the_pages() {
        for (system, golden) in [
            (AppleSystem::Mobile, include_str!("../assets/test/golden/iphone.mobileconfig")),
            (AppleSystem::Mac, include_str!("../assets/test/golden/mac.mobileconfig")),
        ] {
            let uuids = std::array::from_fn(|place| {
                let mut octets = [0; 16];
                octets[15] = place as u8 + 1;
                octets
            });
            let made = profile(
                &AppleProfile {
                    system,
                    slot: "18-0042".parse().unwrap(),
                    zone: "mimamori.example.jp",
                    realm: "ふくい <みまもり> & ネット",
                    friendly_name: "みまもり 18-0042",
                    root: &octets(90, 1),
                    ca: &octets(80, 2),
                    p12: &octets(200, 4),
                    tunnel: include_str!("../assets/test/golden/sns-18-0042.conf"),
                    tunnel_name: "sns-18-0042",
                    endpoint: "vpn.mimamori.example.jp:51820",
                },
                &uuids,
            );
            assert_eq!(made.0, golden);
        }
    }
}
