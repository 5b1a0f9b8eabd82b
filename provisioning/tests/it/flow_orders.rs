//! What the flows do at the SNS: a facility leaves a team or all, a consent ends, a support ends, and what was written
//! is erased. Given with the step, done however long the SNS is away, in the order in which it was given.

use pki::identity::{FacilityId, Identity, PatientId};
use serde_json::json;

use super::neighbours::Mode;
use super::pages::{get, location, once, send};
use super::town::Town;

struct Case<'a> {
    town: &'a Town,
    office: Identity,
    path: String,
}

impl<'a> Case<'a> {
    async fn open(
        town: &'a Town,
        flow: &str,
        facility: &FacilityId,
        patient: &PatientId,
        form: &str,
    ) -> Self {
        let office = town.secretariat().await;
        let page = send(town, &office, "GET", &format!("/flows/new?flow={flow}"), &[]).await;
        let (once, form) = (once(&page.text), format!("form-{form}"));
        let fields = [
            ("flow", flow),
            ("facility", facility.as_str()),
            ("patient", patient.as_str()),
            (form.as_str(), "on"),
            ("once", &once),
        ];
        let path = location(&send(town, &office, "POST", "/flows/open", &fields).await);
        Self { town, office, path }
    }

    async fn act(&self, form: &[(&str, &str)]) {
        let answer = send(self.town, &self.office, "POST", &format!("{}/act", self.path), form).await;
        assert_eq!(location(&answer), self.path, "{form:?} {}", answer.text);
    }

    async fn steps(&self, steps: &[&str]) {
        for step in steps {
            self.act(&[("act", "step"), ("step", step)]).await;
        }
    }

    async fn page(&self, name: &str) -> String {
        get(self.town, &self.office, &self.path, name).await.text
    }
}

/// A patient whose team has both facilities.
async fn patient(town: &Town, facilities: &[FacilityId]) -> PatientId {
    let office = town.secretariat().await;
    let body = json!({
        "name": "越前 花", "kana": "エチゼン ハナ", "consent_date": "2026-11-01", "origin": facilities[0],
    });
    let made = town.call(&office, "POST", "/api/patients", Some(body)).await.json();
    let patient: PatientId = made["patient"].as_str().unwrap().parse().unwrap();
    for facility in &facilities[1..] {
        let path = format!("/api/patients/{patient}/facilities");
        let linked = town.call(&office, "POST", &path, Some(json!({ "facility": facility }))).await;
        assert!(linked.status.is_success(), "{}", linked.text);
    }
    patient
}

async fn two(town: &Town) -> Vec<FacilityId> {
    town.facilities(2).await.into_iter().map(|(facility, _)| facility).collect()
}

fn linked(town: &Town, patient: &PatientId) -> Vec<FacilityId> {
    let teams = town.around.sns.teams.lock().unwrap();
    teams
        .get(patient)
        .map(|team| team.facilities.iter().map(|(facility, _)| facility.clone()).collect())
        .unwrap_or_default()
}

async fn done(town: &Town, orders: i64) {
    town.until("the SNS has done it", async || {
        town.number("SELECT count(*) FROM team_order WHERE done_at IS NOT NULL").await == orders
    })
    .await;
}

/// C-7, P-24: out of one team, and of no other; the page says when it is done, and the rest of the team is told.
#[tokio::test]
async fn c_7_out_of_one_team_is_out_of_that_team() {
    let town = Town::new().await;
    let facilities = two(&town).await;
    let (this, other) = (patient(&town, &facilities).await, patient(&town, &facilities).await);
    let case = Case::open(&town, "C-7", &facilities[1], &this, "様式6").await;
    case.act(&[("act", "answer"), ("question", "all-teams"), ("yes", "no")]).await;
    case.steps(&["C-7.3"]).await;
    assert_eq!(linked(&town, &this).len(), 2, "accepting removes nobody");
    case.steps(&["C-7.4"]).await;
    done(&town, 1).await;
    assert_eq!(linked(&town, &this), facilities[..1]);
    assert_eq!(linked(&town, &other), facilities);
    assert_eq!(town.number("SELECT count(*) FROM facility WHERE state = 'ended'").await, 0);
    let page = case.page("flow-c7-orders").await;
    assert!(page.contains("SNSでの処理") && page.contains("患者のチームから事業所を外す"));
    assert!(page.contains("済み") && !page.contains("処理しています"));
    case.steps(&["C-7.5"]).await;
    case.act(&[("act", "confirm"), ("step", "C-7.6"), ("how", "電話")]).await;
    case.steps(&["C-7.7", "C-7.8"]).await;
    assert_eq!(town.number("SELECT count(*) FROM outbox WHERE kind = 'notice'").await, 2, "M-05 and M-07");
}

/// C-4: out of everything.
#[tokio::test]
async fn c_4_out_of_every_team() {
    let town = Town::new().await;
    let facilities = two(&town).await;
    let teams = [patient(&town, &facilities).await, patient(&town, &facilities).await];
    let case = Case::open(&town, "C-4", &facilities[1], &teams[0], "様式6").await;
    case.steps(&["C-4.3", "C-4.4"]).await;
    done(&town, 1).await;
    for team in &teams {
        assert_eq!(linked(&town, team), facilities[..1]);
    }
}

