//! The flows' cases on the registry (C): opened, driven, their mails written, their effects in place; all of an act
//! or nothing of it.

use pki::identity::PatientId;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, Trouble};
use provisioning::door_flow::{FlowAct, FlowAnswer, FlowDetail, FlowQuestion, FlowRow};
use serde_json::json;

use super::town::Town;

impl Town {
    async fn flow(&self, question: FlowQuestion) -> Result<FlowAnswer, Trouble> {
        match self.ask(ProvisioningQuestion::Flow(question)).await {
            ProvisioningAnswer::Flow(answer) => Ok(answer),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble),
            other => panic!("{other:?}"),
        }
    }

    async fn case(&self, question: FlowQuestion) -> Result<FlowDetail, Trouble> {
        match self.flow(question).await? {
            FlowAnswer::Case(detail) => Ok(*detail),
            other => panic!("{other:?}"),
        }
    }

    async fn act(&self, case: &str, act: FlowAct) -> Result<FlowDetail, Trouble> {
        self.case(FlowQuestion::Act { case: case.into(), act, dry_run: false }).await
    }

    async fn step(&self, case: &str, step: &str) -> Result<FlowDetail, Trouble> {
        self.act(case, FlowAct::Step { step: step.into() }).await
    }

    async fn listed(&self) -> Vec<FlowRow> {
        match self.flow(FlowQuestion::List).await.unwrap() {
            FlowAnswer::Cases(rows) => rows,
            other => panic!("{other:?}"),
        }
    }
}

fn open(flow: &str, forms: &[&str]) -> FlowQuestion {
    FlowQuestion::Open {
        flow: flow.into(),
        facility: None,
        patient: None,
        membership: None,
        forms: forms.iter().map(|form| (*form).to_owned()).collect(),
        dry_run: false,
    }
}

fn with(
    question: FlowQuestion,
    facility: Option<&pki::identity::FacilityId>,
    patient: Option<&PatientId>,
) -> FlowQuestion {
    match question {
        FlowQuestion::Open { flow, membership, forms, dry_run, .. } => {
            let (facility, patient) = (facility.cloned(), patient.cloned());
            FlowQuestion::Open { flow, facility, patient, membership, forms, dry_run }
        }
        other => other,
    }
}

fn answered(question: &str, yes: bool) -> FlowAct {
    FlowAct::Answer { question: question.into(), yes }
}

/// C-4, P-06, D-01: a facility leaves; its devices, people and bill end, its admin is told and confirms by telephone.
#[tokio::test]
async fn c_4_a_facility_leaves_with_its_devices_and_people() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let (facility, slot) = &facilities[0];
    town.enrolled(*slot, 3).await;
    let question = || with(open("C-4", &[]), Some(facility), None);
    let FlowQuestion::Open { flow, facility: of, patient, membership, forms, .. } = question() else {
        panic!()
    };
    town.case(FlowQuestion::Open { flow, facility: of, patient, membership, forms, dry_run: true })
        .await
        .unwrap();
    assert!(town.listed().await.is_empty(), "a dry run opens nothing");

    let case = town.case(question()).await.unwrap().row.case;
    assert_eq!(town.step(&case, "C-4.3").await.unwrap_err().code, "MM-5363", "様式6 is missing");
    assert_eq!(town.step(&case, "C-4.4").await.unwrap_err().code, "MM-5362", "no step overtakes");
    town.act(&case, FlowAct::Form { form: "様式６".into() }).await.unwrap();
    town.step(&case, "C-4.3").await.unwrap();
    let rehearsed =
        FlowQuestion::Act { case: case.clone(), act: FlowAct::Step { step: "C-4.4".into() }, dry_run: true };
    assert!(town.case(rehearsed).await.unwrap().dry_run);
    assert_eq!(town.number("SELECT count(*) FROM facility WHERE state = 'ended'").await, 0);

    town.step(&case, "C-4.4").await.unwrap();
    assert_eq!(town.number("SELECT count(*) FROM facility WHERE state = 'ended'").await, 1);
    assert_eq!(town.number("SELECT count(*) FROM facility_end").await, 1);
    assert_eq!(
        town.number("SELECT count(*) FROM membership WHERE state = 'active'").await,
        2,
        "office and the other"
    );
    assert_eq!(town.number("SELECT count(*) FROM revocation WHERE completed_at IS NOT NULL").await, 1);
    assert!(town.around.pki.living(*slot).is_empty());

    let told = town.step(&case, "C-4.5").await.unwrap();
    assert_eq!((told.letters.len(), told.letters[0].step.as_str()), (1, "C-4.5"));
    assert_eq!(town.step(&case, "C-4.6").await.unwrap_err().code, "MM-5367", "a word is no confirmation");
    let confirm = FlowAct::Confirm { step: "C-4.6".into(), how: "電話".into() };
    let done = town.act(&case, confirm).await.unwrap();
    assert_eq!(done.row.phase, "done");
    let last = done.steps.last().unwrap();
    assert_eq!((last.how.as_deref(), last.operator.as_deref()), (Some("電話"), Some("engineer")));
    assert_eq!(town.act(&case, FlowAct::Withdraw).await.unwrap_err().code, "MM-5364");
}

