//! `mimamori shell`: the one program behind SSH. A line of the client (`ssh host status`), or a conversation
//! with history and completion. It executes no program and opens no file that a line names.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Context, Editor, Helper, Highlighter, Hinter, Validator};

use super::args_machine::ShellArgs;
use super::failure::Failure;
use super::line::{self, Refusal, Wish};
use super::out::Out;
use crate::exit::Exit;
use crate::messages::Message;

/// What sshd leaves of a client's command when it forces ours.
const ORIGINAL: &str = "SSH_ORIGINAL_COMMAND";
/// How many lines ⇑ finds again; they end with the session.
const HISTORY_MAX: usize = 500;
const PROMPT: &str = "mimamori> ";

/// Runs one command as if it had been typed at a prompt of the machine.
pub type Run = fn(Vec<OsString>) -> Exit;

pub fn shell(args: ShellArgs, run: Run, out: &Out) -> Result<Exit, Failure> {
    if let Some(line) = args.line.or_else(|| std::env::var(ORIGINAL).ok()) {
        return one(&line, &[], run, out);
    }
    if !std::io::stdin().is_terminal() {
        return piped(run, out);
    }
    converse(run, out)
}

/// Whether the conversation goes on is the caller's business: leaving is `Ok`.
fn one(line: &str, history: &[String], run: Run, out: &Out) -> Result<Exit, Failure> {
    match line::read(line) {
        Ok(Wish::Nothing | Wish::Leave) => Ok(Exit::Ok),
        Ok(Wish::Help) => {
            out.plain(&help(out))?;
            Ok(Exit::Ok)
        }
        Ok(Wish::History) => {
            let lines: String = history.iter().map(|line| format!("{line}\n")).collect();
            out.plain(&lines)?;
            Ok(Exit::Ok)
        }
        Ok(Wish::Run(words)) => {
            let program = OsString::from("mimamori");
            Ok(run(std::iter::once(program).chain(words.into_iter().map(OsString::from)).collect()))
        }
        Err(Refusal::Unreadable(why)) => Err(Message::ShellLine { why: why.to_owned() }.into()),
        Err(Refusal::Verb(verb)) => Err(Message::ShellVerb { verb }.into()),
    }
}

/// Lines of a file, for scripts: the last failure is the exit code.
fn piped(run: Run, out: &Out) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for text in std::io::stdin().lock().lines() {
        let Ok(text) = text else { break };
        if line::read(&text) == Ok(Wish::Leave) {
            break;
        }
        match one(&text, &[], run, out) {
            Ok(Exit::Ok) => {}
            Ok(other) => exit = other,
            Err(failure) => {
                exit = failure.exit;
                out.failure(&failure);
            }
        }
    }
    Ok(exit)
}

fn converse(run: Run, out: &Out) -> Result<Exit, Failure> {
    let failed = |error: ReadlineError| Failure::from(Message::Output { why: error.to_string() });
    let config =
        Config::builder().max_history_size(HISTORY_MAX).map_err(failed)?.auto_add_history(true).build();
    let history = MemHistory::with_config(&config);
    let mut editor: Editor<Completion, MemHistory> = Editor::with_history(config, history).map_err(failed)?;
    editor.set_helper(Some(Completion));
    let mut lines = Vec::new();
    loop {
        let text = match editor.readline(PROMPT) {
            Ok(text) => text,
            // Ctrl-C ends the line, Ctrl-D the session.
            Err(ReadlineError::Interrupted) => continue,
            Err(_) => return Ok(Exit::Ok),
        };
        if line::read(&text) == Ok(Wish::Leave) {
            return Ok(Exit::Ok);
        }
        lines.push(text.clone());
        if lines.len() > HISTORY_MAX {
            lines.remove(0);
        }
        if let Err(failure) = one(&text, &lines, run, out) {
            out.failure(&failure);
        }
    }
}

#[derive(Helper, Highlighter, Hinter, Validator)]
struct Completion;

impl Completer for Completion {
    type Candidate = String;

    fn complete(&self, text: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = text.get(..at).unwrap_or(text);
        let begun = before.rfind(' ').map_or(0, |blank| blank + 1);
        Ok((begun, line::next(before)))
    }
}

fn help(out: &Out) -> String {
    let verbs = line::next("").join(" ");
    out.pick(
        format!("使えるもの: {verbs}\nTABで補完、↑で履歴、操作のあとに --help で説明。Ctrl-D で終わります\n"),
        format!("There is: {verbs}\nTAB completes, ⇑ is the history, VERB --help explains, Ctrl-D leaves\n"),
    )
}
