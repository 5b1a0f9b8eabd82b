//! The desk while somebody is on the line (P-16), and the one box that finds everything: kana and kanji of any shape,
//! no change without a call back, a stop that waits for nobody.

use http::StatusCode;
use pki::identity::{Identity, Role};
use provisioning::door::{CaseChoice, ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_call::{CallQuestion, SlotChange};

use super::pages::{get, kept, location, send};
use super::town::Town;

impl Town {
    async fn change(&self, question: CallQuestion) -> Result<SlotChange, String> {
        match self.ask(ProvisioningQuestion::Call(question)).await {
            ProvisioningAnswer::Change(change) => Ok(change),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble.code),
            other => panic!("{other:?}"),
        }
    }
}

fn coded(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

/// Issue 7: found by name in any width, by kana, by code, telephone, number and case, with 髙﨑𠮷 either way.
#[tokio::test]
async fn one_box_finds_facilities_people_numbers_and_cases() {
    let town = Town::new().await;
    town.facilities(3).await;
    let office = town.secretariat().await;
    town.execute(
        "UPDATE facility SET name = '髙﨑𠮷田医院', kana = 'たかさきよしだいいん' WHERE code = '1810112029'",
    )
    .await;
    for typed in [
        "高崎吉田",
        "髙﨑𠮷田",
        "ﾀｶｻｷ",
        "たかさき",
        "１８１０１１２０２９",
        "1810112029",
        "0776001202",
        "足羽9-20",
    ] {
        let page = send(&town, &office, "GET", &format!("/search?q={}", coded(typed)), &[]).await;
        assert!(page.status == StatusCode::OK && page.text.contains("髙﨑𠮷田医院"), "{typed}");
        assert!(!page.text.contains("さくら通り内科"), "{typed}");
    }
    let page = get(&town, &office, &format!("/search?q={}", coded("18-0001")), "search-slot").await;
    assert!(page.text.contains("href=\"/slots/18-0001\""));
    let page = get(&town, &office, &format!("/search?q={}", coded("堀江 真理子")), "search-person").await;
    assert!(page.text.contains("renkei@asuwayama-hp.example.jp") && page.text.contains("href=\"/people/m-"));
    let case = town.text("SELECT MIN(case_id) FROM office_case").await;
    assert!(get(&town, &office, &format!("/search?q={case}"), "search-case").await.text.contains(&case));
    get(&town, &office, "/search", "search").await;
    let none = get(&town, &office, &format!("/search?q={}", coded("<script>'%_")), "search-none").await;
    assert!(none.text.contains("合うものはありません"));
    // Nothing of a patient's is in the registry, so nothing of theirs is found.
    assert!(!none.text.contains("/patients/t-"));
}

/// Issue 7: each list's filter is in the URL, and a list of five thousand is a screen of a hundred.
#[tokio::test]
async fn long_lists_are_filtered_by_the_url_and_shown_a_screen_at_a_time() {
    let town = Town::new().await;
    town.facilities(3).await;
    let office = town.secretariat().await;
    let mut registry = town.registry().await.begin().await.unwrap();
    for n in 0..250 {
        sqlx::query(
            "INSERT INTO facility (facility, code, kind, name, state, created_at)
             VALUES ($1, $2, '保険薬局', $3, 'ended', 0)",
        )
        .bind(pki::identity::FacilityId::from_random([n as u8; 10]).to_string())
        .bind(format!("19{n:08}"))
        .bind(format!("薬局{n}"))
        .execute(&mut *registry)
        .await
        .unwrap();
    }
    registry.commit().await.unwrap();
    let count = async |path: &str| {
        let page = send(&town, &office, "GET", path, &[]).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        (page.text.matches("<th scope=\"row\"").count(), page.text.contains("name=\"page\""))
    };
    assert_eq!(count("/facilities").await, (100, true));
    assert_eq!(count("/facilities?page=2").await, (53, false));
    assert_eq!(count("/facilities?state=active").await, (3, false));
    assert_eq!(
        count(&format!("/facilities?q={}", coded("ﾔｯｷｮｸ"))).await,
        (0, false),
        "kana is no reading of 薬局"
    );
    assert_eq!(count(&format!("/facilities?kind={}&q=1900000249", coded("保険薬局"))).await, (1, false));
    assert_eq!(count("/slots?q=18-0001").await, (1, false));
    assert_eq!(count("/slots?state=suspended").await, (0, false));
    assert_eq!(count("/facilities?page=999999999999999999999").await.0, 100);
    get(&town, &office, "/facilities?state=active", "office-facilities-filtered").await;
}

/// 様式1 says how a name is read; a reading with kanji is refused at its cell, and by the reading it is found.
#[tokio::test]
async fn a_reading_of_the_form_finds_the_facility() {
    let town = Town::new().await;
    let import = async |kana: &str| {
        let file = format!(
            "事業所番号,事業所名,種別,所在地,電話番号,代表者名,施設内管理者名,管理画面ログイン用メールアドレス,VPN申請数,ふくいメディカルネット参加,事業所名ふりがな\r\n\
             1810112201,武生越前医院,医科,,,,別 太郎,betsu@betsu.example.jp,,,{kana}\r\n"
        );
        let (file_name, bytes) = ("様式1.csv".to_owned(), file.into_bytes());
        town.ask(ProvisioningQuestion::FacilityImport { file_name, bytes, dry_run: false }).await
    };
    let ProvisioningAnswer::Import(wrong) = import("武生えちぜん").await else { panic!() };
    assert_eq!((wrong.cases.len(), wrong.faults[0].code.as_str()), (0, "MM-5281"));
    let ProvisioningAnswer::Import(right) = import("たけふえちぜんいいん").await else { panic!() };
    let question =
        ProvisioningQuestion::CaseAccept { case: CaseChoice::One(right.cases[0].clone()), dry_run: false };
    let ProvisioningAnswer::Accepted(_) = town.ask(question).await else { panic!() };
    let office = town.secretariat().await;
    let page = send(&town, &office, "GET", &format!("/search?q={}", coded("ﾀｹﾌ")), &[]).await;
    assert!(page.text.contains("武生越前医院"));
}

/// P-16, B-28, B-29: stopping waits for nobody; opening anything waits for the call back to the registered number.
#[tokio::test]
async fn p_16_nothing_is_opened_before_the_call_back() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let ((facility, place), (other, foreign)) = (facilities[0].clone(), facilities[1].clone());
    town.enrolled(place, 11).await;
    let office = town.secretariat().await;
    let page = format!("/facilities/{facility}/telephone");
    let shown = get(&town, &office, &page, "telephone").await;
    for wanted in ["0776-00-1201", "桜井 由美", "最後の接続", "一時停止", "mimamori slot suspend"]
    {
        assert!(shown.text.contains(wanted), "{wanted}");
    }
    let act = async |of: &str, slot: &str, act: &str| {
        send(&town, &office, "POST", &format!("/facilities/{of}/telephone/{slot}"), &[("act", act)]).await
    };
    let slot = place.to_string();
    let before = town.grants().await.version;
    let stopped = act(facility.as_str(), &slot, "suspend").await;
    assert_eq!(location(&stopped), format!("{page}#{slot}"));
    assert!(town.around.vpn.seat(place, false).is_none(), "the tunnel is out of its seat");
    let grants = town.grants().await;
    assert!(grants.version > before);
    assert!(
        grants.slots.iter().find(|grant| grant.slot == place).unwrap().holder.is_none(),
        "admitted nowhere"
    );

    let early = kept("telephone-early", act(facility.as_str(), &slot, "resume").await);
    assert!(early.status == StatusCode::CONFLICT && early.text.contains("MM-5619"));
    let unsaid = [("caller", " "), ("recognised_by", "折り返し")];
    let unsaid = kept(
        "telephone-unsaid",
        send(&town, &office, "POST", &format!("/facilities/{facility}/call"), &unsaid).await,
    );
    assert!(unsaid.status == StatusCode::UNPROCESSABLE_ENTITY && unsaid.text.contains("MM-5201"));
    let said = [("caller", "桜井 由美"), ("recognised_by", "登録番号へ折り返し")];
    let said = send(&town, &office, "POST", &format!("/facilities/{facility}/call"), &said).await;
    assert_eq!(location(&said), page);
    let shown = get(&town, &office, &page, "telephone-called").await;
    assert!(shown.text.contains("折り返し確認済み") && shown.text.contains("再開"));
    assert_eq!(
        town.number("SELECT count(*) FROM audit WHERE body LIKE '%桜井%' AND action = 'call.back'").await,
        0
    );

    // The call back was this facility's: it opens nothing of another's.
    let strange = act(other.as_str(), &foreign.to_string(), "reissue").await;
    assert!(strange.status == StatusCode::CONFLICT && strange.text.contains("MM-5619"));
    for wrong in [foreign.to_string(), "18-9999".into(), "x".into()] {
        let strange = act(facility.as_str(), &wrong, "suspend").await;
        assert!(strange.status == StatusCode::NOT_FOUND && strange.text.contains("MM-5701"), "{wrong}");
    }
    assert_eq!(act(facility.as_str(), &slot, "resume").await.status, StatusCode::SEE_OTHER);
    assert!(town.around.vpn.seat(place, false).is_some(), "the same key sits there again");
    let grants = town.grants().await;
    assert!(grants.slots.iter().find(|grant| grant.slot == place).unwrap().holder.is_some());
    for nonsense in ["dance", "unlock", "extend"] {
        assert!(act(facility.as_str(), &slot, nonsense).await.status.is_client_error(), "{nonsense}");
    }
    town.execute("UPDATE call_back SET at = at - 1800001").await;
    let late = act(facility.as_str(), &slot, "unlock").await;
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("MM-5619"), "a call is not a day");
}

