//! D-00: how a connection reaches a facility: by mail, in two envelopes, by hand; chosen while nothing has gone out.

use pki::identity::Role;
use provisioning::door::{
    CaseChoice, CaseDetail, ProvisioningAnswer, ProvisioningQuestion, RevokeReason, Trouble,
};
use provisioning::door_post::{Channel, DeliveryChange, PostAnswer, PostQuestion};

use super::pages::{get, location, send};
use super::town::Town;

async fn imported(town: &Town, csv: &[u8]) -> Vec<String> {
    let question = ProvisioningQuestion::FacilityImport {
        file_name: "様式1.csv".into(),
        bytes: csv.to_vec(),
        dry_run: false,
    };
    match town.ask(question).await {
        ProvisioningAnswer::Import(report) => {
            assert!(report.faults.is_empty(), "{:?}", report.faults);
            report.cases
        }
        other => panic!("{other:?}"),
    }
}

/// Two applications: one with an address, one of somebody who has none.
const FORMS: &str = "事業所番号,事業所名,種別,所在地,電話番号,代表者名,施設内管理者名,管理画面ログイン用メールアドレス,VPN申請数,ふくいメディカルネット参加\n\
    1810112011,さくら通り内科,医科,〒910-0005 福井県福井市大手9-1-12,0776-00-1201,桜井 健一,桜井 由美,kanri@sakura.example.jp,1,不参加\n\
    9900000017,田中家,患者・家族事業所,福井県鯖江市西山町13-1,0778-00-1717,田中 花,田中 花,tanaka-hana01,0,不参加\n";

async fn choose(
    town: &Town,
    case: &str,
    delivery: Channel,
    dry_run: bool,
) -> Result<DeliveryChange, Trouble> {
    let question = PostQuestion::CaseDelivery { case: case.to_owned(), delivery, dry_run };
    match town.ask(ProvisioningQuestion::Post(question)).await {
        ProvisioningAnswer::Post(PostAnswer::Delivery(change)) => Ok(change),
        ProvisioningAnswer::Trouble(trouble) => Err(trouble),
        other => panic!("{other:?}"),
    }
}

async fn accept(town: &Town, case: &str) -> provisioning::door::AcceptedCase {
    let choice = CaseChoice::One(case.to_owned());
    match town.ask(ProvisioningQuestion::CaseAccept { case: choice, dry_run: false }).await {
        ProvisioningAnswer::Accepted(mut report) => report.accepted.remove(0),
        other => panic!("{other:?}"),
    }
}

async fn shown(town: &Town, case: &str) -> CaseDetail {
    match town.ask(ProvisioningQuestion::CaseShow { case: case.to_owned() }).await {
        ProvisioningAnswer::Case(detail) => detail,
        other => panic!("{other:?}"),
    }
}

/// With two envelopes nothing leaves by itself, neither mail nor file; the sheet and the bundle wait for two runs.
#[tokio::test]
async fn d_00_with_two_envelopes_nothing_leaves_by_itself() {
    let town = Town::new().await;
    let cases = imported(&town, FORMS.as_bytes()).await;
    assert_eq!(shown(&town, &cases[0]).await.delivery, Channel::Mail, "by default");
    let would = choose(&town, &cases[0], Channel::TwoEnvelopes, true).await.unwrap();
    assert!(would.dry_run && shown(&town, &cases[0]).await.delivery == Channel::Mail);
    choose(&town, &cases[0], Channel::TwoEnvelopes, false).await.unwrap();
    let accepted = accept(&town, &cases[0]).await;
    assert_eq!(accepted.delivery, Channel::TwoEnvelopes);
    town.settled().await;
    let states: Vec<String> =
        sqlx::query_scalar("SELECT state FROM outbox WHERE facility = $1 ORDER BY kind")
            .bind(accepted.facility.as_str())
            .fetch_all(&town.registry().await)
            .await
            .unwrap();
    assert_eq!(states, ["post", "post"]);
    let slot = accepted.bundle_slot.to_string();
    assert!(!town.config.output.join("bundles").join(&slot).exists());
    assert!(!town.config.output.join("sheets").join(format!("{slot}.txt")).exists());
    let case = shown(&town, &cases[0]).await;
    assert!(case.row.state == "accepted" && case.letters.iter().all(|letter| letter.state == "post"));

    // What nobody has printed may still go the other way, and then it leaves at once.
    let change = choose(&town, &cases[0], Channel::Mail, false).await.unwrap();
    assert_eq!((change.from, change.letters), (Channel::TwoEnvelopes, 2));
    town.settled().await;
    assert!(town.config.output.join("bundles").join(&slot).exists());
    let refused = choose(&town, &cases[0], Channel::ByHand, false).await.unwrap_err();
    assert_eq!(refused.code, "MM-5971", "it has gone out");
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action LIKE '%.delivery'").await, 2);
}

