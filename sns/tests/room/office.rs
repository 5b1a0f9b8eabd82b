//! The doors: teams, kept content, status (J-01, B-09, B-15, ruling 10).

use pki::identity::Role;
use sns::door::{PatientText, TeamsRefusal};
use sns::{KeysAnswer, KeysQuestion, SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};

use super::world::{KANA, NAME, World, facility, identity, member, patient};

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
