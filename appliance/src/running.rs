//! What both forms of the appliance share: rooms that stand, what ends them, and how they are stopped.
//! `together` starts five of them, `serve` one. Edge: tokio, signals, systemd.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use vpn::door::MirrorDoor;

use crate::config::Config;
use crate::jail::{self, Held, Jail};
use crate::lines::{self, GatewayEnds, OfficeEnds, PkiEnds, SnsEnds, VpnEnds};
use crate::messages::Message;
use crate::relay;

/// A room that does not stop by then is left to the kernel; systemd waits longer than all five.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// For threads that are in the middle of a password.
const THREADS_LIMIT: Duration = Duration::from_secs(5);

/// What the main loop hears; nothing else wakes it.
pub enum Event {
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

/// The two ways to be told to stop.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn listen() -> Result<Self, Message> {
        let listen = |kind| signal(kind).map_err(|error| not_open("appliance", &error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }
}

/// Whatever a room forgets to close stays closed to others.
pub fn close_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// The door behind this process is locked, or the configuration says that it stays open.
pub fn jailed(config: &Config, jail: &Jail) -> Result<Held, Message> {
    if !config.jail_enforced {
        log::warn!("not jailed: [jail] enforce = false");
        return Ok(Held::nothing());
    }
    let held = jail::enter(jail).map_err(|error| Message::JailFailed { why: error.to_string() })?;
    if held.is_whole() {
        log::info!("{held}");
    } else {
        log::warn!("{held}");
    }
    Ok(held)
}

/// Runs to the end in a runtime whose threads are all born inside the jail.
pub fn run(work: impl Future<Output = Result<(), Message>>) -> Result<(), Message> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("mimamori")
        .build()
        .map_err(|error| not_open("appliance", &error))?;
    let worked = runtime.block_on(work);
    runtime.shutdown_timeout(THREADS_LIMIT);
    worked
}

/// Who comes after this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Nobody,
    /// Somebody who takes up the tunnels, if this is a restart.
    Perhaps,
}

/// The rooms that stand, in the order in which they were started.
#[derive(Default)]
pub struct Running {
    vpn: Option<vpn::Room>,
    pki: Option<pki::Room>,
    sns: Option<sns::Room>,
    provisioning: Option<provisioning::Room>,
    gateway: Option<gateway::Room>,
    /// Whoever answers at the lines, and the operator door.
    pub tasks: JoinSet<()>,
}

impl Running {
    /// With the firewall behind `mirror`, or in this process.
    pub async fn vpn(
        &mut self,
        opened: vpn::Opened,
        mirror: Option<Arc<dyn MirrorDoor>>,
        ends: VpnEnds,
    ) -> Result<(), Message> {
        let started = match mirror {
            Some(mirror) => opened.start_with(mirror).await,
            None => opened.start().await,
        };
        let room = started.map_err(|error| not_started("vpn", &error))?;
        lines::serve_vpn(ends, &room, &mut self.tasks);
        self.vpn = Some(room);
        Ok(())
    }

    pub async fn pki(&mut self, opened: pki::Opened, ends: PkiEnds) -> Result<(), Message> {
        let room = opened.start().await.map_err(|error| not_started("pki", &error))?;
        lines::serve_pki(ends, &room, &mut self.tasks);
        self.pki = Some(room);
        Ok(())
    }

    pub async fn sns(&mut self, opened: sns::Opened, ends: SnsEnds) -> Result<(), Message> {
        let room = opened.start().await.map_err(|error| not_started("sns", &error))?;
        lines::serve_sns(ends, &room, &mut self.tasks);
        self.sns = Some(room);
        Ok(())
    }

    pub async fn office(
        &mut self,
        opened: provisioning::Opened,
        needs: provisioning::Needs,
        ends: OfficeEnds,
    ) -> Result<(), Message> {
        let room = opened.start(needs).await.map_err(|error| not_started("provisioning", &error))?;
        lines::serve_office(ends, &room, &mut self.tasks);
        self.provisioning = Some(room);
        Ok(())
    }

    pub async fn gateway(
        &mut self,
        opened: gateway::Opened,
        needs: gateway::Needs,
        ends: GatewayEnds,
    ) -> Result<(), Message> {
        let room = opened.start(needs).await.map_err(|error| not_started("gateway", &error))?;
        lines::serve_gateway(ends, &room, &mut self.tasks);
        self.gateway = Some(room);
        Ok(())
    }

    /// Ready; then until something ends it.
    pub async fn until_told(&mut self, signals: &mut Signals) -> Result<(), Message> {
        notify(&[NotifyState::Ready]);
        let event = self.next_event(signals).await;
        notify(&[NotifyState::Stopping]);
        log::info!("stopping: {}", event.text());
        // A restart and a stop begin alike; systemd drops what nobody comes for.
        self.stop(if matches!(event, Event::Terminate) { Next::Perhaps } else { Next::Nobody }).await;
        match event {
            Event::Terminate | Event::Interrupt => Ok(()),
            Event::VpnEnded { why } => Err(Message::StartFailed { room: "vpn".to_owned(), why }),
            Event::TaskBroke { why } => Err(Message::StartFailed { room: "appliance".to_owned(), why }),
        }
    }

    async fn next_event(&mut self, signals: &mut Signals) -> Event {
        let vpn = self.vpn.clone();
        let vpn_ended = async {
            match vpn {
                Some(vpn) => vpn.ended().await.err().unwrap_or_default(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = signals.terminate.recv() => Event::Terminate,
            _ = signals.interrupt.recv() => Event::Interrupt,
            why = vpn_ended => Event::VpnEnded { why },
            Some(ended) = self.tasks.join_next() => Event::TaskBroke {
                why: ended.err().map_or_else(|| "a line ended".to_owned(), |error| error.to_string()),
            },
        }
    }

    /// In reverse: first nobody comes in, last nobody is let out.
    pub async fn stop(&mut self, next: Next) {
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
            within("vpn", leave(vpn, next)).await;
        }
        self.tasks.shutdown().await;
    }
}

/// The tunnels are the last to go, and under systemd they do not go at all when a next process comes.
async fn leave(vpn: vpn::Room, next: Next) {
    if next == Next::Nobody || !relay::is_possible() {
        return vpn.stop().await;
    }
    let left = vpn.release().await;
    let kept = left.and_then(|left| relay::keep(&left).map_err(|error| error.to_string()));
    match kept {
        Ok(()) => log::info!("the tunnels are left to the next process"),
        Err(why) => log::warn!("the tunnels are not left to the next process: {why}"),
    }
}

async fn within(room: &str, stopping: impl Future<Output = ()>) {
    if timeout(STOP_LIMIT, stopping).await.is_err() {
        log::warn!("{room} did not stop within {} seconds", STOP_LIMIT.as_secs());
    }
}

/// Without systemd there is nobody to tell.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd was not told: {error}");
    }
}

pub fn not_open(room: &str, error: &dyn std::error::Error) -> Message {
    Message::OpenFailed { room: room.to_owned(), why: error.to_string() }
}

fn not_started(room: &str, error: &dyn std::error::Error) -> Message {
    Message::StartFailed { room: room.to_owned(), why: error.to_string() }
}
