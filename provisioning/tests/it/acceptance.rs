//! 受理: a case becomes a facility with its admin, its slots and its letters, all at once (C-1.3 – C-12.1).

use std::time::Duration;

use provisioning::door::{CaseChoice, ProvisioningAnswer, ProvisioningQuestion};

use super::world::{SAMPLE, World, operator};

/// The place that the story uses: こしひかり, the 28th of the sample, with VPN申請数 2.
/// Requirements B-05, P-04, C-1.5.
#[tokio::test]
async fn the_sample_is_accepted_in_order_and_18_0042_begins_a_facility() {
    let world = World::new().await;
    world.import(SAMPLE, false).await.unwrap();
    let before = world.rows().await;
    let dry = world.accept(CaseChoice::AllComplete, true).await.unwrap();
    assert_eq!((dry.dry_run, dry.accepted.len()), (true, 30));
    assert_eq!(world.rows().await, before, "a dry run writes nothing");

    let report = world.accept(CaseChoice::AllComplete, false).await.unwrap();
    assert_eq!(report.accepted.len(), 30);
    let slots: Vec<_> = report.accepted.iter().flat_map(|a| a.slots.clone()).collect();
    let expected: Vec<String> = (1..=slots.len()).map(|n| format!("18-{n:04}")).collect();
    assert_eq!(
        slots.iter().map(ToString::to_string).collect::<Vec<_>>(),
        expected,
        "lowest numbers, neighbours together"
    );
    let place = report.accepted.iter().find(|a| a.bundle_slot.to_string() == "18-0042").unwrap();
    assert_eq!((place.facility_name.as_str(), place.slots.len()), ("小規模多機能ホーム こしひかり", 2));
    for (dry, done) in dry.accepted.iter().zip(&report.accepted) {
        assert_eq!((&dry.case, &dry.slots), (&done.case, &done.slots), "the dry run has told the truth");
    }

    let rows = world.rows().await;
    assert_eq!(
        (rows["facility"], rows["membership"], rows["device"], rows["seat"], rows["enrolment"]),
        (31, 31, 31, 31, 31)
    );
    assert_eq!((rows["slot"], rows["outbox"]), (slots.len() as i64 + 1, 62));
    p_01_media_follow_vpn_requested(&world).await;

    let again = world.accept(CaseChoice::AllComplete, false).await.unwrap();
    assert!(again.accepted.is_empty());
    let trouble = world.accept(CaseChoice::One(place.case.clone()), false).await.unwrap_err();
    assert_eq!(trouble.code, "MM-5302");
    assert!(trouble.ja.contains(&place.case));
    assert_eq!(world.rows().await["facility"], 31, "accepting twice changes nothing");
    world.letters_left().await;
    the_story_of_18_0042_is_told(&world, &place.case).await;
    world.room.stop().await;
}

async fn p_01_media_follow_vpn_requested(world: &World) {
    let wrong: Vec<String> = sqlx::query_scalar(
        "SELECT f.name FROM facility f JOIN slot s ON s.facility = f.facility WHERE f.kind <> '事務局'
         GROUP BY f.facility, f.name, f.vpn_requested
         HAVING SUM(s.meetings) <> f.vpn_requested OR COUNT(*) <> CASE WHEN f.vpn_requested > 1 THEN f.vpn_requested ELSE 1 END",
    )
    .fetch_all(&world.registry().await)
    .await
    .unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
}

