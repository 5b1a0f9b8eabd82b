//! Admission is tunnel and certificate and person. Owns the proofs: each can only be made here, each
//! is asked for by the next step, and none lives longer than the connection or request it was made
//! for. Pure. Ruling 1; asked again at every request and whenever the truth changes.
//!
//! ```text
//! source address --seat_of--> SeatSeen --admit_connection(certificate)--> AdmittedDevice
//!                                 |                                            |
//!                           admit_visitor                              admit(session, host)
//!                                 v                                            v
//!                          AdmittedVisitor ------------> Passage <-------- Admission
//! ```

use std::net::IpAddr;

use pki::identity::{FacilityId, Identity, MembershipId, PersonId, Role, Visitor};
use pki::serial::CertificateSerial;
use pki::verify::VerifiedDevice;
use vpn::address::{AddressPlan, Place};
use vpn::slot::{SeatClass, SlotNumber};

use crate::grants::permits;
use crate::messages::Message;
use crate::moment::{Freshness, Moment};
use crate::names::Host;
use crate::need::{Behind, MembershipGrant, SlotHolder};
use crate::session::{Session, SessionId};
use crate::truth::Truth;

/// The reason of a refusal, from the catalogue; recorded, never told to the device.
pub type Refusal = Message;

/// A source address that is a place of a slot which somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatSeen {
    slot: SlotNumber,
    place: Place,
}

/// A device in its own seat with its own living certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedDevice {
    slot: SlotNumber,
    generation: u64,
    facility: FacilityId,
    serial: CertificateSerial,
    not_after_ms: i64,
}

/// A device on the claim listener: known by its seat alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedVisitor {
    seat: SeatSeen,
    generation: u64,
    facility: FacilityId,
    class: SeatClass,
}

/// What a session asks to be admitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The room behind this host.
    Serve(Host),
    /// The gateway's own password page; all that a first password is good for.
    ChangePassword(Host),
}

/// A person on an admitted device, in a session of a permitted membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    identity: Identity,
    host: Host,
    session: SessionId,
}

