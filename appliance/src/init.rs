//! `mimamori init`: a whole realm in one folder, once. Folders, secrets, the ceremony, the secretariat with
//! its bundle, and the configuration that names them all. The configuration is written last: a folder
//! without it was never a realm. Touches files, clock, randomness, SQL (through the rooms).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use pki::ceremony::{CeremonyConfig, TokenKeys};
use pki::folders::{Folders, GATEWAY_KEY, Held};
use pki::shares::{Share, Terms};
use provisioning::facility::{self, MailAddress};
use provisioning::setup::{NewOffice, OfficeCreated};
use vpn::TunnelKey;
use zeroize::{Zeroize, Zeroizing};

use crate::compose;
use crate::config::written::{quoted, write};
use crate::config::{self, Config, Fault};
use crate::database;
use crate::files;
use crate::machine;
use crate::messages::Message;
use crate::operator::door::now_ms;
use crate::secrets::{self, Secret};
use crate::sheets::{self, Heading, shared};
use crate::token::{PIN_CREDENTIAL, PIN_FILE, TokenWishes};

const CONFIG: &str = "mimamori.toml";
/// Present from the first file to the last.
const UNFINISHED: &str = ".init-unfinished";
const KEY_LEN: usize = 32;
/// Beside the secrets, not among them: neither stays on this machine.
pub const ROOT_PASSPHRASE: &str = "root-passphrase";
pub const ROOT_SHARES: &str = "root-shares";
/// The realm's own copy: the file that was given may be thrown away.
const DATABASE_URL: &str = "database-url";

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct Wishes {
    pub dir: PathBuf,
    pub zone: String,
    /// `18`, or `18=18` with the block.
    pub series: Vec<String>,
    pub realm_name: String,
    pub operator_login: String,
    pub operator_name: String,
    pub office_name: String,
    pub telephone: String,
    pub listen: Vec<String>,
    pub endpoint: Option<String>,
    /// The records go to the server whose URL stands in this file.
    pub database_url_file: Option<PathBuf>,
    /// From where engineers come, and whose certificates they show.
    pub management: Vec<String>,
    pub ssh_ca: Option<String>,
    /// The root's passphrase is never written down, but shared.
    pub root_shares: Option<Terms>,
    /// The authorities' keys live in a token.
    pub token: Option<TokenWishes>,
}

/// What stands now.
#[derive(Clone, Debug)]
pub struct Made {
    pub config: PathBuf,
    pub root_fingerprint: String,
    pub transcript: PathBuf,
    pub root: PathBuf,
    /// None if it was shared.
    pub root_passphrase: Option<PathBuf>,
    /// One sheet per holder, to print and delete.
    pub root_sheets: Vec<PathBuf>,
    pub office: OfficeCreated,
}

impl Made {
    /// The same, after everything was moved from `stage` to its places on a machine of our image.
    #[must_use]
    pub fn moved(mut self, stage: &Path) -> Self {
        let moves = [("output", machine::OUTPUT), ("root", machine::ROOT)];
        let moved = |path: &Path| {
            let found = moves.iter().find_map(|(from, to)| {
                path.strip_prefix(stage.join(from)).ok().map(|rest| Path::new(to).join(rest))
            });
            found.unwrap_or_else(|| path.to_owned())
        };
        self.config = machine::CONFIG.into();
        let root = Path::new(machine::ROOT);
        self.root_passphrase = self.root_passphrase.map(|_| root.join(ROOT_PASSPHRASE));
        let sheet = |sheet: &PathBuf| root.join(ROOT_SHARES).join(sheet.file_name().unwrap_or_default());
        self.root_sheets = self.root_sheets.iter().map(sheet).collect();
        self.transcript = moved(&self.transcript);
        self.office.bundle = moved(&self.office.bundle);
        self.office.sheet = moved(&self.office.sheet);
        self.root = machine::ROOT.into();
        self
    }
}

#[derive(Debug)]
pub enum InitFault {
    Message(Message),
    /// The wishes do not make a configuration.
    Config(Vec<Fault>),
}

impl From<Message> for InitFault {
    fn from(message: Message) -> Self {
        InitFault::Message(message)
    }
}

/// Places inside the realm's folder.
struct Places {
    dir: PathBuf,
    secrets: PathBuf,
    state: PathBuf,
    root: PathBuf,
}

