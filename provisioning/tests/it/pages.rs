//! The consoles as people use them: forms without a script, a page that says what will happen, the act, the page that
//! shows it. Every page is also left below the target folder, to be looked at in a browser.

use axum::body::Body;
use http::{Request, StatusCode};
use pki::identity::{Identity, Role};

use super::town::{Answer, Town};

pub async fn send(town: &Town, who: &Identity, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
    let coded =
        form.iter().map(|(name, value)| format!("{name}={}", coded(value))).collect::<Vec<_>>().join("&");
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("mimamori-identity", who.to_string())
        .header("mimamori-trace", "0123456789abcdef")
        .header("accept", "text/html,application/xhtml+xml")
        .header("content-type", "application/x-www-form-urlencoded");
    town.send(request.body(Body::from(coded)).unwrap()).await
}

fn coded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

pub async fn get(town: &Town, who: &Identity, path: &str, name: &str) -> Answer {
    let answer = send(town, who, "GET", path, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    kept(name, answer)
}

/// The one script of the consoles: it exchanges parts that go on while somebody looks, each of them named.
pub const LIVE: &str = "<script src=\"/live.js\" defer></script>";

/// Whole, quiet and ours: no script in it, no style of its own, nothing of another host, never kept.
pub fn kept(name: &str, answer: Answer) -> Answer {
    assert_eq!(answer.headers["cache-control"], "no-store");
    let (live, all) =
        (answer.text.matches("\" data-live>").count(), answer.text.matches("data-live").count());
    assert!(
        live == all && (live == 0 || answer.text.contains(LIVE)),
        "{name}: parts without a name or the script"
    );
    let text = answer.text.replace(LIVE, "");
    for no in ["<script", "style=", "onclick", "src=\"http", "href=\"http"] {
        assert!(!text.contains(no), "{name}: {no}");
    }
    assert!(answer.text.contains("<html lang=\"ja\">") && answer.text.contains("/assets/mimamori.css"));
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.html")), &answer.text).unwrap();
    answer
}

pub fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    answer.headers["location"].to_str().unwrap().to_owned()
}

/// The hidden field of a form.
pub fn once(page: &str) -> String {
    page.split_once("name=\"once\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned()
}

pub fn link<'a>(page: &'a str, to: &str) -> &'a str {
    let from = page.find(to).unwrap_or_else(|| panic!("no {to}"));
    page[from..].split_once('"').unwrap().0
}

#[tokio::test]
async fn a_clerk_accepts_a_case_and_stops_a_device() {
    let town = Town::new().await;
    let (_, place) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    let home = get(&town, &office, "/", "office-home").await;
    assert!(home.text.contains("受理を待つ申込") && home.text.contains(&place.to_string()));
    let cases = get(&town, &office, "/cases", "office-cases").await;
    let all = get(&town, &office, "/cases/accept", "office-accept-all").await;
    assert!(all.text.contains("mimamori case accept --all"));
    let path = link(&cases.text, "/cases/20").to_owned();
    let case = get(&town, &office, &path, "office-case").await;
    assert!(case.text.contains("受理すると") && case.text.contains("mimamori case accept 20"));
    assert_eq!(
        town.number("SELECT count(*) FROM facility WHERE kind <> '事務局'").await,
        1,
        "looking accepts nothing"
    );
    for _press in 0..2 {
        assert_eq!(location(&send(&town, &office, "POST", &format!("{path}/accept"), &[]).await), path);
    }
    assert_eq!(town.number("SELECT count(*) FROM facility WHERE kind <> '事務局'").await, 2);
    get(&town, &office, &path, "office-case-accepted").await;
    let facilities = get(&town, &office, "/facilities", "office-facilities").await;
    get(&town, &office, link(&facilities.text, "/facilities/f-"), "office-facility").await;
    get(&town, &office, "/slots", "office-slots").await;

    town.enrolled(place, 61).await;
    get(&town, &office, &format!("/slots/{place}"), "office-slot").await;
    let confirm = get(&town, &office, &format!("/slots/{place}/revoke"), "office-revoke").await;
    assert!(confirm.text.contains("元に戻せません") && confirm.text.contains("mimamori device revoke"));
    assert_eq!(town.number("SELECT count(*) FROM revocation").await, 0);
    let unsaid = send(&town, &office, "POST", &format!("/slots/{place}/revoke"), &[("reason", "")]).await;
    assert!(unsaid.status == StatusCode::UNPROCESSABLE_ENTITY && unsaid.text.contains("MM-5607"));
    let form = [("reason", "retired"), ("note", "返却")];
    let receipt = location(&send(&town, &office, "POST", &format!("/slots/{place}/revoke"), &form).await);
    let receipt = get(&town, &office, &receipt, "office-receipt").await;
    assert!(receipt.text.contains("もう使えません") && receipt.text.contains("使用終了"));
    get(&town, &office, &format!("/slots/{place}"), "office-slot-revoked").await;
}

