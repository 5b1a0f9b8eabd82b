//! Section B over HTTP: every route of this room × every role × every relation (own, another's, nobody's), generated from
//! the table of `decide`. What no rule allows is refused before anything is read or written; another's thing answers as
//! nobody's does. A route that is in the sources and not in the table fails the test.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Request, StatusCode};
use pki::identity::{FacilityId, Identity, Role};
use provisioning::decide::{Action, Actor, Object, decide};
use serde_json::json;

use super::town::{Answer, Town};

/// Method, path, action, and whether it is about one facility's own things.
type Route = (&'static str, &'static str, Action, bool);

use Action::*;

const ROUTES: &[Route] = &[
    ("GET", "/", SeeHome, true),
    ("GET", "/live.js", SeeHome, true),
    ("GET", "/api/openapi.json", SeeApi, true),
    ("GET", "/api/people", ListPeople, true),
    ("POST", "/api/people", RegisterPerson, true),
    ("GET", "/api/patients", ListPatients, true),
    ("POST", "/api/patients", RegisterPatient, false),
    ("POST", "/api/patients/{patient}/facilities", LinkPatient, false),
    ("POST", "/api/patients/{patient}/members", AddMember, true),
    ("GET", "/api/devices", ListDevices, true),
    ("POST", "/api/devices", AddDevice, true),
    ("POST", "/api/devices/{slot}/lost", ReportLost, true),
    ("GET", "/devices/{slot}/lost", ReportLost, true),
    ("POST", "/devices/{slot}/lost", ReportLost, true),
    ("GET", "/slots/{slot}/revoke", RevokeDevice, false),
    ("POST", "/slots/{slot}/revoke", RevokeDevice, false),
    ("GET", "/receipts/{receipt}", SeeReceipt, true),
    ("GET", "/devices/add", AddDevice, true),
    ("POST", "/devices/add", AddDevice, true),
    ("POST", "/devices/more", AskDevices, true),
    ("GET", "/devices/requests", DecideDevices, false),
    ("POST", "/devices/requests/{request}", DecideDevices, false),
    ("GET", "/people", ListPeople, true),
    ("POST", "/people", RegisterPerson, true),
    ("GET", "/facilities/{facility}/account", SeeFees, false),
    ("POST", "/facilities/{facility}/account", ManageFees, false),
    ("GET", "/fees/debit", ManageFees, false),
    ("POST", "/fees/debit/file", ManageFees, false),
    ("POST", "/fees/debit/result", ManageFees, false),
    ("GET", "/fees", SeeFees, false),
    ("GET", "/fees/run", ManageFees, false),
    ("POST", "/fees/run", ManageFees, false),
    ("GET", "/fees/settings", SeeFees, false),
    ("POST", "/fees/settings", ManageFees, false),
    ("GET", "/fees/csv", SeeFees, false),
    ("GET", "/fees/print", SeeFees, false),
    ("GET", "/fees/invoices/{invoice}", SeeFees, false),
    ("POST", "/fees/invoices/{invoice}/paid", ManageFees, false),
    ("GET", "/flows/new", DriveFlow, false),
    ("POST", "/flows/open", DriveFlow, false),
    ("GET", "/flows", ListFlows, false),
    ("GET", "/flows/{case}", ListFlows, false),
    ("POST", "/flows/{case}/act", DriveFlow, false),
    ("GET", "/flows/{case}/steps/{step}", DriveFlow, false),
    ("GET", "/letters/{letter}", SeeLetters, false),
    ("POST", "/letters/{letter}/retry", SendLetter, false),
    ("GET", "/facilities/{facility}/admin-address", ChangeAdmin, false),
    ("POST", "/facilities/{facility}/admin-address", ChangeAdmin, false),
    ("POST", "/cases/{case}/delivery", SendPost, false),
    ("POST", "/facilities/{facility}/delivery", SendPost, false),
    ("GET", "/post", SeePost, false),
    ("POST", "/post/runs", SendPost, false),
    ("GET", "/post/runs/{run}", SeePost, false),
    ("POST", "/post/runs/{run}/print", SendPost, false),
    ("GET", "/post/runs/{run}/labels", SeePost, false),
    ("POST", "/post/runs/{run}/sent", SendPost, false),
    ("POST", "/post/runs/{run}/undo", SendPost, false),
    ("GET", "/post/back", SeePost, false),
    ("GET", "/post/items/{item}", SeePost, false),
    ("POST", "/post/items/{item}/returned", SendPost, false),
    ("POST", "/post/items/{item}/settle", SendPost, false),
    ("GET", "/cases", ListCases, false),
    ("GET", "/cases/accept", AcceptCase, false),
    ("POST", "/cases/accept", AcceptCase, false),
    ("GET", "/cases/{case}", ListCases, false),
    ("POST", "/cases/{case}/accept", AcceptCase, false),
    ("GET", "/facilities", ListFacilities, false),
    ("GET", "/facilities/{facility}", ListFacilities, false),
    ("GET", "/facilities/{facility}/family", RegisterFamily, false),
    ("POST", "/facilities/{facility}/family", RegisterFamily, false),
    ("POST", "/facilities/{facility}/family/devices", RegisterFamily, false),
    ("POST", "/facilities/{facility}/family/{membership}", RegisterFamily, false),
    ("GET", "/slots", ListSlots, false),
    ("GET", "/slots/{slot}", ListSlots, false),
    ("GET", "/patients", ListPatients, true),
    ("POST", "/patients/find", ListPatients, true),
    ("POST", "/patients", RegisterPatient, false),
    ("POST", "/patients/{patient}/facilities", LinkPatient, false),
    ("POST", "/patients/{patient}/members", AddMember, true),
    ("GET", "/slots/{slot}/extend", RenewBundle, false),
    ("POST", "/slots/{slot}/extend", RenewBundle, false),
    ("GET", "/slots/{slot}/reissue", RenewBundle, false),
    ("POST", "/slots/{slot}/reissue", RenewBundle, false),
    ("GET", "/notices", ConfirmNotice, true),
    ("POST", "/notices/{case}/{step}", ConfirmNotice, true),
    ("GET", "/people/{membership}", SeePerson, true),
    ("POST", "/people/{membership}/suspend", SuspendPerson, true),
    ("POST", "/people/{membership}/resume", ResumePerson, true),
    ("POST", "/people/{membership}/password", RenewPassword, true),
    ("POST", "/people/{membership}/end", EndPerson, true),
    ("POST", "/people/{membership}/leave", EndPerson, true),
    ("GET", "/forms", DriveFlow, false),
    ("POST", "/forms/import", DriveFlow, false),
    ("GET", "/forms/{form}/{kind}", DriveFlow, false),
    ("GET", "/scans", SeeScans, false),
    ("POST", "/scans", SortScans, false),
    ("GET", "/scans/{scan}", SeeScans, false),
    ("GET", "/scans/{scan}/image", SeeScans, false),
    ("POST", "/scans/{scan}/file", SortScans, false),
    ("POST", "/scans/{scan}/discard", SortScans, false),
    ("GET", "/ledger", SeeRegister, true),
    ("POST", "/ledger", NotePledge, true),
    ("GET", "/ledger/file", SeeRegister, true),
    ("GET", "/map", EditMap, true),
    ("POST", "/map", EditMap, true),
    ("GET", "/map/export/{kind}", EditMap, false),
    ("GET", "/takeover", TakeOver, false),
    ("POST", "/takeover", TakeOver, false),
    ("GET", "/takeover/template", TakeOver, false),
    ("GET", "/takeover/{batch}", TakeOver, false),
    ("POST", "/takeover/{batch}/start", TakeOver, false),
    ("GET", "/takeover/{batch}/{facility}", TakeOver, false),
    ("POST", "/takeover/{batch}/{facility}/start", TakeOver, false),
    ("POST", "/takeover/{batch}/{facility}/undo", TakeOver, false),
    ("GET", "/register", SeeRegister, true),
    ("GET", "/register/csv", SeeRegister, true),
    ("POST", "/register/training", NoteTraining, true),
    ("POST", "/people/{membership}/pledge", NotePledge, true),
    ("GET", "/yearly", SeeYearly, true),
    ("POST", "/yearly", AnswerYearly, true),
    ("GET", "/yearly/confirm", AnswerYearly, true),
    ("POST", "/yearly/finish", AnswerYearly, true),
    ("POST", "/yearly/open", ManageYearly, false),
    ("POST", "/yearly/{facility}/called", ManageYearly, false),
    ("GET", "/report", SeeReport, false),
    ("GET", "/incidents", SeeIncidents, true),
    ("POST", "/incidents", ReportIncident, true),
    ("GET", "/incidents/{incident}", SeeIncidents, true),
    ("GET", "/incidents/{incident}/print", SeeIncidents, true),
    ("POST", "/incidents/{incident}/step", DriveIncident, false),
    ("POST", "/incidents/{incident}/stop", StopForIncident, false),
    ("GET", "/search", Search, false),
    ("GET", "/facilities/{facility}/telephone", AnswerCall, false),
    ("POST", "/facilities/{facility}/call", AnswerCall, false),
    ("POST", "/facilities/{facility}/telephone/{slot}", AnswerCall, false),
];

