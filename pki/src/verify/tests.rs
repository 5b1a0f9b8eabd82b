//! A signer's-eye attack table (ruling 1): whatever is not a device of ours, by our device CA, now.

use super::*;
use crate::ceremony::tests::{NOW, ceremony, device_key};
use crate::ceremony::{SERVER_CA_KEY, tests::config};
use crate::door::DeviceKind;
use crate::draft::Draft;
use crate::profile::{Class, Profile};
use crate::realm::Realm;
use crate::signer::MemoryKey;

use rcgen::{CertificateParams, KeyPair};

mod foreign;
mod suites;

fn realm() -> Realm {
    Realm::new("m.example.jp", "在宅医療連携協議会", "http://10.18.255.2").unwrap()
}

fn device_ca() -> CaCertificate {
    CaCertificate::parse(&ceremony().device_ca_der).unwrap()
}

fn profile() -> Profile {
    let serial = CertificateSerial::from_random([7; 16]);
    let slot = "18-0042".parse().unwrap();
    Profile::device(&realm(), slot, DeviceKind::Facility, serial, NOW, device_ca().not_after()).unwrap()
}

/// Signs without record and lint, as a thief of the key would.
fn stolen(profile: &Profile, ca: &CaCertificate, key: &MemoryKey) -> Vec<u8> {
    use crate::signer::Signer;
    let device = MemoryKey::generate().unwrap().0.public_key();
    let draft = Draft::certificate(profile, &device, Some(ca)).unwrap();
    draft.finished(&key.sign(&crate::signer::Order::anything(draft.bytes())).unwrap())
}

fn good() -> Vec<u8> {
    stolen(&profile(), &device_ca(), &device_key())
}

fn changed(change: impl FnOnce(&mut Profile)) -> Vec<u8> {
    let mut profile = profile();
    change(&mut profile);
    stolen(&profile, &device_ca(), &device_key())
}

fn verifier() -> DeviceVerifier {
    DeviceVerifier::new(&[&ceremony().device_ca_der]).unwrap()
}

#[test]
fn a_device_of_ours_is_known_by_its_slot_and_serial() {
    let device = verifier().verify(&[good(), ceremony().device_ca_der.clone()], NOW).unwrap();
    assert_eq!(device.slot().to_string(), "18-0042");
    assert_eq!(device.serial(), profile().serial);
    assert_eq!(device.not_after(), profile().not_after);
    let family = changed(|p| {
        let slot: vpn::slot::SlotNumber = "18F-0007".parse().unwrap();
        p.names = vec![realm().zone().device_name(slot)];
    });
    assert_eq!(verifier().verify(&[family], NOW).unwrap().slot().to_string(), "18F-0007");
}