/// Requirements B-04, B-06, B-14, H-11.
#[tokio::test]
async fn an_admin_registers_adds_and_reports_lost_in_two_taps() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let (facility, place) = facilities[0].clone();
    town.enrolled(place, 71).await;
    let admin = town.admin(&facility, place).await;
    get(&town, &admin, "/", "admin-devices").await;
    let people = get(&town, &admin, "/people", "admin-people").await;
    let once_people = once(&people.text);
    let person = |login: &'static str, once: String| {
        vec![
            ("name", "足羽 桜".to_owned()),
            ("profession", "看護師".to_owned()),
            ("login", login.to_owned()),
            ("pledge_date", "2026-04-01".to_owned()),
            ("once", once),
        ]
    };
    let post = async |fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        send(&town, &admin, "POST", "/people", &fields).await
    };
    let wrong = kept("admin-people-wrong", post(person("たろう", once_people.clone())).await);
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("MM-5601"));
    assert!(wrong.text.contains("value=\"足羽 桜\""), "nothing typed is lost");
    let made = kept("admin-person-made", post(person("sakura@a.example", once(&wrong.text))).await);
    assert!(made.status == StatusCode::CREATED && made.text.contains("はじめのパスワード"));

    let confirm = get(&town, &admin, "/devices/add", "admin-device-add").await;
    assert_eq!(town.number("SELECT count(*) FROM enrolment WHERE admin_person IS NULL").await, 0);
    let once_add = once(&confirm.text);
    let form = [("label", "訪問用タブレット2"), ("once", once_add.as_str())];
    let codes = kept("admin-device-codes", send(&town, &admin, "POST", "/devices/add", &form).await);
    assert!(codes.status == StatusCode::OK && codes.text.matches("<svg").count() == 2);
    let again = kept("admin-device-again", send(&town, &admin, "POST", "/devices/add", &form).await);
    assert!(
        again.status == StatusCode::CONFLICT
            && again.text.contains("MM-5703")
            && !again.text.contains("<svg")
    );

    get(&town, &admin, &format!("/devices/{place}/lost"), "admin-lost").await;
    let receipt = location(&send(&town, &admin, "POST", &format!("/devices/{place}/lost"), &[]).await);
    assert!(get(&town, &admin, &receipt, "admin-receipt").await.text.contains("もう使えません"));
    get(&town, &admin, "/", "admin-devices-after").await;
    // Another facility's number and receipt answer like nobody's.
    let other = town.admin(&facilities[1].0, facilities[1].1).await;
    let foreign = send(&town, &other, "GET", &receipt, &[]).await;
    assert!(foreign.status == StatusCode::NOT_FOUND && foreign.text.contains("MM-5702"));
    let foreign = send(&town, &other, "GET", &format!("/devices/{place}/lost"), &[]).await;
    assert!(foreign.status == StatusCode::NOT_FOUND && foreign.text.contains("MM-5701"));
    kept("admin-problem", foreign);
}

