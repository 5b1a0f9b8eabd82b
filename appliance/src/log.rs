//! Where log lines go: to systemd's journal with their key-values when stderr is the journal,
//! otherwise one line each to stderr, `time level room text KEY=value`.
//! Installed once, at the start of `run`; lives as long as the process. Never a secret, never patient text.

use std::fmt::Write as _;
use std::io::Write as _;

use log::kv::{self, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};

/// Longest value of one key in a line; identifiers are short, and payloads do not belong here.
const VALUE_MAX: usize = 200;

/// Installs the logger that fits; a second call changes nothing. `process` is the room of a process that
/// serves one alone.
pub fn install(level: LevelFilter, process: Option<&'static str>) {
    let name = process.map_or_else(|| "mimamori".to_owned(), |process| format!("mimamori-{process}"));
    let journal = systemd_journal_logger::connected_to_journal()
        .then(systemd_journal_logger::JournalLog::new)
        .and_then(Result::ok);
    let installed = match journal {
        Some(journal) => journal.with_syslog_identifier(name).install(),
        None => log::set_boxed_logger(Box::new(Stderr { process })),
    };
    if installed.is_ok() {
        log::set_max_level(level);
    }
}

struct Stderr {
    process: Option<&'static str>,
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(&format!("{:.3}", jiff::Timestamp::now()), self.process, record);
            // A terminal that is gone must not take the appliance with it.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// One line; control characters of foreign origin cannot forge a second one.
fn line(time: &str, process: Option<&str>, record: &Record<'_>) -> String {
    let room = record.target().split("::").next().unwrap_or("");
    // What the composition root says is said of its process.
    let room = process.filter(|_| room == "appliance").unwrap_or(room);
    let mut line = format!("{time} {:<5} {room} {}", record.level(), record.args());
    let mut pairs = Pairs(String::new());
    let _ = record.key_values().visit(&mut pairs);
    line.push_str(&pairs.0);
    let mut line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.push('\n');
    line
}

struct Pairs(String);

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value: String = value.to_string().chars().take(VALUE_MAX).collect();
        let _ = write!(self.0, " {key}={value}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_room_and_its_keys_and_cannot_be_forged() {
        let pairs = [("SLOT", "18-0042"), ("TRACE_ID", "0011\nERROR gateway forged")];
        let line = line(
            "2026-11-20T00:00:00Z",
            None,
            &Record::builder()
                .args(format_args!("slot seated"))
                .level(log::Level::Info)
                .target("vpn::seating")
                .key_values(&pairs)
                .build(),
        );
        assert!(line.starts_with("2026-11-20T00:00:00Z INFO  vpn slot seated SLOT=18-0042 TRACE_ID=0011 "));
        assert_eq!(line.matches('\n').count(), 1);
    }
}
