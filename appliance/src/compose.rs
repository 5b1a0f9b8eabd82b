//! From the one configuration to each room's own: what it may know, and its one secret.
//! Touches the folders that the ceremony filled, for the certificates that are public anyway.

use std::path::Path;

use vpn::{PublicKey, TunnelKey};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::messages::Message;
use crate::secrets::Opened;

/// Every room's configuration, secrets included: it is taken apart at once and never printed.
pub struct Rooms {
    pub vpn: vpn::Config,
    pub pki: pki::Config,
    pub sns: sns::Config,
    pub gateway: gateway::Config,
    pub provisioning: provisioning::Config,
}

pub fn rooms(config: &Config, secrets: Opened) -> Result<Rooms, Message> {
    let Opened { pki_passphrase, vpn_key, sns_epoch, gateway_key } = secrets;
    let private_key =
        TunnelKey::parse(vpn_key.expose()).map_err(|error| vpn_key.misformed(&error.to_string()))?;
    let public_key = private_key.public();
    let epoch = sns_epoch.expose_key()?;
    let passphrase = pki::Secret::new(pki_passphrase.expose().as_bytes().to_vec())
        .map_err(|error| pki_passphrase.misformed(&error.to_string()))?;
    let gateway_dir = config.paths.room("gateway");
    let root_der = certificate(&gateway_dir.join(pki::folders::ROOT_DER))?;
    let chain = certificate(&gateway_dir.join(pki::folders::GATEWAY_CHAIN))?;
    Ok(Rooms {
        vpn: vpn::Config {
            plan: config.realm.plan.clone(),
            listen: config.vpn.listen.clone(),
            interface: config.vpn.interface.clone(),
            private_key,
            snapshot: config.paths.room("vpn").join("seats.json"),
            nft: config.vpn.nft.clone(),
        },
        pki: pki::Config {
            dir: config.paths.room("pki"),
            secret: passphrase,
            published_base: published_base(config),
        },
        sns: sns::Config { dir: config.paths.room("sns"), epoch_secret: sns::Secret::new(*epoch) },
        gateway: gateway::Config {
            plan: config.realm.plan.clone(),
            zone: config.realm.zone.to_string(),
            realm_name: config.realm.name.clone(),
            listen: gateway::Listen::of(&config.realm.plan),
            tls_chain_pem: String::from_utf8_lossy(&chain).into_owned(),
            tls_key_pem: Zeroizing::new(gateway_key.expose().to_owned()),
            device_ca_der: certificate(&gateway_dir.join(pki::folders::DEVICE_CA_DER))?,
            dir: gateway_dir,
        },
        provisioning: provisioning(config, public_key, &root_der),
    })
}

/// Also for `init`, which creates the secretariat before any room runs.
pub fn provisioning(config: &Config, public_key: PublicKey, root_der: &[u8]) -> provisioning::Config {
    provisioning::Config {
        dir: config.paths.room("provisioning"),
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
    }
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
