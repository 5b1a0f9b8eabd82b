//! All rooms in one process: open, jail, work, in that order and in sight. `run` owns everything; it ends
//! with a signal or with a room that cannot go on, and stops the rooms in the reverse of their order.

use std::path::Path;
use std::sync::Arc;

use tokio::net::UnixListener;
use vpn::firewall::Firewall;

use crate::adapters::upstream;
use crate::compose;
use crate::config::Config;
use crate::database;
use crate::doors::Handed;
use crate::files;
use crate::jail::{Held, Jail};
use crate::lines::{self, Askers, Ends};
use crate::messages::Message;
use crate::operator::door::{self, now_ms};
use crate::operator::users::Users;
use crate::process::{Name, Outward, process};
use crate::relay;
use crate::running::{self, Next, Running, Signals, not_open};
use crate::secrets::Opened as Secrets;
use crate::socket::OperatorSocket;

/// Every room opened, nothing read from outside.
struct Opened {
    vpn: vpn::Opened,
    pki: pki::Opened,
    sns: sns::Opened,
    gateway: gateway::Opened,
    provisioning: provisioning::Opened,
}

/// Opens, jails and works until told to stop.
pub fn run(config: &Config, secrets: Secrets, credentials: Option<&Path>) -> Result<(), Message> {
    running::close_umask();
    let paths = &config.paths;
    for folder in [&paths.state, &paths.run, &paths.output] {
        files::private_folder(folder)?;
    }
    // SQLite puts what does not fit into memory into the working folder when /tmp is out of reach.
    files::work_in(&paths.state)?;
    let mut socket = OperatorSocket::open(paths)?;
    let outward = Outward::together(config, database::server(secrets.database.as_ref())?.as_ref());
    let opened = open(compose::rooms(config, secrets, credentials)?, &paths.room("vpn"))?;
    let users = Users::read();
    let writable = vec![paths.state.clone(), paths.run.clone(), paths.output.clone()];
    let jail = Jail::together(writable, config.vpn.nft.clone())
        .keeping(process(Name::Pki), config)
        .calling(&outward);
    let held = running::jailed(config, &jail)?;
    running::run(work(opened, door::engine(config), &mut socket, users, held))
}

/// vpn first: it makes the TUN behind which the gateway listens.
fn open(rooms: compose::Rooms, vpn_dir: &Path) -> Result<Opened, Message> {
    files::private_folder(vpn_dir)?;
    let mut handed = Handed::over()?;
    let vpn = match handed.left() {
        Some(left) => {
            let firewall = Firewall::new(&rooms.vpn.nft, &rooms.vpn.plan, &rooms.vpn.interface);
            vpn::open_from(rooms.vpn, left, |all| firewall.install(all).map_err(|error| error.to_string()))
        }
        None => vpn::open(rooms.vpn),
    };
    let gateway = gateway::open(gateway::Config { kept: handed.kept()?, ..rooms.gateway })
        .map_err(|error| not_open("gateway", &error))?;
    relay::keep_listeners(gateway.listeners());
    Ok(Opened {
        vpn: vpn.map_err(|error| not_open("vpn", &error))?,
        pki: pki::open(rooms.pki).map_err(|error| not_open("pki", &error))?,
        sns: sns::open(rooms.sns).map_err(|error| not_open("sns", &error))?,
        gateway,
        provisioning: provisioning::open(rooms.provisioning)
            .map_err(|error| not_open("provisioning", &error))?,
    })
}

async fn work(
    opened: Opened,
    engine: &'static str,
    socket: &mut OperatorSocket,
    users: Users,
    held: Held,
) -> Result<(), Message> {
    let mut signals = Signals::listen()?;
    let (askers, ends) = lines::lay();
    let mut running = Running::default();
    let started = start(&mut running, opened, &askers, ends).await;
    if let Err(message) = started {
        running.stop(Next::Nobody).await;
        return Err(message);
    }
    let rooms = door::Rooms {
        vpn: Some(askers.vpn.clone()),
        pki: Some(askers.pki.clone()),
        gateway: Some(askers.gateway.clone()),
        sns: Some(askers.sns.clone()),
        provisioning: Some(askers.office.clone()),
        ..door::Rooms::none(door::TOGETHER, engine, users, held, now_ms())
    };
    let listener = socket.take().map(UnixListener::from_std).transpose().ok().flatten();
    if let Some(listener) = listener {
        running.tasks.spawn(door::serve(listener, door::own_guard(), rooms));
    }
    log::info!("all rooms are open");
    let ended = running.until_told(&mut signals).await;
    log::info!("all rooms are closed");
    ended
}

/// Each room is served as soon as it stands; the gateway, which lets people in, comes last.
async fn start(running: &mut Running, opened: Opened, askers: &Askers, ends: Ends) -> Result<(), Message> {
    running.vpn(opened.vpn, None, ends.vpn).await?;
    running.pki(opened.pki, ends.pki).await?;
    running.sns(opened.sns, ends.sns).await?;
    let needs = provisioning::Needs {
        issuing: Arc::new(askers.issuing.clone()),
        seats: Arc::new(askers.seats.clone()),
        teams: Arc::new(askers.teams.clone()),
        keys: Arc::new(askers.keys.clone()),
        cuts: Arc::new(askers.cuts.clone()),
        why: Arc::new(askers.why.clone()),
    };
    running.office(opened.provisioning, needs, ends.office).await?;
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
    running.gateway(opened.gateway, needs, ends.gateway).await
}
