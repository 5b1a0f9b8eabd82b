//! From the one configuration to each room's own: what it may know, and its one secret.
//! Touches the folders that the ceremony filled, for the certificates that are public anyway.

use std::path::Path;

use pki::mail_certificate::MailCertificateFault;
use provisioning::post::{BounceBox, MailConfig, MailLogin, MailTls, Patience};
use provisioning::smime_key::SmimeKey;
use vpn::{PublicKey, TunnelKey};
use zeroize::Zeroizing;

use crate::config::{Config, Mail, SecretPlace};
use crate::database;
use crate::files;
use crate::messages::Message;
use crate::secrets::{self, Opened, Secret};

/// In provisioning's folder.
const VPN_KEY_COPY: &str = "vpn-key.pub";
const ROOT_COPY: &str = "root.der";

/// Every room's configuration, secrets included: it is taken apart at once and never printed.
pub struct Rooms {
    pub vpn: vpn::Config,
    pub pki: pki::Config,
    pub sns: sns::Config,
    pub gateway: gateway::Config,
    pub provisioning: provisioning::Config,
}

/// All of them, for one process.
pub fn rooms(config: &Config, secrets: Opened, credentials: Option<&Path>) -> Result<Rooms, Message> {
    let Opened { pki_passphrase, vpn_key, sns_epoch, gateway_key, database } = secrets;
    let database = database.as_ref();
    let vpn = vpn(config, &vpn_key)?;
    let public_key = vpn.private_key.public();
    let root_der = certificate(&config.paths.room("gateway").join(pki::folders::ROOT_DER))?;
    publish(config, public_key, &root_der)?;
    Ok(Rooms {
        pki: pki(config, &pki_passphrase, credentials)?,
        sns: sns(config, &sns_epoch, database)?,
        gateway: gateway(config, &gateway_key, database)?,
        provisioning: mailing(config, provisioning(config, public_key, &root_der, database)?, credentials)?,
        vpn,
    })
}

pub fn vpn(config: &Config, key: &Secret) -> Result<vpn::Config, Message> {
    Ok(vpn::Config {
        plan: config.realm.plan.clone(),
        listen: config.vpn.listen.clone(),
        interface: config.vpn.interface.clone(),
        private_key: TunnelKey::parse(key.expose()).map_err(|error| key.misformed(&error.to_string()))?,
        snapshot: config.paths.room("vpn").join("seats.json"),
        nft: config.vpn.nft.clone(),
    })
}

pub fn pki(config: &Config, passphrase: &Secret, credentials: Option<&Path>) -> Result<pki::Config, Message> {
    let token = match &config.token {
        Some(token) => Some(pki::token::TokenConfig {
            module: token.module.clone(),
            label: token.label.clone(),
            pin: pki::token::Pin::new(secrets::open_pin(token, credentials)?.expose()),
        }),
        None => None,
    };
    Ok(pki::Config {
        dir: config.paths.room("pki"),
        secret: pki::Secret::new(passphrase.expose().as_bytes().to_vec())
            .map_err(|error| passphrase.misformed(&error.to_string()))?,
        token,
        published_base: published_base(config),
    })
}

pub fn sns(config: &Config, epoch: &Secret, database: Option<&Secret>) -> Result<sns::Config, Message> {
    let key = epoch.expose_key()?;
    Ok(sns::Config {
        dir: config.paths.room("sns"),
        database: match database {
            Some(url) => sns::Database::Url(
                sns::DatabaseUrl::parse(url.expose()).map_err(|error| url.misformed(&error.to_string()))?,
            ),
            None => sns::Database::Folder,
        },
        epoch_secret: sns::Secret::new(*key),
    })
}

pub fn gateway(config: &Config, key: &Secret, database: Option<&Secret>) -> Result<gateway::Config, Message> {
    let dir = config.paths.room("gateway");
    let chain = certificate(&dir.join(pki::folders::GATEWAY_CHAIN))?;
    Ok(gateway::Config {
        plan: config.realm.plan.clone(),
        zone: config.realm.zone.to_string(),
        realm_name: config.realm.name.clone(),
        listen: gateway::Listen::of(&config.realm.plan),
        kept: gateway::Kept::default(),
        tls_chain_pem: String::from_utf8_lossy(&chain).into_owned(),
        tls_key_pem: Zeroizing::new(key.expose().to_owned()),
        device_ca_der: certificate(&dir.join(pki::folders::DEVICE_CA_DER))?,
        files: gateway_files(config, &dir),
        dir,
        database: match database {
            Some(url) => gateway::Database::Url(
                gateway::DatabaseUrl::parse(url.expose())
                    .map_err(|error| url.misformed(&error.to_string()))?,
            ),
            None => gateway::Database::Folder,
        },
    })
}

/// A credential is gone from sight once the room is jailed.
fn gateway_files(config: &Config, dir: &Path) -> Option<gateway::Files> {
    let SecretPlace::File(key) = &config.secrets.gateway_key else { return None };
    Some(gateway::Files {
        tls_chain: dir.join(pki::folders::GATEWAY_CHAIN),
        tls_key: key.clone(),
        device_ca: dir.join(pki::folders::DEVICE_CA_DER),
    })
}

