//! What follows what: the gateway's next certificate, and the next one of a CA, which takes the old one's place in the
//! authority's folder. An edge file: files. The log knows first; a folder that was not written is written by asking again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use vpn::slot::SlotNumber;

use crate::authority::Authority;
use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::door::{Certified, IssuingRefusal, ProfileSignature};
use crate::folders::{DEVICE_CA_DER, SERVER_CA_DER};
use crate::renewal::{self, Issuing};
use crate::signer::Signer;

/// The CAs beside the device CA's key, and where they lie.
pub struct Succession {
    pub dir: PathBuf,
    pub root: CaCertificate,
    pub device_ca: CaCertificate,
    pub server_ca: CaCertificate,
    /// None: it is kept elsewhere, and the gateway's certificate is not renewed here.
    pub server_key: Option<Box<dyn Signer>>,
}

impl Succession {
    pub async fn gateway(
        &self,
        authority: &Authority,
        old: &[u8],
        now: i64,
    ) -> Result<Certified, IssuingRefusal> {
        authority.renew_gateway(self.server()?, old, now).await
    }

    /// An Apple profile of a slot, by its hash.
    pub async fn profile(
        &self,
        authority: &Authority,
        slot: SlotNumber,
        content: Hash,
        now: i64,
    ) -> Result<ProfileSignature, IssuingRefusal> {
        authority.sign_profile(self.server()?, slot, content, now).await
    }

    fn server(&self) -> Result<(&CaCertificate, &dyn Signer), IssuingRefusal> {
        let why = "the server CA's key is not in the authority's folder".to_owned();
        let key = self.server_key.as_deref().ok_or(IssuingRefusal::Unavailable { why })?;
        Ok((&self.server_ca, key))
    }

    /// In force when the authority starts the next time: the one that runs signs with the same key under the same name.
    pub async fn take_up(
        &self,
        authority: &Authority,
        der: &[u8],
        now: i64,
    ) -> Result<Certified, IssuingRefusal> {
        let bad = |why: String| IssuingRefusal::BadRequest { why };
        let new = CaCertificate::parse(der).map_err(|error| bad(error.to_string()))?;
        let (old, name) = match Issuing::of(&new) {
            Issuing::Devices => (&self.device_ca, DEVICE_CA_DER),
            Issuing::Servers => (&self.server_ca, SERVER_CA_DER),
        };
        let new = renewal::follows(der, old, &self.root, now).map_err(|error| bad(error.to_string()))?;
        let ledger_entry = authority.record_ca(&new, now).await?;
        let path = self.dir.join(name);
        replace(&path, der)
            .map_err(|error| IssuingRefusal::Unavailable { why: format!("{}: {error}", path.display()) })?;
        log::info!(SERIAL = new.serial().to_string().as_str(); "{} is followed by its next certificate", new.common_name());
        let chain = vec![der.to_vec(), self.root.der().to_vec()];
        Ok(Certified { serial: new.serial(), chain, not_after: new.not_after(), ledger_entry })
    }
}

/// Whole, or not at all.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("der.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
