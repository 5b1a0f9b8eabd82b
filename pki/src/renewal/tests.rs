//! A CA's successor, by the right hand and by wrong ones. Issue 5: rollover without touching devices.

use super::*;
use crate::ceremony::tests::{NOW, ceremony, config, openssl};
use crate::ceremony::{self, ROOT_KEY, SERVER_CA_KEY};
use crate::pem;
use crate::signer::MemoryKey;

const YEAR: i64 = 365 * 86_400;

fn ca(der: &[u8]) -> CaCertificate {
    CaCertificate::parse(der).unwrap()
}

fn root_key() -> MemoryKey {
    MemoryKey::unseal(ROOT_KEY, &ceremony().root_key_sealed, &config().root_secret).unwrap()
}

fn renewed(old: &CaCertificate, now: i64) -> Result<Vec<u8>, RenewalError> {
    certify(old, &ca(&ceremony().root_der), &root_key(), CertificateSerial::from_random([7; 16]), now)
}

#[test]
fn both_cas_live_on_under_their_names_and_openssl_agrees() {
    let now = NOW + 4 * YEAR;
    for (der, purpose) in [(&ceremony().device_ca_der, "sslclient"), (&ceremony().server_ca_der, "sslserver")]
    {
        let old = ca(der);
        let new = ca(&renewed(&old, now).unwrap());
        assert!(new.not_after() > old.not_after() + 3 * YEAR, "five years, but for the season");
        assert_eq!((new.subject(), new.key_id()), (old.subject(), old.key_id()));
        assert_ne!(new.serial(), old.serial());
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, der: &[u8]| {
            std::fs::write(dir.path().join(name), pem::certificate(der)).unwrap();
        };
        write("root.pem", &ceremony().root_der);
        write("new.pem", new.der());
        write("gateway.pem", &ceremony().gateway_der);
        let strict = format!("verify -x509_strict -check_ss_sig -policy_check -attime {}", now + 60);
        openssl(dir.path(), &format!("{strict} -CAfile root.pem new.pem")).unwrap();
        if purpose == "sslserver" {
            // What the old certificate signed stands below the new one: nothing was touched.
            let then = format!("verify -x509_strict -attime {} -purpose sslserver", NOW + 60 * 86_400);
            let early = renewed(&old, NOW + 30 * 86_400);
            assert!(early.is_ok(), "whenever it ends later than the old one");
            write("new.pem", &early.unwrap());
            openssl(dir.path(), &format!("{then} -CAfile root.pem -untrusted new.pem gateway.pem")).unwrap();
        }
    }
}

#[test]
fn no_successor_but_the_roots_own_is_taken_up() {
    let (now, root) = (NOW + 4 * YEAR, ca(&ceremony().root_der));
    let (devices, servers) = (ca(&ceremony().device_ca_der), ca(&ceremony().server_ca_der));
    let good = renewed(&devices, now).unwrap();
    let told = |der: &[u8], old: &CaCertificate, now: i64| {
        follows(der, old, &root, now).err().map_or_else(|| "taken up".to_owned(), |error| error.to_string())
    };
    assert_eq!(told(&good, &devices, now), "taken up");
    assert!(told(&good, &servers, now).contains("key"), "{}", told(&good, &servers, now));
    assert!(told(&good, &devices, now + 6 * YEAR).contains("not valid now"));
    assert!(told(&good, &devices, NOW).contains("not valid now"));
    assert!(told(&good, &ca(&good), now).contains("MM-2502"), "it follows nobody who lives as long");
    assert!(told(devices.der(), &devices, NOW + 60).contains("MM-2502"));
    assert!(told(&ceremony().gateway_der, &servers, NOW + 60).contains("cA is not set"));
    // Another realm of the same name: its root is another one.
    let other = ceremony::create(&config(), NOW).unwrap();
    assert!(told(&other.device_ca_der, &devices, NOW + 60).contains("not signed by this root"));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_ne!(told(&bad, &devices, now), "taken up", "octet {at}");
    }
}

#[test]
fn only_the_roots_key_certifies_and_only_while_the_root_lives() {
    let (root, devices) = (ca(&ceremony().root_der), ca(&ceremony().device_ca_der));
    let serial = CertificateSerial::from_random([7; 16]);
    let server =
        MemoryKey::unseal(SERVER_CA_KEY, ceremony().server_ca_key.text(), &config().pki_secret).unwrap();
    let refused = certify(&devices, &root, &server, serial, NOW + YEAR).err().unwrap();
    assert!(matches!(refused, RenewalError::OtherRoot));
    let ended = renewed(&devices, root.not_after() + 60).err().unwrap();
    assert!(matches!(ended, RenewalError::Lifetime(_)), "{ended}");
    let clock = renewed(&devices, i64::MIN).err().unwrap();
    assert!(matches!(clock, RenewalError::Lifetime(_)), "{clock}");
}
