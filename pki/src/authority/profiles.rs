//! Apple profiles: signed by a key that is made when it is first needed, never leaves this memory and is certified by the
//! server CA for `profiles.<zone>`. The hash of what is signed stands in the ledger first; the profile itself, which
//! holds a device's keys, is not seen here. Draws keys and serials.

use std::sync::{Arc, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use vpn::slot::SlotNumber;

use super::{Authority, unavailable};
use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::cms;
use crate::door::{IssuingRefusal, ProfileSignature};
use crate::draft::Draft;
use crate::entry::Entry;
use crate::key::PublicKey;
use crate::lint;
use crate::profile::Profile;
use crate::serial::CertificateSerial;
use crate::signer::{Order, SignError, Signer, random};

/// A profile is put in within days of its making; whoever looks at it later still finds its signer valid.
const RENEW_SECONDS: i64 = 365 * 24 * 60 * 60;

pub(super) struct ProfileSigner {
    key: EcdsaKeyPair,
    /// Its certificate, then the server CA's.
    chain: Vec<Vec<u8>>,
    not_before: i64,
    not_after: i64,
}

impl Authority {
    /// Signs the profile of a slot whose SHA-256 this is.
    pub async fn sign_profile(
        &self,
        server: (&CaCertificate, &dyn Signer),
        slot: SlotNumber,
        content: Hash,
        now: i64,
    ) -> Result<ProfileSignature, IssuingRefusal> {
        let signer = self.profile_signer(server, now).await?;
        self.attest(&format!("profile {slot}"), content, now).await?;
        let attributes = cms::attributes(&content, now).ok_or_else(|| unavailable("the clock"))?;
        let signature = signer.key.sign(&SystemRandom::new(), &attributes);
        let signature = signature.map_err(|_| unavailable("ECDSA failed"))?.as_ref().to_vec();
        Ok(ProfileSignature { attributes, signature, chain: signer.chain.clone() })
    }

    async fn profile_signer(
        &self,
        (server_ca, server_key): (&CaCertificate, &dyn Signer),
        now: i64,
    ) -> Result<Arc<ProfileSigner>, IssuingRefusal> {
        let _acting = self.acting.lock().await;
        let held = self.profile_signer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held.filter(|held| held.not_before <= now && now < held.not_after - RENEW_SECONDS)
        {
            return Ok(held);
        }
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(unavailable)?;
        let public = PublicKey::from_point(key.public_key().as_ref()).map_err(unavailable)?;
        let serial = CertificateSerial::from_random(random().map_err(unavailable)?);
        let profile =
            Profile::profile_signer(&self.realm, serial, now, server_ca.not_after()).map_err(unavailable)?;
        let draft = Draft::certificate(&profile, &public, Some(server_ca)).map_err(unavailable)?;
        let (not_before, not_after) = (profile.not_before, profile.not_after);
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        writing.append(now, &Entry::Server { serial, key: public.hash(), not_after, tbs: draft.hash() });
        let committed = self.committed(writing).await.map_err(unavailable)?;
        let recorded = committed.recorded.first().ok_or(SignError::NotRecorded).map_err(unavailable)?;
        let linted = lint::certificate(&draft, &profile, &public, Some(server_ca))?;
        let order = Order::certificate(&draft, recorded, &linted).map_err(unavailable)?;
        let signature = server_key.sign(&order).map_err(unavailable)?;
        if !server_ca.key().verifies(order.bytes(), &signature) {
            return Err(unavailable("the server CA's signature does not verify"));
        }
        let chain = vec![draft.finished(&signature), server_ca.der().to_vec()];
        log::info!(SERIAL = serial.to_string().as_str(); "a key for signing profiles was made");
        let signer = Arc::new(ProfileSigner { key, chain, not_before, not_after });
        *self.profile_signer.lock().unwrap_or_else(PoisonError::into_inner) = Some(signer.clone());
        Ok(signer)
    }
}