/// Also for `init`, which creates the secretariat before any room runs.
pub fn provisioning(
    config: &Config,
    public_key: PublicKey,
    root_der: &[u8],
    database: Option<&Secret>,
) -> Result<provisioning::Config, Message> {
    Ok(provisioning::Config {
        dir: config.paths.room("provisioning"),
        database: match database {
            Some(url) => provisioning::Database::Url(database::parse(url)?),
            None => provisioning::Database::Folder,
        },
        output: config.paths.output.clone(),
        plan: config.realm.plan.clone(),
        zone: config.realm.zone.to_string(),
        realm_name: config.realm.name.clone(),
        endpoint: config.vpn.endpoint.clone(),
        server_public_key: public_key,
        root_pem: pki::pem::certificate(root_der),
        root_fingerprint: pki::Hash::of(root_der).to_string(),
        // A configuration has at least one series; facilities get their slots from the first.
        series: config.realm.series[0],
        mail: None,
        bounces: None,
    })
}

/// With the way out for mails and the mailbox to which they come back: only a room that runs has them. The passwords are
/// read here and handed over.
pub fn mailing(
    config: &Config,
    room: provisioning::Config,
    credentials: Option<&Path>,
) -> Result<provisioning::Config, Message> {
    let Some(mail) = &config.mail else { return Ok(room) };
    let password = secrets::open_mail(mail, credentials)?;
    let login = mail.login.as_ref().zip(password).map(|(login, password)| MailLogin {
        username: login.username.clone(),
        password: Zeroizing::new(password.expose().to_owned()),
    });
    let roots_pem = match mail.tls {
        MailTls::LoopbackOnly if config.bounces.is_none() => Vec::new(),
        _ => std::fs::read(&mail.roots).map_err(|error| Message::OpenFailed {
            room: "provisioning".to_owned(),
            why: format!("{}: {error}", mail.roots.display()),
        })?,
    };
    let (host, port, tls, from) = (mail.host.clone(), mail.port, mail.tls, mail.from.clone());
    let bounces = match &config.bounces {
        Some(place) => Some(BounceBox {
            host: place.host.clone(),
            port: place.port,
            username: place.username.clone(),
            password: Zeroizing::new(secrets::open_bounces(place, credentials)?.expose().to_owned()),
            folder: place.folder.clone(),
            roots_pem: roots_pem.clone(),
        }),
        None => None,
    };
    let smime = smime(mail, credentials)?;
    let mail = MailConfig { host, port, tls, login, from, roots_pem, smime, patience: Patience::RFC_5321 };
    Ok(provisioning::Config { mail: Some(mail), bounces, ..room })
}

/// What signs letters, read and looked at whole. One that has ended, or not begun, is no reason to stand still: letters leave
/// unsigned and the status says so.
fn smime(mail: &Mail, credentials: Option<&Path>) -> Result<Option<SmimeKey>, Message> {
    let Some(secret) = secrets::open_smime(mail, credentials)? else { return Ok(None) };
    SmimeKey::read(secret.expose(), &mail.from).map(Some).map_err(|fault| certificate_fault(&secret, &fault))
}

/// For whoever looks before something is started: good today, too.
pub fn check_smime(mail: &Mail, credentials: Option<&Path>) -> Result<(), Message> {
    let Some(secret) = secrets::open_smime(mail, credentials)? else { return Ok(()) };
    let now = provisioning::world::now_ms() / 1_000;
    let key = SmimeKey::read(secret.expose(), &mail.from);
    key.and_then(|key| key.good_at(now)).map_err(|fault| certificate_fault(&secret, &fault))
}

fn certificate_fault(secret: &Secret, fault: &MailCertificateFault) -> Message {
    Message::MailCertificate { place: secret.place().to_owned(), why_ja: fault.ja(), why_en: fault.en() }
}

/// What provisioning prints into every bundle is public, but lies in rooms whose folders it cannot enter:
/// it has copies, made by `init`.
pub fn publish(config: &Config, key: PublicKey, root_der: &[u8]) -> Result<(), Message> {
    let dir = config.paths.room("provisioning");
    if !dir.is_dir() {
        return Ok(());
    }
    for (name, bytes) in [(VPN_KEY_COPY, format!("{key}\n").into_bytes()), (ROOT_COPY, root_der.to_vec())] {
        let path = dir.join(name);
        if std::fs::read(&path).is_ok_and(|found| found == bytes) {
            continue;
        }
        files::remove(&path).and_then(|()| files::write_new(&path, &bytes)).map_err(|error| {
            Message::FileWrite { path: path.display().to_string(), why: error.to_string() }
        })?;
    }
    Ok(())
}

/// The copies.
pub fn published(config: &Config) -> Result<(PublicKey, Vec<u8>), Message> {
    let dir = config.paths.room("provisioning");
    let failed = |path: &Path, why: String| Message::OpenFailed {
        room: "provisioning".to_owned(),
        why: format!("{}: {why}; was mimamori init run?", path.display()),
    };
    let path = dir.join(VPN_KEY_COPY);
    let key = std::fs::read_to_string(&path).map_err(|error| failed(&path, error.to_string()))?;
    let key = key.trim().parse::<PublicKey>().map_err(|error| failed(&path, error.to_string()))?;
    let path = dir.join(ROOT_COPY);
    let root = std::fs::read(&path).map_err(|error| failed(&path, error.to_string()))?;
    Ok((key, root))
}

/// Stands in every certificate, so that anyone can fetch the revocation lists (ruling 1).
pub fn published_base(config: &Config) -> String {
    format!("http://{}", config.realm.plan.gateway_open())
}

fn certificate(path: &Path) -> Result<Vec<u8>, Message> {
    std::fs::read(path).map_err(|error| Message::OpenFailed {
        room: "gateway".to_owned(),
        why: format!("{}: {error}; was mimamori init run?", path.display()),
    })
}
