//! One room in its own process, as its row of the process table says: the right user, its own secret, its
//! doors as sockets, its own jail. Open, jail, work, as `together`; it ends with a signal or with the room.

use std::path::Path;
use std::sync::Arc;

use gateway::door::{GatewayAnswer, GatewayQuestion};
use tokio::net::UnixListener;
use vpn::door::{Admitted, MirrorAnswer, MirrorQuestion};
use vpn::firewall::Firewall;

use crate::adapters::upstream;
use crate::apart::Knocks;
use crate::compose;
use crate::config::Config;
use crate::database;
use crate::doors::Doors;
use crate::files;
use crate::jail::{Held, Jail};
use crate::lines::{self, ACT_LIMIT, GatewayEnds, OPERATOR_LIMIT, OfficeEnds, PkiEnds, SnsEnds, VpnEnds};
use crate::messages::Message;
use crate::operator::door::{self, now_ms};
use crate::operator::users::Users;
use crate::process::{Call, Name, Outward, Process, process};
use crate::relay;
use crate::running::{self, Next, Running, Signals, not_open};
use crate::secrets::{self, Secret};
use crate::wire::Line;
use crate::wire::frame::Guard;
use crate::wire::line::{LineEnd, channel};

/// The room of this process, opened; nothing read from outside.
enum Opened {
    Firewall(Firewall),
    Vpn(Box<vpn::Opened>),
    Pki(Box<pki::Opened>),
    Sns(sns::Opened),
    Gateway(Box<gateway::Opened>),
    Provisioning(Box<provisioning::Opened>),
}

/// Opens, jails and works until told to stop.
pub fn run(config: &Config, name: Name, credentials: Option<&Path>) -> Result<(), Message> {
    running::close_umask();
    let row = process(name);
    right_user(row, config)?;
    folders(row, config)?;
    let mut doors = Doors::open(row, config)?;
    let database = database(row, config, credentials)?;
    let outward = Outward::of(row, config, database::server(database.as_ref())?.as_ref());
    let opened = open(row, config, credentials, database.as_ref(), &mut doors)?;
    let users = Users::read();
    let held = running::jailed(config, &Jail::of(row, config).keeping(row, config).calling(&outward))?;
    running::run(work(name, config, opened, doors, users, held))
}

/// A process with another's user could knock at another's doors.
fn right_user(row: &Process, config: &Config) -> Result<(), Message> {
    let uid = rustix::process::geteuid().as_raw();
    if config.uids_checked && uid != row.uid {
        return Err(Message::WrongUser {
            room: row.name.as_str().to_owned(),
            uid: uid.to_string(),
            wanted: format!("{} ({})", row.uid, row.user),
        });
    }
    Ok(())
}

/// Its own folder and no other; the firewall has none.
fn folders(row: &Process, config: &Config) -> Result<(), Message> {
    let Some(state) = row.state else { return files::work_in(Path::new("/")) };
    let state = config.paths.room(state);
    files::private_folder(&state)?;
    if row.writes.contains(&"paths.output") {
        files::private_folder(&config.paths.output)?;
    }
    files::work_in(&state)
}

/// Only rooms that keep records on a server may know where it is.
fn database(row: &Process, config: &Config, credentials: Option<&Path>) -> Result<Option<Secret>, Message> {
    if !row.calls.contains(&Call::Database) {
        return Ok(None);
    }
    secrets::open_database(&config.secrets, credentials)
}

