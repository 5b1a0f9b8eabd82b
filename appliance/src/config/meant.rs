//! What the configuration means: values that make sense each and together, or every fault of the file.
//! Owns `Config`; a pure value made once, before anything opens. It holds the places of the secrets,
//! never the secrets, so that its `Debug` may stand in a log.

use std::net::SocketAddr;
use std::path::PathBuf;

use vpn::{AddressPlan, Series};

use super::bounces::{self, Bounces};
use super::fault::Fault;
use super::keys::{self, Need};
use super::mail::{self, Mail};
use super::management::{self, Management};
use super::token::{self, Token};
use super::typed::{SecretPlace, Typed, Value, absolute, shown, type_text};
use super::zone::Zone;
use crate::messages::Message;

/// Kernel limit of a network device's name (IFNAMSIZ without its zero).
const INTERFACE_MAX: usize = 15;
/// A realm's name stands on certificates (X.520 organizationName) and sheets.
const REALM_NAME_MAX: usize = 64;
/// Ports that hospitals let through are three (51820, 443, 4500), each on two families, and a spare.
const LISTEN_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub realm: Realm,
    pub paths: Paths,
    pub vpn: Vpn,
    pub secrets: Secrets,
    /// None: the authorities' keys are sealed files.
    pub token: Option<Token>,
    /// None: bundles stay in the output folder.
    pub mail: Option<Mail>,
    /// None: a clerk hands bounces over.
    pub bounces: Option<Bounces>,
    pub management: Management,
    pub jail_enforced: bool,
    /// Separate processes have the users of the process table.
    pub uids_checked: bool,
    pub log_level: log::LevelFilter,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    pub zone: Zone,
    pub name: String,
    pub plan: AddressPlan,
    /// The series in order; facilities get slots of the first.
    pub series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub state: PathBuf,
    pub run: PathBuf,
    pub output: PathBuf,
    pub root: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpn {
    pub listen: Vec<SocketAddr>,
    pub interface: String,
    /// `host:port`, as it stands in the devices' profiles.
    pub endpoint: String,
    pub nft: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    pub pki_passphrase: SecretPlace,
    pub vpn_key: SecretPlace,
    pub sns_epoch: SecretPlace,
    pub gateway_key: SecretPlace,
    /// Of the server's URL; none means SQLite (ruling 9).
    pub database: Option<SecretPlace>,
}

impl Paths {
    pub fn operator_socket(&self) -> PathBuf {
        self.run.join("operator.sock")
    }

    /// One folder per room, as one process per room will own it.
    pub fn room(&self, room: &str) -> PathBuf {
        self.state.join(room)
    }
}

/// The whole file, or every fault of it in the order of its lines.
pub fn read(text: &str) -> Result<Config, Vec<Fault>> {
    let (typed, faults) = type_text(text);
    let mut reader = Reader { typed, faults };
    let config = reader.config();
    let mut faults = reader.faults;
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => {
            faults.sort_by_key(|fault| fault.line.unwrap_or(u32::MAX));
            Err(faults)
        }
    }
}

/// Takes values out of what was typed and collects what is wrong with them.
struct Reader {
    typed: Typed,
    faults: Vec<Fault>,
}

impl Reader {
    fn config(&mut self) -> Option<Config> {
        // Every part is read before any `?`, so that all faults are found.
        let realm = self.realm();
        let paths = self.paths();
        let vpn = self.vpn(realm.as_ref().map(|realm| &realm.zone));
        let secrets = self.secrets();
        let token = self.token();
        let mail = realm.as_ref().and_then(|realm| self.mail(&realm.zone));
        let bounces = self.bounces(mail.as_ref().is_some_and(Option::is_some));
        let management = self.management();
        let jail_enforced = self.truth("jail.enforce");
        let uids_checked = self.truth("process.check_uids");
        let log_level = self.level();
        let config = Config {
            realm: realm?,
            paths: paths?,
            vpn: vpn?,
            secrets: secrets?,
            token: token?,
            mail: mail?,
            bounces: bounces?,
            management: management?,
            jail_enforced: jail_enforced?,
            uids_checked: uids_checked?,
            log_level: log_level?,
        };
        self.apart(&config);
        Some(config)
    }