/// P-16: a sheet that pauses after five wrong entries is unlocked; 延長 and 再送 are one press after the call.
#[tokio::test]
async fn p_16_a_paused_sheet_is_unlocked_on_the_telephone() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    let mut wrong = town.claim_body(place, 5).await;
    wrong["password"] = "aaaa-aaaa-aaaa-aaaa".into();
    for _ in 0..5 {
        town.claim(place, wrong.clone()).await;
    }
    let right = town.claim_body(place, 5).await;
    assert_eq!(town.claim(place, right.clone()).await.code(), "MM-5402");
    let said = [("caller", "桜井 由美"), ("recognised_by", "登録番号へ折り返し")];
    send(&town, &office, "POST", &format!("/facilities/{facility}/call"), &said).await;
    let shown = get(&town, &office, &format!("/facilities/{facility}/telephone"), "telephone-paused").await;
    assert!(shown.text.contains("入力ちがいで一時停止中") && shown.text.contains("解錠</button>"));
    for act in ["unlock", "extend", "reissue"] {
        let path = format!("/facilities/{facility}/telephone/{place}");
        let done = send(&town, &office, "POST", &path, &[("act", act)]).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{act} {}", done.text);
    }
    assert_eq!(town.claim(place, right).await.status, StatusCode::OK);
    assert_eq!(
        town.change(CallQuestion::Unlock { slot: place, dry_run: false }).await.unwrap_err(),
        "MM-5620"
    );
}