/// The claim listener's; nobody of the office comes there.
const VISITORS: [&str; 17] = [
    "/claim",
    "/claim/{file}",
    "/claim/windows.ps1",
    "/.well-known/est/simpleenroll",
    "/.well-known/est/simplereenroll",
    "/.well-known/est/csrattrs",
    "/claim/apple",
    "/acme/directory",
    "/acme/new-nonce",
    "/acme/new-account",
    "/acme/new-order",
    "/acme/account/{account}",
    "/acme/order/{order}",
    "/acme/order/{order}/finalize",
    "/acme/authorization/{order}",
    "/acme/challenge/{order}",
    "/acme/certificate/{order}",
];

/// Whose ids stand in a path.
#[derive(Clone, Debug)]
struct Ids {
    facility: String,
    slot: String,
    patient: String,
    membership: String,
    receipt: String,
    case: String,
    letter: String,
}

impl Ids {
    fn path(&self, path: &str) -> String {
        path.replace("{facility}", &self.facility)
            .replace("{slot}", &self.slot)
            .replace("{patient}", &self.patient)
            .replace("{membership}", &self.membership)
            .replace("{receipt}", &self.receipt)
            .replace("{case}", &self.case)
            .replace("{letter}", &self.letter)
            .replace("{step}", "C-12.1")
            .replace("{incident}", "J-2026-00001")
            .replace("{invoice}", "2026-00001")
            .replace("{request}", "m-aaaaaaaaaaaaaaaa")
            .replace("{batch}", "t-2026-00001")
            .replace("{run}", "h-2026-00001")
            .replace("{item}", "h-2026-00001-1")
            .replace("{form}", "3")
            .replace("{kind}", "xlsx")
    }
}