/// The only thing the proxy accepts: somebody was admitted. Here nothing but `Passage` is one; who
/// measures the proxy without people and feeds brings an admission of their own.
pub trait Admitted {
    fn behind(&self) -> Behind;
    /// The one header that tells the room behind who this is.
    fn header(&self) -> (&'static str, String);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    Person(Admission),
    Visitor(AdmittedVisitor),
}

/// The seat of a source address, if somebody holds its slot.
pub fn seat_of(source: IpAddr, plan: &AddressPlan, truth: &Truth) -> Result<SeatSeen, Refusal> {
    let IpAddr::V4(address) = source else { return Err(Message::SeatUnknown) };
    let (slot, place) = plan.slot_of(address).ok_or(Message::SeatUnknown)?;
    standing(slot, truth)?;
    Ok(SeatSeen { slot, place })
}

/// Tunnel slot = certificate slot, certificate living, slot held: else the handshake fails.
pub fn admit_connection(
    seat: SeatSeen,
    device: &VerifiedDevice,
    truth: &Truth,
    now: Moment,
) -> Result<AdmittedDevice, Refusal> {
    let certificate = Certificate {
        slot: device.slot(),
        serial: device.serial(),
        not_after_ms: device.not_after().saturating_mul(1000),
    };
    admit_certificate(seat, certificate, truth, now)
}

/// A seat on the claim listener: enrolling seats always, active ones for renewal, leaving ones to confirm.
pub fn admit_visitor(seat: SeatSeen, truth: &Truth, now: Moment) -> Result<AdmittedVisitor, Refusal> {
    needs(truth, now, Freshness::Fresh)?;
    let (holder, generation) = standing(seat.slot, truth)?;
    let class = match seat.place {
        Place::Enrolling => SeatClass::Enrolling,
        Place::Active => holder.class,
    };
    Ok(AdmittedVisitor { seat, generation, facility: holder.facility.clone(), class })
}

/// May this person begin a session of this membership on this device?
pub fn may_sign_in(
    device: &AdmittedDevice,
    person: &PersonId,
    membership: &MembershipId,
    truth: &Truth,
    now: Moment,
) -> Result<(), Refusal> {
    needs(truth, now, Freshness::Fresh)?;
    device.still(truth, now)?;
    permitted(device.slot, person, membership, truth).map(|_| ())
}

/// The person: this session, on this device, in a membership that its slot permits, for this purpose.
pub fn admit(
    device: &AdmittedDevice,
    session: &Session,
    purpose: Purpose,
    truth: &Truth,
    now: Moment,
) -> Result<Admission, Refusal> {
    device.still(truth, now)?;
    if session.slot != device.slot {
        return Err(Message::SessionOfOtherSlot);
    }
    if session.certificate != device.serial {
        return Err(Message::SessionOfOtherCertificate);
    }
    session.alive(now)?;
    let (facility, role) = permitted(device.slot, &session.person, &session.membership, truth)?;
    let host = match purpose {
        Purpose::Serve(_) if session.must_change => return Err(Message::PasswordMustChange),
        Purpose::Serve(host) | Purpose::ChangePassword(host) => host,
    };
    let identity = Identity {
        slot: device.slot,
        certificate: device.serial,
        person: session.person.clone(),
        membership: session.membership.clone(),
        facility,
        role,
    };
    Ok(Admission { identity, host, session: session.id })
}

/// Would this session still be admitted on its device, whatever it asks for?
pub fn session_stands(session: &Session, truth: &Truth) -> Result<(), Refusal> {
    if truth.floors.certificate(&session.certificate) {
        return Err(Message::CertificateCut);
    }
    match truth.revocations.living(&session.certificate) {
        Some(living) if living.slot == session.slot => {}
        _ => return Err(Message::CertificateUnlisted),
    }
    permitted(session.slot, &session.person, &session.membership, truth).map(|_| ())
}

impl SeatSeen {
    pub fn slot(&self) -> SlotNumber {
        self.slot
    }

    /// Has this seat still a holder?
    pub fn still(&self, truth: &Truth) -> Result<(), Refusal> {
        standing(self.slot, truth).map(|_| ())
    }
}

impl AdmittedDevice {
    pub fn slot(&self) -> SlotNumber {
        self.slot
    }

    pub fn serial(&self) -> CertificateSerial {
        self.serial
    }

    /// The slot's generation when it was admitted.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn facility(&self) -> &FacilityId {
        &self.facility
    }

    /// Would it still be admitted? Silent feeds are forgiven for a while (ruling 7).
    pub fn still(&self, truth: &Truth, now: Moment) -> Result<(), Refusal> {
        needs(truth, now, Freshness::Lingering)?;
        let certificate =
            Certificate { slot: self.slot, serial: self.serial, not_after_ms: self.not_after_ms };
        certificate.lives(truth, now)?;
        let holder = served(self.slot, truth)?.0;
        // Another holder means another device, even in the same place.
        if holder.facility == self.facility { Ok(()) } else { Err(Message::SlotClosed) }
    }
}

impl AdmittedVisitor {
    pub fn slot(&self) -> SlotNumber {
        self.seat.slot
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn facility(&self) -> &FacilityId {
        &self.facility
    }

    pub fn visitor(&self) -> Visitor {
        Visitor { slot: self.seat.slot, class: self.class }
    }

    pub fn still(&self, truth: &Truth, now: Moment) -> Result<(), Refusal> {
        needs(truth, now, Freshness::Lingering)?;
        let (holder, _) = standing(self.seat.slot, truth)?;
        let changed = self.seat.place == Place::Active && holder.class != self.class;
        if changed || holder.facility != self.facility { Err(Message::SlotClosed) } else { Ok(()) }
    }
}

impl Admission {
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn session(&self) -> SessionId {
        self.session
    }
}

impl Admitted for Passage {
    fn behind(&self) -> Behind {
        match self {
            Passage::Person(admission) => admission.host.behind(),
            Passage::Visitor(_) => Host::Claim.behind(),
        }
    }