/// C-11, E-03, G-01: 様式3 changes the registry, with a code of ten characters, and the admin is told (M-13).
#[tokio::test]
async fn c_11_form_3_changes_the_facility() {
    let town = Town::new().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    let case = town.case(with(open("C-11", &["様式3"]), Some(&facility), None)).await.unwrap().row.case;
    town.step(&case, "C-11.3").await.unwrap();
    assert_eq!(town.step(&case, "C-11.4").await.unwrap_err().code, "MM-5371", "nothing to change yet");
    let change = |field: &str, value: &str| FlowAct::Change { field: field.into(), value: value.into() };
    for (field, value, code) in [
        ("code", "123", "MM-5211"),
        ("telephone", "x", "MM-5241"),
        ("kind", "医科", "MM-5373"),
        ("name", " ", "MM-5201"),
    ] {
        assert_eq!(town.act(&case, change(field, value)).await.unwrap_err().code, code, "{field}");
    }
    town.act(&case, change("name", "新さくら内科")).await.unwrap();
    town.act(&case, change("code", "１８１０１１２０１１")).await.unwrap();
    town.step(&case, "C-11.4").await.unwrap();
    let done = town.step(&case, "C-11.5").await.unwrap();
    assert_eq!((done.row.phase.as_str(), done.letters.len()), ("done", 1));
    assert_eq!(town.text("SELECT name FROM facility WHERE code = '1810112011'").await, "新さくら内科");
    let again = town.step(&case, "C-11.5").await.unwrap();
    assert_eq!(again.letters.len(), 1, "a step done twice sends once");
}

/// C-10, D M-12, J-14, P-27: every facility of the team is told, and no case, mail or trail names the patient.
#[tokio::test]
async fn c_10_all_facilities_are_told_and_nothing_is_erased_early() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let office = town.secretariat().await;
    let name = "越前 花";
    let body = json!({ "name": name, "kana": "エチゼン ハナ", "consent_date": "2026-11-01", "origin": facilities[0].0 });
    let made = town.call(&office, "POST", "/api/patients", Some(body)).await.json();
    let patient: PatientId = made["patient"].as_str().unwrap().parse().unwrap();
    let link = json!({ "facility": facilities[1].0 });
    town.call(&office, "POST", &format!("/api/patients/{patient}/facilities"), Some(link)).await;

    let case =
        town.case(with(open("C-10", &["様式7"]), Some(&facilities[0].0), Some(&patient))).await.unwrap();
    assert_eq!(case.missing.len(), 1, "whether to erase immediately: {:?}", case.missing);
    let case = case.row.case;
    town.act(&case, answered("immediately", false)).await.unwrap();
    for step in ["C-10.3", "C-10.4"] {
        town.step(&case, step).await.unwrap();
    }
    let told = town.step(&case, "C-10.5").await.unwrap();
    assert_eq!(told.letters.len(), 2, "both facilities");
    assert!(told.erase_from.is_some());
    assert_eq!(town.step(&case, "P-27").await.unwrap_err().code, "MM-5366");
    for table in [
        "SELECT COALESCE(MAX(payload), '') FROM outbox WHERE kind = 'notice'",
        "SELECT MAX(state) FROM flow_case",
        "SELECT MAX(body) FROM audit",
    ] {
        assert!(!town.text(table).await.contains("越前"), "{table}");
    }
}

