//! Certificates for the tests: a device CA as ours is constrained, a server CA, and an impostor's.

use pki::serial::CertificateSerial;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use vpn::slot::SlotNumber;

use super::ZONE;

pub struct Authority {
    server_ca: CertifiedIssuer<'static, KeyPair>,
    device_ca: CertifiedIssuer<'static, KeyPair>,
    impostor: CertifiedIssuer<'static, KeyPair>,
    pub device_ca_der: Vec<u8>,
    pub server_ca_der: Vec<u8>,
    pub gateway_chain_pem: String,
    pub gateway_key_pem: String,
}

pub struct Device {
    pub slot: SlotNumber,
    pub serial: CertificateSerial,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let devices = format!("dev.{ZONE}");
        let device_ca = ca("みまもり端末CA", Some(devices.clone()));
        let impostor = ca("みまもり端末CA", Some(devices));
        let server_ca = ca("サーバーCA", None);
        let (gateway_chain_pem, gateway_key_pem) = gateway(&server_ca);
        Self {
            device_ca_der: device_ca.der().to_vec(),
            server_ca_der: server_ca.der().to_vec(),
            gateway_chain_pem,
            gateway_key_pem,
            server_ca,
            device_ca,
            impostor,
        }
    }

    /// A new key and certificate of the gateway.
    pub fn renew(&mut self) {
        (self.gateway_chain_pem, self.gateway_key_pem) = gateway(&self.server_ca);
    }

    /// Puts them where the gateway reads them.
    pub fn write(&self, files: &gateway::Files) {
        std::fs::write(&files.tls_chain, &self.gateway_chain_pem).unwrap();
        std::fs::write(&files.tls_key, &self.gateway_key_pem).unwrap();
        std::fs::write(&files.device_ca, &self.device_ca_der).unwrap();
    }

    pub fn device(&self, slot: SlotNumber) -> Device {
        leaf(slot, &self.device_ca, 365)
    }

    /// Ends within a day, so that a test can travel past its end.
    pub fn short_lived(&self, slot: SlotNumber) -> Device {
        leaf(slot, &self.device_ca, 1)
    }

    /// The right name by a CA that only looks like ours.
    pub fn forged(&self, slot: SlotNumber) -> Device {
        leaf(slot, &self.impostor, 365)
    }
}

impl Device {
    /// This certificate presented with another key, as one does who has copied only the certificate.
    pub fn without_its_key(&self) -> Device {
        let key = KeyPair::generate().unwrap();
        Device {
            slot: self.slot,
            serial: self.serial,
            chain: self.chain.clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

/// Chain and key.
fn gateway(issuer: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let names = ["sns", "office", "claim"].map(|host| format!("{host}.{ZONE}"));
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn ca(name: &str, permitted: Option<String>) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from_slice(serial().as_bytes()));
    params.name_constraints = permitted.map(|name| NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(name)],
        excluded_subtrees: vec![],
    });
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(slot: SlotNumber, issuer: &CertifiedIssuer<'static, KeyPair>, days: i64) -> Device {
    let name = format!("{}.dev.{ZONE}", slot.to_string().to_lowercase());
    let mut params = CertificateParams::new(vec![name]).unwrap();
    params.distinguished_name.push(DnType::CommonName, slot.to_string());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let serial = serial();
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    params.not_before = (now - day).into();
    params.not_after = (now + day * days as u32).into();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    Device {
        slot,
        serial,
        chain: vec![certificate.der().clone(), issuer.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
    }
}

fn serial() -> CertificateSerial {
    let mut random = [0; 16];
    getrandom::fill(&mut random).unwrap();
    CertificateSerial::from_random(random)
}
