//! 管理台帳 (E-09) and the resource map (L-02, L-03): made from the registry, taken away as a file, brought back with what may be changed in it, and only that.

use http::StatusCode;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_paper::{MapKind, PaperKind, PaperQuestion};

use super::pages::{get, kept, send};
use super::papers::upload_to;
use super::town::Town;

/// E-09, H-17: out and back without a change; a pledge's day and a device's name come back; the rest is refused at its cell
/// and nothing of the file is taken.
/// Requirements H-05.
#[tokio::test]
async fn e_09_a_ledger_leaves_and_comes_back() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let (facility, slot) = facilities[0].clone();
    town.enrolled(slot, 9).await;
    let admin = town.admin(&facility, slot).await;
    let page = get(&town, &admin, "/ledger", "ledger").await;
    assert!(page.text.contains("利用者名簿") && page.text.contains(&slot.to_string()));
    let other = facilities[1].0.as_str();
    let peeked = send(&town, &admin, "GET", &format!("/ledger?facility={other}"), &[]).await;
    assert_eq!(peeked.text, page.text, "another's ledger is not to be had by its id");
    for kind in ["pdf", "xlsx", "csv", "csv&table=devices"] {
        let file = send(&town, &admin, "GET", &format!("/ledger/file?kind={kind}"), &[]).await;
        assert_eq!(file.status, StatusCode::OK, "{kind}");
        assert!(file.headers["content-disposition"].to_str().unwrap().contains("ledger-"), "{kind}");
    }
    let question =
        PaperQuestion::Ledger { facility: facility.clone(), kind: PaperKind::Xlsx, devices: false };
    let ProvisioningAnswer::File { bytes, .. } = town.ask(ProvisioningQuestion::Paper(question)).await else {
        panic!("no file")
    };
    let same = kept("ledger-same", upload_to(&town, &admin, "/ledger", &bytes, false).await);
    assert!(same.status == StatusCode::OK && same.text.contains("変わったところ 0か所"), "{}", same.text);

    let devices = send(&town, &admin, "GET", "/ledger/file?kind=csv&table=devices", &[]).await.text;
    let line = devices.lines().find(|line| line.contains(&slot.to_string())).unwrap().to_owned();
    let cells: Vec<&str> = line.split(',').collect();
    let renamed = devices.replace(&line, &[&[cells[0], "診察室のiPad"], &cells[2..]].concat().join(","));
    let rehearsed = upload_to(&town, &admin, "/ledger", renamed.as_bytes(), true).await;
    assert!(rehearsed.text.contains("変わったところ 1か所"), "{}", rehearsed.text);
    assert_eq!(town.number("SELECT count(*) FROM device WHERE label = '診察室のiPad'").await, 0);
    let done = kept("ledger-renamed", upload_to(&town, &admin, "/ledger", renamed.as_bytes(), false).await);
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(town.number("SELECT count(*) FROM device WHERE label = '診察室のiPad'").await, 1);

    let bad = renamed.replace("診察室のiPad", "別の端末").replace(&slot.to_string(), "18-9999");
    let refused = kept("ledger-bad", upload_to(&town, &admin, "/ledger", bad.as_bytes(), false).await);
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("MM-5931"));
    assert_eq!(town.number("SELECT count(*) FROM device WHERE label = '別の端末'").await, 0);
    let office = town.secretariat().await;
    let seen = get(&town, &office, &format!("/ledger?facility={facility}"), "ledger-office").await;
    assert!(!seen.text.contains("直した台帳を取り込む"), "the facility keeps it");
}

async fn exported(town: &Town, kind: MapKind) -> String {
    match town.ask(ProvisioningQuestion::Paper(PaperQuestion::Map { kind })).await {
        ProvisioningAnswer::File { bytes, .. } => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// L-02, L-03, B-26: the admin fills its entry in, says that it is shown, and citizens read it; nobody's name or mail
/// address goes with it, what is typed cannot become markup, and a fixed place stays.
#[tokio::test]
async fn l_03_an_entry_reaches_citizens_when_its_admin_shows_it_and_names_nobody() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let (facility, slot) = facilities[0].clone();
    let admin = town.admin(&facility, slot).await;
    get(&town, &admin, "/map", "map-entry").await;
    let mut form = vec![
        ("city", "福井市"),
        ("latitude", "36.0652"),
        ("longitude", "136.2217"),
        ("hours", "9:00〜17:00 <script>alert(1)</script>"),
        ("url", "https://sakura.example.jp/"),
        ("fixed", "yes"),
    ];
    let wrong = [&form[..], &[("fax", "12")]].concat();
    let wrong = kept("map-wrong", send(&town, &admin, "POST", "/map", &wrong).await);
    assert!(wrong.status.is_client_error() && wrong.text.contains("福井市"), "what was typed stays");
    assert_eq!(send(&town, &admin, "POST", "/map", &form).await.status, StatusCode::SEE_OTHER);
    assert!(!exported(&town, MapKind::Html).await.contains("さくら通り内科"), "not shown yet");
    form.push(("shown", "yes"));
    form[1] = ("latitude", "35.0000");
    send(&town, &admin, "POST", "/map", &form).await;
    let page = exported(&town, MapKind::Html).await;
    std::fs::write(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages/map-public.html"), &page)
        .unwrap();
    assert!(page.contains("さくら通り内科クリニック") && page.contains("福井市（1）"), "{page}");
    assert!(
        !page.contains("<script") && page.contains("&#60;script") || page.contains("&lt;script"),
        "{page}"
    );
    let points: serde_json::Value = serde_json::from_str(&exported(&town, MapKind::Geojson).await).unwrap();
    assert_eq!(
        points["features"][0]["geometry"]["coordinates"],
        serde_json::json!([136.2217, 36.0652]),
        "fixed"
    );
    for secret in ["桜井", "kanri@"] {
        assert!(!page.contains(secret) && !points.to_string().contains(secret), "{secret}");
    }
    let office = town.secretariat().await;
    let seen = get(&town, &office, &format!("/map?facility={facility}"), "map-office").await;
    assert!(seen.text.contains("/map/export/geojson"));
    let other = facilities[1].0.as_str();
    let stolen = [&form[..], &[("facility", other)]].concat();
    send(&town, &admin, "POST", "/map", &stolen).await;
    assert_eq!(town.number("SELECT count(*) FROM map_entry").await, 1, "another's entry is not touched");
}
