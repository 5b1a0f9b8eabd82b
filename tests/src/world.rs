//! All of it together: network, appliance, devices, and the list of what must stay secret.
//! Owns everything the story makes; dropping it (or a signal) ends processes, namespaces and folders.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

use vpn::{AddressPlan, Series};

use crate::device::{Device, Handover, Sheet};
use crate::fault::{Fault, Told};
use crate::forms;
use crate::mailserver::{self, DkimRecord, Mail, MailServer, SMARTHOST};
use crate::net::{self, APPLIANCE_OUTER, Net};
use crate::postgres;
use crate::secrets::{Needles, write_private};
use crate::server::{Engine, Form, Server};
use crate::shell;

/// A zone of the association's own (ruling 4); `example.jp` belongs to nobody.
pub const ZONE: &str = "care.example.jp";

/// The secretariat's own.
pub const OFFICE_SLOT: &str = "18-0000";

/// How long one world waits for another to end: a few stories.
const TURN: std::time::Duration = std::time::Duration::from_secs(600);

/// The two programs: the product, and the small client that runs on devices.
pub struct Tools {
    pub mimamori: PathBuf,
    pub client: PathBuf,
    pub form: Form,
    pub engine: Engine,
}

impl Tools {
    /// Cargo puts both into one folder.
    pub fn beside(client: &Path) -> Told<Self> {
        let mimamori = client.with_file_name("mimamori");
        if !mimamori.exists() {
            return Err(Fault::new(format!(
                "{} is not built: use `make test` or `make demo`",
                mimamori.display()
            )));
        }
        Ok(Self { mimamori, client: client.to_owned(), form: Form::default(), engine: Engine::default() })
    }

    #[must_use]
    pub fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    #[must_use]
    pub fn on_engine(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }
}

// Fields are dropped in this order: first who speaks, then what carries it.
pub struct World {
    pub server: Server,
    /// A server's, which the appliance reaches as any local user would: by its socket and a password.
    pub database: Option<postgres::Temporary>,
    pub plan: AddressPlan,
    pub needles: Needles,
    pub folder: PathBuf,
    pub client: PathBuf,
    pub mail: MailServer,
    pub net: Net,
    alone: Option<fs::File>,
}

