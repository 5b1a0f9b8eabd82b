//! `init`, `check`, `run`, `serve`: the commands that need the realm's files and no running appliance.

use std::path::Path;

use serde_json::json;

use super::args::InitArgs;
use super::failure::Failure;
use super::out::Out;
use crate::compose;
use crate::config::{self, Config, Fault, Paths};
use crate::database;
use crate::exit::Exit;
use crate::files;
use crate::init::{self, InitFault, Made, Wishes};
use crate::log;
use crate::machine;
use crate::messages::Message;
use crate::operator::users::Users;
use crate::process::Name;
use crate::secrets;
use crate::serve;
use crate::settle::Places;
use crate::together;

/// One line of OpenSSH.
const SSH_CA_MAX: usize = 1 << 10;

pub fn init(args: InitArgs, out: &Out) -> Result<Exit, Failure> {
    let ssh_ca = args.ssh_ca.as_deref().map(|path| files::read_limited(path, SSH_CA_MAX)).transpose()?;
    let wishes = Wishes {
        dir: args.dir.unwrap_or_else(|| machine::STAGE.into()),
        zone: args.zone,
        series: args.series,
        realm_name: args.realm_name,
        operator_login: args.operator_login,
        operator_name: args.operator_name,
        office_name: args.office_name,
        telephone: args.telephone,
        listen: args.listen,
        endpoint: args.endpoint,
        database_url_file: args.database_url_file,
        management: args.management,
        ssh_ca: ssh_ca.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()),
        root_shares: args.root_shares,
        token: args.token.wishes(),
    };
    let by = Users::read().name(rustix::process::geteuid().as_raw());
    let places = Places { root: Path::new("/") };
    let machine_config = if args.machine {
        places.free()?;
        Some(init::configuration_of_machine(&wishes).map_err(wished)?)
    } else {
        None
    };
    let mut made = init::init(&wishes, &by, &mut |ja, en| out.progress(ja, en)).map_err(wished)?;
    if let Some(text) = machine_config {
        places.settle(&wishes.dir, &text)?;
        made = made.moved(&wishes.dir);
    }
    let value = json!({
        "config": made.config, "root": made.root, "root_passphrase": made.root_passphrase,
        "root_sheets": made.root_sheets, "root_fingerprint": made.root_fingerprint, "transcript": made.transcript,
        "facility": made.office.facility, "person": made.office.person, "slot": made.office.slot,
        "bundle": made.office.bundle, "sheet": made.office.sheet,
    });
    out.result(&value, || made_text(&made, out))?;
    Ok(Exit::Ok)
}

fn wished(fault: InitFault) -> Failure {
    match fault {
        InitFault::Message(message) => Failure::from(message),
        InitFault::Config(faults) => {
            // The text they stand in is never seen: its lines would mean nothing.
            let faults: Vec<Fault> = faults.into_iter().map(|fault| Fault::nowhere(fault.message)).collect();
            Failure {
                faults: faults.clone(),
                ..Failure::from(Message::InitWishes { count: faults.len().to_string() })
            }
        }
    }
}

fn made_text(made: &Made, out: &Out) -> String {
    let config = made.config.display();
    let root = made.root.display();
    let (print_ja, print_en) = match (&made.root_passphrase, made.root_sheets.first()) {
        (Some(passphrase), _) => (
            format!("{} を印刷し、別の封筒にしまい、ファイルを消す", passphrase.display()),
            format!("print {}, put it into another envelope, delete the file", passphrase.display()),
        ),
        (None, sheet) => {
            let folder = sheet.and_then(|sheet| sheet.parent()).unwrap_or(Path::new("")).display();
            (
                format!("{folder} の用紙を印刷し、一枚ずつ別の人に渡し、フォルダーを消す"),
                format!("print the sheets in {folder}, give each to another person, delete the folder"),
            )
        }
    };
    let (bundle, sheet) = (made.office.bundle.display(), made.office.sheet.display());
    let (transcript, fingerprint, slot) =
        (made.transcript.display(), &made.root_fingerprint, made.office.slot);
    out.pick(
        format!(
            "領域ができました。\n\n設定          {config}\nルートの指紋  {fingerprint}\n儀式の記録    {transcript}\n\
             事務局の端末  {slot}  {bundle}\nその用紙      {sheet}\n\n次にすること\n\
             1. {root} を外部媒体へ移し、金庫にしまう\n\
             2. {print_ja}\n\
             3. mimamori --config {config} run\n"
        ),
        format!(
            "The realm stands.\n\nconfiguration     {config}\nroot fingerprint  {fingerprint}\ntranscript        {transcript}\n\
             office's device   {slot}  {bundle}\nits sheet         {sheet}\n\nNext\n\
             1. move {root} to a medium of its own, into the safe\n\
             2. {print_en}\n\
             3. mimamori --config {config} run\n"
        ),
    )
}

/// The whole text, the secrets' files, the database: what `run` would refuse, `check` names.
pub fn check(path: &Path, credentials: Option<&Path>, out: &Out) -> Result<Exit, Failure> {
    let config = read(path)?;
    let secrets = secrets::open(&config.secrets, credentials).map_err(secret_faults)?;
    if let Some(mail) = &config.mail {
        secrets::open_mail(mail, credentials).map_err(|message| secret_faults(vec![message]))?;
        compose::check_smime(mail, credentials).map_err(|message| secret_faults(vec![message]))?;
    }
    if let Some(bounces) = &config.bounces {
        secrets::open_bounces(bounces, credentials).map_err(|message| secret_faults(vec![message]))?;
    }
    if let Some(token) = &config.token {
        secrets::open_pin(token, credentials).map_err(|message| secret_faults(vec![message]))?;
    }
    if let Some(url) = &secrets.database {
        database::fit_and_filled(&database::parse(url)?)?;
    }
    let shown = path.display().to_string();
    out.result(&json!({ "ok": true, "config": shown }), || {
        out.pick(format!("{shown}: 誤りはありません\n"), format!("{shown}: no faults\n"))
    })?;
    Ok(Exit::Ok)
}

pub fn run(path: &Path, credentials: Option<&Path>) -> Result<Exit, Failure> {
    let config = read(path)?;
    let secrets = secrets::open(&config.secrets, credentials).map_err(secret_faults)?;
    log::install(config.log_level, None);
    together::run(&config, secrets, credentials)?;
    Ok(Exit::Ok)
}

/// One room in its own process; its secret is read by the process itself.
pub fn serve(path: &Path, name: Name, credentials: Option<&Path>) -> Result<Exit, Failure> {
    let config = read(path)?;
    log::install(config.log_level, Some(name.as_str()));
    serve::run(&config, name, credentials)?;
    Ok(Exit::Ok)
}

/// Where the appliance of this configuration answers.
pub fn paths(path: &Path) -> Result<Paths, Failure> {
    Ok(read(path)?.paths)
}

/// For a command that needs the realm's files.
pub fn config(path: &Path) -> Result<Config, Failure> {
    read(path)
}

fn read(path: &Path) -> Result<Config, Failure> {
    config::read(&files::read_config(path)?).map_err(Failure::config)
}

fn secret_faults(messages: Vec<Message>) -> Failure {
    Failure::config(messages.into_iter().map(Fault::nowhere).collect())
}