    fn realm(&mut self) -> Option<Realm> {
        let zone = self.text("realm.zone").and_then(|text| match Zone::parse(&text) {
            Ok(zone) => Some(zone),
            Err(why) => self.wrong("realm.zone", &text, why),
        });
        let name = self.text("realm.name").and_then(|text| {
            let fits = !text.trim().is_empty()
                && text.chars().count() <= REALM_NAME_MAX
                && !text.chars().any(char::is_control);
            if fits {
                Some(text)
            } else {
                self.wrong("realm.name", &text, "1–64文字 / 1 to 64 characters")
            }
        });
        let first = match self.value("realm.first_octet") {
            Some(Value::Number(number @ 1..=223)) if number != 127 => u8::try_from(number).ok(),
            Some(Value::Number(number)) => {
                self.wrong("realm.first_octet", &number.to_string(), "1–223、127を除く / 1 to 223, not 127")
            }
            _ => None,
        };
        let series = self.series();
        let (zone, name, first, series) = (zone?, name?, first?, series?);
        let names: Vec<Series> = series.iter().map(|(series, _)| *series).collect();
        match AddressPlan::new(first, series) {
            Ok(plan) => Some(Realm { zone, name, plan, series: names }),
            Err(why) => self.wrong("realm.series", "…", &why.to_string()),
        }
    }

    fn series(&mut self) -> Option<Vec<(Series, u8)>> {
        let Some(Value::Series(entries)) = self.value("realm.series") else { return None };
        let mut series = Vec::new();
        for (name, block) in &entries {
            let parsed = Series::parse(name).map_err(|error| error.to_string());
            match (parsed, u8::try_from(*block)) {
                (Ok(name), Ok(block)) => series.push((name, block)),
                (Err(why), _) => {
                    self.wrong::<()>("realm.series", name, &why);
                }
                (_, Err(_)) => {
                    self.wrong::<()>("realm.series", &block.to_string(), "block: 0–255 / 0 to 255");
                }
            }
        }
        (series.len() == entries.len()).then_some(series)
    }

    fn paths(&mut self) -> Option<Paths> {
        let state = self.path("paths.state");
        let run = self.path("paths.run");
        let output = self.path("paths.output");
        let root = self.path("paths.root");
        Some(Paths { state: state?, run: run?, output: output?, root })
    }

    fn vpn(&mut self, zone: Option<&Zone>) -> Option<Vpn> {
        let listen = self.listen();
        let interface = self.text("vpn.interface").and_then(|text| {
            let fits = (1..=INTERFACE_MAX).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if fits {
                Some(text)
            } else {
                self.wrong("vpn.interface", &text, "英数字15文字まで / at most 15 letters and digits")
            }
        });
        let endpoint = match self.text("vpn.endpoint") {
            Some(text) if endpoint_fits(&text) => Some(text),
            Some(text) => {
                self.wrong("vpn.endpoint", &text, "名前:ポート / host:port, e.g. vpn.example.jp:51820")
            }
            None if self.typed.get("vpn.endpoint").is_none() => zone.map(|zone| format!("vpn.{zone}:51820")),
            None => None,
        };
        let nft = self.path("vpn.nft");
        Some(Vpn { listen: listen?, interface: interface?, endpoint: endpoint?, nft: nft? })
    }

    fn listen(&mut self) -> Option<Vec<SocketAddr>> {
        let Some(Value::Texts(texts)) = self.value("vpn.listen") else { return None };
        if texts.is_empty() || texts.len() > LISTEN_MAX {
            return self.wrong("vpn.listen", &texts.len().to_string(), "1–8個 / 1 to 8 addresses");
        }
        let mut listen: Vec<SocketAddr> = Vec::new();
        for text in &texts {
            match text.parse::<SocketAddr>() {
                Ok(address) if listen.contains(&address) => {
                    let message = Message::Twice { key: "vpn.listen".to_owned(), value: shown(text) };
                    self.fault("vpn.listen", message);
                }
                Ok(address) if address.port() != 0 => listen.push(address),
                _ => {
                    self.wrong::<()>("vpn.listen", text, "番地:ポート / address:port, e.g. 0.0.0.0:51820");
                }
            }
        }
        (listen.len() == texts.len()).then_some(listen)
    }

