//! Ruling 7: one action, one receipt, every point in the end, whatever dies in between.

use pki::door::{IssuingQuestion, RevocationReason};
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, Receipt, RevokeReason};
use vpn::door::SeatsQuestion;
use vpn::slot::SlotNumber;

use super::neighbours::Mode;
use super::town::{Town, claim_request, slot};

const POINTS: [&str; 6] = ["vpn", "firewall", "pki", "gateway", "sns", "mail"];

async fn show(town: &Town, receipt: &str) -> Receipt {
    match town.ask(ProvisioningQuestion::ReceiptShow { receipt: receipt.to_owned() }).await {
        ProvisioningAnswer::Receipt(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

fn open(receipt: &Receipt) -> Vec<&str> {
    receipt.points.iter().filter(|p| p.acknowledged_at.is_none()).map(|p| p.point.as_str()).collect()
}

/// Ruling 7 with nobody away: the asker may be answered early on a busy machine, the receipt becomes whole.
async fn revoked(town: &Town, place: SlotNumber, reason: RevokeReason) -> Receipt {
    let asked = town.revoke(place, reason).await;
    town.until("complete", async || show(town, &asked.receipt).await.complete).await;
    show(town, &asked.receipt).await
}

/// Everything may be asked twice (ruling 7); nothing else may have been asked.
fn only<T: PartialEq + std::fmt::Debug>(all: &[T], expected: &T) {
    assert!(!all.is_empty() && all.iter().all(|one| one == expected), "{all:?}");
}

async fn enrolled() -> (Town, SlotNumber) {
    let town = Town::new().await;
    let place = slot("18-0000");
    town.enrolled(place, 7).await;
    (town, place)
}

#[tokio::test]
async fn one_action_one_receipt_every_point_signed() {
    let (town, place) = enrolled().await;
    let receipt = revoked(&town, place, RevokeReason::Lost).await;
    assert_eq!(receipt.points.iter().map(|p| p.point.as_str()).collect::<Vec<_>>(), POINTS);
    assert!(receipt.points.iter().all(|p| p.after_ms.is_some_and(|ms| ms >= 0)));
    let signature = receipt.signature.clone().unwrap();
    assert_eq!((signature.hash.len(), signature.signature.as_str()), (64, "c2lnbmVk"));
    only(&town.around.pki.attested(), &format!("receipt {}", receipt.receipt));

    assert!(town.around.vpn.seat(place, false).is_none());
    assert!(town.around.pki.living(place).is_empty());
    only(&town.around.pki.reasons(), &RevocationReason::KeyCompromise);
    assert!(!town.around.sns.ended.lock().unwrap().is_empty());
    let grants = town.grants().await;
    let grant = grants.slots.iter().find(|grant| grant.slot == place).unwrap();
    assert!(grant.holder.is_none());
    let cuts = town.around.gateway.cuts.lock().unwrap().clone();
    only(&cuts, &provisioning::need::Cut::Slot { slot: place, generation: grant.generation });
    assert_eq!(town.text("SELECT state FROM slot").await, "cooling");
    assert_eq!(
        town.text("SELECT string_agg(state, ',') FROM slot_history").await,
        "allotted,issued,active,revoked,cooling"
    );

    let again = revoked(&town, place, RevokeReason::Stolen).await;
    assert_eq!(again, receipt, "the same device, the same receipt");
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'device.revoke'").await, 1);
}

#[tokio::test]
async fn a_rehearsal_writes_nothing_and_an_empty_slot_is_not_found() {
    let (town, place) = enrolled().await;
    town.settled().await;
    let before = town.number("SELECT count(*) FROM audit").await;
    let rehearse = |slot| ProvisioningQuestion::DeviceRevoke {
        slot,
        reason: RevokeReason::Retired,
        note: None,
        dry_run: true,
    };
    let ProvisioningAnswer::Receipt(receipt) = town.ask(rehearse(place)).await else { panic!() };
    assert!(receipt.dry_run && !receipt.complete && open(&receipt) == POINTS);
    assert_eq!(town.number("SELECT count(*) FROM audit").await, before);
    assert!(town.around.vpn.seat(place, false).is_some());
    let ProvisioningAnswer::Trouble(trouble) = town.ask(rehearse(slot("18-0042"))).await else { panic!() };
    assert_eq!(trouble.code, "MM-5701");
    let ProvisioningAnswer::Trouble(trouble) =
        town.ask(ProvisioningQuestion::ReceiptShow { receipt: "r-x".into() }).await
    else {
        panic!()
    };
    assert_eq!(trouble.code, "MM-5702");
}

/// Each neighbour in turn is away: the others acknowledge, it stays pending, and it is asked until it is back.
#[tokio::test]
async fn a_point_that_fails_stays_pending_and_the_others_do_not_wait() {
    let (town, place) = enrolled().await;
    town.around.vpn.mood.set(|question| match question {
        SeatsQuestion::Unseat { .. } => Mode::Fails,
        _ => Mode::Works,
    });
    town.around.gateway.mood.set(|_| Mode::Fails);
    let receipt = town.revoke(place, RevokeReason::Stolen).await;
    assert!(!receipt.complete && receipt.signature.is_none());
    town.until("the others", async || {
        let receipt = show(&town, &receipt.receipt).await;
        open(&receipt) == ["vpn", "firewall", "gateway"] && receipt.points[0].attempts > 1
    })
    .await;
    let vpn = show(&town, &receipt.receipt).await.points.remove(0);
    assert!(vpn.last_error.as_ref().unwrap().contains("dead"), "{vpn:?}");
    assert_eq!(town.around.pki.attested().len(), 0, "nothing incomplete is signed");

    *town.around.vpn.firewall_pending.lock().unwrap() = true;
    town.around.vpn.mood.set(|_| Mode::Works);
    town.until("vpn", async || open(&show(&town, &receipt.receipt).await) == ["firewall", "gateway"]).await;
    *town.around.vpn.firewall_pending.lock().unwrap() = false;
    town.around.gateway.mood.set(|_| Mode::Works);
    town.until("complete", async || show(&town, &receipt.receipt).await.complete).await;
}

/// Killed right after the commit, with every neighbour hanging: a new start goes on where it stopped.
#[tokio::test]
async fn a_crash_after_the_intent_loses_nothing() {
    let (mut town, place) = enrolled().await;
    town.around.vpn.mood.set(|_| Mode::Hangs);
    town.around.pki.mood.set(|_| Mode::Hangs);
    town.around.gateway.mood.set(|_| Mode::Hangs);
    town.around.sns.mood.set(|_| Mode::Hangs);
    let room = town.room();
    let question = ProvisioningQuestion::DeviceRevoke {
        slot: place,
        reason: RevokeReason::Leak,
        note: None,
        dry_run: false,
    };
    town.begin(async move { room.operator(question, super::world::operator()).await });
    town.until("committed", async || town.number("SELECT count(*) FROM revocation").await == 1).await;
    town.crash();
    assert_eq!(town.text("SELECT state FROM slot").await, "revoked");

    // First only the vpn room is back, then that is lost too, then all are.
    town.around.vpn.mood.set(|_| Mode::Works);
    town.start().await;
    town.until("vpn", async || {
        town.number(
            "SELECT count(*) FROM revocation_point WHERE point = 'vpn' AND acknowledged_at IS NOT NULL",
        )
        .await
            == 1
    })
    .await;
    let vpn_at = town.number("SELECT acknowledged_at FROM revocation_point WHERE point = 'vpn'").await;
    town.crash();
    town.around.pki.mood.set(|_| Mode::Works);
    town.around.gateway.mood.set(|_| Mode::Works);
    town.around.sns.mood.set(|_| Mode::Works);
    town.start().await;
    let receipt = town.text("SELECT receipt FROM revocation").await;
    town.until("complete", async || show(&town, &receipt).await.complete).await;
    let still = town.number("SELECT acknowledged_at FROM revocation_point WHERE point = 'vpn'").await;
    assert_eq!(still, vpn_at, "what was acknowledged is not asked again");
    only(&town.around.pki.reasons(), &RevocationReason::KeyCompromise);
}

/// The signature's answer is lost with the authority: it is asked for again, the receipt has one.
#[tokio::test]
async fn a_crash_before_the_signature_is_signed_later() {
    let (mut town, place) = enrolled().await;
    town.around.pki.mood.set(|question| match question {
        IssuingQuestion::Attest { .. } => Mode::DiesAfterwards,
        _ => Mode::Works,
    });
    let receipt = town.revoke(place, RevokeReason::Replaced).await;
    assert!(!receipt.complete);
    town.until("all but the signature", async || open(&show(&town, &receipt.receipt).await).is_empty()).await;
    assert!(!show(&town, &receipt.receipt).await.complete);
    town.crash();
    town.around.pki.mood.set(|_| Mode::Works);
    town.start().await;
    town.until("complete", async || show(&town, &receipt.receipt).await.complete).await;
    only(&town.around.pki.reasons(), &RevocationReason::Superseded);
}

/// The thief's claim is being signed while the device is reported: the certificate comes too late to live.
#[tokio::test]
async fn a_claim_under_way_ends_with_the_slot() {
    let town = Town::new().await;
    let place = slot("18-0000");
    let body = town.claim_body(place, 7).await;
    town.around.pki.mood.set(|question| match question {
        IssuingQuestion::Issue { .. } => Mode::Hangs,
        _ => Mode::Works,
    });
    let claim =
        town.begin(tower::ServiceExt::oneshot(town.room().router(), claim_request(place, body.clone())));
    town.until("begun", async || town.number("SELECT count(*) FROM claim").await == 1).await;
    revoked(&town, place, RevokeReason::Stolen).await;
    town.around.pki.mood.set(|_| Mode::Works);
    claim.abort();
    let late = town.claim(place, body).await;
    assert_eq!(late.code(), "MM-5409");
    town.until("revoked", async || town.around.pki.living(place).is_empty()).await;
    assert!(town.around.vpn.seat(place, false).is_none() && town.around.vpn.seat(place, true).is_none());
}

/// Letters that wait never leave a revoked slot.
#[tokio::test]
async fn held_letters_are_cancelled_and_wiped() {
    let (town, place) = enrolled().await;
    town.execute(
        "INSERT INTO outbox (message, kind, recipient, slot, payload, state, next_at, created_at)
         VALUES ('o-1', 'mail M-02', 'x', '18-0000', 'secret', 'waiting', 0, 0)",
    )
    .await;
    let receipt = revoked(&town, place, RevokeReason::Lost).await;
    assert_eq!(receipt.points[5].detail.as_deref(), Some("1 letters cancelled"));
    assert_eq!(town.text("SELECT state || payload FROM outbox WHERE message = 'o-1'").await, "cancelled");
}