/// C-9, P-16, J-12: a family of one leaves; the call is recorded, its words stay out of the trail.
/// Requirements M-10.
#[tokio::test]
async fn c_9_a_member_of_a_family_leaves_by_telephone() {
    let town = Town::new().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    town.execute(
        "INSERT INTO person (person, login, name, must_change, state, created_at) VALUES ('p-daughter', 'x', '長女', 0, 'active', 0)",
    )
    .await;
    sqlx::query(
        "INSERT INTO membership (membership, person, facility, role, state, grants_version)
         VALUES ('m-aaaaaaaaaaaaaaaa', 'p-daughter', $1, 'family', 'active', 0)",
    )
    .bind(facility.as_str())
    .execute(&town.registry().await)
    .await
    .unwrap();
    let FlowQuestion::Open { flow, facility: of, patient, forms, dry_run, .. } =
        with(open("C-9", &[]), Some(&facility), None)
    else {
        panic!()
    };
    let membership = Some("m-aaaaaaaaaaaaaaaa".parse().unwrap());
    let case = town
        .case(FlowQuestion::Open { flow, facility: of, patient, membership, forms, dry_run })
        .await
        .unwrap();
    let case = case.row.case;
    assert_eq!(town.step(&case, "P-16.2").await.unwrap_err().code, "MM-5363");
    town.act(&case, answered("family-stays", false)).await.unwrap();
    let call = FlowAct::Call {
        caller: "長女の方".into(),
        number: "0776-99-8888".into(),
        at: "10:00".into(),
        recognised_by: "登録番号へ折返し".into(),
    };
    town.act(&case, call).await.unwrap();
    let before = town.grants().await;
    for step in ["P-16.2", "C-9.3", "C-9.4"] {
        town.step(&case, step).await.unwrap();
    }
    assert_eq!(
        town.number("SELECT count(*) FROM membership WHERE role = 'family' AND state = 'active'").await,
        0
    );
    assert!(town.grants().await.version > before.version, "the gateway hears of it");
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE body LIKE '%0776-99-8888%'").await, 0);
    assert_eq!(town.step(&case, "C-9.5").await.unwrap_err().code, "MM-5369", "whom to tell without a team?");
}

/// E-12a, E-M2: incomplete papers are kept with a letter, nonsense is refused by its word, and open cases stand first.
#[tokio::test]
async fn e_12a_incomplete_papers_are_kept_and_told() {
    let town = Town::new().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    for (flow, forms) in [("C-13", vec![]), ("C-4", vec!["様式99"])] {
        assert_eq!(town.case(open(flow, &forms)).await.unwrap_err().code, "MM-5373");
    }
    let case = town.case(with(open("C-7", &[]), Some(&facility), None)).await.unwrap().row.case;
    let told = town.act(&case, FlowAct::Incomplete).await.unwrap();
    assert_eq!((told.row.phase.as_str(), told.letters.len()), ("incomplete", 1));
    let text = town.text("SELECT recipient FROM outbox WHERE kind = 'notice'").await;
    assert!(text.contains('@'));
    town.act(&case, FlowAct::Withdraw).await.unwrap();
    let open_case = town.case(with(open("C-7", &["様式6"]), Some(&facility), None)).await.unwrap().row.case;
    let rows = town.listed().await;
    assert_eq!(
        (rows[0].case.as_str(), rows[0].phase.as_str(), rows.len()),
        (open_case.as_str(), "received", 2)
    );
    assert_eq!(town.act("2026-99999", FlowAct::Withdraw).await.unwrap_err().code, "MM-5301");
    assert_eq!(town.step(&open_case, "C-4.3").await.unwrap_err().code, "MM-5361");
}
