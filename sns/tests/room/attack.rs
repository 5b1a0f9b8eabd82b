//! Eve inside: right tunnel, right certificate, right session, wrong team (J-03, J-13, P-02, s7).

use axum::body::Body;
use http::{Method, Request, StatusCode};
use pki::identity::{Identity, Role};
use serde_json::json;
use sns::{SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};

use super::world::{
    NAME, TEXT, World, ack, contains, events, facility, identity, member, patient, posts, trace, trail,
};

/// Every way to a patient, as somebody who knows its id and the id of a post.
async fn knock(world: &World, who: &Identity, n: u8, post: &str) -> Vec<(StatusCode, Vec<u8>)> {
    let mut answers = Vec::new();
    for path in [posts(n), events(n), format!("/teams/{}", patient(n)), "/api/teams/nonsense/posts".into()] {
        let answer = world.get(who, &path).await;
        answers.push((answer.status, answer.body));
    }
    let posted = world.post(who, &posts(n), json!({ "text": "x" })).await;
    let pressed = world.post(who, &ack(post), json!(null)).await;
    answers.push((posted.status, posted.body));
    answers.push((pressed.status, pressed.body));
    answers
}

#[tokio::test]
async fn a_third_facility_cannot_tell_a_patient_from_none_j_03() {
    let world = World::new().await;
    let post = world.write(&identity(11, Role::Staff), TEXT).await;
    let stranger = identity(31, Role::Staff);
    let real = knock(&world, &stranger, 1, &post).await;
    let none = knock(&world, &stranger, 99, "n-aaaaaaaaaaaaaaaa").await;
    assert_eq!(real, none, "byte for byte");
    for (status, body) in real {
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(!contains(&body, NAME.as_bytes()));
    }
    assert_eq!(world.get(&stranger, "/api/teams").await.json()["teams"], json!([]));
}

#[tokio::test]
async fn a_colleague_who_is_not_in_the_team_and_a_borrowed_membership_are_refused() {
    let world = World::new().await;
    let post = world.write(&identity(11, Role::Staff), TEXT).await;
    let (author, reader) = (identity(11, Role::Staff), identity(21, Role::Staff));
    let forged = [
        identity(12, Role::Staff),
        // A member's membership with another person, facility or role.
        Identity { person: identity(12, Role::Staff).person, ..author.clone() },
        Identity { facility: reader.facility.clone(), ..author.clone() },
        Identity { role: Role::Family, ..author.clone() },
    ];
    for who in forged {
        for (status, _) in knock(&world, &who, 1, &post).await {
            assert_eq!(status, StatusCode::NOT_FOUND);
        }
        assert_eq!(world.get(&who, "/api/teams").await.json()["teams"], json!([]));
    }
}

#[tokio::test]
async fn the_consoles_roles_read_no_posts_p_02() {
    let world = World::new().await;
    let post = world.write(&identity(11, Role::Staff), TEXT).await;
    for role in [Role::Secretariat, Role::FacilityAdmin] {
        for (status, _) in knock(&world, &identity(11, role), 1, &post).await {
            assert_eq!(status, StatusCode::FORBIDDEN);
        }
        assert_eq!(world.get(&identity(11, role), "/").await.status, StatusCode::FORBIDDEN);
        let add = TeamsQuestion::AddMember { patient: patient(1), member: member(13, role) };
        assert!(matches!(world.room.teams(add).await, TeamsAnswer::Refused(_)));
    }
}

