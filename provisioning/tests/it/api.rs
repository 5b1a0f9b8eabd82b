//! The office's API (issue 7): every verb of the operator's door has a place or a reason, only the table of section B opens
//! it, its description is true (an independent reader holds every answer against it), and what is mistyped does nothing.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use http::StatusCode;
use pki::identity::{Identity, Role};
use provisioning::api_http::document;
use provisioning::api_shape::shapes;
use provisioning::api_table::{Method, NOT_OFFERED, OPERATIONS, Operation};
use provisioning::decide::{Actor, Object, decide};
use serde_json::{Value, json};

use super::town::Town;
use super::world::SAMPLE;

const ZONE: &str = "care.example.jp";

/// Checks the document and what was answered, with somebody else's reading of JSON Schema.
const READER: &str = r##"
import json, sys
from jsonschema import Draft202012Validator, RefResolver
document, answers = json.load(sys.stdin)
resolver = RefResolver(base_uri="", referrer=document)
def check(schema, value, where):
    Draft202012Validator.check_schema(schema)
    for error in Draft202012Validator(schema, resolver=resolver).iter_errors(value):
        sys.exit(f"{where}: {list(error.absolute_path)}: {error.message[:300]}")
ids, known = set(), {}
for path, item in document["paths"].items():
    for method, op in item.items():
        assert op["operationId"] not in ids, op["operationId"]
        ids.add(op["operationId"])
        named = {p["name"] for p in op["parameters"] if p["in"] == "path"}
        assert named == {w[1:-1] for w in path.split("/") if w.startswith("{")}, path
        assert op["summary"] and op["x-roles"] and op["x-rules"], path
        for body in [op.get("requestBody")] if "requestBody" in op else []:
            Draft202012Validator.check_schema(body["content"]["application/json"]["schema"])
        for status, told in op["responses"].items():
            for media, shape in told["content"].items():
                Draft202012Validator.check_schema(shape["schema"])
                known[(method.upper(), path, status)] = (media, shape["schema"])
for name, schema in document["components"]["schemas"].items():
    Draft202012Validator.check_schema(schema)
def refs(value):
    if isinstance(value, dict):
        if "$ref" in value: yield value["$ref"]
        for inner in value.values(): yield from refs(inner)
    elif isinstance(value, list):
        for inner in value: yield from refs(inner)
for ref in refs(document): resolver.resolve(ref)
for method, path, status, value in answers:
    shape = known.get((method, path, str(status))) or known[(method, path, "default")]
    if shape[0] == "application/json": check(shape[1], value, f"{method} {path} {status}")
print(len(answers), "answers of", len(ids), "operations")
"##;