/// B-28, ruling 7: the neighbours may be away; the number is stopped in the registry and told when they are back.
#[tokio::test]
async fn b_28_a_suspension_stands_without_its_neighbours_and_is_done_once() {
    let mut town = Town::new().await;
    let (_, place) = town.facilities(1).await.remove(0);
    assert_eq!(
        town.change(CallQuestion::Suspend { slot: place, dry_run: false }).await.unwrap_err(),
        "MM-5621"
    );
    town.enrolled(place, 12).await;
    let rehearsed = town.change(CallQuestion::Suspend { slot: place, dry_run: true }).await.unwrap();
    assert!(rehearsed.changed && rehearsed.dry_run && town.around.vpn.seat(place, false).is_some());
    assert!(town.change(CallQuestion::Suspend { slot: place, dry_run: false }).await.unwrap().changed);
    assert!(!town.change(CallQuestion::Suspend { slot: place, dry_run: false }).await.unwrap().changed);
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'slot.suspend'").await, 1);
    // A restart of either side seats nobody who is suspended.
    town.crash();
    town.around.vpn.restarts();
    town.start().await;
    let seated = town.office.slot;
    town.until("the vpn room knows the others again", async || town.around.vpn.seat(seated, true).is_some())
        .await;
    assert!(town.around.vpn.seat(place, false).is_none());
    assert!(town.change(CallQuestion::Resume { slot: place, dry_run: false }).await.unwrap().changed);
    town.until("it sits again", async || town.around.vpn.seat(place, false).is_some()).await;
    let unknown = "18-9999".parse().unwrap();
    assert_eq!(
        town.change(CallQuestion::Suspend { slot: unknown, dry_run: false }).await.unwrap_err(),
        "MM-5311"
    );
}

#[tokio::test]
async fn the_desk_is_nobody_elses() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    town.enrolled(place, 13).await;
    let admin = town.admin(&facility, place).await;
    let as_role = |role| Identity { role, ..admin.clone() };
    for who in [admin.clone(), as_role(Role::Staff), as_role(Role::Family)] {
        for path in ["/search?q=a".to_owned(), format!("/facilities/{facility}/telephone")] {
            assert_eq!(send(&town, &who, "GET", &path, &[]).await.status, StatusCode::FORBIDDEN, "{path}");
        }
        for (path, form) in [
            (format!("/facilities/{facility}/call"), ("caller", "私")),
            (format!("/facilities/{facility}/telephone/{place}"), ("act", "suspend")),
        ] {
            assert_eq!(
                send(&town, &who, "POST", &path, &[form]).await.status,
                StatusCode::FORBIDDEN,
                "{path}"
            );
        }
    }
    assert_eq!(town.number("SELECT count(*) FROM slot WHERE state = 'suspended'").await, 0);
    assert_eq!(town.number("SELECT count(*) FROM call_back").await, 0);
}
