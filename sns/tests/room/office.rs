//! The doors: teams, kept content, status (J-01, B-09, B-15, ruling 10).

use pki::identity::Role;
use sns::door::{PatientText, TeamsRefusal};
use sns::{KeysAnswer, KeysQuestion, SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};

use super::world::{KANA, NAME, World, facility, identity, member, patient, posts};

#[tokio::test]
async fn opening_is_idempotent_and_the_list_opens_names_for_the_console() {
    let world = World::new().await;
    world.open_patient(1).await;
    world.open_patient(2).await;
    for (asked, teams) in [(None, 2), (Some(facility(2).facility), 2), (Some(facility(3).facility), 0)] {
        let TeamsAnswer::Teams(listed) = world.room.teams(TeamsQuestion::List { facility: asked }).await
        else {
            panic!()
        };
        assert_eq!(listed.len(), teams);
        for team in listed {
            assert_eq!((team.name.expose(), team.kana.expose(), team.members), (NAME, KANA, 3));
            assert_eq!(team.facilities, [facility(1), facility(2)]);
            assert_eq!(team.origin, facility(1).facility);
        }
    }
    let SnsAnswer::Status { teams, streams, epoch, .. } = world.room.operator(SnsQuestion::Status).await
    else {
        panic!()
    };
    assert_eq!((teams, streams, epoch), (2, 0, 1));
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let world = World::new().await;
    let unlinked = TeamsQuestion::AddMember { patient: patient(1), member: member(31, Role::Staff) };
    assert_eq!(world.room.teams(unlinked).await, TeamsAnswer::Refused(TeamsRefusal::NotLinked));
    let unknown = TeamsQuestion::LinkFacility { patient: patient(9), facility: facility(1) };
    assert_eq!(world.room.teams(unknown).await, TeamsAnswer::Refused(TeamsRefusal::UnknownPatient));
    for name in ["", "  ", "a\nb", &"あ".repeat(201)] {
        let (name, kana) = (PatientText::new(name.into()), PatientText::new(String::new()));
        let open = TeamsQuestion::Open { patient: patient(5), name, kana, origin: facility(1), at_ms: 1 };
        assert!(matches!(world.room.teams(open).await, TeamsAnswer::Refused(TeamsRefusal::Invalid { .. })));
    }
}

#[tokio::test]
async fn what_another_room_keeps_opens_only_in_its_context_and_for_its_patient() {
    let world = World::new().await;
    world.open_patient(2).await;
    let open = |n, context: &str, sealed: &[u8]| KeysQuestion::Open {
        patient: patient(n),
        context: context.into(),
        sealed: sealed.to_vec(),
    };
    let seal = KeysQuestion::Seal { patient: patient(1), context: "case/1/scan".into(), plain: NAME.into() };
    let KeysAnswer::Sealed(sealed) = world.room.keys(seal).await else { panic!() };
    assert_eq!(world.room.keys(open(1, "case/1/scan", &sealed)).await, KeysAnswer::Opened(NAME.into()));
    world.room.operator(SnsQuestion::RotateEpoch).await;
    assert_eq!(
        world.room.keys(open(1, "case/1/scan", &sealed)).await,
        KeysAnswer::Opened(NAME.into()),
        "epochs do not touch content"
    );
    for (n, context) in [(1, "case/2/scan"), (2, "case/1/scan")] {
        let refused = world.room.keys(open(n, context, &sealed)).await;
        assert!(matches!(refused, KeysAnswer::Refused(TeamsRefusal::Invalid { .. })), "{refused:?}");
    }
    let unknown = world.room.keys(open(9, "case/1/scan", &sealed)).await;
    assert_eq!(unknown, KeysAnswer::Refused(TeamsRefusal::UnknownPatient));
}

async fn linked(world: &World, n: u8) -> Vec<sns::door::FacilityRef> {
    let TeamsAnswer::Teams(listed) = world.room.teams(TeamsQuestion::List { facility: None }).await else {
        panic!()
    };
    listed.into_iter().find(|team| team.patient == patient(n)).map(|team| team.facilities).unwrap_or_default()
}

