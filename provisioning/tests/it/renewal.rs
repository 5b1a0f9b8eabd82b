//! 延長 and 再発行 (ruling 5): the sheet stays good, the old bootstrap key does not.

use http::StatusCode;
use provisioning::accounts::AccountCheck;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, Renewal, RevokeReason, Trouble};
use vpn::door::SeatsQuestion;
use vpn::slot::SlotNumber;

use super::neighbours::Mode;
use super::town::{OWN_PASSWORD, Town, slot};

async fn asked(town: &Town, question: ProvisioningQuestion) -> Result<Renewal, Trouble> {
    match town.ask(question).await {
        ProvisioningAnswer::Renewed(renewal) => Ok(renewal),
        ProvisioningAnswer::Trouble(trouble) => Err(trouble),
        other => panic!("{other:?}"),
    }
}

async fn extend(town: &Town, slot: SlotNumber, dry_run: bool) -> Result<Renewal, Trouble> {
    asked(town, ProvisioningQuestion::SlotExtend { slot, dry_run }).await
}

async fn reissue(town: &Town, slot: SlotNumber) -> Result<Renewal, Trouble> {
    asked(town, ProvisioningQuestion::SlotReissue { slot, dry_run: false }).await
}

async fn until_written(town: &Town, renewal: &Renewal) {
    let letter = renewal.letter.clone().unwrap();
    assert!(letter.starts_with("o-"), "{letter}");
    town.until("the letter has left", async || {
        town.number("SELECT count(*) FROM outbox WHERE state = 'waiting'").await == 0
    })
    .await;
}

fn file(town: &Town, path: &str) -> String {
    std::fs::read_to_string(town.config.output.join(path)).unwrap()
}

fn private_key(town: &Town, slot: SlotNumber) -> String {
    let profile = file(town, &format!("bundles/{slot}/mima-{slot}.conf"));
    profile.lines().find_map(|line| line.strip_prefix("PrivateKey = ")).unwrap().to_owned()
}

/// The 30 days, and the 24 hours, begin anew; number, password and bootstrap key are the ones that were printed.
#[tokio::test]
async fn an_extended_sheet_opens_what_it_opened_before() {
    let town = Town::new().await;
    let (_, place) = town.facilities(1).await.remove(0);
    let body = town.claim_body(place, 7).await;
    town.until("seated", async || town.around.vpn.seat(place, true).is_some()).await;
    let key = town.around.vpn.seat(place, true).unwrap().key;
    assert_eq!(extend(&town, place, false).await.unwrap().letter, None, "30 days from today already");

    town.execute("UPDATE enrolment SET valid_until = 1 WHERE slot = '18-0001'").await;
    assert_eq!(town.claim(place, body.clone()).await.code(), "MM-5404");
    let would = extend(&town, place, true).await.unwrap();
    assert!(would.dry_run && would.letter.is_some());
    assert_eq!(town.number("SELECT valid_until FROM enrolment WHERE slot = '18-0001'").await, 1);
    let renewal = extend(&town, place, false).await.unwrap();
    until_written(&town, &renewal).await;
    let notice = file(&town, "notices/18-0001-extension.txt");
    assert!(notice.contains("18-0001") && notice.contains("そのまま使えます"), "{notice}");
    assert!(extend(&town, place, false).await.unwrap().letter.is_none(), "once a day is enough");
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'slot.extend'").await, 1);
    assert_eq!(town.number("SELECT count(*) FROM outbox WHERE kind = 'extension'").await, 1);

    // A right entry, then a day and a night.
    town.execute("UPDATE enrolment SET opened_at = 1 WHERE slot = '18-0001'").await;
    assert_eq!(town.claim(place, body.clone()).await.code(), "MM-5405");
    extend(&town, place, false).await.unwrap();
    assert_eq!(town.around.vpn.seat(place, true).unwrap().key, key, "the bundle is the same");
    assert_eq!(town.claim(place, body).await.status, StatusCode::OK);
    assert_eq!(extend(&town, place, false).await.unwrap_err().code, "MM-5712", "half claimed");
}