async fn the_story_of_18_0042_is_told(world: &World, case: &str) {
    let ProvisioningAnswer::Slot(slot) =
        world.ask(ProvisioningQuestion::SlotShow { slot: "18-0042".parse().unwrap() }).await
    else {
        panic!()
    };
    assert_eq!((slot.row.state.as_str(), slot.row.meetings), ("issued", true));
    assert_eq!(slot.history.iter().map(|h| h.state.as_str()).collect::<Vec<_>>(), ["allotted", "issued"]);
    let ProvisioningAnswer::Case(case) =
        world.ask(ProvisioningQuestion::CaseShow { case: case.to_owned() }).await
    else {
        panic!()
    };
    let closed: Vec<_> = case.steps.iter().filter(|s| s.at.is_some()).map(|s| s.id.as_str()).collect();
    assert_eq!((case.row.state.as_str(), closed), ("sent", vec!["C-1.2", "C-1.3", "C-1.5", "C-12.1"]));
    let ProvisioningAnswer::AuditVerified { entries, .. } =
        world.ask(ProvisioningQuestion::AuditVerify).await
    else {
        panic!()
    };
    assert_eq!(entries as i64, world.rows().await["audit"]);
    let ProvisioningAnswer::Facilities(facilities) = world.ask(ProvisioningQuestion::FacilityList).await
    else {
        panic!()
    };
    assert_eq!(facilities.len(), 30);
    assert!(facilities.iter().all(|f| !f.admin_address.is_empty() && !f.slots.is_empty()));
}

/// The asker is killed somewhere in the middle, again and again: each time all is there, or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_acceptance_leaves_all_or_nothing() {
    let world = World::new().await;
    let cases = world.import(SAMPLE, false).await.unwrap().cases;
    for (cut_ms, case) in [0, 1, 2, 5, 30, 60, 90, 120, 150, 180, 210, 240].into_iter().zip(&cases) {
        let question =
            ProvisioningQuestion::CaseAccept { case: CaseChoice::One(case.clone()), dry_run: false };
        // When it is cut off varies from run to run; what must hold does not.
        let _ =
            tokio::time::timeout(Duration::from_millis(cut_ms), world.room.operator(question, operator()))
                .await;
        all_or_nothing(&world).await;
    }
    world.accept(CaseChoice::AllComplete, false).await.unwrap();
    all_or_nothing(&world).await;
    assert_eq!(world.rows().await["facility"], 31);
}

/// The last statement of an acceptance fails: nothing of it stays.
#[tokio::test]
async fn a_failed_acceptance_leaves_nothing() {
    let world = World::new().await;
    let cases = world.import(SAMPLE, false).await.unwrap().cases;
    let before = world.rows().await;
    sqlx::raw_sql(if world.server.is_some() {
        "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$;
         CREATE TRIGGER disk_full BEFORE INSERT ON audit FOR EACH ROW WHEN (NEW.action = 'case.accept')
         EXECUTE FUNCTION disk_full()"
    } else {
        "CREATE TRIGGER disk_full BEFORE INSERT ON audit WHEN NEW.action = 'case.accept'
         BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    })
    .execute(&world.registry().await)
    .await
    .unwrap();
    let trouble = world.accept(CaseChoice::One(cases[0].clone()), false).await.unwrap_err();
    assert_eq!(trouble.code, "MM-5000");
    assert!(!trouble.ja.contains("disk full"), "our own trouble is told without detail");
    assert_eq!(world.rows().await, before);
}

async fn all_or_nothing(world: &World) {
    // One statement: what was cut off may be committed a moment later, between two.
    let rows = world.rows().await;
    let accepted = rows["office_case accepted"];
    for table in ["facility", "person", "address", "membership", "seat", "device", "enrolment"] {
        assert_eq!(rows[table], accepted + 1, "{table}");
    }
    assert_eq!(rows["outbox"], 2 * (accepted + 1));
    let unowned: i64 = sqlx::query_scalar("SELECT count(*) FROM slot WHERE facility IS NULL")
        .fetch_one(&world.registry().await)
        .await
        .unwrap();
    assert_eq!(unowned, 0);
}

#[tokio::test]
async fn an_unknown_case_is_not_found() {
    let world = World::new().await;
    let trouble = world.accept(CaseChoice::One("2026-99999".into()), false).await.unwrap_err();
    assert_eq!(trouble.code, "MM-5301");
}