#[tokio::test]
async fn patients_are_registered_linked_and_joined_by_forms() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let office = town.secretariat().await;
    let page = get(&town, &office, "/patients", "office-patients-none").await;
    let once_form = once(&page.text);
    let form = |consent: &'static str| {
        [
            ("name", "若狭 うららか"),
            ("kana", "わかさ うららか"),
            ("consent_date", consent),
            ("origin", facilities[0].0.as_str()),
            ("once", once_form.as_str()),
        ]
    };
    let wrong = kept("office-patients-wrong", send(&town, &office, "POST", "/patients", &form("")).await);
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("MM-5608"));
    for _press in 0..2 {
        assert_eq!(
            location(&send(&town, &office, "POST", "/patients", &form("2026-10-01")).await),
            "/patients"
        );
    }
    let page = get(&town, &office, "/patients", "office-patients").await;
    assert_eq!(page.text.matches("<th scope=\"row\"").count(), 1, "pressed twice, registered once");
    for (sought, found) in [("ﾜｶｻ", 0), ("若狭", 1), ("うららか", 1), ("越前", 0)] {
        let page = kept(
            "office-patients-sought",
            send(&town, &office, "POST", "/patients/find", &[("q", sought)]).await,
        );
        assert_eq!(page.text.matches("<th scope=\"row\"").count(), found, "{sought}");
    }
    let path = link(&page.text, "/patients/t-").to_owned();
    let linked = send(&town, &office, "POST", &path, &[("facility", facilities[1].0.as_str())]).await;
    assert_eq!(location(&linked), "/patients");
    let admin = town.admin(&facilities[1].0, facilities[1].1).await;
    assert!(get(&town, &admin, "/patients", "admin-patients").await.text.contains("若狭 うららか"));
    let nobody = send(&town, &admin, "POST", "/patients/t-nothere/members", &[("membership", "m-a")]).await;
    assert!(nobody.status == StatusCode::NOT_FOUND && nobody.text.contains("MM-561"));
}

/// Every page of one role is nothing for the others.
#[tokio::test]
async fn each_console_is_closed_to_the_others() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let (office, admin) = (town.secretariat().await, town.admin(&facility, place).await);
    let as_role = |role| Identity { role, ..admin.clone() };
    for path in
        ["/cases", "/cases/accept", "/facilities", "/slots", "/slots/18-0001", "/slots/18-0001/revoke"]
    {
        for who in [admin.clone(), as_role(Role::Staff), as_role(Role::Family)] {
            let answer = send(&town, &who, "GET", path, &[]).await;
            assert!(
                answer.status == StatusCode::FORBIDDEN && answer.text.contains("MM-5801"),
                "{path} {}",
                who.role
            );
        }
    }
    for path in ["/people", "/devices/add"] {
        for who in [office.clone(), as_role(Role::Staff), as_role(Role::Family)] {
            assert_eq!(
                send(&town, &who, "GET", path, &[]).await.status,
                StatusCode::FORBIDDEN,
                "{path} {}",
                who.role
            );
        }
    }
    for path in ["/cases/accept", "/slots/18-0001/revoke", "/patients"] {
        let answer = send(&town, &admin, "POST", path, &[("reason", "lost")]).await;
        assert!(answer.status.is_client_error(), "{path}");
    }
    assert_eq!(town.number("SELECT count(*) FROM revocation").await, 0);
    assert_eq!(send(&town, &admin, "GET", "/nothing", &[]).await.status, StatusCode::NOT_FOUND);
}

