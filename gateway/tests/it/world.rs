//! One gateway, its doubles, and devices with certificates.

pub mod accounts;
pub mod authority;
pub mod client;
pub mod doubles;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use gateway::door::{GatewayAnswer, GatewayQuestion, GatewayStatus, LiveConnection, RefusalRecord};
use gateway::{Clock, Config, Database, DatabaseUrl, Files, Kept, Listen, Needs, Room};
use sqlx::Connection;
use vpn::address::{AddressPlan, Place};
use vpn::slot::{Series, SlotNumber};

use accounts::Accounts;
use authority::{Authority, Device};
use client::Client;
use doubles::{Grants, Published, Revocations, Upstream};

use super::ON_SERVER;
use crate::postgres_server::{self, Temporary};

/// Longer than a busy machine may stand still.
const DRAIN: Duration = Duration::from_secs(60);

pub const ZONE: &str = "m.example.jp";

pub struct World {
    pub room: Room,
    pub authority: Authority,
    pub grants: Arc<Grants>,
    pub accounts: Arc<Accounts>,
    pub upstream: Arc<Upstream>,
    pub revocations: Arc<Revocations>,
    pub clock: Clock,
    /// Where the sessions are when they are not in the folder.
    pub server: Option<Temporary>,
    pub dir: tempfile::TempDir,
    /// What systemd would keep of the first room.
    sockets: Vec<(&'static str, TcpListener)>,
}

pub fn plan() -> AddressPlan {
    AddressPlan::new(127, vec![(Series::parse("18").unwrap(), 18)]).unwrap()
}

pub fn slot(n: u16) -> SlotNumber {
    SlotNumber::new(Series::parse("18").unwrap(), n).unwrap()
}

pub fn address(n: u16, place: Place) -> Ipv4Addr {
    plan().address(slot(n), place).unwrap()
}

impl World {
    /// Facility `n` holds slot `n` and has staff member `n`, for n = 1, 2, 3.
    pub async fn new() -> Self {
        let grants = Arc::new(Grants::default());
        for n in 1..=3 {
            grants.hold(n, n as u8, 5);
            grants.member(n as u8, n as u8, true);
        }
        Self::with(grants).await
    }

    pub async fn with(grants: Arc<Grants>) -> Self {
        let authority = Authority::new();
        let clock = Clock::system();
        let accounts = Arc::new(Accounts::default());
        let upstream = Arc::new(Upstream::default());
        let revocations = Arc::new(Revocations::default());
        let dir = tempfile::tempdir().unwrap();
        let needs = needs(&grants, &accounts, &upstream, &revocations);
        let server = ON_SERVER.then(postgres_server::database);
        let at = (anywhere(), Kept::default());
        let (room, sockets) = start(&authority, &clock, dir.path(), server.as_ref(), needs, at).await;
        let world =
            Self { room, authority, grants, accounts, upstream, revocations, clock, server, dir, sockets };
        world.eventually("both feeds have answered", async || !world.status().await.stale).await;
        world
    }

    /// Stops the room and starts it again on the same folder.
    pub async fn restart(&mut self) {
        self.room.stop().await;
        let needs = needs(&self.grants, &self.accounts, &self.upstream, &self.revocations);
        let at = (anywhere(), Kept::default());
        let started = start(&self.authority, &self.clock, self.dir.path(), self.server.as_ref(), needs, at);
        (self.room, self.sockets) = started.await;
        self.eventually("both feeds have answered", async || !self.status().await.stale).await;
    }

    /// The same while its sockets are kept, as systemd does it.
    pub async fn restart_in_place(&mut self) {
        let listen = self.room.addresses();
        self.room.stop().await;
        let needs = needs(&self.grants, &self.accounts, &self.upstream, &self.revocations);
        let copy = |name| {
            let kept = self.sockets.iter().find(|(known, _)| *known == name);
            kept.map(|(_, socket)| socket.try_clone()).transpose()
        };
        let at = (listen, Kept::find(copy).unwrap());
        let started = start(&self.authority, &self.clock, self.dir.path(), self.server.as_ref(), needs, at);
        self.room = started.await.0;
    }

    /// A device with a living certificate for its slot.
    pub async fn device(&self, n: u16) -> Device {
        let device = self.authority.device(slot(n));
        let number = self.revocations.add(&device);
        self.eventually("the certificate is listed", async || self.status().await.revocations >= number)
            .await;
        device
    }

