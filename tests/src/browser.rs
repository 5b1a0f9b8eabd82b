//! Debian's Chromium on a device: in its namespace, behind its tunnel, with a home of its own in which it
//! trusts the appliance's root and holds the device's certificate. Owns the home's place in the device's folder
//! and the policy in the namespace's `/etc`; both end with the world.

pub mod protocol; // edge, border: the process, its pipe
pub mod screen; // edge, border: a tab
pub mod album; // edge: pictures

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use crate::browser::protocol::Protocol;
use crate::browser::screen::{Screen, Size};
use crate::fault::{Fault, Told};
use crate::net::Namespace;
use crate::secrets::write_private;
use crate::shell;

/// The one that `ip netns exec` can lay over: the package brings the folder.
const POLICIES: &str = "chromium/policies/managed";

/// A person's browser: what it remembers outlives the running program.
pub struct Browser {
    space: Namespace,
    home: PathBuf,
}

impl Browser {
    /// A fresh home below `folder`, with an empty store of certificates.
    pub fn new(space: &Namespace, folder: &Path, name: &str) -> Told<Self> {
        let home = folder.join(format!("browser-{name}"));
        let browser = Self { space: space.clone(), home };
        fs::create_dir_all(browser.store())?;
        fs::create_dir_all(browser.downloads())?;
        // An empty password, as a desktop's store has it.
        write_private(&browser.no_password(), "\n")?;
        let mut make = browser.certutil();
        make.args(["-N", "-f"]).arg(browser.no_password());
        shell::run(make)?.ok("making the browser's store")?;
        Ok(browser)
    }

    /// The bundle's step: the root is an authority for web sites, for nothing else.
    pub fn trust(&self, root: &Path) -> Told<()> {
        let mut add = self.certutil();
        add.args(["-A", "-n", "mimamori root", "-t", "C,,", "-i"]).arg(root);
        shell::run(add)?.ok("trusting the root")?;
        Ok(())
    }

    /// The `.p12` that the page made, opened with the code that the page showed.
    pub fn hold(&self, p12: &Path, code: &str) -> Told<()> {
        let words = self.home.join("p12-code");
        write_private(&words, &format!("{code}\n"))?;
        let mut import = self.space.command("pk12util");
        import.arg("-i").arg(p12).arg("-d").arg(self.store_name());
        import.arg("-k").arg(self.no_password()).arg("-w").arg(&words);
        let done = shell::run(import)?;
        fs::remove_file(&words)?;
        done.ok("importing the certificate")?;
        Ok(())
    }

    /// What an association's own devices are given: on these sites the certificate is shown without asking.
    /// Only programs of this namespace see it.
    pub fn choose_certificate_by_policy(&self, zone: &str) -> Told<()> {
        let folder = self.space.etc().join(POLICIES);
        fs::create_dir_all(&folder)?;
        // The association's own authorities bear its zone.
        let rule = json!({"pattern": format!("https://[*.]{zone}"), "filter": {"ISSUER": {"OU": zone}}});
        let policy = json!({"AutoSelectCertificateForUrls": [rule.to_string()]});
        fs::write(folder.join("mimamori.json"), policy.to_string())?;
        Ok(())
    }

    pub fn start(&self, size: Size) -> Told<Screen> {
        let protocol = Protocol::start(self.space.command("sh"), &self.home);
        let protocol = protocol.map_err(|fault| Fault::new(format!("{fault}: {}", self.last_words())))?;
        Screen::open(Arc::new(protocol), size, &self.downloads())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.home.join("chromium.log")).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().join(" | ")
    }

    fn certutil(&self) -> Command {
        let mut command = self.space.command("certutil");
        command.arg("-d").arg(self.store_name());
        command
    }

    fn store(&self) -> PathBuf {
        self.home.join(".pki/nssdb")
    }

    fn store_name(&self) -> String {
        format!("sql:{}", self.store().display())
    }

    fn no_password(&self) -> PathBuf {
        self.home.join("no-password")
    }

    fn downloads(&self) -> PathBuf {
        self.home.join("downloads")
    }
}

/// What a camera reads from a picture of a screen.
pub fn scan(picture: &[u8], folder: &Path) -> Told<String> {
    let file = folder.join("seen.png");
    fs::write(&file, picture)?;
    let mut zbar = Command::new("zbarimg");
    zbar.args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"]).arg(&file);
    let seen = shell::run(zbar)?.ok("reading a QR code from the picture")?;
    // It may hold a key.
    fs::remove_file(&file)?;
    Ok(seen.text().trim_end().to_owned())
}