#[tokio::test]
async fn a_removed_member_is_out_at_once_even_with_an_old_sending_j_16() {
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    let body = json!({ "text": TEXT });
    let first = world.post_once(&who, &posts(1), body.clone(), Some("k")).await;
    let remove = TeamsQuestion::RemoveMember { patient: patient(1), membership: who.membership.clone() };
    assert_eq!(world.room.teams(remove).await, TeamsAnswer::Removed);
    let post = first.json()["post"].as_str().unwrap().to_owned();
    for (status, _) in knock(&world, &who, 1, &post).await {
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(world.post_once(&who, &posts(1), body, Some("k")).await.status, StatusCode::NOT_FOUND);
    // His post stays for the team with his name as it was (P-33).
    let page = world.get(&identity(21, Role::Staff), &posts(1)).await.json();
    assert_eq!(page["posts"][0]["author"]["name"], "職員11号");
    // And he can be put back.
    let add = TeamsQuestion::AddMember { patient: patient(1), member: member(11, Role::Staff) };
    assert_eq!(world.room.teams(add).await, TeamsAnswer::Added);
    assert_eq!(world.get(&who, &posts(1)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_but_the_gateway_is_heard() {
    let world = World::new().await;
    let good = identity(11, Role::Staff).to_string();
    let broken: [&[(&str, &str)]; 6] = [
        &[],
        &[("mimamori-trace", "0123456789abcdef")],
        &[("mimamori-identity", &good)],
        &[("mimamori-identity", &good), ("mimamori-trace", "x")],
        &[("mimamori-identity", "v1;slot=18-0042"), ("mimamori-trace", "0123456789abcdef")],
        &[("mimamori-identity", &good), ("mimamori-identity", &good), ("mimamori-trace", "0123456789abcdef")],
    ];
    for headers in broken {
        for path in ["/", "/api/teams", "/nowhere"] {
            let mut request = Request::builder().uri(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::BAD_REQUEST, "MM-4015"),
                "{path} {headers:?}"
            );
        }
    }
}

#[tokio::test]
async fn refusals_have_one_shape_and_carry_the_trace() {
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    for (method, path, status) in [
        (Method::GET, "/nowhere".to_owned(), StatusCode::NOT_FOUND),
        (Method::DELETE, posts(1), StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, format!("{}?before=x", posts(1)), StatusCode::BAD_REQUEST),
        (Method::GET, format!("{}?after=x", events(1)), StatusCode::BAD_REQUEST),
    ] {
        let answer = world.send(World::request(&who, method, &path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status);
        let problem = answer.json();
        for field in ["code", "ja", "en", "remedy_ja", "remedy_en"] {
            assert!(!problem[field].as_str().unwrap().is_empty());
        }
        assert_eq!(problem["trace"], super::world::TRACE);
    }
}

#[tokio::test]
async fn every_decision_is_in_the_trail_with_who_and_which_patient_and_no_content_ruling_11() {
    let world = World::new().await;
    let post = world.write(&identity(11, Role::Staff), TEXT).await;
    world.get(&identity(21, Role::Staff), &posts(1)).await;
    world.get(&identity(31, Role::Staff), &posts(1)).await;
    world.post(&identity(21, Role::Staff), &ack(&post), json!(null)).await;
    let lines = trail(&world.room, None).await;
    for (act, person, allowed, on) in [
        ("post", 11, true, Some(&post)),
        ("read", 21, true, None),
        ("read", 31, false, None),
        ("acknowledge", 21, true, Some(&post)),
    ] {
        let who = identity(person, Role::Staff);
        let found = lines.iter().any(|line| {
            (line.act.as_str(), line.allowed, line.on.as_ref()) == (act, allowed, on)
                && line.who.contains(who.person.as_str())
                && line.patient == Some(patient(1))
                && line.trace == Some(trace())
        });
        assert!(found, "{act} {person} {allowed}\n{lines:?}");
    }
    let of_trace = trail(&world.room, Some(trace())).await;
    assert!(of_trace.len() == 4 && of_trace.iter().any(|line| line.on.as_ref() == Some(&post)));
    let all = format!("{lines:?}");
    for planted in [NAME, TEXT, "職員", &facility(1).name] {
        assert!(!all.contains(planted));
    }
    let verified = world.room.operator(SnsQuestion::VerifyAudit).await;
    assert!(matches!(verified, SnsAnswer::AuditVerified(head) if head.entries == lines.len() as u64));
}