/// The attacker read the mail and has locked the sheet with guesses: the key in that mail is dead from now on.
#[tokio::test]
async fn after_a_reissue_the_old_bootstrap_key_is_dead_and_the_sheet_lives() {
    let town = Town::new().await;
    let (_, place) = town.facilities(1).await.remove(0);
    let body = town.claim_body(place, 7).await;
    let sheet = file(&town, "sheets/18-0001.txt");
    town.until("seated", async || town.around.vpn.seat(place, true).is_some()).await;
    let (old, stolen) = (town.around.vpn.seat(place, true).unwrap(), private_key(&town, place));
    town.execute("UPDATE enrolment SET failures = 15, state = 'locked' WHERE slot = '18-0001'").await;
    assert_eq!(town.claim(place, body.clone()).await.code(), "MM-5403");
    assert_eq!(extend(&town, place, false).await.unwrap_err().code, "MM-5712", "time opens no lock");

    let renewal = reissue(&town, place).await.unwrap();
    let new = town.around.vpn.seat(place, true).unwrap();
    assert!(new.key != old.key && new.psk.expose_base64() != old.psk.expose_base64());
    assert!(new.generation > old.generation, "a late word cannot bring the old one back");
    let seats = town.number("SELECT count(*) FROM seat WHERE slot = '18-0001'").await;
    assert_eq!(seats, 1, "one key, and it is the new one");
    until_written(&town, &renewal).await;
    assert_ne!(private_key(&town, place), stolen);
    assert_eq!(file(&town, "sheets/18-0001.txt"), sheet, "nothing is printed again");
    assert_eq!(town.text("SELECT note FROM slot_history WHERE entry = '18-0001/2/issued'").await, "再発行");

    assert_eq!(town.claim(place, body).await.status, StatusCode::OK, "the same number and password");
    town.around.vpn.handshake(place, false, "192.0.2.1:6000");
    town.until("the bootstrap seat is empty", async || town.around.vpn.seat(place, true).is_none()).await;
    assert_eq!(
        reissue(&town, place).await.unwrap_err().code,
        "MM-5711",
        "a device in service keeps its keys"
    );
    assert_eq!(extend(&town, place, false).await.unwrap_err().code, "MM-5711");
}

/// Somebody claimed with a stolen bundle and sheet, and has not connected yet: nothing of it is worth anything.
#[tokio::test]
async fn a_reissue_takes_back_what_was_claimed_before() {
    let town = Town::new().await;
    let (_, place) = town.facilities(1).await.remove(0);
    let body = town.claim_body(place, 7).await;
    assert_eq!(town.claim(place, body.clone()).await.status, StatusCode::OK);
    let claimed = town.around.vpn.seat(place, false).unwrap();
    let login = town.text("SELECT login FROM person p JOIN enrolment e ON e.admin_person = p.person WHERE e.slot = '18-0001'").await;
    let signs_in = async || {
        let (room, login) = (town.room(), login.clone());
        let check = town.begin(async move { room.check_account(&login, OWN_PASSWORD).await.unwrap() });
        matches!(check.await.unwrap(), AccountCheck::Right { .. })
    };
    assert!(signs_in().await, "chosen in the claim");

    reissue(&town, place).await.unwrap();
    assert!(town.around.vpn.seat(place, false).is_none(), "its tunnel is gone");
    town.until("its certificate is revoked", async || town.around.pki.living(place).is_empty()).await;
    assert!(!signs_in().await, "and so is the password that came with it");
    town.around.vpn.handshake_of(place, false, claimed.generation, "203.0.113.9:7000");
    town.until("the late word was heard", async || town.around.vpn.heard()).await;
    assert_eq!(town.text("SELECT state FROM enrolment WHERE slot = '18-0001'").await, "open");

    let again = town.claim(place, town.claim_body(place, 8).await).await;
    assert_eq!((again.status, again.json()["claims_left"].as_u64()), (StatusCode::OK, Some(2)), "three anew");
}

/// The vpn room is away: the act is done, the old key dies as soon as the room is back (ruling 8).
#[tokio::test]
async fn a_reissue_waits_for_nobody_and_is_carried_out_later() {
    let town = Town::new().await;
    let (_, place) = town.facilities(1).await.remove(0);
    town.until("seated", async || town.around.vpn.seat(place, true).is_some()).await;
    let old = town.around.vpn.seat(place, true).unwrap();
    town.around.vpn.mood.set(|_: &SeatsQuestion| Mode::Fails);
    reissue(&town, place).await.unwrap();
    assert_eq!(town.around.vpn.seat(place, true).unwrap().key, old.key);
    town.around.vpn.mood.set(|_: &SeatsQuestion| Mode::Works);
    town.until("the old key is dead", async || {
        town.around.vpn.seat(place, true).is_some_and(|seat| seat.key != old.key)
    })
    .await;
}

/// A letter with a dead key never leaves, and neither act touches what is not a waiting sheet.
#[tokio::test]
async fn only_a_waiting_sheet_is_renewed() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let (place, lost) = (facilities[0].1, facilities[1].1);
    town.claim_body(place, 7).await;
    town.execute("UPDATE outbox SET state = 'failed', payload = '[]' WHERE message = 'o-bundle-18-0001-1'")
        .await;
    reissue(&town, place).await.unwrap();
    assert_eq!(town.text("SELECT state FROM outbox WHERE message = 'o-bundle-18-0001-1'").await, "cancelled");

    town.revoke(lost, RevokeReason::Lost).await;
    let unused = slot("18-0002");
    for (place, code) in [(lost, "MM-5714"), (unused, "MM-5714"), (slot("18-4711"), "MM-5311")] {
        assert_eq!(reissue(&town, place).await.unwrap_err().code, code, "{place}");
        assert_eq!(extend(&town, place, false).await.unwrap_err().code, code, "{place}");
    }
    // Codes on a screen have no paper and no mail.
    town.execute("UPDATE enrolment SET admin_person = NULL WHERE slot = '18-0001'").await;
    assert_eq!(reissue(&town, place).await.unwrap_err().code, "MM-5713");
    // The secretariat's own first device is renewed like any other.
    assert!(reissue(&town, slot("18-0000")).await.unwrap().letter.is_some());
}
