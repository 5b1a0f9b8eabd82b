//! Every mismatch of tunnel, certificate and session, and every state of the truth (issue 2; ruling 1).

use super::*;
use crate::door::CutQuestion;
use crate::floors::{Floors, Round};
use crate::grants::Grants;
use crate::need::{GrantChanges, SlotGrant};
use crate::revocations::Revocations;
use crate::session::{ABSOLUTE_MS, IDLE_MS};
use pki::door::{LivingCertificate, RevocationsAnswer};
use vpn::slot::Series;

const NOW: Moment = Moment { unix_ms: 1_000_000_000_000, up_ms: 60_000 };
const END_MS: i64 = NOW.unix_ms + 1_000_000;

/// Three devices: 1 and 2 of facility 1 and 2; 3 of facility 3, which has facility 1 grouped with it (併設).
const DEVICES: [u8; 3] = [1, 2, 3];

fn slot(n: u8) -> SlotNumber {
    SlotNumber::new(Series::parse("18").unwrap(), u16::from(n)).unwrap()
}

fn facility(n: u8) -> FacilityId {
    FacilityId::from_random([n; 10])
}

fn serial(n: u8) -> CertificateSerial {
    CertificateSerial::from_random([n; 16])
}

fn person(n: u8) -> PersonId {
    PersonId::from_random([n; 10])
}

fn membership(n: u8) -> MembershipId {
    MembershipId::from_random([n; 10])
}

fn plan() -> AddressPlan {
    AddressPlan::new(10, vec![(Series::parse("18").unwrap(), 18)]).unwrap()
}

fn address(n: u8, place: Place) -> IpAddr {
    plan().address(slot(n), place).unwrap().into()
}

fn certificate(n: u8) -> Certificate {
    Certificate { slot: slot(n), serial: serial(n), not_after_ms: END_MS }
}

fn session(n: u8) -> Session {
    Session {
        id: SessionId::from_random([n; 8]),
        slot: slot(n),
        generation: 5,
        certificate: serial(n),
        person: person(n),
        membership: membership(n),
        must_change: false,
        created_ms: NOW.unix_ms - 1000,
        seen_ms: NOW.unix_ms - 1000,
    }
}

fn changes() -> GrantChanges {
    let slots = DEVICES.map(|n| SlotGrant {
        slot: slot(n),
        holder: Some(SlotHolder {
            facility: facility(n),
            class: SeatClass::Active,
            also: if n == 3 { vec![facility(1)] } else { vec![] },
        }),
        generation: 5,
    });
    let memberships = DEVICES.map(|n| MembershipGrant {
        membership: membership(n),
        person: person(n),
        facility: facility(n),
        role: Role::Staff,
        active: true,
    });
    GrantChanges { version: 9, slots: slots.to_vec(), memberships: memberships.to_vec() }
}

fn living() -> Vec<LivingCertificate> {
    DEVICES.map(|n| LivingCertificate { serial: serial(n), slot: slot(n), not_after: END_MS / 1000 }).to_vec()
}

fn truth_of(changes: GrantChanges, living: Vec<LivingCertificate>) -> Truth {
    let snapshot = RevocationsAnswer::Snapshot { number: 1, living };
    Truth {
        grants: Grants::whole(changes, NOW),
        revocations: Revocations::default().after(snapshot, NOW).unwrap(),
        floors: Floors::default(),
    }
}

fn truth() -> Truth {
    truth_of(changes(), living())
}

/// The whole way from the source address to the admission.
fn enter(
    source: IpAddr,
    certificate: Certificate,
    session: &Session,
    truth: &Truth,
    now: Moment,
) -> Result<Admission, Refusal> {
    let seat = seat_of(source, &plan(), truth)?;
    let device = admit_certificate(seat, certificate, truth, now)?;
    admit(&device, session, Purpose::Serve(Host::Sns), truth, now)
}

fn refused(truth: &Truth, now: Moment) -> Refusal {
    enter(address(1, Place::Active), certificate(1), &session(1), truth, now).unwrap_err()
}

