//! Years pass (issue 5): a device CA signs for its five years and refuses afterwards; nothing breaks in twenty.

use super::*;

async fn open_at(world: &World, now: i64) -> Authority {
    let realm = Realm::new("m.example.jp", "在宅医療連携協議会", "http://10.18.255.2").unwrap();
    let ca = CaCertificate::parse(&ceremony().device_ca_der).unwrap();
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    Authority::open(realm, ca, Box::new(device_key()), ledger, now).await.unwrap()
}

#[tokio::test]
async fn issue_5_twenty_years_month_by_month() {
    let world = World::new().await;
    let mut authority = open_at(&world, NOW).await;
    let end = authority.ca().not_after();
    assert!((NOW + 4 * 365 * DAY..NOW + 6 * 365 * DAY).contains(&end), "five years, but for the season");
    let verifier = DeviceVerifier::new(&[&ceremony().device_ca_der]).unwrap();
    let (mut certified, mut refused) = (0, 0);
    for month in 0..=20 * 12 {
        let now = NOW + month * 365 * DAY / 12;
        if month % 12 == 11 {
            authority.close().await;
            authority = open_at(&world, now).await;
        }
        authority.renew_lists(now).await;
        authority.renew_answers(now).await;
        let place = slot(&format!("18-{month:04}"));
        let wish = authority.issue(place, DeviceKind::Facility, &request(), &format!("t{month}"), now).await;
        match wish {
            Ok(issued) => {
                assert!(now < end && issued.not_after <= end, "month {month}: beyond the CA's end");
                assert!(issued.not_after > now, "month {month}: born dead");
                assert_eq!(verifier.verify(&issued.chain, now).unwrap().slot(), place);
                assert!(verifier.verify(&issued.chain, end + DAY).is_err(), "it outlives its CA");
                certified += 1;
            }
            Err(refusal) => {
                assert!(now > end - 120 * DAY, "month {month}: {refusal}");
                assert!(["MM-2007", "MM-2009"].contains(&refusal.code()), "month {month}: {refusal}");
                refused += 1;
            }
        }
    }
    assert!((48..=72).contains(&certified) && refused > 150, "{certified} {refused}");
    assert_eq!(living(&authority), u32::try_from(living_at(&authority, NOW)).unwrap());
    authority.ledger().verify_all().await.unwrap();
    // A clock that was twenty years ahead is set right: everybody is there, and new ones are certified.
    let issued =
        authority.issue(slot("18-9999"), DeviceKind::Facility, &request(), "again", NOW).await.unwrap();
    verifier.verify(&issued.chain, NOW).unwrap();
}

fn living_at(authority: &Authority, now: i64) -> usize {
    authority.snapshot().all().iter().filter(|one| one.not_after > now).count()
}
