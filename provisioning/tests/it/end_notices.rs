//! Issue 5: an admin is told before a certificate ends, once per step, whatever happens to the machine meanwhile.

use super::pages::get;
use super::town::{Town, slot};
use http::StatusCode;
use vpn::slot::SlotNumber;

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// As if the certificate ended so many days from now.
async fn ends_in(town: &Town, place: SlotNumber, days: i64) {
    let registry = town.registry().await;
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    // Half a day more: no clock that moves on changes which step it is.
    sqlx::query("UPDATE device SET certificate_end = $2 WHERE slot = $1 AND state = 'active'")
        .bind(place.to_string())
        .bind(now + days * DAY + DAY / 2)
        .execute(&registry)
        .await
        .unwrap();
}

const TOLD: &str = "SELECT count(*) FROM end_notice";
const LETTERS: &str = "SELECT count(*) FROM audit WHERE action = 'certificate.end-notice'";

/// Off and on again: the worker looks when the room starts.
async fn looks_again(town: &mut Town) {
    town.settled().await;
    town.crash();
    town.start().await;
}

#[tokio::test]
async fn each_step_is_told_once_by_letter_and_on_the_desk_and_a_renewal_begins_anew() {
    let mut town = Town::new().await;
    let slots = town.facilities(1).await;
    let (facility, place) = slots[0].clone();
    town.enrolled(place, 7).await;
    looks_again(&mut town).await;
    assert_eq!(town.number(TOLD).await, 0, "three years are left");

    for (days, told) in [(89, 1), (80, 1), (5, 2), (3, 2), (0, 3), (-3, 3)] {
        ends_in(&town, place, days).await;
        looks_again(&mut town).await;
        town.until("told", async || town.number(TOLD).await >= told).await;
        // A second look, and another restart, tell nothing more.
        looks_again(&mut town).await;
        assert_eq!((town.number(TOLD).await, town.number(LETTERS).await), (told, told), "{days} days left");
    }
    let steps = "SELECT CAST(sum(days) AS BIGINT) FROM end_notice";
    assert_eq!(
        town.number(steps).await,
        90 + 7 + 1,
        "the 30th day was slept through, and the 7th told instead"
    );
    let notices = town.config.output.join("notices");
    let written: Vec<String> = std::fs::read_dir(&notices)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(written.iter().any(|text| text.contains(&place.to_string()) && text.contains("端末を追加")));

    let office = town.secretariat().await;
    let desk = get(&town, &office, "/", "office-ending").await;
    assert!(desk.status == StatusCode::OK && desk.text.contains("期限が近い証明書"), "{}", desk.text);
    assert!(desk.text.contains("期限を過ぎました") && desk.text.contains("に送付"));
    let admin = town.admin(&facility, place).await;
    let theirs = get(&town, &admin, "/", "admin-ending").await;
    assert!(theirs.text.contains("証明書の期限が近い端末") && theirs.text.contains("期限を過ぎました"));

    // The certificate that follows has its own steps.
    town.execute("UPDATE device SET certificate = 'another' WHERE state = 'active'").await;
    ends_in(&town, place, 20).await;
    looks_again(&mut town).await;
    town.until("told of the next", async || town.number(TOLD).await == 4).await;
}

#[tokio::test]
async fn one_letter_for_a_facilitys_devices_and_none_lost_without_an_address() {
    let mut town = Town::new().await;
    let place = slot("18-0000");
    town.enrolled(place, 7).await;
    // Nobody can be written to.
    town.settled().await;
    town.execute("UPDATE membership SET state = 'suspended'").await;
    ends_in(&town, place, 6).await;
    looks_again(&mut town).await;
    let office = town.secretariat().await;
    assert_eq!(town.number(TOLD).await, 0);
    assert!(get(&town, &office, "/", "office-no-address").await.text.contains("宛先がありません"));
    town.execute("UPDATE membership SET state = 'active'").await;
    looks_again(&mut town).await;
    town.until("told", async || town.number(TOLD).await == 1).await;
    town.settled().await;
    assert_eq!(town.number(LETTERS).await, 1);
}