/// C-10, P-27: the links stop although the SNS is away and the room is killed; both facilities are told; what was
/// written is erased at once only because the case says so, and after the links.
#[tokio::test]
async fn c_10_a_consent_ends_and_the_posts_with_it() {
    let mut town = Town::new().await;
    let facilities = two(&town).await;
    let patient = patient(&town, &facilities).await;
    town.around.sns.mood.set(|question| if *question == "stop" { Mode::Fails } else { Mode::Works });
    let path = {
        let case = Case::open(&town, "C-10", &facilities[0], &patient, "様式7").await;
        case.act(&[("act", "answer"), ("question", "immediately"), ("yes", "yes")]).await;
        case.steps(&["C-10.3", "C-10.4"]).await;
        town.until("the SNS was asked in vain", async || {
            town.number("SELECT count(*) FROM team_order WHERE attempts > 0 AND done_at IS NULL").await == 1
        })
        .await;
        assert!(case.page("flow-c10-waiting").await.contains("処理しています"));
        case.path
    };
    town.crash();
    town.around.sns.mood.set(|_| Mode::Works);
    town.start().await;
    done(&town, 1).await;
    assert!(linked(&town, &patient).is_empty());
    assert!(town.around.sns.erased.lock().unwrap().is_empty());

    let case = Case { office: town.secretariat().await, town: &town, path };
    case.steps(&["C-10.5"]).await;
    let told = town.number("SELECT count(*) FROM outbox WHERE kind = 'notice'").await;
    assert_eq!(told, 2, "both, though neither is linked any more");
    case.act(&[("act", "confirm"), ("step", "C-10.6"), ("how", "電話")]).await;
    case.steps(&["C-10.7", "C-10.8", "P-27"]).await;
    done(&town, 2).await;
    assert_eq!(*town.around.sns.erased.lock().unwrap(), std::slice::from_ref(&patient));
    let page = case.page("flow-c10-erased").await;
    assert!(page.contains("患者の記事を消去する") && page.contains("完了"));
    let trail = town.number("SELECT count(*) FROM audit WHERE action = 'case.team'").await;
    assert_eq!(trail, 2);
}

/// Nothing is erased before the links are gone, and what the SNS no longer knows is no reason to ask for ever.
#[tokio::test]
async fn orders_keep_their_order_and_end() {
    let town = Town::new().await;
    let facilities = two(&town).await;
    let patient = patient(&town, &facilities).await;
    town.around.sns.mood.set(|question| if *question == "stop" { Mode::Fails } else { Mode::Works });
    let case = Case::open(&town, "C-10", &facilities[0], &patient, "様式7").await;
    case.act(&[("act", "answer"), ("question", "immediately"), ("yes", "yes")]).await;
    case.steps(&["C-10.3", "C-10.4", "C-10.5"]).await;
    case.act(&[("act", "confirm"), ("step", "C-10.6"), ("how", "電話")]).await;
    case.steps(&["C-10.7", "C-10.8", "P-27"]).await;
    town.until("the first was tried twice", async || {
        town.number("SELECT count(*) FROM team_order WHERE attempts >= 2 AND done_at IS NULL").await == 1
    })
    .await;
    assert!(town.around.sns.erased.lock().unwrap().is_empty(), "the erasure waits for what stands before it");
    // Somebody erased the patient in another way meanwhile.
    town.around.sns.teams.lock().unwrap().clear();
    town.around.sns.mood.set(|_| Mode::Works);
    done(&town, 2).await;
    assert_eq!(town.number("SELECT count(*) FROM team_order WHERE last_error LIKE 'MM-4001%'").await, 2);
}

/// P-22: read, not written; C-3: linked by its step.
#[tokio::test]
async fn p_22_closes_and_c_3_links() {
    let town = Town::new().await;
    let facilities = two(&town).await;
    let patient = patient(&town, &facilities[..1]).await;
    let joins = Case::open(&town, "C-3", &facilities[1], &patient, "様式8").await;
    for (question, yes) in [("facility-new", "no"), ("pledge-exists", "yes"), ("team-has-others", "yes")] {
        joins.act(&[("act", "answer"), ("question", question), ("yes", yes)]).await;
    }
    joins.steps(&["C-3.3", "C-3.6"]).await;
    done(&town, 1).await;
    assert_eq!(linked(&town, &patient), facilities);

    let ends = Case::open(&town, "P-22", &facilities[0], &patient, "").await;
    ends.steps(&["P-22.2", "P-22.3", "P-22.4"]).await;
    done(&town, 2).await;
    assert_eq!(*town.around.sns.closed.lock().unwrap(), std::slice::from_ref(&patient));
    let answer = send(
        &town,
        &ends.office,
        "POST",
        &format!("{}/act", ends.path),
        &[("act", "step"), ("step", "P-22.5")],
    )
    .await;
    assert!(answer.text.contains("MM-5366"), "five years are not over (P-23)");
    assert!(town.around.sns.erased.lock().unwrap().is_empty());
}