fn open(
    row: &Process,
    config: &Config,
    credentials: Option<&Path>,
    database: Option<&Secret>,
    doors: &mut Doors,
) -> Result<Opened, Message> {
    let name = row.name.as_str();
    let secret = || -> Result<Secret, Message> {
        let wanted = row.secrets.first().copied().unwrap_or_default();
        secrets::open_one(wanted, &config.secrets, credentials)
    };
    Ok(match row.name {
        Name::Firewall => Opened::Firewall(firewall(config)?),
        Name::Vpn => {
            let room = compose::vpn(config, &secret()?)?;
            let opened = match doors.left() {
                Some(left) => vpn::open_from(room, left, |all| admit(config, all.clone())),
                None => vpn::open_with(room, || admit(config, Admitted::new())),
            };
            Opened::Vpn(Box::new(opened.map_err(|error| not_open(name, &error))?))
        }
        Name::Pki => {
            let room = compose::pki(config, &secret()?, credentials)?;
            Opened::Pki(Box::new(pki::open(room).map_err(|error| not_open(name, &error))?))
        }
        Name::Sns => {
            let room = compose::sns(config, &secret()?, database)?;
            Opened::Sns(sns::open(room).map_err(|error| not_open(name, &error))?)
        }
        Name::Gateway => {
            let room = compose::gateway(config, &secret()?, database)?;
            let room = gateway::Config { kept: doors.kept(), ..room };
            let opened = gateway::open(room).map_err(|error| not_open(name, &error))?;
            relay::keep_listeners(opened.listeners());
            Opened::Gateway(Box::new(opened))
        }
        Name::Provisioning => {
            let (key, root) = compose::published(config)?;
            let room = compose::provisioning(config, key, &root, database)?;
            let room = compose::mailing(config, room, credentials)?;
            Opened::Provisioning(Box::new(provisioning::open(room).map_err(|error| not_open(name, &error))?))
        }
        Name::Cli => {
            return Err(Message::OpenFailed { room: name.to_owned(), why: "it is no room".to_owned() });
        }
    })
}

/// A table that stands is left as it is: restarting the firewall cuts nobody off. Without one, everybody
/// is kept out until the vpn says who sits.
fn firewall(config: &Config) -> Result<Firewall, Message> {
    let firewall = Firewall::new(&config.vpn.nft, &config.realm.plan, &config.vpn.interface);
    if firewall.read_back().is_err() {
        firewall.install(&Admitted::new()).map_err(|error| not_open("firewall", &error))?;
    }
    Ok(firewall)
}

/// The firewall admits exactly these. Asked before the TUN exists or is taken up, and before this process has
/// another thread.
fn admit(config: &Config, admitted: Admitted) -> Result<(), String> {
    let mirror = mirror(config).map_err(|message| message.en())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    match runtime.block_on(mirror.ask(MirrorQuestion::Install { admitted })) {
        Ok(MirrorAnswer::Done) => Ok(()),
        Ok(MirrorAnswer::Failed { why }) => Err(why),
        Ok(MirrorAnswer::Table { .. }) => Err("the firewall answered another question".to_owned()),
        Err(fault) => Err(format!("the firewall's process: {fault}")),
    }
}

fn mirror(config: &Config) -> Result<Line<MirrorQuestion, MirrorAnswer>, Message> {
    Knocks { from: Name::Vpn, config }.at("firewall.mirror")
}

async fn work(
    name: Name,
    config: &Config,
    opened: Opened,
    mut doors: Doors,
    users: Users,
    held: Held,
) -> Result<(), Message> {
    let mut signals = Signals::listen()?;
    let _lock = doors.lock();
    let operator = doors.take("operator")?;
    let mut running = Running::default();
    let rooms = door::Rooms::none(door::SEPARATED, door::engine(config), users, held, now_ms());
    match start(&mut running, name, config, opened, doors, rooms).await {
        Ok(rooms) => serve_operator(&mut running, operator, rooms),
        Err(message) => {
            running.stop(Next::Nobody).await;
            return Err(message);
        }
    }
    log::info!("{} is open", name.as_str());
    let ended = running.until_told(&mut signals).await;
    log::info!("{} is closed", name.as_str());
    ended
}

fn serve_operator(running: &mut Running, (listener, guard): (UnixListener, Guard), rooms: door::Rooms) {
    running.tasks.spawn(door::serve(listener, guard, rooms));
}

