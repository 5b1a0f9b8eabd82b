//! TLS 1.3 and nothing older: the server's key, one configuration per handshake (so that keys and
//! CAs can be swapped live), no tickets, no resumption, no early data. The device's certificate is
//! judged inside the handshake; every certificate that is not admitted ends it with the same alert.
//! Rulings 1 and 4.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use pki::verify::{DeviceVerifier, VerifiedDevice};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme, version,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::admission::{AdmittedDevice, Refusal};
use crate::messages::Message;
use crate::talk::Spoken;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("MM-3106 the gateway's certificate chain (PEM) cannot be read: {0}")]
    Chain(String),
    #[error("MM-3107 the gateway's private key (PEM) cannot be read or does not fit its certificate: {0}")]
    Key(String),
    #[error("MM-3108 the device CA cannot be used: {0}")]
    DeviceCa(String),
    #[error("MM-3109 the TLS library refuses this configuration: {0}")]
    Library(#[from] Error),
}

/// What the handshakes need; swapped whole.
pub struct Tls {
    provider: Arc<CryptoProvider>,
    certified: ArcSwap<CertifiedKey>,
    devices: ArcSwap<Devices>,
}

struct Devices {
    verifier: DeviceVerifier,
    names: Arc<[DistinguishedName]>,
}

/// Says whether the holder of this chain, leaf first, is admitted on this connection.
pub type Judge<D> = Box<dyn Fn(&[&[u8]], UnixTime) -> Result<D, Refusal> + Send + Sync>;
/// What was said; means nothing before the handshake is complete.
pub type Verdict<D> = Arc<OnceLock<Result<D, Refusal>>>;

/// Longest chain that is looked at: a leaf, its CA, and a root that is not needed.
const CHAIN_MAX: usize = 4;

impl Tls {
    pub fn new(chain_pem: &str, key_pem: &str, device_ca_der: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certified = certified(chain_pem, key_pem, &provider)?;
        let devices = Devices::new(device_ca_der)?;
        Ok(Self {
            provider,
            certified: ArcSwap::from_pointee(certified),
            devices: ArcSwap::from_pointee(devices),
        })
    }

    /// Reads what the next handshakes shall use; the answer puts it there. Connections keep what they began with.
    pub fn swap(
        &self,
        chain_pem: &str,
        key_pem: &str,
        device_ca_der: &[u8],
    ) -> Result<impl FnOnce() + '_, TlsError> {
        let certified = certified(chain_pem, key_pem, &self.provider)?;
        let devices = Devices::new(device_ca_der)?;
        Ok(move || {
            self.certified.store(Arc::new(certified));
            self.devices.store(Arc::new(devices));
        })
    }

    /// For one handshake with a mandatory device certificate, of a seat that `judge` knows.
    pub fn mutual(
        &self,
        judge: impl Fn(&VerifiedDevice) -> Result<AdmittedDevice, Refusal> + Send + Sync + 'static,
        verdict: Verdict<AdmittedDevice>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let devices = self.devices.load_full();
        let names = devices.names.clone();
        let judge: Judge<AdmittedDevice> = Box::new(move |chain, now| {
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            match devices.verifier.verify(chain, now) {
                Ok(device) => judge(&device),
                Err(pki::verify::VerifyError::Expired { .. }) => Err(Message::CertificateExpired),
                Err(error) => {
                    log::info!("a certificate does not verify: {error}");
                    Err(Message::CertificateInvalid)
                }
            }
        });
        mandatory(&self.provider, self.certified.load_full(), names, judge, verdict)
    }

    /// For one handshake of a visitor.
    pub fn open(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Only(self.certified.load_full())));
        Ok(Arc::new(hardened(config)))
    }
}

/// The terms of one handshake in which the client must prove who it is. `names`: the CAs that the
/// CertificateRequest tells.
pub fn mandatory<D: Clone + Send + Sync + 'static>(
    provider: &Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
    names: Arc<[DistinguishedName]>,
    judge: Judge<D>,
    verdict: Verdict<D>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let doorkeeper = Doorkeeper { names, provider: provider.clone(), judge, verdict };
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(Arc::new(doorkeeper))
        .with_cert_resolver(Arc::new(Only(certified)));
    Ok(Arc::new(hardened(config)))
}

fn hardened(mut config: ServerConfig) -> ServerConfig {
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    config.alpn_protocols = Spoken::ALPN.iter().map(|name| name.to_vec()).collect();
    config
}

/// The server's own chain and key.
pub fn certified(
    chain_pem: &str,
    key_pem: &str,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Chain(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Chain("no certificate in it".into()));
    }
    // The parser's error is not shown: it may quote the key.
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|_| TlsError::Key("no private key in it".into()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| TlsError::Key(error.to_string()))
}

impl Devices {
    fn new(device_ca_der: &[u8]) -> Result<Self, TlsError> {
        let verifier =
            DeviceVerifier::new(&[device_ca_der]).map_err(|error| TlsError::DeviceCa(error.to_string()))?;
        let names = verifier.subjects().iter().map(|name| DistinguishedName::from(name.clone())).collect();
        Ok(Self { verifier, names })
    }
}

struct Doorkeeper<D> {
    names: Arc<[DistinguishedName]>,
    provider: Arc<CryptoProvider>,
    judge: Judge<D>,
    verdict: Verdict<D>,
}

impl<D> fmt::Debug for Doorkeeper<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doorkeeper")
    }
}

impl<D: Clone + Send + Sync> ClientCertVerifier for Doorkeeper<D> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut chain: Vec<&[u8]> = vec![end_entity];
        chain.extend(intermediates.iter().take(CHAIN_MAX).map(|one| -> &[u8] { one }));
        let judged = (self.judge)(&chain, now);
        let admitted = judged.is_ok();
        let _ = self.verdict.set(judged);
        if admitted { Ok(ClientCertVerified::assertion()) } else { Err(same_for_every_reason()) }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(same_for_every_reason())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
            .map_err(|_| same_for_every_reason())
    }

    /// Device keys are P-256 and nothing else.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// One alert, `access_denied`, whatever was wrong with what was presented.
fn same_for_every_reason() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

/// The one certificate that we have, whatever name was asked for; the Host decides later.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