#[test]
fn only_three_of_a_kind_are_admitted_and_two_of_them_get_nothing() {
    let truth = truth();
    for tunnel in DEVICES {
        for place in [Place::Active, Place::Enrolling] {
            for cert in DEVICES {
                for person_of in DEVICES {
                    let session = session(person_of);
                    let entered = enter(address(tunnel, place), certificate(cert), &session, &truth, NOW);
                    let whole = place == Place::Active && tunnel == cert && cert == person_of;
                    assert_eq!(
                        entered.is_ok(),
                        whole,
                        "tunnel {tunnel} {place:?}, certificate {cert}, session {person_of}: {entered:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_field_of_a_session_is_bound() {
    let truth = truth();
    let source = address(1, Place::Active);
    for mask in 0_u8..16 {
        let mut forged = session(1);
        let other = session(2);
        if mask & 1 != 0 {
            forged.slot = other.slot;
        }
        if mask & 2 != 0 {
            forged.certificate = other.certificate;
        }
        if mask & 4 != 0 {
            forged.person = other.person.clone();
        }
        if mask & 8 != 0 {
            forged.membership = other.membership.clone();
        }
        let entered = enter(source, certificate(1), &forged, &truth, NOW);
        assert_eq!(entered.is_ok(), mask == 0, "{mask:04b}: {entered:?}");
    }
}

#[test]
fn a_certificate_is_listed_for_its_own_slot_or_refused() {
    let mut moved = living();
    moved[0].slot = slot(2);
    for (living, why) in [
        (vec![], Message::CertificateUnlisted),
        (living()[1..].to_vec(), Message::CertificateUnlisted),
        (moved, Message::CertificateUnlisted),
    ] {
        assert_eq!(refused(&truth_of(changes(), living), NOW), why);
    }
    let late = Moment { unix_ms: END_MS, ..NOW };
    assert_eq!(refused(&truth(), late), Message::CertificateExpired);
}

#[test]
fn every_word_of_the_grants_counts() {
    type Change = fn(&mut GrantChanges);
    let cases: [(Change, Message); 8] = [
        (|c| c.slots[0].holder = None, Message::SlotClosed),
        (|c| c.slots.clear(), Message::SlotClosed),
        (|c| c.memberships[0].active = false, Message::MembershipInactive),
        (|c| c.memberships.clear(), Message::MembershipInactive),
        (|c| c.memberships[0].person = person(2), Message::MembershipInactive),
        (|c| c.memberships[0].facility = facility(2), Message::MembershipNotPermitted),
        (|c| c.slots[0].holder.as_mut().unwrap().class = SeatClass::Leaving, Message::ClassForbids),
        (|c| c.slots[0].holder.as_mut().unwrap().class = SeatClass::Enrolling, Message::SeatEnrolling),
    ];
    for (change, why) in cases {
        let mut changes = changes();
        change(&mut changes);
        assert_eq!(refused(&truth_of(changes, living()), NOW), why);
    }
}

#[test]
fn a_grouped_facility_is_permitted_in_one_direction_only() {
    // A member of facility 1 on the slot of facility 3, which has 1 grouped with it; never the reverse.
    let guest = |member: u8, host: u8| {
        let session = Session { person: person(member), membership: membership(member), ..session(host) };
        enter(address(host, Place::Active), certificate(host), &session, &truth(), NOW)
    };
    assert_eq!(guest(1, 3).unwrap().identity().facility, facility(1));
    assert_eq!(guest(3, 1).unwrap_err(), Message::MembershipNotPermitted);
    assert_eq!(guest(2, 3).unwrap_err(), Message::MembershipNotPermitted);
}

#[test]
fn what_was_cut_stays_cut_until_a_newer_word() {
    let cases = [
        (CutQuestion::Slot { slot: slot(1), generation: 5 }, Message::SlotCut),
        (CutQuestion::Slot { slot: slot(1), generation: 9 }, Message::SlotCut),
        (CutQuestion::Certificate { serial: serial(1) }, Message::CertificateCut),
        (CutQuestion::Person { person: person(1) }, Message::PersonCut),
        (CutQuestion::Membership { membership: membership(1) }, Message::PersonCut),
        (CutQuestion::Facility { facility: facility(1) }, Message::SlotCut),
    ];
    for (cut, why) in cases {
        let mut truth = truth();
        truth.floors = truth.floors.with(&cut, Round(1));
        assert_eq!(refused(&truth, NOW), why, "{cut:?}");
        let bystander = session(2);
        let entered = enter(address(2, Place::Active), certificate(2), &bystander, &truth, NOW);
        assert!(entered.is_ok(), "{cut:?} touched a bystander: {entered:?}");
    }
    let mut truth = truth();
    truth.floors = truth.floors.with(&CutQuestion::Slot { slot: slot(1), generation: 4 }, Round(1));
    let entered = enter(address(1, Place::Active), certificate(1), &session(1), &truth, NOW);
    assert!(entered.is_ok(), "a late cut of an older generation");
}

#[test]
fn stale_feeds_admit_nobody_new_and_keep_the_old_for_fifteen_minutes() {
    let truth = truth();
    let after = |ms: u64| Moment { up_ms: NOW.up_ms + ms, ..NOW };
    let seat = seat_of(address(1, Place::Active), &plan(), &truth).unwrap();
    let device = admit_certificate(seat, certificate(1), &truth, NOW).unwrap();
    let serve = Purpose::Serve(Host::Sns);
    let sign_in = |now| may_sign_in(&device, &person(1), &membership(1), &truth, now);
    assert_eq!(refused(&truth, after(30_001)), Message::FeedsStale);
    assert_eq!(sign_in(after(30_001)), Err(Message::FeedsStale));
    assert_eq!(admit_visitor(seat, &truth, after(30_001)).unwrap_err(), Message::FeedsStale);
    assert!(sign_in(after(30_000)).is_ok());
    assert!(admit(&device, &session(1), serve, &truth, after(30_001)).is_ok());
    let gone = admit(&device, &session(1), serve, &truth, after(930_001));
    assert_eq!(gone.unwrap_err(), Message::FeedsStale);
    for half in [
        Truth { grants: Grants::default(), ..truth.clone() },
        Truth { revocations: Revocations::default(), ..truth.clone() },
    ] {
        assert!(enter(address(1, Place::Active), certificate(1), &session(1), &half, NOW).is_err());
    }
}

#[test]
fn a_session_has_its_limits_and_a_first_password_opens_one_page() {
    let truth = truth();
    let source = address(1, Place::Active);
    let idle = Session { seen_ms: NOW.unix_ms - IDLE_MS, ..session(1) };
    let over = Session { created_ms: NOW.unix_ms - ABSOLUTE_MS, ..session(1) };
    let first = Session { must_change: true, ..session(1) };
    for (session, why) in
        [(&idle, Message::SessionIdle), (&over, Message::SessionOver), (&first, Message::PasswordMustChange)]
    {
        assert_eq!(enter(source, certificate(1), session, &truth, NOW).unwrap_err(), why);
    }
    let seat = seat_of(source, &plan(), &truth).unwrap();
    let device = admit_certificate(seat, certificate(1), &truth, NOW).unwrap();
    for host in Host::ALL {
        assert!(admit(&device, &first, Purpose::ChangePassword(host), &truth, NOW).is_ok());
    }
}

#[test]
fn the_claim_listener_admits_every_seat_somebody_holds_and_no_other() {
    let truth = truth();
    for (place, class) in [(Place::Active, SeatClass::Active), (Place::Enrolling, SeatClass::Enrolling)] {
        let seat = seat_of(address(1, place), &plan(), &truth).unwrap();
        let visitor = admit_visitor(seat, &truth, NOW).unwrap();
        assert_eq!(visitor.visitor(), Visitor { slot: slot(1), class });
    }
    for source in ["10.18.0.199", "10.18.255.1", "192.0.2.1", "::1"] {
        assert!(seat_of(source.parse().unwrap(), &plan(), &truth).is_err(), "{source}");
    }
}

#[test]
fn the_identity_is_what_the_grants_say_not_what_the_session_remembers() {
    let mut changes = changes();
    changes.memberships[0].role = Role::FacilityAdmin;
    let truth = truth_of(changes, living());
    let admission = enter(address(1, Place::Active), certificate(1), &session(1), &truth, NOW).unwrap();
    assert_eq!(admission.identity().role, Role::FacilityAdmin);
    let (name, value) = Passage::Person(admission.clone()).header();
    assert_eq!(name, "mimamori-identity");
    assert_eq!(value.parse::<Identity>().unwrap(), *admission.identity());
}
