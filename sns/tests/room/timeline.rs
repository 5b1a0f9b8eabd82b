//! Posting, reading, 了解: what a team's people do all day (J-01, K-01 to K-05, P-19, P-29).

use http::{Method, StatusCode};
use pki::identity::Role;
use serde_json::json;

use super::world::{NAME, TEXT, World, ack, identity, patient, posts};

#[tokio::test]
async fn a_post_is_read_by_the_other_facility_and_acknowledged_k_05_p_29() {
    let mut world = World::new().await;
    let (author, reader) = (identity(11, Role::Staff), identity(21, Role::Staff));
    let post = world.write(&author, TEXT).await;
    world.restart().await;

    let list = world.get(&reader, "/api/teams").await.json();
    assert_eq!(
        (list["teams"][0]["name"].as_str(), list["teams"][0]["awaiting"].as_i64()),
        (Some(NAME), Some(1))
    );
    let page = world.get(&reader, &posts(1)).await.json();
    let seen = &page["posts"][0];
    assert_eq!(
        (seen["text"].as_str(), seen["awaits"].as_bool(), seen["mine"].as_bool()),
        (Some(TEXT), Some(true), Some(false))
    );
    assert_eq!(
        (seen["author"]["name"].as_str(), seen["author"]["facility"].as_str()),
        (Some("職員11号"), Some("第1施設"))
    );

    for _ in 0..2 {
        let stands = world.post(&reader, &ack(&post), json!(null)).await;
        assert_eq!(stands.status, StatusCode::OK);
        assert_eq!(
            stands.json()["acks"]["people"].as_array().unwrap().len(),
            1,
            "pressing twice is pressing once"
        );
    }
    let own = world.post(&author, &ack(&post), json!(null)).await;
    assert_eq!(
        own.json()["acks"]["people"].as_array().unwrap().len(),
        1,
        "an author's own 了解 counts nothing"
    );
    let page = world.get(&author, &posts(1)).await.json();
    assert_eq!(page["posts"][0]["acks"]["facilities"][0]["name"], "第2施設");
    assert_eq!(world.get(&reader, "/api/teams").await.json()["teams"][0]["awaiting"], 0);
}

