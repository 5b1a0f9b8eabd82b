//! All rooms in one process: open, jail, work, in that order and in sight. `run` owns everything; it ends
//! with a signal or with a room that cannot go on, and stops the rooms in the reverse of their order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::adapters::upstream;
use crate::compose;
use crate::config::Config;
use crate::files;
use crate::jail::{self, Held, Jail};
use crate::lines::{self, Askers, Ends};
use crate::messages::Message;
use crate::operator::door::{self, now_ms};
use crate::operator::users::Users;
use crate::secrets::Opened as Secrets;
use crate::socket::OperatorSocket;

/// A room that does not stop by then is left to the kernel; systemd waits longer than all five.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// For threads that are in the middle of a password.
const THREADS_LIMIT: Duration = Duration::from_secs(5);

/// Every room opened, nothing read from outside.
struct Opened {
    vpn: vpn::Opened,
    pki: pki::Opened,
    sns: sns::Opened,
    gateway: gateway::Opened,
    provisioning: provisioning::Opened,
}

/// What the main loop hears; nothing else wakes it.
enum Event {
    Terminate,
    Interrupt,
    /// The data plane has ended by itself: no tunnel is left to serve.
    VpnEnded {
        why: String,
    },
    /// A line or the operator door broke, which only a fault of ours can do.
    TaskBroke {
        why: String,
    },
}

impl Event {
    fn text(&self) -> &str {
        match self {
            Event::Terminate => "SIGTERM",
            Event::Interrupt => "SIGINT",
            Event::VpnEnded { why } | Event::TaskBroke { why } => why,
        }
    }
}

/// Opens, jails and works until told to stop.
pub fn run(config: &Config, secrets: Secrets) -> Result<(), Message> {
    // Whatever a room forgets to close stays closed to others.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let paths = &config.paths;
    for folder in [&paths.state, &paths.run, &paths.output] {
        files::private_folder(folder)?;
    }
    // SQLite puts what does not fit into memory into the working folder when /tmp is out of reach.
    std::env::set_current_dir(&paths.state).map_err(|error| Message::FolderFailed {
        path: paths.state.display().to_string(),
        why: error.to_string(),
    })?;
    let mut socket = OperatorSocket::open(paths)?;
    let opened = open(compose::rooms(config, secrets)?, &paths.room("vpn"))?;
    let users = Users::read();

    let held = jailed(config)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("mimamori")
        .build()
        .map_err(|error| Message::OpenFailed { room: "appliance".to_owned(), why: error.to_string() })?;
    let worked = runtime.block_on(work(opened, &mut socket, users, held));
    runtime.shutdown_timeout(THREADS_LIMIT);
    worked
}

/// vpn first: it makes the TUN behind which the gateway listens.
fn open(rooms: compose::Rooms, vpn_dir: &Path) -> Result<Opened, Message> {
    files::private_folder(vpn_dir)?;
    Ok(Opened {
        vpn: vpn::open(rooms.vpn).map_err(|error| not_open("vpn", &error))?,
        pki: pki::open(rooms.pki).map_err(|error| not_open("pki", &error))?,
        sns: sns::open(rooms.sns).map_err(|error| not_open("sns", &error))?,
        gateway: gateway::open(rooms.gateway).map_err(|error| not_open("gateway", &error))?,
        provisioning: provisioning::open(rooms.provisioning)
            .map_err(|error| not_open("provisioning", &error))?,
    })
}

fn jailed(config: &Config) -> Result<Held, Message> {
    if !config.jail_enforced {
        log::warn!("not jailed: [jail] enforce = false");
        return Ok(Held::nothing());
    }
    let paths = &config.paths;
    let writable = vec![paths.state.clone(), paths.run.clone(), paths.output.clone()];
    let held = jail::enter(&Jail::together(writable, config.vpn.nft.clone()))
        .map_err(|error| Message::JailFailed { why: error.to_string() })?;
    if held.is_whole() {
        log::info!("{held}");
    } else {
        log::warn!("{held}");
    }
    Ok(held)
}

async fn work(opened: Opened, socket: &mut OperatorSocket, users: Users, held: Held) -> Result<(), Message> {
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let (askers, ends) = lines::lay();
    let mut running = Running::default();
    let started = running.start(opened, &askers, ends).await;
    if let Err(message) = started {
        running.stop().await;
        return Err(message);
    }
    let rooms = door::Rooms {
        vpn: askers.seats.clone(),
        pki: askers.pki.clone(),
        gateway: askers.gateway.clone(),
        sns: askers.sns.clone(),
        provisioning: askers.office.clone(),
        users,
        jail: held,
        since_ms: now_ms(),
    };
    let listener = socket.take().map(UnixListener::from_std).transpose().ok().flatten();
    if let Some(listener) = listener {
        running.tasks.spawn(door::serve(listener, rooms));
    }
    log::info!("all rooms are open");
    notify(&[NotifyState::Ready]);

    let event = running.next_event(&mut terminate, &mut interrupt).await;
    notify(&[NotifyState::Stopping]);
    log::info!("stopping: {}", event.text());
    let ended = match event {
        Event::Terminate | Event::Interrupt => Ok(()),
        Event::VpnEnded { why } => Err(Message::StartFailed { room: "vpn".to_owned(), why }),
        Event::TaskBroke { why } => Err(Message::StartFailed { room: "appliance".to_owned(), why }),
    };
    running.stop().await;
    log::info!("all rooms are closed");
    ended
}

