//! A device with a person at its browser: from the handed-over profile to a certificate in the browser's store,
//! by the claim page alone (ruling 5). Owns nothing beyond device and browser.

use std::fs;
use std::path::PathBuf;

use crate::browser::Browser;
use crate::browser::screen::{Screen, Size};
use crate::device::{Device, Sheet};
use crate::fault::Told;
use crate::holds;
use crate::shell::{self, PATIENCE};
use crate::world::{World, ZONE};

pub struct Hands {
    pub device: Device,
    pub browser: Browser,
    pub size: Size,
}

/// What the claim page gave: two files and the code that opens the second.
pub struct Saved {
    pub profile: String,
    pub certificate: PathBuf,
    pub code: String,
}

impl Hands {
    /// A device with its bundle: the tunnel raised, the root trusted, the page not yet open.
    pub fn with_bundle(world: &mut World, slot: &str, size: Size) -> Told<Self> {
        sheet(world, slot)?;
        let device = world.device(slot)?;
        let browser = Browser::new(&device.space, &device.folder, "own")?;
        browser.trust(&device.credentials.root)?;
        browser.choose_certificate_by_policy(ZONE)?;
        device.raise_bootstrap()?;
        Ok(Self { device, browser, size })
    }

    pub fn open(&self, host: &str, path: &str) -> Told<Screen> {
        let screen = self.browser.start(self.size)?;
        screen.go(&self.device.url(host, path))?;
        Ok(screen)
    }

    /// The claim page, ready to be typed into.
    pub fn claim_page(&self) -> Told<Screen> {
        let screen = self.open("claim", "/")?;
        ready(&screen)?;
        screen.sees(&self.device.slot)?;
        Ok(screen)
    }

    /// What is printed on the sheet.
    pub fn type_sheet(&self, screen: &Screen) -> Told<()> {
        screen.fill("証明書取得用No", &self.device.handover.sheet.number)?;
        screen.fill("用紙のパスワード", &self.device.handover.sheet.password)
    }

    /// The whole claim at an open page, then the files into their places.
    pub fn claim(
        &self,
        screen: Screen,
        world: &mut World,
        admin_password: Option<&str>,
        label: &str,
    ) -> Told<()> {
        self.type_sheet(&screen)?;
        if let Some(password) = admin_password {
            screen.fill("これから使う、ご自身のパスワード", password)?;
        }
        screen.fill("この端末の呼び名", label)?;
        screen.tap("登録する")?;
        let saved = save(&screen, &self.device.slot)?;
        holds!(screen.complaints().is_empty(), "the claim page complains: {:?}", screen.complaints());
        drop(screen);
        self.put_in_place(world, &saved)
    }

    /// Final profile into the tunnel, certificate into the browser; then the registry says 利用中.
    pub fn put_in_place(&self, world: &mut World, saved: &Saved) -> Told<()> {
        world.needles.secret("a certificate's code", &saved.code);
        for line in saved
            .profile
            .lines()
            .filter(|line| line.starts_with("PrivateKey") || line.starts_with("PresharedKey"))
        {
            let key = line.split_once(" = ").map(|(_, key)| key).unwrap_or_default();
            world.needles.secret("a key of a saved profile", key.trim());
        }
        self.device.raise(&saved.profile)?;
        self.browser.hold(&saved.certificate, &saved.code)?;
        self.device.knock(world.plan.gateway())?;
        self.in_service(world)
    }

    /// The first handshake with the final key is the end of the enrolment.
    pub fn in_service(&self, world: &World) -> Told<()> {
        shell::until(&format!("{} to be in service", self.device.slot), PATIENCE, || {
            let slot = world.server.ok(&["slot", "show", &self.device.slot])?;
            Ok((slot["row"]["state"] == "active").then_some(()))
        })
    }
}

/// The printed sheet of a slot, once it is printed.
pub fn sheet(world: &World, slot: &str) -> Told<Sheet> {
    shell::until(&format!("the sheet of {slot}"), PATIENCE, || Ok(world.sheet(slot).ok()))
}

/// The page's script has looked at the browser and allows the button.
pub fn ready(screen: &Screen) -> Told<()> {
    screen.until("the claim page's script", "document.getElementById('send')?.disabled === false")
}

/// 登録できました: both files and the code.
pub fn save(screen: &Screen, slot: &str) -> Told<Saved> {
    screen.sees("登録できました")?;
    let profile = screen.download("接続設定を保存", &format!("sns-{slot}.conf"))?;
    let certificate = screen.download("証明書を保存", &format!("mimamori-{slot}.p12"))?;
    let code = screen.text_of("#certificate-password")?;
    Ok(Saved { profile: fs::read_to_string(profile)?, certificate, code })
}

/// Signing in by the page, with a password that is theirs already.
pub fn sign_in(screen: &Screen, login: &str, password: &str) -> Told<()> {
    screen.sees("ログインID")?;
    screen.fill("ログインID", login)?;
    screen.fill("パスワード", password)?;
    screen.follow("ログイン")
}