/// Makes the realm; `progress` hears each step in both languages.
pub fn init(wishes: &Wishes, by: &str, progress: &mut dyn FnMut(&str, &str)) -> Result<Made, InitFault> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let dir = std::path::absolute(&wishes.dir).map_err(|error| failed("dir", error))?;
    let places = Places {
        secrets: dir.join("secrets"),
        state: dir.join("state"),
        root: dir.join("root"),
        dir: dir.clone(),
    };
    // Everything is checked before anything is made.
    let text = configuration(wishes, &places)?;
    let config = config::read(&text).map_err(InitFault::Config)?;
    check_office(wishes)?;
    let database = wishes
        .database_url_file
        .as_deref()
        .map(|path| secrets::open_given("database.url", path))
        .transpose()?;
    if let Some(url) = &database {
        progress("データベースを確かめています", "looking at the database");
        database::fit_and_free(&database::parse(url)?)?;
    }
    let (token, pin) = token(wishes, progress)?;
    begin(&places)?;

    progress("秘密を作っています", "making the secrets");
    let secrets = make_secrets(&places, database, pin, wishes.root_shares.is_none())?;
    let passphrase = secrets.root_passphrase.trim_end().as_bytes();
    let shares = wishes.root_shares.map_or(Ok(Vec::new()), |terms| shared(passphrase, terms))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("runtime", error))?;

    progress(
        "認証局の儀式を行っています（ルート、端末、サーバー）",
        "holding the ceremony (root, device CA, server CA)",
    );
    let folders = Folders {
        root: places.root.clone(),
        pki: config.paths.room("pki"),
        gateway: config.paths.room("gateway"),
    };
    let held = hold(wishes, &config, &folders, (&secrets, &shares, token), &runtime)?;
    let fingerprint = held.root_fingerprint.to_string();
    let root_sheets = print_sheets(&dir, &shares, &wishes.realm_name, &fingerprint)?;
    drop(shares);

    progress("事務局とその最初の端末を作っています", "creating the secretariat and its first device");
    let root_der =
        std::fs::read(folders.pki.join(pki::folders::ROOT_DER)).map_err(|error| failed("ceremony", error))?;
    let office = create_office(wishes, by, &config, &secrets, &root_der, &runtime)?;

    let config_path = dir.join(CONFIG);
    files::write_new(&config_path, text.as_bytes()).map_err(|error| failed(CONFIG, error))?;
    finish(&places)?;
    Ok(Made {
        config: config_path,
        root_fingerprint: fingerprint,
        transcript: held.transcript,
        root: places.root,
        root_passphrase: wishes.root_shares.is_none().then(|| dir.join(ROOT_PASSPHRASE)),
        root_sheets,
        office,
    })
}

/// The token and its PIN, looked at before anything is made.
fn token(
    wishes: &Wishes,
    progress: &mut dyn FnMut(&str, &str),
) -> Result<(Option<TokenKeys>, Option<Secret>), InitFault> {
    let Some(token) = &wishes.token else { return Ok((None, None)) };
    progress("鍵の装置を確かめています", "looking at the token");
    let pin = token.pin()?;
    Ok((Some(token.open(&pin)?), Some(pin)))
}

/// The ceremony; its transcript names the shares.
fn hold(
    wishes: &Wishes,
    config: &Config,
    folders: &Folders,
    (secrets, shares, token): (&Fresh, &[Share], Option<TokenKeys>),
    runtime: &tokio::runtime::Runtime,
) -> Result<Held, InitFault> {
    let ceremony = CeremonyConfig {
        zone: wishes.zone.clone(),
        realm_name: wishes.realm_name.clone(),
        published_base: compose::published_base(config),
        root_secret: sealing(&secrets.root_passphrase)?,
        pki_secret: sealing(&secrets.pki_passphrase)?,
        shares: (!shares.is_empty()).then(|| sheets::told(shares)),
        token,
    };
    runtime
        .block_on(pki::folders::hold(&ceremony, folders, now_ms() / 1000))
        .map_err(|error| failed("ceremony", error))
}

/// The file as it will stand; also what the wishes are checked with.
fn configuration(wishes: &Wishes, places: &Places) -> Result<String, InitFault> {
    let dir = &places.dir;
    let path = |path: PathBuf| path.to_str().map(quoted).ok_or_else(|| argument("--dir", "not UTF-8"));
    let secret = |name: &str| path(places.secrets.join(name));
    let mut given = BTreeMap::from([
        ("realm.zone", quoted(&wishes.zone)),
        ("realm.name", quoted(&wishes.realm_name)),
        ("realm.series", series(&wishes.series)?),
        ("paths.state", path(places.state.clone())?),
        ("paths.run", path(dir.join("run"))?),
        ("paths.output", path(dir.join("output"))?),
        ("paths.root", path(places.root.clone())?),
        ("secrets.pki_passphrase_file", secret("pki-passphrase")?),
        ("secrets.vpn_key_file", secret("vpn-key")?),
        ("secrets.sns_epoch_file", secret("sns-epoch")?),
        // The ceremony puts it beside its certificate.
        ("secrets.gateway_key_file", path(places.state.join("gateway").join(GATEWAY_KEY))?),
    ]);
    if wishes.database_url_file.is_some() {
        given.insert("database.url_file", secret(DATABASE_URL)?);
    }
    if let Some(token) = &wishes.token {
        token.write(&mut given, ("token.pin_file", secret(PIN_FILE)?));
    }
    add_wishes(&mut given, wishes);
    Ok(write(&given))
}

