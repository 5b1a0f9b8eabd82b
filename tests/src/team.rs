//! The team around a patient: registered by the secretariat, two facilities linked, their staff at work (s6).
//! Owns who is who; signing in again is cheap and gives each step a session of its own.

use serde_json::{Value, json};

use crate::device::Device;
use crate::enrolment::{ADMIN_PASSWORD, Devices};
use crate::fault::{Fault, Told};
use crate::forms;
use crate::holds;
use crate::paperwork::OPERATOR_LOGIN;
use crate::people::{Account, Person, enrol_staff, text};
use crate::server::find;
use crate::world::World;

/// Words that only this patient's key may open.
const PATIENT_NAME: &str = "福井 花子（架空）";
const PATIENT_KANA: &str = "フクイ ハナコ";
const FIRST_POST: &str = "昨夜より38.2度の発熱あり。右下肺野に湿性ラ音、抗菌薬を開始しました。";
/// How the numbered posts of s8 begin.
pub const REPORT: &str = "経過報告";
/// What the staff choose instead of the password they were handed.
const STAFF_PASSWORD: &str = "asuwa-gawa-no-sakura-7";
/// The header in which the gateway says how to find a request again.
const TRACE: &str = "mimamori-trace";

pub struct Team {
    pub patient: String,
    pub writer: Account,
    reader: Account,
    stranger: Account,
    /// The writer as the gateway named them, for those who forge it.
    identity: String,
}

/// What is known of the first post.
pub struct Seen {
    pub trace: String,
    pub post: String,
}

impl Team {
    pub fn gather(world: &mut World, devices: &Devices) -> Told<Self> {
        for (what, words) in [
            ("a patient's name", PATIENT_NAME),
            ("a patient's reading", PATIENT_KANA),
            ("a post", FIRST_POST),
            ("a report", REPORT),
        ] {
            world.needles.patient(what, words);
        }
        world.needles.forgotten("a staff password", STAFF_PASSWORD);
        let patient = register_patient(world, &devices.office)?;
        let (writer, reader, stranger) = (
            staff(
                world,
                &devices.clinic,
                forms::CLINIC_A,
                &patient,
                "iryou@minato.example.jp",
                "港 次郎",
                "医師",
            )?,
            staff(
                world,
                &devices.nurses,
                forms::NURSES_B,
                &patient,
                "kango@asuwa.example.jp",
                "足羽 文",
                "看護師",
            )?,
            staff(
                world,
                &devices.dentist,
                forms::DENTIST_C,
                "",
                "shika@mikuni.example.jp",
                "三国 歩",
                "歯科医師",
            )?,
        );
        let (_, told) = Person::sign_in(&devices.clinic, "sns", &writer.login, &writer.password)?;
        let identity = format!(
            "v1;slot={};cert={};person={};membership={};facility={};role=staff",
            devices.clinic.slot,
            "4".repeat(32),
            text(&told, "person")?,
            text(&told, "membership")?,
            text(&told, "facility")?,
        );
        Ok(Self { patient, writer, reader, stranger, identity })
    }

    pub fn writer<'a>(&self, clinic: &'a Device) -> Told<Person<'a>> {
        signed_in(clinic, &self.writer)
    }

    pub fn reader<'a>(&self, nurses: &'a Device) -> Told<Person<'a>> {
        signed_in(nurses, &self.reader)
    }

    /// Staff of the third facility, on the third facility's device.
    pub fn stranger<'a>(&self, dentist: &'a Device) -> Told<Person<'a>> {
        signed_in(dentist, &self.stranger)
    }

    /// For who signs in by hand.
    pub fn reader_account(&self) -> &Account {
        &self.reader
    }

    pub fn forged_identity(&self) -> &str {
        &self.identity
    }
}