    fn secrets(&mut self) -> Option<Secrets> {
        let pki_passphrase = self.secret("pki_passphrase");
        let vpn_key = self.secret("vpn_key");
        let sns_epoch = self.secret("sns_epoch");
        let gateway_key = self.secret("gateway_key");
        let database = self.database();
        Some(Secrets {
            pki_passphrase: pki_passphrase?,
            vpn_key: vpn_key?,
            sns_epoch: sns_epoch?,
            gateway_key: gateway_key?,
            database,
        })
    }

    /// The one secret that need not be there.
    fn database(&mut self) -> Option<SecretPlace> {
        self.optional("database.url").flatten()
    }

    /// The outer `None`: nothing is written. The inner: what is written is wrong, and said to be.
    fn optional(&mut self, key: &str) -> Option<Option<SecretPlace>> {
        let written = ["file", "credential"].map(|kind| self.typed.get(&format!("{key}_{kind}")).is_some());
        written.contains(&true).then(|| self.place(key))
    }

    fn secret(&mut self, name: &str) -> Option<SecretPlace> {
        self.place(&format!("secrets.{name}"))
    }

    fn place(&mut self, key: &str) -> Option<SecretPlace> {
        let (file_key, credential_key) = (format!("{key}_file"), format!("{key}_credential"));
        let file = self.text(&file_key);
        let credential = self.text(&credential_key);
        // A value that is no place may be the secret itself: it is never repeated.
        match (file, credential) {
            (Some(file), None) => match absolute(&file) {
                Some(path) => Some(SecretPlace::File(path)),
                None => self.wrong(&file_key, "…", "絶対パス / an absolute path"),
            },
            (None, Some(name)) => {
                let fits = (1..=64).contains(&name.len())
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
                    && !name.starts_with('.');
                if fits {
                    Some(SecretPlace::Credential(name))
                } else {
                    self.wrong(&credential_key, "…", "資格情報の名前 / the name of a credential")
                }
            }
            (None, None) if self.typed.torn => None,
            (file, _) => {
                let place = if file.is_some() { &file_key } else { "" };
                self.fault(place, Message::SecretPlaces { key: key.to_owned() });
                None
            }
        }
    }

    /// The outer `None` is a fault.
    fn mail(&mut self, zone: &Zone) -> Option<Option<Mail>> {
        let written = mail::Written {
            smarthost: self.text("mail.smarthost"),
            port: self.number("mail.port"),
            tls: self.text("mail.tls").unwrap_or_default(),
            from: self.text("mail.from"),
            username: self.text("mail.username"),
            password: self.optional("mail.password"),
            smime: self.optional("mail.smime"),
            ca_file: self.text("mail.ca_file").unwrap_or_default(),
        };
        match mail::mean(written, zone.as_str()) {
            Ok(mail) => Some(mail),
            Err(wrong) => self.all_wrong(wrong),
        }
    }

    fn bounces(&mut self, mails: bool) -> Option<Option<Bounces>> {
        let written = bounces::Written {
            server: self.text("bounces.server"),
            port: self.number("bounces.port"),
            username: self.text("bounces.username"),
            password: self.optional("bounces.password"),
            folder: self.text("bounces.folder").unwrap_or_default(),
        };
        match bounces::mean(written, mails) {
            Ok(bounces) => Some(bounces),
            Err(wrong) => self.all_wrong(wrong),
        }
    }

    fn token(&mut self) -> Option<Option<Token>> {
        let texts = |value| if let Some(Value::Texts(texts)) = value { texts } else { Vec::new() };
        let written = token::Written {
            module: self.text("token.module"),
            label: self.text("token.label"),
            pin: self.optional("token.pin"),
            writes: texts(self.value("token.writes")),
            reads: texts(self.value("token.reads")),
        };
        match token::mean(written) {
            Ok(token) => Some(token),
            Err(wrong) => {
                for (key, value, why) in wrong {
                    self.wrong::<()>(key, &value, why);
                }
                None
            }
        }
    }

    fn management(&mut self) -> Option<Management> {
        let ssh_ca = self.text("management.ssh_ca");
        let Some(Value::Texts(addresses)) = self.value("management.addresses") else { return None };
        match management::mean(&addresses, ssh_ca) {
            Ok(management) => Some(management),
            Err(wrong) => {
                for (key, value, why) in wrong {
                    self.wrong::<()>(key, &value, why);
                }
                None
            }
        }
    }