/// D-01, E-03: the mail that came back stands on the first page, and two tappings mend it.
#[tokio::test]
async fn a_clerk_mends_an_address_and_renews_a_sheet() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let (place, other) = (facilities[0].1, facilities[1].0.clone());
    let office = town.secretariat().await;
    town.until("the papers have left", async || {
        town.number("SELECT count(*) FROM outbox WHERE state = 'waiting'").await == 0
    })
    .await;
    town.execute(
        "UPDATE outbox SET state = 'failed', payload = '[]', sent_at = NULL, attempts = 1,
            last_answer = '550 no such user here' WHERE message = 'o-bundle-18-0001-1'",
    )
    .await;
    let home = get(&town, &office, "/", "office-home-refused").await;
    assert!(home.text.contains("届いていないもの") && home.text.contains("宛先のアドレスがありません"));
    let letter = link(&home.text, "/letters/o-bundle-18-0001-1").to_owned();
    let page = get(&town, &office, &letter, "office-letter").await;
    assert!(page.text.contains("550 no such user here") && page.text.contains("mimamori mail retry"));
    let form = link(&page.text, "/facilities/f-").to_owned();
    let form = format!("{}/admin-address", form.trim_end_matches("/admin-address"));
    get(&town, &office, &form, "office-address").await;

    let typed = |one: &'static str, two: &'static str| [("address", one), ("again", two)];
    let differ = typed("kanri@sakura.example.jp", "kanri@sakra.example.jp");
    let unsaid = send(&town, &office, "POST", &form, &differ).await;
    assert!(unsaid.status == StatusCode::UNPROCESSABLE_ENTITY && unsaid.text.contains("MM-5616"));
    assert!(unsaid.text.contains("value=\"kanri@sakura.example.jp\""), "what was typed stays");
    kept("office-address-differs", unsaid);
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'facility.admin-address'").await, 0);
    let right = typed("kanri@sakura.example.jp", "KANRI@sakura.example.jp ");
    let done = send(&town, &office, "POST", &form, &right).await;
    assert!(done.status == StatusCode::OK && done.text.contains("1通"), "{}", done.text);
    kept("office-address-done", done);
    town.until("it has left", async || {
        town.number("SELECT count(*) FROM outbox WHERE state = 'sent' AND message = 'o-bundle-18-0001-1'")
            .await
            == 1
    })
    .await;
    assert_eq!(
        town.text("SELECT recipient FROM outbox WHERE message = 'o-bundle-18-0001-1'").await,
        "kanri@sakura.example.jp"
    );
    let case =
        "SELECT c.case_id FROM office_case c JOIN slot s ON s.facility = c.facility WHERE s.slot = '18-0001'";
    let path = format!("/cases/{}", town.text(case).await);
    let case = get(&town, &office, &path, "office-case-letters").await;
    assert!(
        case.text.contains("印刷用のフォルダーに書き出しました")
            && case.text.contains("kanri@sakura.example.jp")
    );

    town.execute("UPDATE enrolment SET valid_until = 0 WHERE slot = '18-0001'").await;
    let home = get(&town, &office, "/", "office-home-late").await;
    let extend = link(&home.text, &format!("/slots/{place}/extend")).to_owned();
    let confirm = get(&town, &office, &extend, "office-extend").await;
    assert!(confirm.text.contains("そのまま使えます") && confirm.text.contains("mimamori slot extend"));
    assert_eq!(town.number("SELECT valid_until FROM enrolment WHERE slot = '18-0001'").await, 0);
    let slot = format!("/slots/{place}");
    assert_eq!(location(&send(&town, &office, "POST", &extend, &[]).await), slot);
    let shown = get(&town, &office, &slot, "office-slot-waits").await;
    assert!(shown.text.contains("再発行…") && !shown.text.contains("期限切れ"));
    let reissue = format!("{slot}/reissue");
    let confirm = get(&town, &office, &reissue, "office-reissue").await;
    assert!(confirm.text.contains("先に送った接続設定は、その場で使えなくなります"));
    assert_eq!(location(&send(&town, &office, "POST", &reissue, &[]).await), slot);
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'slot.reissue'").await, 1);

    // None of it is anybody else's.
    let admin = town.admin(&other, place).await;
    for path in [letter.as_str(), &form, &extend, &reissue] {
        for method in ["GET", "POST"] {
            let status = send(&town, &admin, method, path, &[]).await.status;
            assert!(matches!(status.as_u16(), 403 | 405), "{method} {path} {status}");
        }
    }
}