/// Every `.route("…", get(…).post(…))` of the sources.
fn routes_of_the_sources() -> BTreeSet<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut routes = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for rest in text.split(".route(").skip(1) {
            let Some(("", rest)) = rest.split_once('"') else { continue };
            let (path, rest) = rest.split_once('"').unwrap();
            let verbs = rest.split(".route(").next().unwrap().lines().next().unwrap();
            for (method, call) in [("GET", "get("), ("POST", "post("), ("PUT", "put("), ("DELETE", "delete(")]
            {
                if verbs.contains(call) && !VISITORS.contains(&path) {
                    routes.insert((method.to_owned(), path.to_owned()));
                }
            }
        }
    }
    routes
}

#[test]
fn b_every_route_is_in_the_table() {
    let table: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(table.len(), ROUTES.len(), "no route twice");
    assert_eq!(routes_of_the_sources(), table);
    let reached: Vec<Action> =
        Action::ALL.into_iter().filter(|action| ROUTES.iter().any(|route| route.2 == *action)).collect();
    assert_eq!(reached, Action::ALL, "every action of section B is somebody's button");
}

async fn call(town: &Town, who: &Identity, (method, path, ..): &Route, ids: &Ids) -> Answer {
    let mut request = Request::builder()
        .method(*method)
        .uri(ids.path(path))
        .header("mimamori-identity", who.to_string())
        .header("mimamori-trace", "0123456789abcdef");
    let member = path.ends_with("/members");
    let body = if path.starts_with("/api/") {
        request = request.header("content-type", "application/json");
        if member { json!({ "membership": ids.membership }).to_string() } else { "{}".to_owned() }
    } else {
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if member { format!("membership={}", ids.membership) } else { String::new() }
    };
    town.send(request.body(Body::from(if *method == "GET" { String::new() } else { body })).unwrap()).await
}