    fn level(&mut self) -> Option<log::LevelFilter> {
        let text = self.text("log.level")?;
        match text.parse() {
            Ok(log::LevelFilter::Off) | Err(_) => {
                self.wrong("log.level", &text, "error warn info debug trace")
            }
            Ok(level) => Some(level),
        }
    }

    /// Places that must not lie in one another: what is backed up, what is printed, what is thrown
    /// away at a reboot, what belongs in the safe.
    fn apart(&mut self, config: &Config) {
        let mut places = vec![
            ("paths.state", &config.paths.state),
            ("paths.run", &config.paths.run),
            ("paths.output", &config.paths.output),
        ];
        if let Some(root) = &config.paths.root {
            places.push(("paths.root", root));
        }
        for (i, (key, path)) in places.iter().enumerate() {
            for (other, other_path) in &places[..i] {
                if path.starts_with(other_path) || other_path.starts_with(path) {
                    let message = Message::SamePath { key: (*key).to_owned(), other: (*other).to_owned() };
                    self.fault(key, message);
                }
            }
        }
        let secrets = &config.secrets;
        let files = [
            ("pki_passphrase", &secrets.pki_passphrase),
            ("vpn_key", &secrets.vpn_key),
            ("sns_epoch", &secrets.sns_epoch),
            ("gateway_key", &secrets.gateway_key),
        ];
        for (i, (name, place)) in files.iter().enumerate() {
            for (other, _) in files[..i].iter().filter(|(_, other)| other == place) {
                let message =
                    Message::SamePath { key: format!("secrets.{name}"), other: format!("secrets.{other}") };
                self.fault(&format!("secrets.{name}_file"), message);
            }
        }
    }

    fn path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key)?;
        match absolute(&text) {
            Some(path) => Some(path),
            None => {
                self.wrong(key, &text, "絶対パス（/で始まり、..を含まない） / an absolute path without ..")
            }
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Zero stands for none, which no port is.
    fn number(&mut self, key: &str) -> i64 {
        if let Some(Value::Number(number)) = self.value(key) { number } else { 0 }
    }

    fn truth(&mut self, key: &str) -> Option<bool> {
        match self.value(key) {
            Some(Value::Truth(truth)) => Some(truth),
            _ => None,
        }
    }

    /// What was written, or what stands for it; a key that is needed and missing is a fault.
    fn value(&mut self, path: &str) -> Option<Value> {
        if let Some(placed) = self.typed.get(path) {
            return Some(placed.value.clone());
        }
        let key = keys::find(path)?;
        // A value of the wrong kind is already named; so is a line that cannot be read.
        let named = self
            .faults
            .iter()
            .any(|fault| matches!(&fault.message, Message::WrongKind { key, .. } if key == path));
        match key.need {
            Need::Required if !named && !self.typed.torn => {
                self.fault(path, Message::MissingKey { key: path.to_owned() });
                None
            }
            Need::Default(text) => {
                let (typed, _) = type_text(&format!("[{}]\n{} = {text}", key.section, key.name));
                typed.get(path).map(|placed| placed.value.clone())
            }
            _ => None,
        }
    }

    /// `why` in both languages, `ja / en`; a sentence of another room stands for both.
    fn wrong<T>(&mut self, key: &str, value: &str, why: &str) -> Option<T> {
        let (why_ja, why_en) = why.split_once(" / ").unwrap_or((why, why));
        let message = Message::WrongValue {
            key: key.to_owned(),
            value: shown(value),
            why_ja: why_ja.to_owned(),
            why_en: why_en.to_owned(),
        };
        self.fault(key, message);
        None
    }

    fn all_wrong<T>(&mut self, wrong: Vec<mail::Wrong>) -> Option<T> {
        for (key, value, why) in wrong {
            self.wrong::<()>(key, &value, &why);
        }
        None
    }

    fn fault(&mut self, key: &str, message: Message) {
        self.faults.push(Fault { line: self.typed.line(key), message });
    }
}

fn endpoint_fits(text: &str) -> bool {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0;
    }
    text.rsplit_once(':')
        .is_some_and(|(host, port)| Zone::parse(host).is_ok() && port.parse::<u16>().is_ok_and(|p| p != 0))
}
