//! M-16: a lost device, a number or a person that is suspended is told to the facility's admins and to the secretariat, in
//! the transaction of the stop; everyday work is told to nobody. What is about the facility leaves although the number
//! under which it lies is revoked.

use pki::identity::FacilityId;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, RevokeReason};
use provisioning::door_call::CallQuestion;
use provisioning::door_person::PersonQuestion;
use vpn::slot::SlotNumber;

use super::town::Town;

const NOTICES: &str = "SELECT count(*) FROM outbox WHERE kind = 'notice'";
const READERS: &str =
    "SELECT COALESCE(string_agg(recipient, ',' ORDER BY recipient), '') FROM outbox WHERE kind = 'notice'";

/// A room with one facility whose first device works; its admin's and the operator's address.
async fn town() -> (Town, FacilityId, SlotNumber, String) {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await[0].clone();
    town.enrolled(place, 7).await;
    town.settled().await;
    let readers = town
        .text("SELECT string_agg(written, ',' ORDER BY written) FROM address WHERE use_as IN ('admin', 'office')")
        .await;
    assert_eq!((readers.split(',').count(), town.number(NOTICES).await), (2, 0));
    (town, facility, place, readers)
}

/// Every notice that was written, as text, once all have left.
async fn told(town: &Town) -> String {
    town.settled().await;
    town.until("the notices to leave", async || {
        town.number("SELECT count(*) FROM outbox WHERE kind = 'notice' AND state <> 'sent'").await == 0
    })
    .await;
    let files = std::fs::read_dir(town.config.output.join("notices")).unwrap();
    let texts = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .map(|path| std::fs::read_to_string(path).unwrap());
    texts.collect()
}

/// M-16, H-11: by whomever, both hear of it; a second report of the same device tells nothing new.
/// Requirements H-11, M-16.
#[tokio::test]
async fn m_16_a_lost_device_is_told_to_its_admin_and_to_the_secretariat() {
    let (town, _, place, readers) = town().await;
    for reason in [RevokeReason::Lost, RevokeReason::Stolen] {
        town.revoke(place, reason).await;
    }
    let told = told(&town).await;
    assert_eq!((town.text(READERS).await, town.number(NOTICES).await), (readers, 2));
    for wanted in [&format!("VPN番号 {place}"), "施設内管理者様", "御中", "操作した方: 事務局", "端末を追加"]
    {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[tokio::test]
async fn m_16_everyday_work_and_a_rehearsal_tell_nobody() {
    let (town, _, place, _) = town().await;
    let suspend = |dry_run| ProvisioningQuestion::Call(CallQuestion::Suspend { slot: place, dry_run });
    town.ask(suspend(true)).await;
    assert_eq!(town.number(NOTICES).await, 0);
    town.revoke(place, RevokeReason::Replaced).await;
    town.settled().await;
    assert_eq!(town.number(NOTICES).await, 0);
}

/// M-16, H-12: 一時停止 of a number and of a person; 再開 is nobody's alarm, and twice is once.
/// Requirements H-12, M-16.
#[tokio::test]
async fn m_16_who_or_what_is_suspended_is_told_once() {
    let (town, facility, place, readers) = town().await;
    for question in [
        CallQuestion::Suspend { slot: place, dry_run: false },
        CallQuestion::Suspend { slot: place, dry_run: false },
        CallQuestion::Resume { slot: place, dry_run: false },
    ] {
        let ProvisioningAnswer::Change(_) = town.ask(ProvisioningQuestion::Call(question)).await else {
            panic!()
        };
    }
    assert_eq!((town.text(READERS).await, town.number(NOTICES).await), (readers, 2));

    let lines = PersonQuestion::List { facility: Some(facility), words: None };
    let ProvisioningAnswer::People(people) = town.ask(ProvisioningQuestion::Person(lines)).await else {
        panic!()
    };
    let admin = people[0].clone();
    for _twice in 0..2 {
        let suspend = PersonQuestion::Suspend { person: admin.person.clone(), dry_run: false };
        town.ask(ProvisioningQuestion::Person(suspend)).await;
    }
    let told = told(&town).await;
    assert_eq!(town.number(NOTICES).await, 4);
    assert!(told.contains(&format!("{} 様のアカウント", admin.name)) && told.contains("一時停止"), "{told}");
}

/// D-01: a facility's notices lie under its first number; they leave when this number's device is lost, its bundle doesn't.
#[tokio::test]
async fn a_notice_about_the_facility_leaves_although_its_number_is_revoked() {
    let (town, _, place, _) = town().await;
    let registry = town.registry().await;
    for (message, kind) in [("o-notice-waits", "notice"), ("o-bundle-waits", "bundle")] {
        sqlx::query(
            "INSERT INTO outbox (message, kind, recipient, slot, facility, payload, state, next_at, created_at)
             SELECT $1, $2, 'kanri@a.example', $3, facility, '[]', 'waiting', 9000000000000, 1 FROM slot WHERE slot = $3",
        )
        .bind(message)
        .bind(kind)
        .bind(place.to_string())
        .execute(&registry)
        .await
        .unwrap();
    }
    town.revoke(place, RevokeReason::Lost).await;
    town.until("the receipt to be whole", async || {
        town.number("SELECT count(*) FROM revocation WHERE completed_at IS NULL").await == 0
    })
    .await;
    assert_eq!(town.text("SELECT state FROM outbox WHERE message = 'o-notice-waits'").await, "waiting");
    assert_eq!(town.text("SELECT state FROM outbox WHERE message = 'o-bundle-waits'").await, "cancelled");
}