#[test]
fn the_attackers_table() {
    let good = good();
    let server_ca = CaCertificate::parse(&ceremony().server_ca_der).unwrap();
    let server_key =
        MemoryKey::unseal(SERVER_CA_KEY, ceremony().server_ca_key.text(), &config().pki_secret).unwrap();
    let self_signed = {
        let mut params = CertificateParams::new(vec!["18-0042.dev.m.example.jp".into()]).unwrap();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    };
    let p384 = {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        rcgen_device(&key)
    };
    let no_eku = rcgen_leaf(|params| params.extended_key_usages.clear());
    let any_eku = rcgen_leaf(|params| params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::Any]);
    let uri = rcgen_leaf(|params| {
        params.subject_alt_names.push(rcgen::SanType::URI("urn:x".try_into().unwrap()));
    });
    let no_san = rcgen_leaf(|params| params.subject_alt_names.clear());
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let trailing = [good.as_slice(), &[0]].concat();
    let (expired, early) = (profile().not_after, profile().not_before);
    let table: Vec<(&str, Vec<u8>, i64, &str)> = vec![
        ("good", good.clone(), NOW, "ok"),
        ("good at its first second", good.clone(), early, "ok"),
        ("good at its last second", good.clone(), expired, "ok"),
        ("expired", good.clone(), expired + 1, "MM-2104"),
        ("not yet valid", good.clone(), early - 1, "MM-2105"),
        ("a clock before 1970", good.clone(), -1, "MM-2105"),
        ("by the server CA", stolen(&profile(), &server_ca, &server_key), NOW, "MM-2103"),
        ("by the right name and another key", stolen(&profile(), &device_ca(), &server_key), NOW, "MM-2103"),
        ("self-signed", self_signed, NOW, "MM-2103"),
        ("the gateway's own", ceremony().gateway_der.clone(), NOW, "MM-2106"),
        ("wrong zone", changed(|p| p.names = vec!["18-0042.dev.other.example.jp".into()]), NOW, "MM-2107"),
        ("a host of the zone", changed(|p| p.names = vec!["sns.m.example.jp".into()]), NOW, "MM-2107"),
        ("no slot", changed(|p| p.names = vec!["x.dev.m.example.jp".into()]), NOW, "MM-2107"),
        ("upper case", changed(|p| p.names = vec!["18F-0042.dev.m.example.jp".into()]), NOW, "MM-2107"),
        ("a wildcard", changed(|p| p.names = vec!["*.dev.m.example.jp".into()]), NOW, "MM-2107"),
        ("two names", changed(|p| p.names.push("18-0043.dev.m.example.jp".into())), NOW, "MM-2107"),
        ("twice the same", changed(|p| p.names.push("18-0042.dev.m.example.jp".into())), NOW, "MM-2107"),
        ("a URI too", uri, NOW, "MM-2107"),
        ("no name", no_san, NOW, "MM-2107"),
        ("server certificate", changed(|p| p.class = Class::Gateway), NOW, "MM-2106"),
        ("a CA as leaf", changed(|p| p.class = Class::DeviceCa), NOW, "MM-2106"),
        ("the device CA itself", ceremony().device_ca_der.clone(), NOW, "MM-2106"),
        ("the root", ceremony().root_der.clone(), NOW, "MM-2106"),
        ("no extended key usage", no_eku, NOW, "MM-2106"),
        ("any extended key usage", any_eku, NOW, "MM-2106"),
        ("another curve", p384, NOW, "MM-2106"),
        ("a flipped signature", flipped, NOW, "MM-2103"),
        ("truncated", good[..good.len() - 1].to_vec(), NOW, "MM-2102"),
        ("bytes after its end", trailing, NOW, "MM-2102"),
        ("garbage", vec![0x30; 900], NOW, "MM-2102"),
        ("empty", vec![], NOW, "MM-2102"),
        ("huge", vec![0x30; 100_000], NOW, "MM-2102"),
    ];
    let verifier = verifier();
    for (name, leaf, now, expected) in table {
        let found = verifier.verify(&[leaf], now).err().map_or("ok", |error| error.code());
        assert_eq!(found, expected, "{name}");
    }
    let nothing: [&[u8]; 0] = [];
    assert_eq!(verifier.verify(&nothing, NOW), Err(VerifyError::Missing));
    // A leaf is judged alone: a better certificate behind it does not help.
    let behind = [ceremony().gateway_der.clone(), good.clone()];
    assert_eq!(verifier.verify(&behind, NOW), Err(VerifyError::WrongPurpose));
    assert_eq!(verifier.verify(&vec![good; 9], NOW), Err(VerifyError::Malformed));
}

#[test]
fn a_verifier_needs_device_cas_of_one_zone() {
    assert!(DeviceVerifier::new(&[]).is_err());
    assert!(DeviceVerifier::new(&[&ceremony().root_der]).is_err());
    assert!(DeviceVerifier::new(&[&ceremony().server_ca_der]).is_err());
    assert!(DeviceVerifier::new(&[&good()]).is_err());
    assert_eq!(verifier().subjects(), [device_ca().subject().to_vec()]);
}

/// A leaf by our device CA that our own encoder would not make.
fn rcgen_leaf(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = device_params();
    change(&mut params);
    sign_with_ca(&params, &KeyPair::generate().unwrap())
}

fn rcgen_device(key: &KeyPair) -> Vec<u8> {
    sign_with_ca(&device_params(), key)
}

fn device_params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["18-0042.dev.m.example.jp".into()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 11, 1);
    params.not_after = rcgen::date_time_ymd(2027, 11, 1);
    params.serial_number = Some(rcgen::SerialNumber::from_slice(profile().serial.as_bytes()));
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn sign_with_ca(params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
    let pkcs8 =
        crate::seal::open("device-ca", ceremony().device_ca_key.text(), &config().pki_secret).unwrap();
    let ca_key = KeyPair::try_from(pkcs8.as_slice()).unwrap();
    let der = CertificateDer::from(ceremony().device_ca_der.as_slice());
    let issuer = rcgen::Issuer::from_ca_cert_der(&der, ca_key).unwrap();
    params.signed_by(key, &issuer).unwrap().der().to_vec()
}