/// As it will stand on a machine of our image: the rooms' places are the same on each, secrets are credentials.
pub fn configuration_of_machine(wishes: &Wishes) -> Result<String, InitFault> {
    let mut given = BTreeMap::from([
        ("realm.zone", quoted(&wishes.zone)),
        ("realm.name", quoted(&wishes.realm_name)),
        ("realm.series", series(&wishes.series)?),
        ("paths.state", quoted(machine::STATE)),
        ("paths.run", quoted(machine::RUN)),
        ("paths.output", quoted(machine::OUTPUT)),
        ("paths.root", quoted(machine::ROOT)),
        ("secrets.pki_passphrase_credential", quoted("pki_passphrase")),
        ("secrets.vpn_key_credential", quoted("vpn_key")),
        ("secrets.sns_epoch_credential", quoted("sns_epoch")),
        ("secrets.gateway_key_credential", quoted("gateway_key")),
    ]);
    if wishes.database_url_file.is_some() {
        given.insert("database.url_credential", quoted("database_url"));
    }
    if let Some(token) = &wishes.token {
        token.write(&mut given, ("token.pin_credential", quoted(PIN_CREDENTIAL)));
    }
    add_wishes(&mut given, wishes);
    let text = write(&given);
    config::read(&text).map_err(InitFault::Config)?;
    Ok(text)
}

/// What is the same wherever the realm lies.
fn add_wishes(given: &mut BTreeMap<&'static str, String>, wishes: &Wishes) {
    let list = |items: &[String]| {
        let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
        format!("[{}]", items.join(", "))
    };
    if !wishes.listen.is_empty() {
        given.insert("vpn.listen", list(&wishes.listen));
    }
    if let Some(endpoint) = &wishes.endpoint {
        given.insert("vpn.endpoint", quoted(endpoint));
    }
    if !wishes.management.is_empty() {
        given.insert("management.addresses", list(&wishes.management));
    }
    if let Some(key) = &wishes.ssh_ca {
        given.insert("management.ssh_ca", quoted(key));
    }
}

/// What the registry would refuse after the ceremony is refused before it.
fn check_office(wishes: &Wishes) -> Result<(), InitFault> {
    let said = |name: &str, message: provisioning::messages::Message| argument(name, &message.text().ja);
    MailAddress::parse(&wishes.operator_login).map_err(|message| said("--operator-login", message))?;
    for (name, text) in [("--operator-name", &wishes.operator_name), ("--office-name", &wishes.office_name)] {
        let line = facility::line(text).map_err(|message| said(name, message))?;
        if line.is_empty() {
            return Err(argument(name, "空です / empty"));
        }
    }
    Ok(())
}

/// `18` takes block 18, `18F=19` says so itself.
fn series(wishes: &[String]) -> Result<String, InitFault> {
    let entry = |wish: &String| {
        let (name, block) = match wish.split_once('=') {
            Some((name, block)) => (name, block),
            None => (wish.as_str(), wish.get(..2).unwrap_or(wish)),
        };
        let block: u8 = block.parse().map_err(|_| argument("--series", "18, or 18F=19"))?;
        Ok(format!("{{ name = {}, block = {block} }}", quoted(name)))
    };
    let entries: Result<Vec<String>, InitFault> = wishes.iter().map(entry).collect();
    Ok(format!("[{}]", entries?.join(", ")))
}

/// Refuses a folder that holds a realm or the rest of one.
fn begin(places: &Places) -> Result<(), InitFault> {
    let shown = || places.dir.display().to_string();
    if places.dir.join(CONFIG).exists() {
        return Err(Message::InitTwice { dir: shown() }.into());
    }
    let rests =
        [places.dir.join(UNFINISHED), places.secrets.clone(), places.state.clone(), places.root.clone()];
    if rests.iter().any(|rest| rest.exists()) {
        return Err(Message::InitHalf { dir: shown() }.into());
    }
    files::private_folder(&places.dir)?;
    files::write_new(&places.dir.join(UNFINISHED), b"").map_err(|error| failed("dir", error))?;
    for folder in [&places.secrets, &places.state, &places.dir.join("run"), &places.dir.join("output")] {
        files::private_folder(folder)?;
    }
    Ok(())
}

