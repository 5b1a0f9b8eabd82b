//! The named fallback (issue 5): keys that the server makes, files that the device could have made, a profile that the
//! authority signed; recorded as such, and kept nowhere.

use std::process::Command;

use data_encoding::BASE64;
use http::StatusCode;
use pki::chain::Hash;
use pki::door::ProfileSignature;
use rcgen::SigningKey;
use serde_json::{Value, json};

use super::town::{Town, slot};

const OFFICE: &str = "18-0000";

/// The authority's half of a signed profile, by a signer of the test's own.
pub fn signature(content: &Hash) -> ProfileSignature {
    let signer = rcgen::generate_simple_self_signed(vec!["profiles.example.jp".to_owned()]).unwrap();
    let attributes = pki::cms::attributes(content, 1_900_000_000).unwrap();
    let signature = signer.signing_key.sign(&attributes).unwrap();
    ProfileSignature { attributes, signature, chain: vec![signer.cert.der().to_vec()] }
}

fn server_made(mut body: Value) -> Value {
    body["keys"] = json!("server");
    for name in ["wireguard_public_key", "certificate_request"] {
        body.as_object_mut().unwrap().remove(name);
    }
    body
}

fn octets(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[tokio::test]
async fn the_server_makes_the_files_says_so_and_keeps_none_of_it() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let body = server_made(town.claim_body(place, 7).await);
    let answer = town.claim(place, body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let said = answer.json();
    let made = &said["made"];
    let profile = String::from_utf8(octets(&made["profile"])).unwrap();
    let line = |name: &str| {
        let found = profile.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        found.strip_prefix(" = ").unwrap().to_owned()
    };
    let key = line("PrivateKey");
    let public = Command::new("sh").args(["-c", "echo \"$0\" | wg pubkey", &key]).output().unwrap();
    let seat = town.around.vpn.seat(place, false).unwrap();
    assert_eq!(String::from_utf8(public.stdout).unwrap().trim(), seat.key.to_string());
    assert_eq!(line("PresharedKey"), seat.psk.expose_base64());
    assert_eq!(line("Address"), "10.18.0.100/32");
    let password = made["password"].as_str().unwrap();
    assert_eq!(password.len(), 28);
    assert_ne!(octets(&made["modern"]), octets(&made["compatible"]));

    // The signed profiles: another reader of CMS takes them apart, another one of plists reads them.
    let dir = tempfile::tempdir().unwrap();
    for (system, subtype) in [("apple-mobile", "com.wireguard.ios"), ("mac", "com.wireguard.macos")] {
        let path = dir.path().join(system);
        std::fs::write(&path, octets(&made["apple"][system])).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["cms", "-verify", "-inform", "DER", "-noverify", "-binary", "-in"]).arg(&path);
        let opened = openssl.output().unwrap();
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        std::fs::write(&path, &opened.stdout).unwrap();
        let read = "import plistlib,sys\np=plistlib.load(open(sys.argv[1],'rb'))\n\
                    v=[c for c in p['PayloadContent'] if c['PayloadType']=='com.apple.vpn.managed'][0]\n\
                    print(v['VPNSubType'], p['PayloadIdentifier'])\nprint(v['VendorConfig']['WgQuickConfig'],end='')";
        let plist = Command::new("python3").args(["-c", read]).arg(&path).output().unwrap();
        let told = String::from_utf8(plist.stdout).unwrap();
        let zone = town.config.zone.split('.').rev().collect::<Vec<_>>().join(".");
        assert_eq!(told, format!("{subtype} {zone}.18-0000.profile\n{profile}"));
    }

    // In the trail, and in the authority's ledger.
    let trail =
        "SELECT count(*) FROM audit WHERE action = 'claim.begin' AND body LIKE '%\"keys\":\"server\"%'";
    assert_eq!(town.number(trail).await, 1);
    assert!(town.around.pki.attested().contains(&"server-made key 18-0000".to_owned()));
    // Nothing of it is kept: not the tunnel's key, not the file's password.
    town.settled().await;
    for file in std::fs::read_dir(&town.config.dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for secret in [key.as_bytes(), password.as_bytes(), &BASE64.decode(key.as_bytes()).unwrap()] {
                assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{}", path.display());
            }
        }
    }
    // Asked again, other keys are made: one more of the three.
    let again = town.claim(place, body).await.json();
    assert_eq!(again["claims_left"], 1);
    assert_ne!(again["made"]["profile"], made["profile"]);
}

/// Keys made by the device stay the rule: without the word nothing is made, and the trail says who made them.
#[tokio::test]
async fn without_the_word_nothing_is_made() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let body = town.claim_body(place, 7).await;
    let mut odd = server_made(body.clone());
    odd["keys"] = json!("SERVER");
    assert_eq!(town.claim(place, odd).await.code(), "MM-5411");
    let claimed = town.claim(place, body).await.json();
    assert!(claimed.get("made").is_none());
    let trail =
        "SELECT count(*) FROM audit WHERE action = 'claim.begin' AND body LIKE '%\"keys\":\"device\"%'";
    assert_eq!(town.number(trail).await, 1);
    assert!(town.around.pki.attested().iter().all(|subject| !subject.contains("server-made")));
}