/// What the reader says about the description and these answers.
fn read(answers: &[(Method, &str, StatusCode, Value)]) -> String {
    let answers: Vec<Value> = answers
        .iter()
        .map(|(method, path, status, value)| json!([method.as_str(), path, status.as_u16(), value]))
        .collect();
    let mut reader = Command::new("python3")
        .args(["-W", "ignore", "-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let given = json!([document(ZONE), answers]).to_string();
    reader.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    let read = reader.wait_with_output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    String::from_utf8(read.stdout).unwrap()
}

#[test]
fn every_question_has_a_place_or_a_reason() {
    let asked: BTreeSet<String> = shapes().questions().into_iter().collect();
    let placed = OPERATIONS.iter().map(|one| one.question).chain(NOT_OFFERED.iter().map(|one| one.0));
    assert_eq!(asked, placed.map(str::to_owned).collect());
    for one in OPERATIONS {
        let fields = shapes().question(one.question).unwrap();
        assert!(shapes().answer(one.answer).is_some(), "{} has no answer {}", one.question, one.answer);
        for place in one.places() {
            assert!(fields["properties"].get(place).is_some(), "{}: {place} is no field", one.path);
        }
    }
}

/// One name is one shape, whether it is asked or answered.
#[test]
fn the_description_is_whole_and_the_commands_too() {
    let told = read(&[]);
    let operations = OPERATIONS.len() + 9;
    assert_eq!(told.trim(), format!("0 answers of {operations} operations"));
    let document = document(ZONE);
    let verb = &document["paths"]["/api/slots/{slot}/suspend"]["post"];
    assert_eq!(verb["x-roles"], json!(["secretariat"]));
    assert_eq!(verb["x-rules"], json!(["P-16"]));
    assert_eq!(verb["operationId"], "callSuspend");
    assert!(verb["description"].as_str().unwrap().contains("一時停止"));
    for one in OPERATIONS {
        let verb = &document["paths"][one.path][one.method.as_str().to_ascii_lowercase()];
        assert_eq!(
            verb["x-roles"],
            json!(["secretariat"]),
            "{}: an admin's verbs have handlers of their own",
            one.path
        );
    }
    let lost = &document["paths"]["/api/devices/{slot}/lost"]["post"];
    assert_eq!(lost["x-roles"], json!(["secretariat", "facility-admin", "staff"]));
    let body = &verb["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(
        (&body["properties"]["dry_run"]["default"], &body["additionalProperties"]),
        (&json!(false), &json!(false))
    );
    assert!(document["components"]["schemas"].get("SlotNumber").is_some());
}

async fn own(town: &Town) -> (Identity, Vec<Identity>) {
    let office = town.secretariat().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let others =
        [Role::FacilityAdmin, Role::Staff, Role::Family].map(|role| Identity { role, ..admin.clone() });
    (office, others.into())
}

/// The path with something in each place; what it names need not exist.
fn path(operation: &Operation) -> String {
    let mut path = operation.path.to_owned();
    for (name, value) in [
        ("facility", "f-aaaaaaaaaaaaaaaa"),
        ("person", "p-aaaaaaaaaaaaaaaa"),
        ("slot", "18-0000"),
        ("year", "2026"),
        ("form", "3"),
        ("case", "2026-99999"),
    ] {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    path.replace(['{', '}'], "")
}

/// B-01 … B-29: all of it is the secretariat's; the others are refused before their question is read.
#[tokio::test]
async fn b_only_whom_the_table_names_may_ask() {
    let town = Town::new().await;
    let (_, others) = own(&town).await;
    town.settled().await;
    let trail = town.number("SELECT count(*) FROM audit").await;
    for who in &others {
        for one in OPERATIONS {
            let actor = Actor { role: who.role, facility: who.facility.clone() };
            assert!(!decide(&actor, one.action, &Object::Association).allowed, "{}", one.path);
            for body in [None, Some(json!({ "nonsense": 1 }))] {
                let body = body.filter(|_| one.method == Method::Post);
                let answer = town.call(who, one.method.as_str(), &path(one), body).await;
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (StatusCode::FORBIDDEN, "MM-5801"),
                    "{}",
                    one.path
                );
            }
        }
    }
    assert_eq!(town.number("SELECT count(*) FROM audit").await, trail);
    let admin = town.call(&others[0], "GET", "/api/openapi.json", None).await;
    assert_eq!(admin.json()["openapi"], "3.1.0");
    let staff = town.call(&others[1], "GET", "/api/openapi.json", None).await;
    assert_eq!(staff.status, StatusCode::FORBIDDEN);
}

/// From 様式1 to a revoked device by a program alone; every answer has the shape that was promised.
#[tokio::test]
async fn a_program_does_the_offices_work_and_is_answered_as_described() {
    let town = Town::new().await;
    let office = town.secretariat().await;
    let mut answers = vec![];
    let mut ask = async |method: Method, place: &'static str, path: &str, body: Option<Value>| {
        let answer = town.call(&office, method.as_str(), path, body).await;
        let file = !answer.headers["content-type"].to_str().unwrap().starts_with("application/json");
        let value = if file { Value::Null } else { answer.json() };
        answers.push((method, place, answer.status, value.clone()));
        (answer.status, value)
    };
    use Method::{Get, Post};
    let form = json!({ "file_name": "facilities.csv", "bytes": BASE64.encode(SAMPLE), "dry_run": true });
    let (status, dry) =
        ask(Post, "/api/facilities/import", "/api/facilities/import", Some(form.clone())).await;
    assert_eq!((status, &dry["dry_run"]), (StatusCode::OK, &json!(true)), "{dry}");
    assert_eq!(ask(Get, "/api/cases", "/api/cases", None).await.1, json!([]), "a rehearsal leaves nothing");
    let mut form = form;
    form["dry_run"] = json!(false);
    let (_, done) = ask(Post, "/api/facilities/import", "/api/facilities/import", Some(form)).await;
    assert_eq!(done["cases"].as_array().unwrap().len(), dry["rows"].as_u64().unwrap() as usize);
    let case = done["cases"][0].as_str().unwrap().to_owned();
    let (_, accepted) =
        ask(Post, "/api/cases/accept", "/api/cases/accept", Some(json!({ "case": { "One": case } }))).await;
    let slot = accepted["accepted"][0]["slots"][0].as_str().unwrap().to_owned();
    let facility = accepted["accepted"][0]["facility"].as_str().unwrap().to_owned();
    town.enrolled(slot.parse().unwrap(), 41).await;
    let (_, rehearsed) = ask(
        Post,
        "/api/slots/{slot}/suspend",
        &format!("/api/slots/{slot}/suspend"),
        Some(json!({ "dry_run": true })),
    )
    .await;
    assert_eq!(rehearsed["dry_run"], true);
    let opened = json!({ "flow": "C-12", "facility": facility, "forms": [] });
    let (status, case) = ask(Post, "/api/flows", "/api/flows", Some(opened)).await;
    assert_eq!(status, StatusCode::OK, "{case}");
    let flow = case["row"]["case"].as_str().unwrap().to_owned();
    let step = json!({ "case": flow.clone() });
    assert_eq!(
        ask(Get, "/api/flows/{case}", &format!("/api/flows/{flow}"), None).await.1["row"]["case"],
        step["case"]
    );
    let revoke = Some(json!({ "reason": "lost", "note": "廊下で" }));
    ask(Post, "/api/slots/{slot}/revoke", &format!("/api/slots/{slot}/revoke"), revoke).await;
    let round = json!({ "year": 2026, "opens_on": "2026-11-01", "due_on": "2027-03-31" });
    assert_eq!(ask(Post, "/api/yearly", "/api/yearly", Some(round)).await.0, StatusCode::OK);
    town.settled().await;
    for one in OPERATIONS.iter().filter(|one| one.method == Get) {
        let named = path(one)
            .replace("18-0000", &slot)
            .replace("f-aaaaaaaaaaaaaaaa", &facility)
            .replace("2026-99999", &flow);
        let kind = match one.question {
            "Paper.Ledger" => "?kind=xlsx",
            "Paper.Form" => "?kind=pdf",
            "Paper.Map" => "?kind=geojson",
            "Post.Find" => "?text=18-0001",
            "Post.Labels" => "?grid=12&start=1",
            "Fee.List" | "Fee.Csv" => "?fiscal_year=2026",
            "Fee.Pages" => "?fiscal_year=2026&after=&limit=10",
            _ => "",
        };
        let (status, value) = ask(Get, one.path, &format!("{named}{kind}"), None).await;
        let absent = matches!(
            one.question,
            "CaseShow" | "Incident.Show" | "ReceiptShow" | "Post.Run" | "Post.Labels" | "Scan.Show"
        );
        assert_eq!(
            status,
            if absent { StatusCode::NOT_FOUND } else { StatusCode::OK },
            "{} {value}",
            one.path
        );
    }
    let told = read(&answers);
    assert!(told.starts_with(&format!("{} answers", answers.len())), "{told}");
}

/// Whoever only looks changes nothing, not even the trail.
#[tokio::test]
async fn what_is_got_changes_nothing() {
    let town = Town::new().await;
    let (office, _) = own(&town).await;
    town.settled().await;
    let trail = town.number("SELECT count(*) FROM audit").await;
    for one in OPERATIONS.iter().filter(|one| one.method == Method::Get) {
        let answer = town.call(&office, "GET", &path(one), None).await;
        assert!(!answer.status.is_server_error(), "{} {}", one.path, answer.text);
    }
    assert_eq!(town.number("SELECT count(*) FROM audit").await, trail);
}

/// A mistyped `dry_run` must not do what it was to rehearse.
#[tokio::test]
async fn what_is_mistyped_does_nothing_and_is_named() {
    let town = Town::new().await;
    let office = town.secretariat().await;
    let (_, place) = town.facilities(1).await.remove(0);
    town.enrolled(place, 31).await;
    town.settled().await;
    let trail = town.number("SELECT count(*) FROM audit").await;
    let revoke = format!("/api/slots/{place}/revoke");
    for (path, body, named) in [
        (revoke.as_str(), json!({ "reason": "lost", "dryrun": true }), "dryrun"),
        (revoke.as_str(), json!({ "reason": "lost", "dry_run": "yes" }), "body"),
        (revoke.as_str(), json!({ "reason": "lost", "slot": "18-0001" }), "slot"),
        (revoke.as_str(), json!({ "reason": "LOST" }), "body"),
        (revoke.as_str(), json!({}), "body"),
        (revoke.as_str(), json!(["lost"]), "body"),
        (revoke.as_str(), json!("lost"), "body"),
        (&format!("{revoke}?dry_run=true"), json!({ "reason": "lost" }), "dry_run"),
        ("/api/slots/18-99999/suspend", json!({}), "body"),
        ("/api/slots/18-0001%2Frevoke/suspend", json!({}), "body"),
        ("/api/facilities/import", json!({ "file_name": "a", "bytes": "!!!" }), "base64"),
        (
            "/api/incidents",
            json!({ "new": { "kind": "x", "known_on": "", "unlawful": false, "reportable": false, "summary": "", "silent": 1 } }),
            "new.silent",
        ),
        (
            "/api/flows/2026-00001/act",
            json!({ "act": { "Step": { "step": "C-12.1", "force": true } } }),
            "act.Step.force",
        ),
        ("/api/cases/accept", json!({ "case": { "All": {} } }), "case.All"),
        ("/api/device-requests/m-aaaaaaaaaaaaaaaa", json!({}), "approved"),
    ] {
        let answer = town.call(&office, "POST", path, Some(body.clone())).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "MM-5803"),
            "{path} {body}: {}",
            answer.text
        );
        assert!(answer.json()["ja"].as_str().unwrap().contains(named), "{path} {body}: {}", answer.text);
    }
    for query in ["?late=1", "?late=true&late=false", "?nothing=1", "?facility=%00", "?late=%FF"] {
        let answer = town.call(&office, "GET", &format!("/api/register{query}"), None).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "MM-5803"),
            "{query}: {}",
            answer.text
        );
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for (kind, body) in [
        ("application/json", deep),
        ("text/plain", "{}".to_owned()),
        ("application/json", "x".repeat(7 << 20)),
    ] {
        let request = http::Request::builder()
            .method("POST")
            .uri(&revoke)
            .header("mimamori-identity", office.to_string())
            .header("content-type", kind)
            .body(axum::body::Body::from(body))
            .unwrap();
        let answer = town.send(request).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "MM-5803"),
            "{kind}: {}",
            answer.text
        );
    }
    assert_eq!(town.number("SELECT count(*) FROM audit").await, trail);
    assert_eq!(town.number("SELECT count(*) FROM revocation").await, 0);
}

