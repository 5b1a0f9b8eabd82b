//! The gateway's next certificate, and a CA's that the root signed. Record first, as everywhere here; draws serials.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Authority, unavailable};
use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::door::{Certified, IssuingRefusal};
use crate::draft::Draft;
use crate::entry::Entry;
use crate::key::PublicKey;
use crate::lint;
use crate::profile::Profile;
use crate::renewal::Issuing;
use crate::serial::CertificateSerial;
use crate::signer::{Order, SignError, Signer, random};

impl Authority {
    /// A certificate that follows the gateway's: the same key, the names of the realm, a new life. `old` is the
    /// one that it has (DER); only its key is taken, and only if the server CA signed it once.
    pub async fn renew_gateway(
        &self,
        (server_ca, key): (&CaCertificate, &dyn Signer),
        old: &[u8],
        now: i64,
    ) -> Result<Certified, IssuingRefusal> {
        let gateway = gateway_key(server_ca, old)?;
        let _acting = self.acting.lock().await;
        let serial = CertificateSerial::from_random(random().map_err(unavailable)?);
        let profile =
            Profile::gateway(&self.realm, serial, now, server_ca.not_after()).map_err(unavailable)?;
        let draft = Draft::certificate(&profile, &gateway, Some(server_ca)).map_err(unavailable)?;
        let not_after = profile.not_after;
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        let entry = Entry::Server { serial, key: gateway.hash(), not_after, tbs: draft.hash() };
        writing.append(now, &entry);
        let committed = self.committed(writing).await.map_err(unavailable)?;
        let recorded = committed.recorded.first().ok_or(SignError::NotRecorded).map_err(unavailable)?;
        let linted = lint::certificate(&draft, &profile, &gateway, Some(server_ca))?;
        let order = Order::certificate(&draft, recorded, &linted).map_err(unavailable)?;
        let signature = key.sign(&order).map_err(unavailable)?;
        if !server_ca.key().verifies(order.bytes(), &signature) {
            return Err(unavailable("the server CA's signature does not verify"));
        }
        let chain = vec![draft.finished(&signature), server_ca.der().to_vec()];
        log::info!(SERIAL = serial.to_string().as_str(); "the gateway's certificate was renewed");
        Ok(Certified { serial, chain, not_after, ledger_entry: recorded.entry() })
    }

    /// That from now on this certificate stands for one of our CAs. Whoever calls has looked at it (`renewal::follows`).
    pub async fn record_ca(&self, ca: &CaCertificate, now: i64) -> Result<u64, IssuingRefusal> {
        let _acting = self.acting.lock().await;
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        let (name, certificate) = (Issuing::of(ca).as_str(), Hash::of(ca.der()));
        let entry = writing.append(now, &Entry::Founding { name, serial: ca.serial(), certificate });
        self.committed(writing).await.map(|_| entry).map_err(unavailable)
    }
}

/// The key of a certificate that the server CA signed.
fn gateway_key(server_ca: &CaCertificate, old: &[u8]) -> Result<PublicKey, IssuingRefusal> {
    let bad = |why: &str| IssuingRefusal::BadRequest { why: why.to_owned() };
    let (rest, x509) = X509Certificate::from_der(old).map_err(|_| bad("not the DER of a certificate"))?;
    let draft = Draft::from_bytes(x509.tbs_certificate.as_ref().to_vec());
    let signature = &x509.signature_value.data;
    let ours = rest.is_empty()
        && server_ca.key().verifies(draft.bytes(), signature)
        && draft.finished(signature) == old;
    if !ours || x509.is_ca() {
        return Err(bad("not a gateway's certificate of our server CA"));
    }
    PublicKey::from_spki(x509.public_key().raw).map_err(|_| IssuingRefusal::WrongKey)
}