/// D-00, S0 「指定アドレスの発行」: who has no mail address is served on paper without anybody's doing.
#[tokio::test]
async fn d_00_who_has_no_mail_address_gets_on_with_paper_only() {
    let town = Town::new().await;
    let cases = imported(&town, FORMS.as_bytes()).await;
    assert_eq!(shown(&town, &cases[1]).await.delivery, Channel::TwoEnvelopes);
    assert_eq!(choose(&town, &cases[1], Channel::Mail, false).await.unwrap_err().code, "MM-5973");
    choose(&town, &cases[1], Channel::ByHand, false).await.unwrap();
    let accepted = accept(&town, &cases[1]).await;
    assert_eq!(town.text("SELECT login FROM person WHERE name = '田中 花'").await, "tanaka-hana01");
    let slot = accepted.bundle_slot;
    // 延長 and 再発行 wait for the post, too, and a device that is stopped takes what waits with it.
    for question in [
        ProvisioningQuestion::SlotReissue { slot, dry_run: false },
        ProvisioningQuestion::SlotExtend { slot, dry_run: false },
    ] {
        let answer = town.ask(question).await;
        assert!(matches!(answer, ProvisioningAnswer::Renewed(_)), "{answer:?}");
    }
    town.settled().await;
    assert_eq!(
        town.number("SELECT count(*) FROM outbox WHERE state = 'sent' AND slot <> '18-0000'").await,
        0
    );
    let waiting = town.text("SELECT MIN(message) FROM outbox WHERE state = 'post'").await;
    match town.ask(ProvisioningQuestion::OutboxRetry { message: waiting }).await {
        ProvisioningAnswer::Trouble(trouble) => assert_eq!(trouble.code, "MM-5974"),
        other => panic!("{other:?}"),
    }
    town.revoke(slot, RevokeReason::Lost).await;
    let secrets =
        "SELECT count(*) FROM outbox WHERE payload <> '' AND slot <> '18-0000' AND kind <> 'notice'";
    assert_eq!(town.number(secrets).await, 0);
    // What is left for the post is the word that it was stopped (M-16).
    assert_eq!(town.text("SELECT string_agg(kind, ',') FROM outbox WHERE state = 'post'").await, "notice");
}

#[tokio::test]
async fn d_00_a_clerk_chooses_the_way_on_the_case_and_on_the_facility() {
    let town = Town::new().await;
    let cases = imported(&town, FORMS.as_bytes()).await;
    let office = town.secretariat().await;
    assert_eq!(office.role, Role::Secretariat);
    let path = format!("/cases/{}", cases[0]);
    let form = [("delivery", "two-envelopes")];
    let done = send(&town, &office, "POST", &format!("{path}/delivery"), &form).await;
    assert_eq!(location(&done), path);
    let page = get(&town, &office, &path, "case-two-envelopes").await;
    assert!(page.text.contains("二通の封筒の<strong>発送待ち</strong>") && page.text.contains("--delivery"));
    location(&send(&town, &office, "POST", &format!("{path}/accept"), &[]).await);
    let page = get(&town, &office, &path, "case-waits-for-post").await;
    assert!(page.text.contains("発送待ち"), "{}", page.text);
    let facility = town.text("SELECT facility FROM facility WHERE name = 'さくら通り内科'").await;
    let path = format!("/facilities/{facility}");
    let page = get(&town, &office, &path, "facility-two-envelopes").await;
    assert!(page.text.contains("value=\"two-envelopes\" selected"));
    let form = [("delivery", "by-hand")];
    assert_eq!(location(&send(&town, &office, "POST", &format!("{path}/delivery"), &form).await), path);
    let odd = send(&town, &office, "POST", &format!("{path}/delivery"), &[("delivery", "fax")]).await;
    assert!(odd.status == http::StatusCode::UNPROCESSABLE_ENTITY, "{}", odd.status);
    assert_eq!(town.number("SELECT count(*) FROM facility WHERE delivery = 'by-hand'").await, 1);
}