/// The same key opens one case; another content under it is refused.
#[tokio::test]
async fn a_case_is_opened_once_however_often_it_is_asked_for() {
    let town = Town::new().await;
    let office = town.secretariat().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    let opened = json!({ "flow": "C-12", "facility": facility, "forms": [] });
    let first = town.call_with(&office, "POST", "/api/flows", Some(opened.clone()), Some("k-1")).await.json();
    let again = town.call_with(&office, "POST", "/api/flows", Some(opened.clone()), Some("k-1")).await.json();
    assert_eq!(first["row"]["case"], again["row"]["case"], "{first} {again}");
    let other = json!({ "flow": "C-4", "facility": facility, "forms": [] });
    let other = town.call_with(&office, "POST", "/api/flows", Some(other), Some("k-1")).await;
    assert_eq!((other.status, other.code().as_str()), (StatusCode::CONFLICT, "MM-5804"));
    let second = town.call_with(&office, "POST", "/api/flows", Some(opened), Some("k-2")).await.json();
    assert_ne!(first["row"]["case"], second["row"]["case"]);
}

/// A file's bytes cross the door as base64, and come back as they were.
#[test]
fn a_file_is_base64_on_the_wire() {
    let operation = OPERATIONS.iter().find(|one| one.question == "FacilityImport").unwrap();
    let body = json!({ "file_name": "a.csv", "bytes": BASE64.encode(&[0, 255, 7]) });
    let question = shapes().ask(operation, &[], Some(body)).unwrap();
    let wire = serde_json::to_string(&question).unwrap();
    assert!(wire.contains(r#""bytes":"AP8H""#), "{wire}");
    assert_eq!(serde_json::from_str::<provisioning::door::ProvisioningQuestion>(&wire).unwrap(), question);
}