    fn header(&self) -> (&'static str, String) {
        match self {
            Passage::Person(admission) => (pki::identity::IDENTITY_HEADER, admission.identity.to_string()),
            Passage::Visitor(visitor) => (pki::identity::VISITOR_HEADER, visitor.visitor().to_string()),
        }
    }
}

/// What a verified certificate says.
#[derive(Clone, Copy)]
struct Certificate {
    slot: SlotNumber,
    serial: CertificateSerial,
    not_after_ms: i64,
}

impl Certificate {
    /// Neither expired nor revoked nor cut, and listed for this very slot.
    fn lives(&self, truth: &Truth, now: Moment) -> Result<(), Refusal> {
        if now.unix_ms >= self.not_after_ms {
            return Err(Message::CertificateExpired);
        }
        if truth.floors.certificate(&self.serial) {
            return Err(Message::CertificateCut);
        }
        match truth.revocations.living(&self.serial) {
            Some(living) if living.slot == self.slot => Ok(()),
            _ => Err(Message::CertificateUnlisted),
        }
    }
}

fn admit_certificate(
    seat: SeatSeen,
    certificate: Certificate,
    truth: &Truth,
    now: Moment,
) -> Result<AdmittedDevice, Refusal> {
    needs(truth, now, Freshness::Fresh)?;
    if seat.place != Place::Active {
        return Err(Message::SeatEnrolling);
    }
    if certificate.slot != seat.slot {
        return Err(Message::CertificateOfOtherSlot);
    }
    certificate.lives(truth, now)?;
    let (holder, generation) = served(seat.slot, truth)?;
    Ok(AdmittedDevice {
        slot: seat.slot,
        generation,
        facility: holder.facility.clone(),
        serial: certificate.serial,
        not_after_ms: certificate.not_after_ms,
    })
}

fn needs(truth: &Truth, now: Moment, at_least: Freshness) -> Result<(), Refusal> {
    if truth.freshness(now) <= at_least { Ok(()) } else { Err(Message::FeedsStale) }
}

/// The slot's holder, unless nobody holds it or it was cut.
fn standing(slot: SlotNumber, truth: &Truth) -> Result<(&SlotHolder, u64), Refusal> {
    let (holder, generation) = truth.grants.holder(slot).ok_or(Message::SlotClosed)?;
    if truth.floors.slot(slot, generation) || truth.floors.facility(&holder.facility) {
        return Err(Message::SlotCut);
    }
    Ok((holder, generation))
}

/// The holder of a slot whose class has the service.
fn served(slot: SlotNumber, truth: &Truth) -> Result<(&SlotHolder, u64), Refusal> {
    let (holder, generation) = standing(slot, truth)?;
    match holder.class {
        SeatClass::Active | SeatClass::ActiveMeetings => Ok((holder, generation)),
        SeatClass::Enrolling => Err(Message::SeatEnrolling),
        SeatClass::Leaving => Err(Message::ClassForbids),
    }
}

/// The membership's last word, if it is this person's, active, and permitted on the slot.
fn permitted(
    slot: SlotNumber,
    person: &PersonId,
    membership: &MembershipId,
    truth: &Truth,
) -> Result<(FacilityId, Role), Refusal> {
    let MembershipGrant { facility, role, active, person: owner, .. } =
        truth.grants.membership(membership).ok_or(Message::MembershipInactive)?;
    if !active || owner != person {
        return Err(Message::MembershipInactive);
    }
    let floors = &truth.floors;
    if floors.person(person) || floors.membership(membership) || floors.facility(facility) {
        return Err(Message::PersonCut);
    }
    let (holder, _) = served(slot, truth)?;
    if !permits(holder, facility) {
        return Err(Message::MembershipNotPermitted);
    }
    Ok((facility.clone(), *role))
}

#[cfg(test)]
mod tests;
