//! A small world: a room in a folder of its own, two facilities and a third, a patient with a name that
//! must never be found in a file, and people who knock with the gateway's header.

use std::path::{Path, PathBuf};

use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use pki::identity::{FacilityId, Identity, MembershipId, PatientId, PersonId, Role, TraceId};
use serde_json::Value;
use sns::door::AuditLine;
use sns::door::{FacilityRef, Member, PatientText};
use sns::{Config, Database, DatabaseUrl, Room, Secret, SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};
use tower::ServiceExt;

use super::ON_SERVER;
use crate::postgres_server::{self, Temporary};

pub const NAME: &str = "植込太郎兵衛";
pub const KANA: &str = "ウエコミタロベエ";
pub const TEXT: &str = "右踵の褥瘡が改善しました";
pub const TRACE: &str = "0123456789abcdef";

pub struct World {
    pub dir: PathBuf,
    pub room: Room,
    /// Where the records are when they are not in the folder.
    pub server: Option<Temporary>,
    _folder: tempfile::TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub fn patient(n: u8) -> PatientId {
    PatientId::from_random([n; 10])
}

pub fn facility(n: u8) -> FacilityRef {
    FacilityRef { facility: FacilityId::from_random([n; 10]), name: format!("第{n}施設") }
}

/// Person `n` belongs to facility `n / 10`.
pub fn identity(n: u8, role: Role) -> Identity {
    Identity {
        slot: format!("18-{n:04}").parse().unwrap(),
        certificate: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        person: PersonId::from_random([n; 10]),
        membership: MembershipId::from_random([n; 10]),
        facility: facility(n / 10).facility,
        role,
    }
}

pub fn member(n: u8, role: Role) -> Member {
    let who = identity(n, role);
    Member {
        person: who.person,
        membership: who.membership,
        role,
        name: format!("職員{n}号"),
        profession: "看護師".into(),
        facility: facility(n / 10),
    }
}

pub async fn start(dir: &Path, server: Option<&Temporary>) -> Result<Room, String> {
    let epoch_secret = Secret::new([7; 32]);
    let opened = sns::open(Config { dir: dir.to_owned(), database: database(server), epoch_secret });
    opened.map_err(|error| error.to_string())?.start().await.map_err(|error| error.to_string())
}

pub fn database(server: Option<&Temporary>) -> Database {
    server.map_or(Database::Folder, |server| Database::Url(DatabaseUrl::parse(&server.url()).unwrap()))
}

impl World {
    /// Patient 1 with facilities 1 and 2; staff 11 and 21, family 22. Facility 3 is linked with nothing.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_owned();
        let server = ON_SERVER.then(postgres_server::database);
        let world = Self { room: start(&dir, server.as_ref()).await.unwrap(), dir, server, _folder: folder };
        world.open_patient(1).await;
        world
    }

    pub async fn open_patient(&self, n: u8) {
        let (name, kana) = (PatientText::new(NAME.into()), PatientText::new(KANA.into()));
        let open = TeamsQuestion::Open { patient: patient(n), name, kana, origin: facility(1), at_ms: 1 };
        assert_eq!(self.room.teams(open).await, TeamsAnswer::Opened { patient: patient(n) });
        let link = TeamsQuestion::LinkFacility { patient: patient(n), facility: facility(2) };
        assert_eq!(self.room.teams(link).await, TeamsAnswer::Linked);
        for member in [member(11, Role::Staff), member(21, Role::Staff), member(22, Role::Family)] {
            let add = TeamsQuestion::AddMember { patient: patient(n), member };
            assert_eq!(self.room.teams(add).await, TeamsAnswer::Added);
        }
    }

    pub async fn restart(&mut self) {
        self.room.stop().await;
        self.start().await;
    }

    pub async fn start(&mut self) {
        self.room = start(&self.dir, self.server.as_ref()).await.unwrap();
    }

    pub fn request(who: &Identity, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("mimamori-identity", who.to_string())
            .header("mimamori-trace", TRACE)
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.room.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // A stream that should have been refused would never end; its status tells enough.
        let endless = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let body = if endless { Vec::new() } else { body.collect().await.unwrap().to_bytes().to_vec() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, who: &Identity, path: &str) -> Answer {
        self.send(Self::request(who, Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, who: &Identity, path: &str, body: Value) -> Answer {
        self.post_once(who, path, body, None).await
    }

    pub async fn post_once(&self, who: &Identity, path: &str, body: Value, once: Option<&str>) -> Answer {
        let mut request = Self::request(who, Method::POST, path).header("content-type", "application/json");
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub async fn write(&self, who: &Identity, text: &str) -> String {
        let answer = self.post(who, &posts(1), serde_json::json!({ "text": text })).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()["post"].as_str().unwrap().to_owned()
    }
}

pub fn posts(n: u8) -> String {
    format!("/api/teams/{}/posts", patient(n))
}

pub fn events(n: u8) -> String {
    format!("/api/teams/{}/events", patient(n))
}

pub fn ack(post: &str) -> String {
    format!("/api/posts/{post}/ack")
}

pub fn trace() -> TraceId {
    TRACE.parse().unwrap()
}

/// Every file below a folder.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

pub async fn trail(room: &Room, trace: Option<TraceId>) -> Vec<AuditLine> {
    let SnsAnswer::Audit(lines) = room.operator(SnsQuestion::Audit { after: 0, limit: 1000, trace }).await
    else {
        panic!()
    };
    lines
}
