//! Every reader of foreign bytes against a corpus of real things, each cut at every place and changed at every place
//! (issue 5, "Bad input"): nothing panics, and what was changed is never taken for what it was.

use super::*;
use crate::checkpoint::{Checkpoint, LineProof};
use crate::ocsp::{self, IssuerNames};
use crate::shares::{Share, Terms};
use crate::{draft, inspect, pem, request, seal, shares};

/// A bit, a sign, a length, and everything.
const FLIPS: [u8; 4] = [0x01, 0x80, 0x55, 0xff];

/// What was read of a thing, as far as a reader tells; `None` is a refusal.
type Reader<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// `stays` are readers that must never give the whole's meaning to a changed thing.
fn replay(what: &str, whole: &[u8], readers: &[Reader<'_>], stays: &[Reader<'_>]) {
    let taken: Vec<_> = stays.iter().map(|read| read(whole)).collect();
    assert!(taken.iter().all(Option::is_some), "{what}: the whole is refused");
    let each = |bytes: &[u8], how: &str| {
        readers.iter().for_each(|read| drop(read(bytes)));
        for (read, whole) in stays.iter().zip(&taken) {
            assert!(read(bytes) != *whole, "{what}, {how}, is taken for the whole");
        }
    };
    for length in 0..whole.len() {
        each(&whole[..length], &format!("cut to {length}"));
    }
    let mut changed = whole.to_vec();
    for at in 0..whole.len() {
        for flip in FLIPS {
            changed[at] ^= flip;
            each(&changed, &format!("with octet {at} changed by {flip:#x}"));
            changed[at] ^= flip;
        }
    }
    // One inside the other, and the same again behind it.
    each(&crate::der::tlv(crate::der::SEQUENCE, &[whole]), "wrapped");
    each(&[whole, whole].concat(), "twice");
}

fn inspected(bytes: &[u8]) -> Option<Vec<u8>> {
    inspect::inspect(bytes).map(|_| Vec::new())
}

fn verified(bytes: &[u8]) -> Option<Vec<u8>> {
    let device = verifier().verify(&[bytes], NOW).ok()?;
    Some(device.serial().as_bytes().to_vec())
}

fn a_ca(bytes: &[u8]) -> Option<Vec<u8>> {
    CaCertificate::parse(bytes).ok().map(|_| Vec::new())
}

fn proved(bytes: &[u8]) -> Option<Vec<u8>> {
    request::prove(bytes).ok().map(|key| key.key().point().to_vec())
}

fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(pem::der_of(bytes))
}

fn asked(bytes: &[u8]) -> Option<Vec<u8>> {
    IssuerNames::of(&device_ca()).asked(bytes).ok().map(|serial| serial.as_bytes().to_vec())
}

const READERS: [Reader<'static>; 6] = [&inspected, &verified, &a_ca, &proved, &decoded, &asked];

#[test]
fn attacker_certificates_and_requests_in_every_piece() {
    let leaf = good();
    replay("a device's certificate", &leaf, &READERS, &[&verified]);
    replay("a CA's certificate", &ceremony().device_ca_der, &READERS, &[]);
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    replay("a request", &request, &READERS, &[&proved]);
    let text = pem::certificate(&leaf);
    replay("a certificate in PEM", text.as_bytes(), &READERS, &[]);
}

#[test]
fn attacker_lists_and_ocsp_in_every_piece() {
    let revoked = (0..3).map(|n| crate::crl::RevokedEntry {
        serial: CertificateSerial::from_random([n; 16]),
        at: NOW,
        reason: crate::door::RevocationReason::KeyCompromise,
    });
    let list = crate::crl::ShardList::new(&realm(), 7, None, NOW, revoked.collect());
    let list = draft::Draft::revocation_list(&list, &device_ca()).unwrap().finished(&[0x30, 0]);
    replay("a list", &list, &READERS, &[]);
    let serial = CertificateSerial::from_random([7; 16]);
    let wrapped =
        |id: &[u8]| (0..4).fold(id.to_vec(), |inner, _| crate::der::tlv(crate::der::SEQUENCE, &[&inner]));
    for id in IssuerNames::of(&device_ca()).cert_ids(&serial) {
        let request = wrapped(&id);
        // Nobody signs a question: another octet may be another good question, but not about this certificate
        // unless what was changed says nothing of it.
        replay("an OCSP request", &request, &READERS, &[]);
        let path: Reader<'_> = &|bytes| ocsp::from_path(&String::from_utf8_lossy(bytes)).ok();
        let text = data_encoding::BASE64.encode(&request).replace('/', "%2F").replace('+', "%2B");
        replay("an OCSP request in a path", text.as_bytes(), &[path], &[]);
    }
}

#[test]
fn attacker_texts_in_every_piece() {
    let zone = realm().zone().clone();
    let origin = crate::checkpoint::origin(&zone);
    let checkpoint = Checkpoint { origin: origin.clone(), size: 1, root: Hash::of(b"root") };
    let key = device_key();
    let text = checkpoint.text();
    let signature =
        crate::signer::Signer::sign(&key, &crate::signer::Order::anything(text.as_bytes())).unwrap();
    let public = *device_ca().key();
    let note = checkpoint.note(&public, &signature);
    let opened: Reader<'_> = &|bytes| {
        let found = Checkpoint::open(std::str::from_utf8(bytes).ok()?, &origin, &public).ok()?;
        assert_eq!(found.text(), text, "a checkpoint that nobody signed");
        Some(found.text().into_bytes())
    };
    let proof: Reader<'_> = &|bytes| {
        let text = String::from_utf8_lossy(bytes);
        LineProof::read(&text).ok().map(|proof| proof.text().into_bytes())
    };
    assert!(opened(note.as_bytes()).is_some());
    replay("a checkpoint", note.as_bytes(), &[opened, proof, &inspected, &decoded], &[]);

    let terms = Terms::new(2, 3).unwrap();
    let randomness = vec![7; terms.randomness(b"a passphrase")];
    let [share, ..] = &shares::split(b"a passphrase", terms, [1; 4], &randomness).unwrap()[..] else {
        panic!()
    };
    let line = share.text();
    let shared: Reader<'_> = &|bytes| {
        Share::read(&String::from_utf8_lossy(bytes)).ok().map(|share| share.text().as_bytes().to_vec())
    };
    replay("a share", line.as_bytes(), &[shared], &[]);

    let secret = config().pki_secret;
    let sealed = ceremony().server_ca_key.text();
    let unsealed: Reader<'_> = &|bytes| {
        seal::open(SERVER_CA_KEY, &String::from_utf8_lossy(bytes), &secret).ok().map(|key| key.to_vec())
    };
    assert!(unsealed(sealed.as_bytes()).is_some());
    // Of the head alone: each try costs what the head asks for.
    for length in (0..sealed.len()).step_by(7) {
        assert!(unsealed(&sealed.as_bytes()[..length]).is_none(), "a sealed key cut to {length}");
    }
}
