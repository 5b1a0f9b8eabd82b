//! From the arguments to the exit code: the one place where a command is chosen and its failure shown.
//! Touches the arguments and the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use serde_json::json;

use super::args::{CONFIG, Command, Format, MailCommand, Typed, declared};
use super::ask::Door;
use super::failure::Failure;
use super::misread::{Misread, misread};
use super::out::Out;
use super::{
    api, audit, backup, case, config, device, doctor, engineers_wire, explain, facility, fee, flow, gateway,
    incident, keys, machine, mail, mail_doctor, outgoing, pages, paper, person, pki, realm, report, scan,
    shell, slot, status, takeover, tunnels, update, yearly,
};
use crate::exit::Exit;
use crate::messages::{Language, Message};

/// As whom the operator's login shell calls this program.
const SHELL: &str = "mimamori-shell";
/// And the shell of who has only a key.
const ENROL: &str = "mimamori-enrol";

/// The whole program.
pub fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let called = |shell: &str| {
        arguments.first().is_some_and(|name| Path::new(name).ends_with(shell) || login(name, shell))
    };
    // sshd asks a user's shell to run the forced command; whatever it says, there is one answer for each.
    if called(SHELL) {
        arguments = vec!["mimamori".into(), "shell".into()];
    } else if called(ENROL) {
        arguments = vec!["mimamori".into(), "machine".into(), "enrol".into()];
    }
    run(arguments).into()
}

/// A login shell's name begins with a dash.
fn login(name: &OsString, shell: &str) -> bool {
    name.to_str().is_some_and(|name| name.strip_prefix('-') == Some(shell))
}

fn run(arguments: Vec<OsString>) -> Exit {
    let language = language();
    let matches = declared().try_get_matches_from(&arguments);
    let typed = match matches.and_then(|matches| Typed::from_arg_matches(&matches)) {
        Ok(typed) => typed,
        Err(error) => {
            return unparsed(&error, &arguments, &Out::new(format_of(&arguments), language));
        }
    };
    let out = Out::new(typed.output, language);
    match execute(typed, &out) {
        Ok(exit) => exit,
        Err(failure) => {
            out.failure(&failure);
            failure.exit
        }
    }
}

fn execute(typed: Typed, out: &Out) -> Result<Exit, Failure> {
    let config = typed.config.or_else(|| std::env::var_os("MIMAMORI_CONFIG").map(PathBuf::from));
    let config = config.unwrap_or_else(|| PathBuf::from(CONFIG));
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let credentials = credentials.as_deref();
    let door = || Door::new(&realm::paths(&config)?);
    match typed.command {
        Command::Init(args) => realm::init(*args, out),
        Command::Check => realm::check(&config, credentials, out),
        Command::Run => realm::run(&config, credentials),
        Command::Serve { room } => realm::serve(&config, room, credentials),
        Command::Status(args) => status::status(&config, &door()?, args.check, out),
        Command::Facility(command) => facility::facility(&door()?, command, out),
        Command::Takeover(command) => takeover::takeover(&door()?, command, out),
        Command::Case(command) => case::case(&door()?, command, out),
        Command::Slot(command) => slot::slot(&door()?, command, out),
        Command::Device(command) => device::device(&door()?, command, out),
        Command::Person(command) => person::person(&door()?, command, out),
        Command::Gateway(command) => gateway::gateway(&door()?, command, out),
        Command::Vpn(args) => match tunnels::Wish::of(args)? {
            tunnels::Wish::Ask(command) => tunnels::ask(&door()?, command, out),
            tunnels::Wish::Serve { interface, conf, offload } => tunnels::serve(&interface, &conf, offload),
        },
        Command::Post(command) => outgoing::post(&door()?, command, out),
        Command::Mail(MailCommand::Doctor { server }) => mail_doctor::doctor(&config, &door()?, server, out),
        Command::Mail(command) => mail::mail(&door()?, command, out),
        Command::Form(command) => paper::form(&door()?, command, out),
        Command::Paper(command) => scan::paper(&door()?, command, out),
        Command::Flow(command) => flow::flow(&door()?, command, out),
        Command::Incident(command) => incident::incident(&door()?, command, out),
        Command::Report(args) => report::report(&door()?, args, out),
        Command::Yearly(command) => yearly::yearly(&door()?, command, out),
        Command::Register(command) => yearly::register(&door()?, command, out),
        Command::Fee(command) => fee::fee(&door()?, command, out),
        Command::Api => api::api(&config, out),
        Command::Audit(command) => audit::audit(&door()?, command, out),
        Command::Keys(command) => keys::keys(&config, credentials, command, out),
        Command::Backup(command) => backup::backup(&config, credentials, command, out),
        Command::Restore(args) => backup::restore(*args, out),
        Command::Doctor => doctor::doctor(&config, &door()?, out),
        Command::Pki(command) => pki::pki(&config, credentials, command, out),
        Command::Config(command) => config::config(&config, command, out),
        Command::Machine(command) => machine::machine(&config, command, out),
        Command::Rescue(command) => engineers_wire::rescue(command, out),
        Command::Update(args) => update::update(args, out),
        Command::Shell(args) => shell::shell(args, run, out),
        Command::Explain { code } => explain::explain(&code, out),
        Command::Completions { shell } => pages::print_completions(shell, out),
        Command::Man { dir } => pages::man(&dir, out),
        Command::Version => version(out),
    }
}

fn version(out: &Out) -> Result<Exit, Failure> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    out.result(&json!({ "name": "mimamori", "version": VERSION }), || format!("mimamori {VERSION}\n"))?;
    Ok(Exit::Ok)
}

/// Help and version are answers; everything else is wrong usage.
fn unparsed(error: &clap::Error, arguments: &[OsString], out: &Out) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match out.plain(&error.render().to_string()) {
            Ok(()) => Exit::Ok,
            Err(failure) => failure.exit,
        };
    }
    let typed: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let Misread { why, verb } = misread(error, typed.iter().map(AsRef::as_ref), out.language());
    let failure = Failure::from(Message::Usage { why, verb });
    out.failure(&failure);
    failure.exit
}

/// When the arguments cannot be read, whether JSON was wanted still can.
fn format_of(arguments: &[OsString]) -> Format {
    let words: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let json = words.iter().any(|word| word == "-ojson" || word == "--output=json" || word == "-o=json")
        || words.windows(2).any(|pair| (pair[0] == "-o" || pair[0] == "--output") && pair[1] == "json");
    if json { Format::Json } else { Format::Text }
}

fn language() -> Language {
    let locales: Vec<String> =
        ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok()).collect();
    Language::of(locales.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised_even_when_the_rest_is_not() {
        let format = |line: &str| format_of(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(format("mimamori -o json nonsense"), Format::Json);
        assert_eq!(format("mimamori nonsense --output=json"), Format::Json);
        assert_eq!(format("mimamori json -o text"), Format::Text);
    }
}