    /// A client in slot `n`'s tunnel with its own certificate.
    pub async fn client(&self, n: u16) -> Client {
        let device = self.device(n).await;
        self.from(address(n, Place::Active), Some(&device))
    }

    pub fn from(&self, source: Ipv4Addr, device: Option<&Device>) -> Client {
        Client::new(&self.authority, self.room.addresses(), source, device)
    }

    pub async fn status(&self) -> GatewayStatus {
        match self.room.operator(GatewayQuestion::Status).await {
            GatewayAnswer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    pub async fn live(&self) -> Vec<LiveConnection> {
        match self.room.operator(GatewayQuestion::Live).await {
            GatewayAnswer::Live(live) => live,
            other => panic!("{other:?}"),
        }
    }

    /// The codes of a slot's last refusals, newest first.
    pub async fn why(&self, n: u16) -> Vec<String> {
        match self.room.operator(GatewayQuestion::Why { slot: slot(n) }).await {
            GatewayAnswer::Why(records) => records.into_iter().map(|record| record.code).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn code(&self, code: &str) -> Vec<RefusalRecord> {
        match self.room.operator(GatewayQuestion::Code { code: code.to_owned() }).await {
            GatewayAnswer::Why(records) => records,
            other => panic!("{other:?}"),
        }
    }

    /// The grants as they are now have arrived.
    pub async fn caught_up(&self) {
        let version = self.grants.version();
        self.eventually("the grants have arrived", async || self.status().await.grants_version >= version)
            .await;
    }

    pub async fn eventually(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        for _ in 0..6_000 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }

    /// Nobody can write a session before it is dropped.
    pub async fn lock_sessions(&self) -> sqlx::AnyConnection {
        let (url, lock) = match &self.server {
            Some(server) => (server.url(), "BEGIN; LOCK TABLE gateway.session IN ACCESS EXCLUSIVE MODE"),
            None => {
                (format!("sqlite://{}", self.dir.path().join("sessions.db").display()), "BEGIN IMMEDIATE")
            }
        };
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
        connection
    }

    pub fn audit(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("audit.log")).unwrap()
    }
}

fn needs(
    grants: &Arc<Grants>,
    accounts: &Arc<Accounts>,
    upstream: &Arc<Upstream>,
    revocations: &Arc<Revocations>,
) -> Needs {
    Needs {
        grants: grants.clone(),
        accounts: accounts.clone(),
        upstream: upstream.clone(),
        revocations: revocations.clone(),
        published: Arc::new(Published),
    }
}

pub fn files(dir: &std::path::Path) -> Files {
    Files { tls_chain: dir.join("tls.crt"), tls_key: dir.join("tls.key"), device_ca: dir.join("devices.der") }
}

fn anywhere() -> Listen {
    Listen {
        mutual: (plan().gateway(), 0).into(),
        open_tls: (plan().gateway_open(), 0).into(),
        open_http: (plan().gateway_open(), 0).into(),
    }
}

async fn start(
    authority: &Authority,
    clock: &Clock,
    dir: &std::path::Path,
    server: Option<&Temporary>,
    needs: Needs,
    (listen, kept): (Listen, Kept),
) -> (Room, Vec<(&'static str, TcpListener)>) {
    authority.write(&files(dir));
    let config = Config {
        plan: plan(),
        zone: ZONE.into(),
        realm_name: "みまもり".into(),
        listen,
        kept,
        tls_chain_pem: authority.gateway_chain_pem.clone(),
        tls_key_pem: authority.gateway_key_pem.clone().into(),
        device_ca_der: authority.device_ca_der.clone(),
        files: Some(files(dir)),
        dir: dir.to_owned(),
        database: server
            .map_or(Database::Folder, |server| Database::Url(DatabaseUrl::parse(&server.url()).unwrap())),
    };
    let opened = gateway::open(config).unwrap().with_clock(clock.clone()).draining_for(DRAIN);
    let copies = opened.listeners().names();
    let sockets = copies.map(|(name, socket, _)| (name, socket.try_clone_to_owned().unwrap().into()));
    let sockets = sockets.collect();
    (opened.start(needs).await.unwrap(), sockets)
}