/// One writes, the other reads it live and presses 了解, and the first sees that.
pub fn post_is_read_live_and_acknowledged(world: &mut World, team: &Team, devices: &Devices) -> Told<Seen> {
    let (writer, reader) = (team.writer(&devices.clinic)?, team.reader(&devices.nurses)?);
    let (writers, readers) = (writer.watch(&team.patient)?, reader.watch(&team.patient)?);
    let answer = writer.write(&team.patient, FIRST_POST, Some("first-post"))?;
    let post = text(&answer.expect(&[201])?, "post")?;
    readers.event("the post on the nurses' screen", |e| e.kind == "post" && e.data.contains(FIRST_POST))?;

    reader.post(&format!("/api/posts/{post}/ack"), &json!({}))?.expect(&[200])?;
    writers.event("了解 on the clinic's screen", |e| e.kind == "ack" && e.data.contains(&post))?;

    // The network stuttered and the client sent it again: still one post.
    let again = writer.write(&team.patient, FIRST_POST, Some("first-post"))?.expect(&[200, 201])?;
    holds!(text(&again, "post")? == post, "the repeated post became another: {again}");
    let posts = reader.get(&format!("/api/teams/{}/posts", team.patient))?.expect(&[200])?;
    holds!(posts.to_string().matches(FIRST_POST).count() == 1, "the repeated post stands twice: {posts}");
    for person in [&writer, &reader] {
        let cookie = person.cookie().ok_or_else(|| Fault::new("a session without a cookie"))?;
        world.needles.forgotten("a session's cookie", &cookie);
    }
    let trace = answer
        .header(TRACE)
        .ok_or_else(|| Fault::new(format!("the answer names no trace: {}", answer.headers)))?;
    Ok(Seen { trace, post })
}

/// The trace id on the answer finds the post's own entry in the audit trails.
pub fn trace_leads_to_the_audit(world: &World, seen: &Seen) -> Told<()> {
    let found = world.server.ok(&["audit", "list", "--trace", &seen.trace])?;
    holds!(
        found.to_string().contains(&seen.post),
        "trace {} leads to {found}, not to post {}",
        seen.trace,
        seen.post
    );
    Ok(())
}

/// B-09: the secretariat registers the patient and links both facilities, on its own device.
fn register_patient(world: &mut World, office: &Device) -> Told<String> {
    let (clerk, _) = Person::sign_in(office, "office", OPERATOR_LOGIN, ADMIN_PASSWORD)?;
    if let Some(cookie) = clerk.cookie() {
        world.needles.forgotten("the secretariat's cookie", &cookie);
    }
    let facilities = clerk.get("/api/facilities")?.expect(&[200])?;
    let id_of = |name: &str| {
        let list =
            facilities.as_array().or_else(|| find(&facilities, "facilities").and_then(Value::as_array));
        let row = list.into_iter().flatten().find(|row| row["name"] == name);
        row.and_then(|row| row["facility"].as_str())
            .map(str::to_owned)
            .ok_or_else(|| Fault::new(format!("{name} is not in {facilities}")))
    };
    let (clinic, nurses) = (id_of(forms::CLINIC_A)?, id_of(forms::NURSES_B)?);
    let body =
        json!({"name": PATIENT_NAME, "kana": PATIENT_KANA, "consent_date": "2026-11-10", "origin": clinic});
    let register =
        || clerk.send(clerk.request("/api/patients", &body).header("Idempotency-Key", "patient-1"));
    let patient = text(&register()?.expect(&[201])?, "patient")?;
    let again = text(&register()?.expect(&[200, 201])?, "patient")?;
    holds!(again == patient, "registering again made a second patient");
    let link = json!({"facility": nurses});
    clerk.post(&format!("/api/patients/{patient}/facilities"), &link)?.expect(&[200, 201, 204])?;
    Ok(patient)
}

/// The admin registers one of the staff and puts them into the team; they sign in and choose a password.
fn staff(
    world: &mut World,
    device: &Device,
    facility: &str,
    patient: &str,
    login: &str,
    name: &str,
    profession: &str,
) -> Told<Account> {
    let (admin, _) = Person::sign_in(device, "office", &forms::admin_address(facility), ADMIN_PASSWORD)?;
    let mut account = enrol_staff(&admin, patient, login, name, profession)?;
    world.needles.forgotten("a handed-over password", &account.password);
    Person::first_sign_in(device, "sns", &account, STAFF_PASSWORD)?;
    account.password = STAFF_PASSWORD.to_owned();
    Ok(account)
}

fn signed_in<'a>(device: &'a Device, account: &Account) -> Told<Person<'a>> {
    Ok(Person::sign_in(device, "sns", &account.login, &account.password)?.0)
}
