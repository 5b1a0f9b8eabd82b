//! 引継ぎ on the secretariat's screen: rehearsed with its bad cells, imported, listed, begun and taken back, each press once.

use http::StatusCode;

use super::pages::{get, kept, location, send};
use super::papers::upload_to;
use super::takeover::{FACILITIES, SLOTS, STAFF, book, registers};
use super::town::Town;
use provisioning::door_takeover::TakeoverQuestion;

#[tokio::test]
async fn a_clerk_takes_registers_over_on_the_screen() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    let empty = get(&town, &office, "/takeover", "takeover-empty").await;
    assert!(empty.text.contains("まだありません") && empty.text.contains("enctype=\"multipart/form-data\""));
    let template = send(&town, &office, "GET", "/takeover/template", &[]).await;
    assert_eq!(template.status, StatusCode::OK);
    assert!(template.headers["content-disposition"].to_str().unwrap().contains(".xlsx"));
    assert!(
        get(&town, &office, "/facilities", "office-facilities-takeover")
            .await
            .text
            .contains("href=\"/takeover\"")
    );

    let slots = SLOTS.replace("18-0042", &place.to_string()).replace("18-0043", "43");
    let staff = STAFF.replace("R6.2.15", "きのう").replace("taro@care.example.jp", "taro");
    let bad = book(&[("様式1", FACILITIES), ("職員", &staff), ("VPN番号", &slots)]);
    let before = town.counted().await;
    let refused = kept("takeover-bad", upload_to(&town, &office, "/takeover", &bad, true).await);
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    for wanted in ["職員 F2", "職員 G2", "VPN番号 C2", "VPN番号 C3", "MM-5942", "何も取り込んでいません"]
    {
        assert!(refused.text.contains(wanted), "{wanted}");
    }
    let no_book = kept("takeover-no-book", upload_to(&town, &office, "/takeover", b"%PDF-1.7", false).await);
    assert!(no_book.text.contains("MM-5110"));

    let rehearsed =
        kept("takeover-rehearsed", upload_to(&town, &office, "/takeover", &registers(), true).await);
    assert!(rehearsed.status == StatusCode::OK && rehearsed.text.contains("まだ取り込んでいません"));
    assert_eq!(town.counted().await["takeover"], before["takeover"]);
    let done = kept("takeover-done", upload_to(&town, &office, "/takeover", &registers(), false).await);
    assert!(done.text.contains("取り込みました") && done.text.contains("2か所"));
    let again = kept("takeover-again", upload_to(&town, &office, "/takeover", &registers(), false).await);
    assert!(again.text.contains("新しく取り込むものはありません"));

    let lines = town.lines(TakeoverQuestion::List).await.unwrap();
    let batch = format!("/takeover/{}", lines[0].batch);
    let listed = get(&town, &office, &batch, "takeover-batch").await;
    assert!(listed.text.contains("ケアプランふくい") && listed.text.contains("18-0120"));
    let filtered = get(&town, &office, &format!("{batch}?state=started"), "takeover-batch-none").await;
    assert!(filtered.text.contains("この条件に合う事業所はありません"));
    let one = |name: &str| {
        let line = super::takeover::of(&lines, name);
        format!("{batch}/{}", line.facility)
    };
    let (care, sakura) = (one("ケアプランふくい"), one("訪問看護さくら"));
    get(&town, &office, &care, "takeover-show").await;

    // Each button twice: the second press shows what the first did.
    for _ in 0..2 {
        let undone = send(&town, &office, "POST", &format!("{care}/undo"), &[]).await;
        assert_eq!(location(&undone), care);
    }
    assert!(get(&town, &office, &care, "takeover-undone").await.text.contains("元に戻しました"));
    for _ in 0..2 {
        assert_eq!(location(&send(&town, &office, "POST", &format!("{sakura}/start"), &[]).await), sakura);
    }
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'takeover.start'").await, 1);
    get(&town, &office, &sakura, "takeover-started").await;
    let late = kept("takeover-late", send(&town, &office, "POST", &format!("{sakura}/undo"), &[]).await);
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("MM-5944"), "{}", late.text);

    // All of a batch that wait, at once, and again.
    upload_to(&town, &office, "/takeover", &registers(), false).await;
    let newest = format!("/takeover/{}", town.lines(TakeoverQuestion::List).await.unwrap()[0].batch);
    assert_ne!(newest, batch);
    for _ in 0..2 {
        let started = send(&town, &office, "POST", &format!("{newest}/start"), &[]).await;
        assert_eq!(location(&started), newest);
    }
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'takeover.start'").await, 2);
    get(&town, &office, "/takeover", "takeover").await;

    // What is nobody's is not found, and the facility's own admin has no such page (B-00).
    for path in
        ["/takeover/t-2026-99999", "/takeover/x", &format!("{batch}/{facility}"), &format!("{batch}/x")]
    {
        let none = send(&town, &office, "GET", path, &[]).await;
        assert_eq!(none.status, StatusCode::NOT_FOUND, "{path}");
    }
    let admin = town.admin(&facility, place).await;
    let refused = upload_to(&town, &admin, "/takeover", &registers(), false).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}
