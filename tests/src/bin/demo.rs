//! `make demo`: prints the story as a table, writes `target/demo/report.json`, exits 0 only if all holds.
//! Also the small client that runs on the story's devices (`device-keys`, `listen`). Cleans up, also when
//! interrupted; `demo clean` removes what a killed run left.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;

use tests::report::{Out, Report};
use tests::server::{Engine, Form};
use tests::story;
use tests::world::Tools;
use tests::{Fault, Told, keys, net, shell, stay};

/// In the checkout, whatever CARGO_TARGET_DIR says.
const REPORT: &str = "./target/demo/report.json";
/// What a shell reports for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] => demo(),
        ["clean"] => {
            net::clear_leftovers();
            stay::forget(Path::new("./target/demo"));
            Ok(true)
        }
        ["device-keys", folder] => keys::make(Path::new(folder)).map(|()| true),
        ["listen", address] => listen(address).map(|()| true),
        _ => Err(Fault::new("usage: demo [clean]")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) if shell::interrupted() => ExitCode::from(INTERRUPTED),
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            say(&format!("demo: {fault}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Did the whole story hold?
fn demo() -> Told<bool> {
    let form = chosen("FORM", Form::default(), Form::parse, "`together` nor `separated`")?;
    let engine = chosen("ENGINE", Engine::default(), Engine::parse, "`sqlite` nor `postgres`")?;
    let me = std::env::current_exe()?;
    let tools = Tools::beside(&me)?.in_form(form).on_engine(engine);
    let (stay, folder) = (Stay::chosen()?, Path::new("./target/demo"));
    // What a killed run left there would lie.
    stay::forget(folder);
    let plan = if stay == Stay::Only { stay::SHORT.to_vec() } else { story::plan(form, engine) };
    let mut report = Report::new(&plan, form.as_str(), engine.as_str(), Out::Terminal);
    let told = match stay {
        Stay::Only => stay::short(&tools, &mut report),
        Stay::No | Stay::After => story::play(&tools, &mut report),
    };
    let ok = report.finish();
    report.write(Path::new(REPORT))?;
    give_back(folder);
    match told {
        Err(fault) => say(&format!("\nThe story broke: {fault}\n")),
        Ok(_) if !ok => {}
        Ok(_) if stay == Stay::No => say(&format!("\nAll of it holds. Report: {REPORT}\n")),
        Ok(mut scene) => stay::stay(&mut scene, folder, |words| {
            give_back(folder);
            say(words);
        })?,
    }
    Ok(ok)
}

/// `STAY=1` stays after the story, `STAY=only` leaves the story out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    No,
    After,
    Only,
}

impl Stay {
    fn chosen() -> Told<Self> {
        match std::env::var("STAY").unwrap_or_default().as_str() {
            "" | "0" => Ok(Stay::No),
            "1" => Ok(Stay::After),
            "only" => Ok(Stay::Only),
            other => Err(Fault::new(format!("STAY={other} is neither `1` nor `only`"))),
        }
    }
}

/// From the environment; anything else is refused, so that nobody believes that it was played.
fn chosen<T>(variable: &str, default: T, parse: fn(&str) -> Option<T>, neither: &str) -> Told<T> {
    match std::env::var(variable) {
        Err(_) => Ok(default),
        Ok(text) => parse(&text).ok_or_else(|| Fault::new(format!("{variable}={text} is neither {neither}"))),
    }
}

/// Under sudo the report should still belong to who asked for it.
fn give_back(folder: &Path) {
    let id = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if let (Some(user), Some(group)) = (id("SUDO_UID"), id("SUDO_GID")) {
        for path in
            [folder.parent().unwrap_or(folder).to_owned(), folder.to_owned(), folder.join("report.json")]
        {
            let _ = std::os::unix::fs::chown(path, Some(user), Some(group));
        }
    }
}

/// A server on a device that should not be reachable by others. Ends with its process.
fn listen(address: &str) -> Told<()> {
    let listener = TcpListener::bind(address)?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut head = [0; 1024];
        let _ = stream.read(&mut head)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
    }
    Ok(())
}

fn say(text: &str) {
    // A closed pipe must not hide the exit code.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
