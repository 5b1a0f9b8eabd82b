//! The named fallback of issue 5: a device that cannot keep a key of its own making, or a profile that must be signed,
//! gets keys made here. They live from the claim to its answer, are stored nowhere, and the trail and the ledger say
//! that this device's key was once known to somebody else. Edge: randomness, tokio.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use pki::chain::Hash;
use pki::cms;
use pki::der::{BIT_STRING, INTEGER, OID, SEQUENCE, SET, tlv};
use pki::door::{IssuingAnswer, IssuingQuestion};
use pki::key::PublicKey;
use pki::stencil::ECDSA_SHA256;
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::apple::{AppleProfile, AppleSystem, Uuids, profile};
use crate::bundle::{FinalTunnel, TunnelPrivateKey, final_name, final_text};
use crate::fault::Fault;
use crate::messages::Message;
use crate::messages_people::PeopleMessage;
use crate::p12::{Contents, FilePassword, Form, SALT, pack};
use crate::shared::Shared;
use crate::world;

/// A neighbour that needs longer is not there; the device asks again.
const NEIGHBOUR_WAIT: Duration = Duration::from_secs(10);
/// The subject of a request: nobody reads it but a person.
const COMMON_NAME: [u8; 3] = [0x55, 4, 3];
const UTF8: u8 = 0x0c;

/// What the device would have made itself.
pub struct Keys {
    pub tunnel: TunnelPrivateKey,
    /// PKCS #8.
    certificate: Zeroizing<Vec<u8>>,
    /// PKCS #10.
    pub request: Vec<u8>,
    public: PublicKey,
}

/// The files of every system, as the page makes them.
pub struct Made {
    pub profile: Zeroizing<String>,
    pub modern: Vec<u8>,
    pub compatible: Vec<u8>,
    pub password: FilePassword,
    /// Signed by the authority; empty when its server CA's key is kept elsewhere.
    pub apple: Vec<(AppleSystem, Vec<u8>)>,
}

pub fn keys(slot: SlotNumber) -> Result<Keys, Fault> {
    let failed = |_| Fault::from(Message::Internal { what: "a key".to_owned() });
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(failed)?;
    let certificate = Zeroizing::new(document.as_ref().to_vec());
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &certificate);
    let pair = pair.map_err(|error| Message::Internal { what: error.to_string() })?;
    let public = PublicKey::from_point(pair.public_key().as_ref());
    let public = public.map_err(|error| Message::Internal { what: error.to_string() })?;
    let name = tlv(SEQUENCE, &[&tlv(OID, &[&COMMON_NAME]), &tlv(UTF8, &[slot.to_string().as_bytes()])]);
    let subject = tlv(SEQUENCE, &[&tlv(SET, &[&name])]);
    let info = tlv(SEQUENCE, &[&tlv(INTEGER, &[&[0]]), &subject, &public.spki(), &tlv(0xa0, &[])]);
    let signature = pair.sign(&random, &info).map_err(failed)?;
    let request = tlv(SEQUENCE, &[&info, &ECDSA_SHA256, &tlv(BIT_STRING, &[&[0], signature.as_ref()])]);
    Ok(Keys { tunnel: TunnelPrivateKey::from_random(&*world::random()?), certificate, request, public })
}

/// Into the ledger before anything leaves: that this key was made here.
pub async fn record(shared: &Shared, slot: SlotNumber, keys: &Keys) -> Result<(), Fault> {
    let question =
        IssuingQuestion::Attest { subject: format!("server-made key {slot}"), hash: keys.public.hash() };
    match ask(shared, question).await? {
        IssuingAnswer::Attested(_) => Ok(()),
        _ => Err(silent()),
    }
}

/// Everything that the page would have made of the claim's answer.
pub async fn files(
    shared: &Shared,
    slot: SlotNumber,
    keys: Keys,
    tunnel: &FinalTunnel<'_>,
    chain: &[Vec<u8>],
) -> Result<Made, Fault> {
    let text = final_text(tunnel, Some(&keys.tunnel));
    let password = password()?;
    let friendly_name = format!("みまもり {slot}");
    let key = keys.certificate;
    let (all, leaf, name) = (chain.to_vec(), chain.iter().take(1).cloned().collect(), friendly_name.clone());
    let packing = move || {
        let packed = |chain: &Vec<Vec<u8>>, form| {
            let mut broken = None;
            let mut salt = |salt: &mut [u8; SALT]| match world::random::<SALT>() {
                Ok(random) => *salt = *random,
                Err(error) => broken = Some(error),
            };
            let contents = Contents { key: &key, chain, friendly_name: &name };
            let file = pack(&contents, &password, form, &mut salt)?;
            broken.map_or(Ok::<_, Fault>(file), |error| Err(error.into()))
        };
        let files =
            [packed(&all, Form::Modern)?, packed(&all, Form::Compatible)?, packed(&leaf, Form::Compatible)?];
        Ok::<_, Fault>((files, password))
    };
    let packed = tokio::task::spawn_blocking(packing).await;
    let ([modern, compatible, apple], password) =
        packed.map_err(|error| Message::Internal { what: error.to_string() })??;
    let apple = signed(shared, slot, &friendly_name, &text, tunnel.endpoint, chain, &apple).await?;
    Ok(Made { profile: text, modern, compatible, password, apple })
}

/// The authority is told the hashes of the profiles, not the profiles: they hold the keys.
async fn signed(
    shared: &Shared,
    slot: SlotNumber,
    friendly_name: &str,
    tunnel: &str,
    endpoint: &str,
    chain: &[Vec<u8>],
    p12: &[u8],
) -> Result<Vec<(AppleSystem, Vec<u8>)>, Fault> {
    let config = &shared.config;
    let root = pki::pem::der_of(config.root_pem.as_bytes());
    let mut made = Vec::new();
    for system in AppleSystem::ALL {
        let mut uuids: Uuids = Default::default();
        for uuid in &mut uuids {
            *uuid = *world::random()?;
        }
        let text = profile(
            &AppleProfile {
                system,
                slot,
                zone: &config.zone,
                realm: &config.realm_name,
                friendly_name,
                root: &root,
                ca: chain.get(1).map_or(&[], Vec::as_slice),
                p12,
                tunnel,
                tunnel_name: &final_name(slot),
                endpoint,
            },
            &uuids,
        );
        let content = Hash::of(text.0.as_bytes());
        match ask(shared, IssuingQuestion::SignProfile { slot, content }).await? {
            IssuingAnswer::ProfileSigned(signature) => {
                let whole = cms::signed(text.0.as_bytes(), &signature).ok_or_else(silent)?;
                made.push((system, whole));
            }
            IssuingAnswer::Refused(refusal) => {
                log::warn!(SLOT = slot.to_string().as_str(); "no profile was signed: {refusal}");
                return Ok(Vec::new());
            }
            _ => return Err(silent()),
        }
    }
    Ok(made)
}

fn password() -> Result<FilePassword, Fault> {
    loop {
        // Of 64 octets 60 can be used as a rule; 28 are needed.
        if let Some(password) = FilePassword::from_random(&*world::random()?) {
            return Ok(password);
        }
    }
}

async fn ask(shared: &Shared, question: IssuingQuestion) -> Result<IssuingAnswer, Fault> {
    let answer = tokio::time::timeout(NEIGHBOUR_WAIT, shared.needs.issuing.ask(question)).await;
    answer.map_err(|_| silent())?.map_err(|_| silent())
}

fn silent() -> Fault {
    PeopleMessage::NeighbourSilent.about("pki").into()
}
