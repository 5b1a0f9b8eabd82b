//! `make bench-gateway`: nginx, HAProxy and Caddy (those installed), the plain baseline and ours, each
//! terminating mutual TLS in front of one responder on a Unix socket; the same load, turn by turn. What
//! counts is the proxy's own processor time per piece of work: it holds when other work shares the
//! cores. Prints a table, writes `gateway.json`; ends only what it started.
//!
//! ```text
//! bench --out FILE [--rounds 3] [--seconds 3] [--only NAME,NAME]
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)] // a program for a terminal

mod load;
mod peers;
mod process;
mod responder;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use load::Load;
use peers::{Peer, World};
use process::Process;

/// Connections that are opened and left alone.
const IDLE: usize = 500;

/// Figure by name, of one peer in one round.
type Row = BTreeMap<&'static str, f64>;

struct Arguments {
    out: PathBuf,
    rounds: usize,
    seconds: u64,
    only: Option<Vec<String>>,
}

fn main() {
    let arguments = arguments();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(arguments));
}

async fn run(arguments: Arguments) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    tokio::spawn(responder::respond(world.upstream.clone()));
    let mut peers = Peer::installed(&world);
    if let Some(only) = &arguments.only {
        peers.retain(|peer| only.iter().any(|name| name == peer.name));
    }
    let mut rows: BTreeMap<&'static str, Vec<Row>> = BTreeMap::new();
    for round in 0..arguments.rounds {
        let count = peers.len();
        // Nobody always runs first or last.
        for turn in 0..count {
            let peer = &peers[(turn + round) % count];
            match measure(&world, peer, Duration::from_secs(arguments.seconds)).await {
                Ok(row) => {
                    eprintln!("round {} {}: {row:.0?}", round + 1, peer.name);
                    rows.entry(peer.name).or_default().push(row);
                }
                Err(error) => eprintln!("round {} {}: FAILED {error}", round + 1, peer.name),
            }
        }
    }
    let beside = ["cut", "slow"].map(|name| (name, program(name)));
    report(&arguments, &rows, &beside);
}

/// The cut with 2,000 connections, and 2,000 slow peers: the whole room, in programs of their own beside this one.
fn program(name: &str) -> serde_json::Value {
    const ARGUMENTS: [(&str, [&str; 2]); 2] = [("cut", ["50", "40"]), ("slow", ["50", "40"])];
    let path = std::env::current_exe().unwrap().with_file_name(name);
    let arguments = ARGUMENTS.iter().find(|(known, _)| *known == name).map_or([""; 2], |(_, given)| *given);
    let ran = std::process::Command::new(&path).args(arguments).output();
    let said = ran.as_ref().ok().and_then(|ran| serde_json::from_slice(&ran.stdout).ok());
    let value = said.unwrap_or_else(|| match ran {
        Ok(ran) => serde_json::json!({ "failed": String::from_utf8_lossy(&ran.stderr).lines().take(12).collect::<Vec<_>>() }),
        Err(error) => serde_json::json!({ "failed": format!("{}: {error}", path.display()) }),
    });
    println!("{name}: {value}");
    value
}

async fn measure(world: &World, peer: &Peer, length: Duration) -> Result<Row, String> {
    let process = Process::start(peer.command(world))?;
    let load = Load::new(world, peer.port);
    load.until_up(&process).await?;
    let mut row = Row::new();
    let before = process.memory_kib();
    let idle = load.idle(IDLE).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    row.insert("idle_kib", (process.memory_kib() - before) / IDLE as f64);
    drop(idle);
    let mut work = async |name: &'static str, kind: load::Work| {
        let cpu = process.cpu_seconds();
        let (done, wrong) = load.run(kind, length).await;
        let spent = process.cpu_seconds() - cpu;
        row.insert(name, spent * 1e6 / done.max(1) as f64);
        *row.entry("errors").or_default() += wrong as f64;
    };
    work("handshake_us", load::Work::Handshakes).await;
    work("http1_us", load::Work::Http1).await;
    work("http2_us", load::Work::Http2).await;
    work("down_us", load::Work::Down).await;
    work("up_us", load::Work::Up).await;
    Ok(row)
}

fn report(
    arguments: &Arguments,
    rows: &BTreeMap<&'static str, Vec<Row>>,
    beside: &[(&'static str, serde_json::Value)],
) {
    const COLUMNS: [(&str, &str); 7] = [
        ("handshake_us", "CPU µs/handshake"),
        ("http1_us", "CPU µs/request HTTP/1.1"),
        ("http2_us", "CPU µs/request HTTP/2"),
        ("down_us", "CPU µs/MiB down"),
        ("up_us", "CPU µs/MiB up"),
        ("idle_kib", "KiB/idle connection"),
        ("errors", "errors"),
    ];
    let median = |name: &str, column: &str| {
        let mut values: Vec<f64> = rows[name].iter().filter_map(|row| row.get(column).copied()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let heads: Vec<&str> = COLUMNS.iter().map(|(_, head)| *head).collect();
    println!("| peer | {} |\n|---|{}", heads.join(" | "), "---|".repeat(COLUMNS.len()));
    let mut medians = serde_json::Map::new();
    for name in rows.keys() {
        let values = COLUMNS.map(|(column, _)| median(name, column));
        let cells: Vec<String> = values.iter().map(|value| format!("{value:.1}")).collect();
        println!("| {name} | {} |", cells.join(" | "));
        let values =
            COLUMNS.iter().zip(values).map(|((column, _), value)| ((*column).to_owned(), value.into()));
        medians.insert((*name).to_owned(), serde_json::Value::Object(values.collect()));
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut json = serde_json::json!({
        "rounds": arguments.rounds, "seconds": arguments.seconds, "idle_connections": IDLE,
        "load": load.trim(), "median": medians, "rows": rows,
    });
    for (name, value) in beside {
        json[*name] = value.clone();
    }
    if let Some(folder) = arguments.out.parent() {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(&arguments.out, serde_json::to_string_pretty(&json).unwrap()).unwrap();
    println!("load {}; written to {}", load.trim(), arguments.out.display());
}

fn arguments() -> Arguments {
    let mut given = std::env::args().skip(1);
    let mut arguments =
        Arguments { out: "target/bench/gateway.json".into(), rounds: 3, seconds: 3, only: None };
    while let (Some(name), Some(value)) = (given.next(), given.next()) {
        match name.as_str() {
            "--out" => arguments.out = value.into(),
            "--rounds" => arguments.rounds = value.parse().unwrap(),
            "--seconds" => arguments.seconds = value.parse().unwrap(),
            "--only" => arguments.only = Some(value.split(',').map(str::to_owned).collect()),
            _ => panic!("unknown argument {name}"),
        }
    }
    arguments
}
