//! The clerk's way with scans (E-12a, E-13): the pile, its receipt, the tray, the page and the case.

use http::StatusCode;

use super::pages::{get, kept, link, location, send};
use super::scans::{COLOUR, Desk, GREY, pictured};

/// Files with their names, as a browser sends what was chosen.
async fn uploaded(desk: &Desk, files: &[&[u8]], rehearse: bool) -> super::town::Answer {
    let mut body = b"--x9\r\nContent-Disposition: form-data; name=\"came\"\r\n\r\nfax\r\n".to_vec();
    if rehearse {
        body.extend(b"--x9\r\nContent-Disposition: form-data; name=\"rehearse\"\r\n\r\nyes\r\n");
    }
    for file in files {
        body.extend(b"--x9\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\n");
        body.extend(*file);
        body.extend(b"\r\n");
    }
    body.extend(b"--x9--\r\n");
    let request = http::Request::post("/scans")
        .header("mimamori-identity", desk.office.to_string())
        .header("mimamori-trace", "0123456789abcdef")
        .header("accept", "text/html")
        .header("content-type", "multipart/form-data; boundary=x9");
    desk.town.send(request.body(body.into()).unwrap()).await
}

/// E-12a, E-13 on the screen: a pile goes in, its receipt says where each page went, the tray is on the first page, a page is looked at
/// and put to its case, which gets its patient, and with it the page its key.
#[tokio::test]
async fn e_12a_a_clerk_takes_a_pile_in_and_sorts_what_is_left() {
    let desk = Desk::new().await;
    let (town, office) = (&desk.town, &desk.office);
    let (change, founding) = (desk.case("C-11", None).await, desk.case("C-1", None).await);
    let known = pictured(&desk.printed("様式3", Some(&change)).await, COLOUR);
    let blank = pictured(&desk.printed("様式5", None).await, GREY);
    get(town, office, "/scans", "scans-empty").await;
    let nothing = kept("scans-nothing", uploaded(&desk, &[], false).await);
    assert!(nothing.status == StatusCode::UNPROCESSABLE_ENTITY && nothing.text.contains("MM-5866"));
    let rehearsed = kept("scans-rehearsed", uploaded(&desk, &[&known, &blank], true).await);
    assert!(rehearsed.status == StatusCode::OK && rehearsed.text.contains("まだ取り込んでいません"));
    assert_eq!(town.number("SELECT count(*) FROM scan").await, 0);

    let taken = kept("scans-taken", uploaded(&desk, &[&known, b"GIF89a", &blank], false).await);
    assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(taken.text.contains("2番目のファイルは取り込んでいません") && taken.text.contains("MM-5840"));
    assert!(taken.text.contains(&format!("案件 {change}")) && taken.text.contains("MM-5853"));
    let home = get(town, office, "/", "office-home-scans").await;
    assert!(home.text.contains("仕分け待ちのスキャン") && home.text.contains("1ページ"));

    let path = link(&taken.text, "/scans/s-").to_owned();
    let page = get(town, office, &path, "scan-tray").await;
    assert!(page.text.contains(&format!("src=\"{path}/image\"")) && page.text.contains(&founding));
    let seen = send(town, office, "GET", &format!("{path}/image"), &[]).await;
    assert_eq!(
        (seen.status, &seen.headers["content-type"]),
        (StatusCode::OK, &"image/jpeg".parse().unwrap())
    );
    assert_eq!(seen.headers["cache-control"], "no-store");
    assert_eq!(desk.acts("scan.seen").await, 1, "who saw it is written down; the page around it is no sight");

    let wrong =
        send(town, office, "POST", &format!("{path}/file"), &[("case", "2026-99999"), ("form", "様式5")])
            .await;
    let wrong = kept("scan-wrong-case", wrong);
    assert!(wrong.status == StatusCode::NOT_FOUND && wrong.text.contains("value=\"2026-99999\""));
    let form = [("case", founding.as_str()), ("form", "様式5")];
    assert_eq!(location(&send(town, office, "POST", &format!("{path}/file"), &form).await), "/scans");
    let case = get(town, office, &format!("/flows/{founding}"), "flow-scan-waits").await;
    assert!(case.text.contains("患者の登録待ち") && case.text.contains("届いた書類"));

    let patient = desk.patient().await;
    let case = get(town, office, &format!("/flows/{founding}"), "flow-scan-patient").await;
    assert!(case.text.contains("患者を結び付ける"));
    let act = format!("/flows/{founding}/act");
    let strange = [("act", "patient"), ("patient", "t-ffffffffffffffffffffffffffffffff")];
    assert_eq!(send(town, office, "POST", &act, &strange).await.status, StatusCode::CONFLICT);
    let chosen = [("act", "patient"), ("patient", patient.as_str())];
    location(&send(town, office, "POST", &act, &chosen).await);
    town.until("it is under the patient's key", async || desk.of_case(&founding).await[0].key == "patient")
        .await;
    let case = get(town, office, &format!("/flows/{founding}"), "flow-scan").await;
    assert!(!case.text.contains("患者の登録待ち") && !case.text.contains("患者を結び付ける"));
    get(town, office, &path, "scan-filed").await;

    let other = uploaded(&desk, &[&pictured(&desk.printed("様式6", None).await, GREY)], false).await;
    let path = link(&other.text, "/scans/s-").to_owned();
    let away = [("why", "not-ours")];
    assert_eq!(location(&send(town, office, "POST", &format!("{path}/discard"), &away).await), "/scans");
    let gone = get(town, office, "/scans", "scans-gone").await;
    assert!(gone.text.contains("手続きの書類ではない"));
    assert_eq!(send(town, office, "GET", &format!("{path}/image"), &[]).await.status, StatusCode::CONFLICT);
}
