//! Certificate profiles as pure values: all that a certificate says, decided before anything is encoded.
//! Nothing comes from a request but the public key, which is not even in here. No personal names (P-03).
//! Rulings 4 and 6; name constraints by dNSName only, because webpki refuses the other kinds.

use vpn::slot::SlotNumber;

use crate::door::DeviceKind;
use crate::lifetime::{self, BACKDATE_SECONDS, Life, LifetimeError};
use crate::realm::{Realm, shard_of};
use crate::serial::CertificateSerial;

/// What kind of certificate, and for a device: for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Device(DeviceKind),
    Gateway,
    /// Signs OCSP answers in the device CA's stead.
    OcspDelegate,
    DeviceCa,
    ServerCa,
    Root,
}

impl Class {
    pub fn life(self) -> Life {
        match self {
            Class::Device(_) => Life::Device,
            Class::Gateway => Life::Gateway,
            Class::OcspDelegate => Life::OcspDelegate,
            Class::DeviceCa | Class::ServerCa => Life::IssuingCa,
            Class::Root => Life::Root,
        }
    }

    /// How many CAs may stand below; `None`: not a CA.
    pub fn path_length(self) -> Option<u8> {
        match self {
            Class::Device(_) | Class::Gateway | Class::OcspDelegate => None,
            Class::DeviceCa | Class::ServerCa => Some(0),
            Class::Root => Some(1),
        }
    }

    /// The last arcs of our policy identifiers, which tell the profiles apart (P-03).
    /// Their arc is made of a GUID (`stencil`) and needs no registration.
    pub fn policy(self) -> Option<Policy> {
        match self {
            Class::Device(DeviceKind::Facility) => Some(Policy::Ours(1)),
            Class::Device(DeviceKind::FacilityAdmin) => Some(Policy::Ours(2)),
            Class::Device(DeviceKind::Family) => Some(Policy::Ours(3)),
            Class::DeviceCa => Some(Policy::Any),
            Class::Gateway | Class::OcspDelegate | Class::ServerCa | Class::Root => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Ours(u8),
    Any,
}

/// The parts of a subject, in this order in the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The realm's own name; the country is always JP.
    pub organization: String,
    /// The zone, in CAs, so that two realms' CAs are never confused.
    pub unit: Option<String>,
    pub common_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub class: Class,
    pub serial: CertificateSerial,
    pub subject: Subject,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    /// dNSNames.
    pub names: Vec<String>,
    /// Name constraints of a CA.
    pub permitted: Vec<String>,
    pub excluded: Vec<String>,
    /// Where this certificate's revocation would be published.
    pub crl: Option<String>,
    /// Who vouches for it, and where its issuer's certificate is.
    pub access: Option<Access>,
}

/// Authority information access (RFC 5280 4.2.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub ocsp: String,
    pub issuer: String,
}

impl Profile {
    /// A device's certificate: `18-0042`, never longer than its CA lives.
    pub fn device(
        realm: &Realm,
        slot: SlotNumber,
        kind: DeviceKind,
        serial: CertificateSerial,
        now: i64,
        ca_not_after: i64,
    ) -> Result<Self, LifetimeError> {
        let subject = subject(realm, None, slot.to_string());
        let mut profile = Self::new(Class::Device(kind), serial, subject, now, Some(ca_not_after))?;
        profile.names = vec![realm.zone().device_name(slot)];
        profile.crl = Some(realm.crl_url(shard_of(&serial)));
        profile.access = Some(Access { ocsp: realm.ocsp_url(), issuer: realm.issuer_url() });
        Ok(profile)
    }

    /// The key that signs OCSP answers, for two weeks.
    pub fn ocsp_delegate(
        realm: &Realm,
        serial: CertificateSerial,
        now: i64,
        ca_not_after: i64,
    ) -> Result<Self, LifetimeError> {
        let subject = subject(realm, None, "OCSP".to_owned());
        Self::new(Class::OcspDelegate, serial, subject, now, Some(ca_not_after))
    }

    pub fn gateway(
        realm: &Realm,
        serial: CertificateSerial,
        now: i64,
        ca_not_after: i64,
    ) -> Result<Self, LifetimeError> {
        let names = realm.zone().gateway_names();
        let subject = subject(realm, None, names.first().cloned().unwrap_or_default());
        let mut profile = Self::new(Class::Gateway, serial, subject, now, Some(ca_not_after))?;
        profile.names = names;
        Ok(profile)
    }

    /// Signs Apple profiles, under a name where nothing listens.
    pub fn profile_signer(
        realm: &Realm,
        serial: CertificateSerial,
        now: i64,
        ca_not_after: i64,
    ) -> Result<Self, LifetimeError> {
        let name = format!("profiles.{}", realm.zone().as_str());
        let mut profile =
            Self::new(Class::Gateway, serial, subject(realm, None, name.clone()), now, Some(ca_not_after))?;
        profile.names = vec![name];
        Ok(profile)
    }

    pub fn device_ca(
        realm: &Realm,
        serial: CertificateSerial,
        now: i64,
        root_not_after: i64,
    ) -> Result<Self, LifetimeError> {
        let subject = ca_subject(realm, "Device CA", now)?;
        let mut profile = Self::new(Class::DeviceCa, serial, subject, now, Some(root_not_after))?;
        profile.permitted = vec![realm.zone().devices()];
        Ok(profile)
    }

    /// For the zone's hosts, and never for anything that looks like a device.
    pub fn server_ca(
        realm: &Realm,
        serial: CertificateSerial,
        now: i64,
        root_not_after: i64,
    ) -> Result<Self, LifetimeError> {
        let subject = ca_subject(realm, "Server CA", now)?;
        let mut profile = Self::new(Class::ServerCa, serial, subject, now, Some(root_not_after))?;
        profile.permitted = vec![realm.zone().as_str().to_owned()];
        profile.excluded = vec![realm.zone().devices()];
        Ok(profile)
    }

    pub fn root(realm: &Realm, serial: CertificateSerial, now: i64) -> Result<Self, LifetimeError> {
        let subject = ca_subject(realm, "Root CA", now)?;
        let mut profile = Self::new(Class::Root, serial, subject, now, None)?;
        profile.permitted = vec![realm.zone().as_str().to_owned()];
        Ok(profile)
    }

    fn new(
        class: Class,
        serial: CertificateSerial,
        subject: Subject,
        now: i64,
        latest: Option<i64>,
    ) -> Result<Self, LifetimeError> {
        let not_before = now.checked_sub(BACKDATE_SECONDS).ok_or(LifetimeError::Clock(now))?;
        Ok(Self {
            class,
            serial,
            subject,
            not_before,
            not_after: lifetime::end(not_before, class.life(), latest)?,
            names: Vec::new(),
            permitted: Vec::new(),
            excluded: Vec::new(),
            crl: None,
            access: None,
        })
    }
}

fn subject(realm: &Realm, unit: Option<String>, common_name: String) -> Subject {
    Subject { organization: realm.name().to_owned(), unit, common_name }
}

/// With the year, so that a renewed CA has another name.
fn ca_subject(realm: &Realm, what: &str, now: i64) -> Result<Subject, LifetimeError> {
    let year = lifetime::year(now).ok_or(LifetimeError::Clock(now))?;
    Ok(subject(realm, Some(realm.zone().as_str().to_owned()), format!("{what} {year}")))
}