#[tokio::test]
async fn the_family_reads_only_its_lane_p_19() {
    let world = World::new().await;
    let (staff, family) = (identity(11, Role::Staff), identity(22, Role::Family));
    let hidden = world.write(&staff, "専門職のみ").await;
    world.post(&staff, &posts(1), json!({ "text": "家族にも", "family": true, "urgent": true })).await;
    world.write(&family, "母は元気です").await;
    let page = world.get(&family, &posts(1)).await.json();
    let texts: Vec<_> =
        page["posts"].as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["母は元気です", "家族にも"]);
    assert_eq!(
        (page["posts"][1]["urgent"].as_bool(), page["posts"][0]["lane"].as_str()),
        (Some(true), Some("family"))
    );
    assert_eq!(world.get(&family, "/api/teams").await.json()["teams"][0]["awaiting"], 1);
    let unseen = world.post(&family, &ack(&hidden), json!(null)).await;
    let missing = world.post(&family, &ack("n-aaaaaaaaaaaaaaaa"), json!(null)).await;
    assert_eq!((unseen.status, unseen.body), (missing.status, missing.body));
    assert_eq!(world.get(&staff, &posts(1)).await.json()["posts"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn length_advises_then_refuses_and_bodies_are_bounded_k_02_ruling_13() {
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    let table = [
        (json!({ "text": "あ".repeat(100) }), StatusCode::CREATED, json!(false)),
        (json!({ "text": "あ".repeat(101) }), StatusCode::CREATED, json!(true)),
        (json!({ "text": "あ".repeat(4001) }), StatusCode::UNPROCESSABLE_ENTITY, json!(null)),
        (json!({ "text": "  " }), StatusCode::UNPROCESSABLE_ENTITY, json!(null)),
        (json!({ "text": "x", "author": "p-x" }), StatusCode::BAD_REQUEST, json!(null)),
        (json!({ "text": "あ".repeat(30_000) }), StatusCode::PAYLOAD_TOO_LARGE, json!(null)),
        (json!("text"), StatusCode::BAD_REQUEST, json!(null)),
    ];
    for (body, status, long) in table {
        let answer = world.post(&who, &posts(1), body).await;
        assert_eq!((answer.status, &answer.json()["long"]), (status, &long));
    }
}

#[tokio::test]
async fn pages_of_posts_follow_one_another_without_gaps() {
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    for n in 1..=5 {
        world.write(&who, &format!("{n}")).await;
    }
    let (mut texts, mut path) = (Vec::new(), format!("{}?limit=2", posts(1)));
    loop {
        let page = world.get(&who, &path).await.json();
        texts.extend(
            page["posts"].as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap().to_owned()),
        );
        match page["before"].as_i64() {
            Some(before) => path = format!("{}?limit=2&before={before}", posts(1)),
            None => break,
        }
    }
    assert_eq!(texts, ["5", "4", "3", "2", "1"]);
}

#[tokio::test]
async fn sending_twice_posts_once_and_another_body_is_a_conflict() {
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    let body = json!({ "text": TEXT });
    let first = world.post_once(&who, &posts(1), body.clone(), Some("k-1")).await;
    let again = world.post_once(&who, &posts(1), body.clone(), Some("k-1")).await;
    assert_eq!((first.status, &first.body), (StatusCode::CREATED, &again.body));
    let other = world.post_once(&who, &posts(1), json!({ "text": "別の内容" }), Some("k-1")).await;
    assert_eq!((other.status, other.code().as_str()), (StatusCode::CONFLICT, "MM-4012"));
    let urgent = world.post_once(&who, &posts(1), json!({ "text": TEXT, "urgent": true }), Some("k-1")).await;
    assert_eq!(urgent.status, StatusCode::CONFLICT);
    // Somebody else's key of the same name is another key.
    let theirs = world.post_once(&identity(21, Role::Staff), &posts(1), body.clone(), Some("k-1")).await;
    assert_ne!(theirs.body, first.body);
    assert_eq!(world.post_once(&who, &posts(1), body, Some("キー")).await.code(), "MM-4013");
    assert_eq!(world.get(&who, &posts(1)).await.json()["posts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_pages_work_without_a_script() {
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    let list = world.get(&who, "/").await;
    assert!(list.text().contains(NAME) && list.text().contains(&format!("/teams/{}", patient(1))));
    assert_eq!(list.headers["cache-control"], "no-store");
    assert!(list.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));

    let page = world.get(&who, &format!("/teams/{}", patient(1))).await.text();
    let once = page.split("name=\"once\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = format!("once={once}&text=%E7%86%B1%E3%81%AA%E3%81%97&urgent=yes");
    for _ in 0..2 {
        let request = World::request(&who, Method::POST, &format!("/teams/{}/posts", patient(1)))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.clone().into())
            .unwrap();
        let answer = world.send(request).await;
        assert_eq!(
            (answer.status, answer.headers["location"].to_str().unwrap()),
            (StatusCode::SEE_OTHER, format!("/teams/{}", patient(1)).as_str())
        );
    }
    let reader = identity(21, Role::Staff);
    let page = world.get(&reader, &format!("/teams/{}", patient(1))).await.text();
    assert_eq!((page.matches("熱なし").count(), page.matches(">了解</button>").count()), (1, 1));
    let action = page
        .split("action=\"")
        .map(|part| part.split('"').next().unwrap())
        .find(|action| action.ends_with("/ack"))
        .unwrap();
    let pressed = world.send(World::request(&reader, Method::POST, action).body("".into()).unwrap()).await;
    assert_eq!(pressed.status, StatusCode::SEE_OTHER);
    let page = world.get(&reader, &format!("/teams/{}", patient(1))).await.text();
    assert!(page.contains("了解 1人・1施設") && !page.contains(">了解</button>"));
}