fn allowed(role: Role, action: Action, facility: &FacilityId, object: &Object) -> bool {
    decide(&Actor { role, facility: facility.clone() }, action, object).allowed
}

/// Two facilities, each with a device, a patient and a person, and one identity per role at the first.
async fn scene(town: &Town) -> (Vec<(FacilityId, Ids)>, Vec<Identity>) {
    let facilities = town.facilities(2).await;
    let office = town.secretariat().await;
    let mut found = vec![];
    for (seed, (facility, place)) in facilities.iter().enumerate() {
        town.enrolled(*place, 20 + seed as u8).await;
        let body = json!({ "name": "越前 花", "kana": "エチゼン ハナ", "consent_date": "2026-11-01", "origin": facility });
        let patient = town.call(&office, "POST", "/api/patients", Some(body)).await.json();
        let admin = town.admin(facility, *place).await;
        let body = json!({ "login": format!("kango{seed}@a.example"), "name": "看護 花", "profession": "看護師", "pledge_date": "2026-04-01" });
        let person = town.call(&admin, "POST", "/api/people", Some(body)).await.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let ids = Ids {
            facility: facility.to_string(),
            slot: place.to_string(),
            patient: text(&patient["patient"]),
            membership: text(&person["membership"]),
            receipt: "r-none".into(),
            case: town.text("SELECT MIN(case_id) FROM office_case").await,
            letter: format!("o-bundle-{place}-1"),
        };
        found.push((facility.clone(), ids));
    }
    let admin = town.admin(&facilities[0].0, facilities[0].1).await;
    let people = [Role::FacilityAdmin, Role::Staff, Role::Family];
    let mut who: Vec<Identity> = people.map(|role| Identity { role, ..admin.clone() }).into();
    who.push(office);
    (found, who)
}

/// B-01 … B-29: what no rule allows is refused under the rule's name, whatever ids stand in it, and changes nothing.
/// Requirements G-12, B-12, B-25.
#[tokio::test]
async fn b_what_no_rule_allows_is_refused_before_anything_is_done() {
    let town = Town::new().await;
    let (found, people) = scene(&town).await;
    let own = found[0].0.clone();
    let nobody = Ids {
        facility: FacilityId::from_random([7; 10]).to_string(),
        slot: "18-0999".into(),
        patient: pki::identity::PatientId::from_random([7; 10]).to_string(),
        membership: pki::identity::MembershipId::from_random([7; 10]).to_string(),
        receipt: "r-aaaaaaaaaaaaaaaa".into(),
        case: "2026-99999".into(),
        letter: "o-bundle-18-0999-1".into(),
    };
    town.settled().await;
    let trail = town.number("SELECT count(*) FROM audit").await;
    let mut refused = 0;
    for who in people.iter().filter(|who| who.role != Role::Secretariat) {
        for route in ROUTES {
            let (method, path, action, _) = route;
            let about_own = allowed(who.role, *action, &own, &Object::Facility(own.clone()));
            if about_own || allowed(who.role, *action, &own, &Object::Association) {
                continue;
            }
            for ids in [&found[0].1, &found[1].1, &nobody] {
                let answer = call(&town, who, route, ids).await;
                assert_eq!(
                    answer.status,
                    StatusCode::FORBIDDEN,
                    "{} {method} {path}: {}",
                    who.role,
                    answer.text
                );
                assert!(answer.text.contains("MM-5801") && answer.text.contains("B-00"), "{method} {path}");
                refused += 1;
            }
        }
    }
    // Families have no line at all, staff one.
    assert!(refused > 3 * 2 * ROUTES.len(), "{refused}");
    let office = people.last().unwrap();
    for route in ROUTES
        .iter()
        .filter(|route| !allowed(Role::Secretariat, route.2, &office.facility, &Object::Association))
    {
        let answer = call(&town, office, route, &found[0].1).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "secretariat {} {}", route.0, route.1);
    }
    assert_eq!(town.number("SELECT count(*) FROM audit").await, trail, "a refusal changes nothing");
}