/// The rooms that stand, in the order in which they were started.
#[derive(Default)]
struct Running {
    vpn: Option<vpn::Room>,
    pki: Option<pki::Room>,
    sns: Option<sns::Room>,
    provisioning: Option<provisioning::Room>,
    gateway: Option<gateway::Room>,
    /// Whoever answers at the lines, and the operator door.
    tasks: JoinSet<()>,
}

impl Running {
    /// Each room is served as soon as it stands; the gateway, which lets people in, comes last.
    async fn start(&mut self, opened: Opened, askers: &Askers, ends: Ends) -> Result<(), Message> {
        let vpn = opened.vpn.start().await.map_err(|error| not_started("vpn", &error))?;
        lines::serve_vpn(ends.vpn, &vpn, &mut self.tasks);
        self.vpn = Some(vpn);
        let pki = opened.pki.start().await.map_err(|error| not_started("pki", &error))?;
        lines::serve_pki(ends.pki, &pki, &mut self.tasks);
        self.pki = Some(pki);
        let sns = opened.sns.start().await.map_err(|error| not_started("sns", &error))?;
        lines::serve_sns(ends.sns, &sns, &mut self.tasks);
        self.sns = Some(sns);
        let needs = provisioning::Needs {
            issuing: Arc::new(askers.issuing.clone()),
            seats: Arc::new(askers.seats.clone()),
            teams: Arc::new(askers.teams.clone()),
            cuts: Arc::new(askers.cuts.clone()),
            why: Arc::new(askers.gateway.clone()),
        };
        let office =
            opened.provisioning.start(needs).await.map_err(|error| not_started("provisioning", &error))?;
        lines::serve_office(ends.office, &office, &mut self.tasks);
        self.provisioning = Some(office);
        let needs = gateway::Needs {
            grants: Arc::new(askers.grants.clone()),
            accounts: Arc::new(askers.accounts.clone()),
            upstream: Arc::new(upstream::Rooms {
                sns: askers.sns_http.clone(),
                provisioning: askers.office_http.clone(),
            }),
            revocations: Arc::new(askers.revocations.clone()),
            published: Arc::new(askers.published.clone()),
        };
        let gateway = opened.gateway.start(needs).await.map_err(|error| not_started("gateway", &error))?;
        lines::serve_gateway(ends.gateway, &gateway, &mut self.tasks);
        self.gateway = Some(gateway);
        Ok(())
    }

    async fn next_event(&mut self, terminate: &mut Signal, interrupt: &mut Signal) -> Event {
        let vpn = self.vpn.clone();
        let vpn_ended = async {
            match vpn {
                Some(vpn) => vpn.ended().await.err().unwrap_or_default(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => Event::Terminate,
            _ = interrupt.recv() => Event::Interrupt,
            why = vpn_ended => Event::VpnEnded { why },
            Some(ended) = self.tasks.join_next() => Event::TaskBroke {
                why: ended.err().map_or_else(|| "a line ended".to_owned(), |error| error.to_string()),
            },
        }
    }

    /// In reverse: first nobody comes in, last nobody is let out.
    async fn stop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            within("gateway", gateway.stop()).await;
        }
        if let Some(office) = self.provisioning.take() {
            within("provisioning", office.stop()).await;
        }
        if let Some(sns) = self.sns.take() {
            within("sns", sns.stop()).await;
        }
        if let Some(pki) = self.pki.take() {
            within("pki", pki.stop()).await;
        }
        if let Some(vpn) = self.vpn.take() {
            within("vpn", vpn.stop()).await;
        }
        self.tasks.shutdown().await;
    }
}

async fn within(room: &str, stopping: impl Future<Output = ()>) {
    if timeout(STOP_LIMIT, stopping).await.is_err() {
        log::warn!("{room} did not stop within {} seconds", STOP_LIMIT.as_secs());
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal, Message> {
    signal(kind).map_err(|error| Message::OpenFailed { room: "appliance".to_owned(), why: error.to_string() })
}

/// Without systemd there is nobody to tell.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd was not told: {error}");
    }
}

fn not_open(room: &str, error: &dyn std::error::Error) -> Message {
    Message::OpenFailed { room: room.to_owned(), why: error.to_string() }
}

fn not_started(room: &str, error: &dyn std::error::Error) -> Message {
    Message::StartFailed { room: room.to_owned(), why: error.to_string() }
}