/// Starts the room with what it needs from the others; its operator door leads to it alone.
async fn start(
    running: &mut Running,
    name: Name,
    config: &Config,
    opened: Opened,
    mut doors: Doors,
    rooms: door::Rooms,
) -> Result<door::Rooms, Message> {
    let knocks = Knocks { from: name, config };
    match opened {
        Opened::Firewall(firewall) => {
            lines::serve_firewall(doors.end("mirror")?, &firewall, &mut running.tasks);
            Ok(rooms)
        }
        Opened::Vpn(opened) => {
            let (line, operator) = channel("vpn", ACT_LIMIT);
            let ends = VpnEnds { seats: doors.end("seats")?, operator };
            running.vpn(*opened, Some(Arc::new(mirror(config)?)), ends).await?;
            Ok(door::Rooms { vpn: Some(line), ..rooms })
        }
        Opened::Pki(opened) => {
            let (line, operator) = channel("pki", OPERATOR_LIMIT);
            let ends = PkiEnds {
                issuing: doors.end("issuing")?,
                revocations: doors.end("revocations")?,
                published: doors.end("published")?,
                operator,
            };
            running.pki(*opened, ends).await?;
            Ok(door::Rooms { pki: Some(line), ..rooms })
        }
        Opened::Sns(opened) => {
            let (line, operator) = channel("sns", OPERATOR_LIMIT);
            let (teams, keys) = (doors.end("teams")?, doors.end("keys")?);
            let ends = SnsEnds { teams, keys, http: doors.http_end()?, operator };
            running.sns(opened, ends).await?;
            Ok(door::Rooms { sns: Some(line), ..rooms })
        }
        Opened::Gateway(opened) => {
            let (line, operator) = channel("gateway", ACT_LIMIT);
            running.gateway(*opened, gateway_needs(&knocks)?, gateway_ends(&mut doors, operator)?).await?;
            Ok(door::Rooms { gateway: Some(line), ..rooms })
        }
        Opened::Provisioning(opened) => {
            let (line, operator) = channel("provisioning", OPERATOR_LIMIT);
            let (grants, accounts) = (doors.end("grants")?, doors.end("accounts")?);
            let ends = OfficeEnds { grants, accounts, http: doors.http_end()?, operator };
            running.office(*opened, office_needs(&knocks)?, ends).await?;
            Ok(door::Rooms { provisioning: Some(line), ..rooms })
        }
    }
}

fn gateway_ends(
    doors: &mut Doors,
    operator: LineEnd<GatewayQuestion, GatewayAnswer>,
) -> Result<GatewayEnds, Message> {
    Ok(GatewayEnds { cuts: doors.end("cuts")?, why: doors.end("why")?, operator })
}

fn gateway_needs(knocks: &Knocks<'_>) -> Result<gateway::Needs, Message> {
    Ok(gateway::Needs {
        grants: Arc::new(knocks.at::<_, crate::adapters::grants::GrantsAnswer>("provisioning.grants")?),
        accounts: Arc::new(
            knocks.at::<_, crate::adapters::accounts::AccountsAnswer>("provisioning.accounts")?,
        ),
        upstream: Arc::new(upstream::Rooms {
            sns: knocks.http("sns.http")?,
            provisioning: knocks.http("provisioning.http")?,
        }),
        revocations: Arc::new(
            knocks.at::<pki::door::RevocationsQuestion, pki::door::RevocationsAnswer>("pki.revocations")?,
        ),
        published: Arc::new(
            knocks.at::<pki::door::PublishedQuestion, pki::door::PublishedAnswer>("pki.published")?,
        ),
    })
}

fn office_needs(knocks: &Knocks<'_>) -> Result<provisioning::Needs, Message> {
    Ok(provisioning::Needs {
        issuing: Arc::new(knocks.at::<pki::door::IssuingQuestion, pki::door::IssuingAnswer>("pki.issuing")?),
        seats: Arc::new(knocks.at::<vpn::door::SeatsQuestion, vpn::door::SeatsAnswer>("vpn.seats")?),
        teams: Arc::new(knocks.at::<sns::door::TeamsQuestion, sns::door::TeamsAnswer>("sns.teams")?),
        keys: Arc::new(knocks.at::<sns::door::KeysQuestion, sns::door::KeysAnswer>("sns.keys")?),
        cuts: Arc::new(knocks.at::<gateway::door::CutQuestion, gateway::door::CutAnswer>("gateway.cuts")?),
        why: Arc::new(
            knocks
                .at::<crate::adapters::cuts::WhyQuestion, crate::adapters::cuts::WhyAnswer>("gateway.why")?,
        ),
    })
}