impl World {
    pub fn raise(tools: &Tools) -> Told<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Fault::new(
                "network namespaces need root: use `make test` or `make demo`, which ask sudo",
            ));
        }
        let alone = alone()?;
        let database = (tools.engine == Engine::Postgres).then(postgres::database);
        net::clear_leftovers();
        let run = net::fresh_run();
        watch_signals(&run);
        let folder = net::folder(&run);
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        let series = Series::parse("18").map_err(|e| Fault::new(e.to_string()))?;
        let plan = AddressPlan::new(10, vec![(series, 18)]).map_err(|e| Fault::new(e.to_string()))?;
        let names = vec![
            (APPLIANCE_OUTER, format!("vpn.{ZONE}")),
            (plan.gateway(), format!("sns.{ZONE} office.{ZONE}")),
            (plan.gateway_open(), format!("claim.{ZONE}")),
            (mailserver::OUTER, SMARTHOST.to_owned()),
        ];
        let net = Net::raise(&run, names)?;
        let mail = MailServer::start(&net, folder.join("mx"))?;
        mail.knows(&forms::letterboxes())?;
        let server = Server::new(
            tools.form,
            net.app.clone(),
            &tools.mimamori,
            folder.join("appliance"),
            folder.join("appliance.log"),
        );
        Ok(Self {
            server,
            database,
            plan,
            needles: Needles::default(),
            folder,
            client: tools.client.clone(),
            mail,
            net,
            alone: Some(alone),
        })
    }

    /// A new device for a slot: the files of the mail that came for it, and the printed sheet.
    pub fn device(&mut self, slot: &str) -> Told<Device> {
        let bundle = self.received(slot)?;
        let handover = Handover { bundle, sheet: self.sheet(slot)? };
        self.needles.secret("a sheet's password", &handover.sheet.password);
        let space = self.net.add_device()?;
        let interface = self.net.interface_name();
        let folder = self.folder.join(slot);
        Device::new(slot, space, interface, folder, handover, ZONE, &self.client)
    }

    /// The attachments of the newest mail for a slot, saved into the device's folder. The secretariat's own
    /// bundle was handed over in the house, before there was any mail.
    pub fn received(&self, slot: &str) -> Told<PathBuf> {
        if slot == OFFICE_SLOT {
            return Ok(self.output()?.join("bundles").join(slot));
        }
        let mail = self.mail_for(slot)?;
        let folder = self.folder.join(slot).join(mail.letter());
        mail.save(&folder)?;
        Ok(folder)
    }

    /// The newest mail that brings a slot's bundle, once there is one.
    pub fn mail_for(&self, slot: &str) -> Told<Mail> {
        self.arrived(&format!("the bundle of {slot}"), |mail| mail.brings(slot))
    }

    /// The newest mail that is wanted, once there is one.
    pub fn arrived(&self, what: &str, wanted: impl Fn(&Mail) -> bool) -> Told<Mail> {
        let record = self.dkim_record()?;
        let mut seen = 0;
        shell::until(&format!("a mail with {what}"), shell::PATIENCE, || {
            let count = self.mail.count();
            if count == seen {
                return Ok(None);
            }
            seen = count;
            Ok(self.mail.mails(&record)?.into_iter().rev().find(|mail| wanted(mail)))
        })
    }

    /// As `mimamori mail dns` prints it, and a receiver would find it in the DNS.
    pub fn dkim_record(&self) -> Told<DkimRecord> {
        let records = self.server.ok(&["mail", "dns"])?;
        let text = |key: &str| records[0][key].as_str().map(str::to_owned);
        match (text("name"), text("value")) {
            (Some(name), Some(value)) => Ok(DkimRecord { name, value }),
            _ => Err(Fault::new(format!("no DKIM record: {records}"))),
        }
    }

    pub fn sheet(&self, slot: &str) -> Told<Sheet> {
        Sheet::read(&self.output()?.join("sheets").join(format!("{slot}.txt")))
    }

    /// Where the secretariat finds what it prints.
    pub fn output(&self) -> Told<PathBuf> {
        Ok(PathBuf::from(self.server.setting("output")?))
    }

    /// Nothing is measured any more: the next world need not wait for this one's end.
    pub fn let_others_play(&mut self) {
        self.alone = None;
    }

    /// What `init` is told about the database: a file that only its owner reads.
    pub fn database_words(&mut self) -> Told<Vec<String>> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let file = self.folder.join("database-url");
        write_private(&file, &database.url())?;
        self.needles.secret("the database's password", database.password());
        Ok(vec!["--database-url-file".to_owned(), file.display().to_string()])
    }

    /// No file of the appliance and no table of its server holds a patient's words or a forgotten secret.
    /// Returns how many files were read.
    pub fn nothing_in_plain(&self) -> Told<u64> {
        if let Some(database) = &self.database {
            self.needles.absent_in("the database", &database.dump())?;
        }
        self.needles.absent_below(&self.server.home)
    }

    /// For whoever must find the cause.
    pub fn with_last_words(&self, fault: &Fault) -> Fault {
        Fault::new(format!("{fault}\n\nthe appliance's last words:\n{}", self.server.last_words()))
    }

    /// What a device holds must not be in any log.
    pub fn remember_secrets_of(&mut self, device: &Device) {
        for secret in device.secrets() {
            self.needles.secret(&format!("a secret of device {}", device.slot), &secret);
        }
    }
}

/// One world at a time on this machine, whoever plays it: s8 measures time. Let go when the file is closed.
fn alone() -> Told<fs::File> {
    let file = fs::File::create(std::env::temp_dir().join("mms.lock"))?;
    shell::until("the other world on this machine to end", TURN, || {
        use rustix::fs::{FlockOperation, flock};
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(()))
    })?;
    Ok(file)
}

/// SIGINT, SIGTERM, SIGHUP: processes in our namespaces end, every wait ends, `Drop` clears the rest.
fn watch_signals(run: &str) {
    static ONCE: Once = Once::new();
    let run = run.to_owned();
    ONCE.call_once(move || {
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(any_signal());
            shell::interrupt();
            if !shell::lingers() {
                net::kill_processes(&run);
            }
        });
    });
}

async fn any_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    // `nohup` means it.
    if !hangup_ignored() {
        kinds.push(SignalKind::hangup());
    }
    let signals = kinds.into_iter().filter_map(|kind| signal(kind).ok());
    let mut waits: Vec<_> = signals.map(|mut s| Box::pin(async move { s.recv().await })).collect();
    std::future::poll_fn(|context| {
        let came = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
        if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// SIGHUP is bit 0 of the mask.
fn hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