/// B-10, B-11, J-03: another facility's device, receipt, patient and person answer as those that do not exist.
#[tokio::test]
async fn b_another_facilitys_things_answer_as_nobodys() {
    let town = Town::new().await;
    let (found, people) = scene(&town).await;
    let foreign = found[1].1.clone();
    let office = people.last().unwrap();
    let receipt =
        town.revoke(foreign.slot.parse().unwrap(), provisioning::door::RevokeReason::Lost).await.receipt;
    let foreign = Ids { receipt, ..foreign };
    let nobody = Ids {
        slot: "18-0999".into(),
        patient: pki::identity::PatientId::from_random([9; 10]).to_string(),
        membership: pki::identity::MembershipId::from_random([9; 10]).to_string(),
        receipt: "r-aaaaaaaaaaaaaaaa".into(),
        ..foreign.clone()
    };
    town.settled().await;
    let trail = town.number("SELECT count(*) FROM audit").await;
    for who in people.iter().filter(|who| who.role != Role::Secretariat) {
        for route in ROUTES.iter().filter(|route| route.3 && route.1.contains('{')) {
            let (method, path, action, _) = route;
            if !allowed(who.role, *action, &who.facility, &Object::Facility(who.facility.clone())) {
                continue;
            }
            let others = call(&town, who, route, &foreign).await;
            let nobodys = call(&town, who, route, &nobody).await;
            assert_eq!(others.status, StatusCode::NOT_FOUND, "{} {method} {path}: {}", who.role, others.text);
            let plain = |answer: &Answer, ids: &Ids| {
                let said = answer.text.replace(&ids.slot, "").replace(&ids.receipt, "");
                said.replace(&ids.patient, "").replace(&ids.membership, "")
            };
            assert_eq!(plain(&others, &foreign), plain(&nobodys, &nobody), "{} {method} {path}", who.role);
            // One's own patient and another's person: neither is told from nobody's.
            if path.ends_with("/members") {
                let mixed = Ids { patient: found[0].1.patient.clone(), ..foreign.clone() };
                assert_eq!(call(&town, who, route, &mixed).await.status, StatusCode::NOT_FOUND, "{path}");
            }
        }
    }
    assert_eq!(town.number("SELECT count(*) FROM audit").await, trail);
    // The secretariat sees the same receipt.
    let seen = call(&town, office, &("GET", "/receipts/{receipt}", SeeReceipt, true), &foreign).await;
    assert_eq!(seen.status, StatusCode::OK);
}

/// What a rule allows is not refused: every route is tried by whoever may, and none of them fails inside.
/// Requirements A-02, B-03, B-05, B-06, B-07, B-09, B-12, B-15.
#[tokio::test]
async fn b_what_a_rule_allows_is_answered() {
    let town = Town::new().await;
    let (found, people) = scene(&town).await;
    let (own, ids) = &found[0];
    for who in &people {
        // What ends the device comes last.
        let mut routes: Vec<&Route> = ROUTES.iter().collect();
        routes.sort_by_key(|route| route.2 == ReportLost && route.0 == "POST");
        for route in routes {
            let (method, path, action, of_own) = route;
            let object = if *of_own && who.role != Role::Secretariat {
                Object::Facility(own.clone())
            } else {
                Object::Association
            };
            if allowed(who.role, *action, &who.facility, &object) {
                let answer = call(&town, who, route, ids).await;
                let status = answer.status;
                assert!(
                    status != StatusCode::FORBIDDEN && !status.is_server_error(),
                    "{} {method} {path}: {status} {}",
                    who.role,
                    answer.text
                );
            }
        }
    }
}
