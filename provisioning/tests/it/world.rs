//! A room with its secretariat, in a folder of its own. The neighbours are away: every door is closed,
//! which is also what the room meets when it starts before them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pki::identity::{FacilityId, MembershipId, PatientId, TraceId};
use provisioning::door::{
    AcceptReport, CaseChoice, ImportReport, Operator, ProvisioningAnswer, ProvisioningQuestion,
    ProvisioningStatus, Trouble,
};
use provisioning::hashing::{Cost, Hasher};
use provisioning::need::{
    Answering, Cut, CutDone, Cuts, Keys, NeedUnmet, NewTeam, TeamMember, TeamOutcome, TeamRow, Teams, Why,
    WhyLine,
};
use provisioning::post::MailConfig;
use provisioning::setup::{NewOffice, OfficeCreated, create_office_with};
use provisioning::{Config, Database, DatabaseUrl, Needs, Room};
use sqlx::{AnyPool, Row};
use vpn::AddressPlan;
use vpn::key::PublicKey;
use vpn::slot::{Series, SlotNumber};

use super::ON_SERVER;
use crate::postgres_server::{self, Temporary};

pub const SAMPLE: &[u8] = include_bytes!("../../samples/facilities.csv");

const COUNTS: [(&str, &str); 14] = [
    ("facility", "SELECT count(*) FROM facility"),
    ("address", "SELECT count(*) FROM address"),
    ("person", "SELECT count(*) FROM person"),
    ("membership", "SELECT count(*) FROM membership"),
    ("office_case", "SELECT count(*) FROM office_case"),
    ("office_case accepted", "SELECT count(*) FROM office_case WHERE state <> 'received'"),
    ("case_step", "SELECT count(*) FROM case_step"),
    ("slot", "SELECT count(*) FROM slot"),
    ("slot_history", "SELECT count(*) FROM slot_history"),
    ("seat", "SELECT count(*) FROM seat"),
    ("device", "SELECT count(*) FROM device"),
    ("enrolment", "SELECT count(*) FROM enrolment"),
    ("outbox", "SELECT count(*) FROM outbox"),
    ("audit", "SELECT count(*) FROM audit"),
];