/// C-7, P-06, P-24: out of one team or of all; what was written stays with its name; repeating changes nothing.
#[tokio::test]
async fn c_7_a_facility_leaves_a_team_and_what_it_wrote_stays() {
    let world = World::new().await;
    world.open_patient(2).await;
    let (leaver, stays) = (identity(21, Role::Staff), identity(11, Role::Staff));
    world.write(&leaver, "引き継ぎます").await;
    let one = || TeamsQuestion::UnlinkFacility { patient: Some(patient(1)), facility: facility(2).facility };
    assert_eq!(world.room.teams(one()).await, TeamsAnswer::Left { teams: 1 });
    assert_eq!(world.room.teams(one()).await, TeamsAnswer::Left { teams: 0 }, "safe to repeat");
    let (gone, never) = (world.get(&leaver, &posts(1)).await, world.get(&leaver, &posts(99)).await);
    assert_eq!((gone.status, gone.body), (never.status, never.body), "as if it had never been (J-03)");
    let page = world.get(&stays, &posts(1)).await.json();
    assert_eq!(page["posts"][0]["author"]["name"], "職員21号");
    assert_eq!(page["team"]["members"], 1, "the family of the same facility is out, too");
    assert_eq!(linked(&world, 1).await, [facility(1)]);
    assert_eq!(linked(&world, 2).await, [facility(1), facility(2)], "the other team is another matter");

    let all = TeamsQuestion::UnlinkFacility { patient: None, facility: facility(2).facility };
    assert_eq!(world.room.teams(all).await, TeamsAnswer::Left { teams: 1 });
    assert!(world.get(&leaver, &posts(2)).await.status == never.status);
    // It comes back as somebody new: linked, but nobody in the team until its admin says who.
    world.room.teams(TeamsQuestion::LinkFacility { patient: patient(1), facility: facility(2) }).await;
    assert_eq!(world.get(&leaver, &posts(1)).await.status, never.status);
    let unknown = TeamsQuestion::UnlinkFacility { patient: Some(patient(9)), facility: facility(2).facility };
    assert_eq!(world.room.teams(unknown).await, TeamsAnswer::Refused(TeamsRefusal::UnknownPatient));
}

/// C-10.4: everybody is out; the posts wait for their erasure, and the team can be built anew (P-27).
#[tokio::test]
async fn c_10_4_a_stopped_team_is_nobodys_and_not_yet_erased() {
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    world.write(&who, "投稿").await;
    let stop = || TeamsQuestion::Stop { patient: patient(1) };
    assert_eq!(world.room.teams(stop()).await, TeamsAnswer::Stopped { facilities: 2 });
    assert_eq!(world.room.teams(stop()).await, TeamsAnswer::Stopped { facilities: 0 });
    for role in [(11, Role::Staff), (21, Role::Staff), (22, Role::Family)] {
        let gone = world.get(&identity(role.0, role.1), &posts(1)).await;
        assert_eq!(gone.status, http::StatusCode::NOT_FOUND);
    }
    assert!(linked(&world, 1).await.is_empty());
    // The family changes its mind.
    world.room.teams(TeamsQuestion::LinkFacility { patient: patient(1), facility: facility(1) }).await;
    let add = TeamsQuestion::AddMember { patient: patient(1), member: member(11, Role::Staff) };
    assert_eq!(world.room.teams(add).await, TeamsAnswer::Added);
    assert_eq!(world.get(&who, &posts(1)).await.json()["posts"][0]["text"], "投稿");
}

/// P-22: read, not written, not acknowledged; still listed, and erased at the end of its time.
#[tokio::test]
async fn p_22_a_closed_team_is_read_and_not_written() {
    let mut world = World::new().await;
    let (writer, reader) = (identity(11, Role::Staff), identity(22, Role::Family));
    let post = world.write(&writer, "最後の投稿").await;
    for _ in 0..2 {
        assert_eq!(world.room.teams(TeamsQuestion::Close { patient: patient(1) }).await, TeamsAnswer::Closed);
    }
    world.restart().await;
    let refused = world.post(&writer, &posts(1), serde_json::json!({ "text": "あとから" })).await;
    assert_eq!((refused.status, refused.code().as_str()), (http::StatusCode::CONFLICT, "MM-4020"));
    let staff = identity(21, Role::Staff);
    let pressed = world.post(&staff, &super::world::ack(&post), serde_json::Value::Null).await;
    assert_eq!(pressed.code(), "MM-4020");
    let page = world.get(&staff, &posts(1)).await.json();
    assert_eq!(page["posts"][0]["text"], "最後の投稿");
    assert_eq!(page["team"]["read_only"], true);
    let shown = world.get(&staff, &format!("/teams/{}", patient(1))).await.text();
    assert!(shown.contains("閲覧のみ") && !shown.contains("<textarea") && !shown.contains("/ack\""));
    let listed = world.get(&reader, "/").await.text();
    assert!(listed.contains("支援終了"), "{listed}");
    assert_eq!(linked(&world, 1).await.len(), 2);
    let erase = KeysQuestion::Erase { patient: patient(1) };
    assert_eq!(world.room.keys(erase).await, KeysAnswer::Erased);
    assert!(linked(&world, 1).await.is_empty());
    assert_eq!(world.get(&staff, &posts(1)).await.status, http::StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_renamed_member_is_shown_anew_and_old_posts_keep_the_old_name_p_33() {
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    world.write(&who, "a").await;
    let mut renamed = member(11, Role::Staff);
    renamed.name = "新姓花子".into();
    world.room.teams(TeamsQuestion::AddMember { patient: patient(1), member: renamed }).await;
    world.write(&who, "b").await;
    let page = world.get(&who, &super::world::posts(1)).await.json();
    assert_eq!(
        (page["posts"][0]["author"]["name"].as_str(), page["posts"][1]["author"]["name"].as_str()),
        (Some("新姓花子"), Some("職員11号"))
    );
    assert_eq!(page["team"]["members"], 3);
}