fn finish(places: &Places) -> Result<(), InitFault> {
    let marker = places.dir.join(UNFINISHED);
    files::remove(&marker).and_then(|()| files::sync_folder(&marker)).map_err(|error| failed("dir", error))
}

/// Fresh secrets, on the disk and in the hand of `init` until it ends.
struct Fresh {
    root_passphrase: Zeroizing<String>,
    pki_passphrase: Zeroizing<String>,
    vpn_key: TunnelKey,
    /// Not made here, but given.
    database: Option<Secret>,
}

fn make_secrets(
    places: &Places,
    database: Option<Secret>,
    pin: Option<Secret>,
    write_root: bool,
) -> Result<Fresh, InitFault> {
    let vpn_key = TunnelKey::generate(*random()?);
    let fresh = Fresh { root_passphrase: passphrase()?, pki_passphrase: passphrase()?, vpn_key, database };
    let put = |path: &Path, text: &str| {
        files::write_new(path, text.as_bytes()).map_err(|error| failed("secrets", error))
    };
    put(&places.secrets.join("pki-passphrase"), &fresh.pki_passphrase)?;
    put(&places.secrets.join("vpn-key"), &fresh.vpn_key.expose_line())?;
    put(&places.secrets.join("sns-epoch"), &passphrase()?)?;
    if let Some(url) = &fresh.database {
        put(&places.secrets.join(DATABASE_URL), url.expose())?;
    }
    if let Some(pin) = &pin {
        put(&places.secrets.join(PIN_FILE), pin.expose())?;
    }
    // Not among the appliance's secrets: it goes into another envelope than the root's folder.
    if write_root {
        put(&places.dir.join(ROOT_PASSPHRASE), &fresh.root_passphrase)?;
    }
    Ok(fresh)
}

/// In a folder of their own, which is empty again when they are printed.
fn print_sheets(
    dir: &Path,
    shares: &[Share],
    realm: &str,
    fingerprint: &str,
) -> Result<Vec<PathBuf>, InitFault> {
    if shares.is_empty() {
        return Ok(Vec::new());
    }
    let folder = dir.join(ROOT_SHARES);
    files::private_folder(&folder)?;
    Ok(sheets::write(&folder, shares, &Heading { realm, fingerprint })?)
}

/// 256 bits in base64, with the line's end.
fn passphrase() -> Result<Zeroizing<String>, InitFault> {
    let random = random()?;
    let mut text = Zeroizing::new(BASE64.encode(random.as_slice()));
    text.push('\n');
    Ok(text)
}

fn random() -> Result<Zeroizing<[u8; KEY_LEN]>, InitFault> {
    let mut random = Zeroizing::new([0; KEY_LEN]);
    getrandom::fill(random.as_mut_slice()).map_err(|error| failed("randomness", error))?;
    Ok(random)
}

fn sealing(passphrase: &str) -> Result<pki::Secret, InitFault> {
    let mut text = passphrase.trim_end().to_owned();
    let secret = pki::Secret::new(text.as_bytes().to_vec()).map_err(|error| failed("ceremony", error));
    text.zeroize();
    secret
}

fn create_office(
    wishes: &Wishes,
    by: &str,
    config: &Config,
    secrets: &Fresh,
    root_der: &[u8],
    runtime: &tokio::runtime::Runtime,
) -> Result<OfficeCreated, InitFault> {
    let room = compose::provisioning(config, secrets.vpn_key.public(), root_der, secrets.database.as_ref())?;
    // Makes the room's folders.
    provisioning::open(room.clone()).map_err(|error| failed("office", error))?;
    compose::publish(config, secrets.vpn_key.public(), root_der)?;
    let office = NewOffice {
        name: wishes.office_name.clone(),
        telephone: wishes.telephone.clone(),
        login: wishes.operator_login.clone(),
        operator_name: wishes.operator_name.clone(),
    };
    runtime
        .block_on(provisioning::setup::create_office(&room, &office, by))
        .map_err(|error| failed("office", error))
}

fn failed(what: &str, error: impl std::fmt::Display) -> InitFault {
    Message::InitFailed { what: what.to_owned(), why: error.to_string() }.into()
}

fn argument(name: &str, why: &str) -> InitFault {
    Message::Argument { name: name.to_owned(), why: why.to_owned() }.into()
}