pub struct World {
    pub config: Config,
    pub office: OfficeCreated,
    pub room: Room,
    /// Where the registry is when it is not in the folder.
    pub server: Option<Temporary>,
    _dir: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with_mail(None).await
    }

    /// The room mails; the secretariat's own papers, made before it ran, lie in the folder.
    pub async fn with_mail(mail: Option<MailConfig>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ON_SERVER.then(postgres_server::database);
        let config = Config { mail, ..config(dir.path().to_owned(), server.as_ref()) };
        let office = create_office_with(&config, &new_office(), "root", &cheap()).await.unwrap();
        let room = provisioning::open(config.clone()).unwrap().start_with(needs(), cheap()).await.unwrap();
        Self { config, office, room, server, _dir: dir }
    }

    pub async fn ask(&self, question: ProvisioningQuestion) -> ProvisioningAnswer {
        // Spawned as the appliance does it: the room's futures must be `Send`.
        let room = self.room.clone();
        tokio::spawn(async move { room.operator(question, operator()).await }).await.unwrap()
    }

    pub async fn import(&self, bytes: &[u8], dry_run: bool) -> Result<ImportReport, Trouble> {
        let question = ProvisioningQuestion::FacilityImport {
            file_name: "様式1.csv".into(),
            bytes: bytes.to_vec(),
            dry_run,
        };
        match self.ask(question).await {
            ProvisioningAnswer::Import(report) => Ok(report),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble),
            other => panic!("{other:?}"),
        }
    }

    pub async fn accept(&self, case: CaseChoice, dry_run: bool) -> Result<AcceptReport, Trouble> {
        match self.ask(ProvisioningQuestion::CaseAccept { case, dry_run }).await {
            ProvisioningAnswer::Accepted(report) => Ok(report),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble),
            other => panic!("{other:?}"),
        }
    }

    pub async fn status(&self) -> ProvisioningStatus {
        match self.ask(ProvisioningQuestion::Status).await {
            ProvisioningAnswer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until every letter has left; the limit only ends a test that has failed.
    pub async fn letters_left(&self) {
        for _ in 0..3_000 {
            if self.status().await.outbox_waiting == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("letters still wait");
    }

    /// The registry as a stranger with the file would read it.
    pub async fn registry(&self) -> AnyPool {
        registry(&self.config, self.server.as_ref()).await
    }

    /// How many rows each table holds, all of one moment: one statement sees one state of the registry.
    pub async fn rows(&self) -> BTreeMap<&'static str, i64> {
        let columns: Vec<_> = COUNTS.iter().map(|(_, count)| format!("({count})")).collect();
        let statement = format!("SELECT {}", columns.join(", "));
        let row =
            sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_one(&self.registry().await).await.unwrap();
        COUNTS.iter().enumerate().map(|(at, (table, _))| (*table, row.get(at))).collect()
    }

    pub fn bundle(&self, slot: &str) -> PathBuf {
        self.config.output.join("bundles").join(slot)
    }

    pub fn sheet(&self, slot: &str) -> PathBuf {
        self.config.output.join("sheets").join(format!("{slot}.txt"))
    }
}

/// Whoever is not tested for guarding passwords need not pay for it.
pub fn cheap() -> Hasher {
    Hasher::new(Cost::TOKEN).unwrap()
}

pub fn new_office() -> NewOffice {
    NewOffice {
        name: "みまもり事務局".into(),
        telephone: "0776-00-0000".into(),
        login: "jimukyoku@mimamori.example.jp".into(),
        operator_name: "事務局 花子".into(),
    }
}

pub fn operator() -> Operator {
    Operator { name: "engineer".into(), trace: TraceId::from_random([5; 8]) }
}

/// The sample file with one piece of text changed.
pub fn sample_with(from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(SAMPLE).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

pub fn config(dir: PathBuf, server: Option<&Temporary>) -> Config {
    let url = server.map(|server| DatabaseUrl::parse(&server.url()).unwrap());
    let series = Series::parse("18").unwrap();
    Config {
        output: dir.join("output"),
        dir: dir.join("provisioning"),
        database: url.map_or(Database::Folder, Database::Url),
        plan: AddressPlan::new(10, vec![(series, 18)]).unwrap(),
        zone: "mimamori.example.jp".into(),
        realm_name: "ふくいみまもり（試験）".into(),
        endpoint: "vpn.mimamori.example.jp:51820".into(),
        server_public_key: PublicKey::from_bytes([9; 32]),
        root_pem: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".into(),
        root_fingerprint: "ab".repeat(32),
        series,
        mail: None,
        bounces: None,
    }
}

/// The tables as a stranger with the file or the server's password would read them.
pub async fn registry(config: &Config, server: Option<&Temporary>) -> AnyPool {
    let url = match server {
        Some(server) => format!("{}&options=-c%20search_path%3Dprovisioning", server.url()),
        None => format!("sqlite://{}", config.registry().display()),
    };
    AnyPool::connect(&url).await.unwrap()
}

pub fn needs() -> Needs {
    let away = Arc::new(Away);
    Needs {
        issuing: away.clone(),
        seats: away.clone(),
        teams: away.clone(),
        keys: away.clone(),
        cuts: away.clone(),
        why: away,
    }
}

/// Every neighbour, not there.
struct Away;

impl Away {
    fn unmet<T: Send + 'static>(&self) -> Answering<'_, T> {
        Box::pin(async { Err(NeedUnmet { room: "away".into(), why: "not started".into() }) })
    }
}

impl vpn::door::SeatsDoor for Away {
    fn ask(&self, _: vpn::door::SeatsQuestion) -> vpn::door::Answering<'_, vpn::door::SeatsAnswer> {
        Box::pin(async { Err(vpn::door::DoorClosed { room: "vpn".into(), why: "not started".into() }) })
    }
}

impl pki::door::IssuingDoor for Away {
    fn ask(&self, _: pki::door::IssuingQuestion) -> pki::door::Answering<'_, pki::door::IssuingAnswer> {
        Box::pin(async { Err(pki::door::DoorClosed { room: "pki".into(), why: "not started".into() }) })
    }
}

impl Cuts for Away {
    fn cut(&self, _: Cut) -> Answering<'_, CutDone> {
        self.unmet()
    }
}

impl Why for Away {
    fn why(&self, _: SlotNumber) -> Answering<'_, Vec<WhyLine>> {
        self.unmet()
    }
}

impl Keys for Away {
    fn seal(&self, _: PatientId, _: String, _: Vec<u8>) -> Answering<'_, TeamOutcome<Vec<u8>>> {
        self.unmet()
    }
    fn open(&self, _: PatientId, _: String, _: Vec<u8>) -> Answering<'_, TeamOutcome<Vec<u8>>> {
        self.unmet()
    }
    fn erase(&self, _: PatientId) -> Answering<'_, TeamOutcome<()>> {
        self.unmet()
    }
}

impl Teams for Away {
    fn open(&self, _: NewTeam) -> Answering<'_, TeamOutcome<PatientId>> {
        self.unmet()
    }
    fn link(&self, _: PatientId, _: FacilityId, _: String) -> Answering<'_, TeamOutcome<()>> {
        self.unmet()
    }
    fn add(&self, _: PatientId, _: TeamMember) -> Answering<'_, TeamOutcome<()>> {
        self.unmet()
    }
    fn unlink(&self, _: Option<PatientId>, _: FacilityId) -> Answering<'_, TeamOutcome<u32>> {
        self.unmet()
    }
    fn stop(&self, _: PatientId) -> Answering<'_, TeamOutcome<u32>> {
        self.unmet()
    }
    fn close(&self, _: PatientId) -> Answering<'_, TeamOutcome<()>> {
        self.unmet()
    }
    fn leave(&self, _: MembershipId) -> Answering<'_, TeamOutcome<u32>> {
        self.unmet()
    }
    fn list(&self, _: Option<FacilityId>) -> Answering<'_, TeamOutcome<Vec<TeamRow>>> {
        self.unmet()
    }
    fn end(&self, _: Cut) -> Answering<'_, u32> {
        self.unmet()
    }
}
