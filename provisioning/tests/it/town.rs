//! A room among neighbours that answer, in a runtime of its own: `crash` takes every task of it away in the
//! middle of whatever it does, `start` begins again on the same files.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use pki::identity::{FacilityId, Identity, MembershipId, PersonId, Role};
use provisioning::door::{CaseChoice, ProvisioningAnswer, ProvisioningQuestion, Receipt, RevokeReason};
use provisioning::grants::Changes;
use provisioning::setup::{OfficeCreated, create_office_with};
use provisioning::{Config, Room};
use serde_json::{Value, json};
use sqlx::AnyPool;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use vpn::slot::SlotNumber;

use super::ON_SERVER;
use super::neighbours::Neighbours;
use super::world::{SAMPLE, cheap, config, new_office, operator, registry};
use crate::postgres_server::{self, Temporary};

pub const OWN_PASSWORD: &str = "かわずとびこむ水の音-2026";

pub struct Town {
    pub config: Config,
    pub office: OfficeCreated,
    pub around: Arc<Neighbours>,
    running: Option<(Runtime, Room)>,
    /// Where the registry is when it is not in the folder.
    server: Option<Temporary>,
    _dir: tempfile::TempDir,
}

/// An answer over HTTP.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The code of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Town {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ON_SERVER.then(postgres_server::database);
        let config = config(dir.path().to_owned(), server.as_ref());
        provisioning::open(config.clone()).unwrap();
        let office = create_office_with(&config, &new_office(), "root", &cheap()).await.unwrap();
        let around = Arc::new(Neighbours::default());
        let mut town = Self { config, office, around, running: None, server, _dir: dir };
        town.start().await;
        town
    }

    pub async fn start(&mut self) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let opened = provisioning::open(self.config.clone()).unwrap();
        let needs = self.around.needs();
        let room =
            runtime.spawn(async move { opened.start_with(needs, cheap()).await.unwrap() }).await.unwrap();
        self.running = Some((runtime, room));
    }

    pub fn crash(&mut self) {
        if let Some((runtime, room)) = self.running.take() {
            runtime.shutdown_background();
            drop(room);
        }
    }

    pub fn room(&self) -> Room {
        self.running.as_ref().unwrap().1.clone()
    }

    /// Begins something in the room's own runtime; a crash ends it.
    pub fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.running.as_ref().unwrap().0.spawn(work)
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        answer(self.begin(self.room().router().oneshot(request)).await.unwrap().unwrap()).await
    }

    pub async fn call(&self, who: &Identity, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_with(who, method, path, body, None).await
    }

    pub async fn call_with(
        &self,
        who: &Identity,
        method: &str,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("mimamori-identity", who.to_string());
        request = request.header("mimamori-trace", "0123456789abcdef");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = match body {
            Some(body) => {
                request.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub async fn claim(&self, slot: SlotNumber, body: Value) -> Answer {
        self.send(claim_request(slot, body)).await
    }

    pub async fn ask(&self, question: ProvisioningQuestion) -> ProvisioningAnswer {
        let room = self.room();
        self.begin(async move { room.operator(question, operator()).await }).await.unwrap()
    }

    pub async fn revoke(&self, slot: SlotNumber, reason: RevokeReason) -> Receipt {
        match self.ask(ProvisioningQuestion::DeviceRevoke { slot, reason, note: None, dry_run: false }).await
        {
            ProvisioningAnswer::Receipt(receipt) => receipt,
            other => panic!("{other:?}"),
        }
    }

    pub async fn grants(&self) -> Changes {
        let room = self.room();
        self.begin(async move { room.grants(0, 0).await.unwrap() }).await.unwrap()
    }

    pub async fn registry(&self) -> AnyPool {
        registry(&self.config, self.server.as_ref()).await
    }

    pub async fn text(&self, query: &'static str) -> String {
        sqlx::query_scalar(query).fetch_one(&self.registry().await).await.unwrap()
    }

    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.registry().await).await.unwrap()
    }

    pub async fn execute(&self, query: &'static str) {
        sqlx::query(query).execute(&self.registry().await).await.unwrap();
    }

    /// Waits until something holds; the limit only ends a test that has failed.
    /// Two minutes and more: the machine may be busy with other tests, and none of them asks how fast this room is.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        for _ in 0..6_000 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never: {what}");
    }

    /// Nothing is on its way: letters have left, receipts are whole. What a trail is compared from.
    pub async fn settled(&self) {
        self.until("settled", async || {
            let under_way = self
                .number(
                    "SELECT (SELECT count(*) FROM outbox WHERE state = 'waiting')
                          + (SELECT count(*) FROM revocation WHERE completed_at IS NULL)",
                )
                .await;
            under_way == 0
        })
        .await;
    }

    /// A body with the slot's own number and password and keys of its own per `seed`.
    pub async fn claim_body(&self, slot: SlotNumber, seed: u8) -> Value {
        let path = self.config.output.join("sheets").join(format!("{slot}.txt"));
        self.until("the sheet is written", async || path.exists()).await;
        let sheet = std::fs::read_to_string(path).unwrap();
        let line = |name: &str| {
            let line = sheet.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(':').unwrap().1.trim().to_owned()
        };
        json!({
            "number": line("証明書取得用No"), "password": line("パスワード"),
            "wireguard_public_key": data_encoding::BASE64.encode(&[seed; 32]),
            "certificate_request": data_encoding::BASE64.encode(&[seed; 40]),
            "admin_password": OWN_PASSWORD, "label": "受付のiPad",
        })
    }

    /// Claims a slot and brings its final tunnel up.
    pub async fn enrolled(&self, slot: SlotNumber, seed: u8) {
        let body = self.claim_body(slot, seed).await;
        let answer = self.claim(slot, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        self.around.vpn.handshake(slot, false, "192.0.2.1:6000");
        self.until("the bootstrap seat is empty", async || self.around.vpn.seat(slot, true).is_none()).await;
        // The registry follows the seat.
        self.until("利用中", async || {
            let registry = self.registry().await;
            let state = sqlx::query_scalar("SELECT state FROM slot WHERE slot = $1").bind(slot.to_string());
            let state: String = state.fetch_one(&registry).await.unwrap();
            state == "active"
        })
        .await;
    }

    /// Accepts the first `count` facilities of the sample; their first slots.
    pub async fn facilities(&self, count: usize) -> Vec<(FacilityId, SlotNumber)> {
        let question = ProvisioningQuestion::FacilityImport {
            file_name: "様式1.csv".into(),
            bytes: SAMPLE.to_vec(),
            dry_run: false,
        };
        let ProvisioningAnswer::Import(report) = self.ask(question).await else { panic!("not imported") };
        let mut facilities = vec![];
        for case in report.cases.into_iter().take(count) {
            let question = ProvisioningQuestion::CaseAccept { case: CaseChoice::One(case), dry_run: false };
            let ProvisioningAnswer::Accepted(report) = self.ask(question).await else {
                panic!("not accepted")
            };
            facilities.push((report.accepted[0].facility.clone(), report.accepted[0].bundle_slot));
        }
        facilities
    }

    /// The secretariat's operator, signed in.
    pub async fn secretariat(&self) -> Identity {
        self.member(&self.office.facility, Role::Secretariat, self.office.slot).await
    }

    /// A facility's admin, signed in on a slot.
    pub async fn admin(&self, facility: &FacilityId, slot: SlotNumber) -> Identity {
        self.member(facility, Role::FacilityAdmin, slot).await
    }

    async fn member(&self, facility: &FacilityId, role: Role, slot: SlotNumber) -> Identity {
        let (person, membership): (String, String) =
            sqlx::query_as("SELECT person, membership FROM membership WHERE facility = $1 AND role = $2")
                .bind(facility.as_str())
                .bind(role.as_str())
                .fetch_one(&self.registry().await)
                .await
                .unwrap();
        let (person, membership): (PersonId, MembershipId) =
            (person.parse().unwrap(), membership.parse().unwrap());
        let certificate = "4123456789abcdef0123456789abcdef".parse().unwrap();
        Identity { slot, certificate, person, membership, facility: facility.clone(), role }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        // A runtime may not be dropped inside another; this is the way that may.
        self.crash();
    }
}

pub fn claim_request(slot: SlotNumber, body: Value) -> Request<Body> {
    Request::post("/claim")
        .header("mimamori-visitor", format!("v1;slot={slot};class=enrolling"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub async fn answer(response: http::Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

pub fn slot(text: &str) -> SlotNumber {
    text.parse().unwrap()
}
