//! R6–R8: what may stand only in marked files: the world, serialisation, `unsafe`.

use super::source::{File, House, Room, find_word, line_of, paths};
use super::{hold, sample};

/// What touches the world, and what to do instead.
const WORLD: [(&str, &str); 16] = [
    ("std::fs", "read in an edge file and hand the value in"),
    ("std::net::TcpListener", "sockets belong to edge files"),
    ("std::net::TcpStream", "sockets belong to edge files"),
    ("std::net::UdpSocket", "sockets belong to edge files"),
    ("std::process", "programs are started in edge files"),
    ("std::env", "configuration is a value: take it as an argument"),
    ("std::thread", "threads belong to edge files"),
    ("tokio", "tasks, channels and timers belong to edge files"),
    ("sqlx", "SQL belongs to edge files"),
    ("std::time::SystemTime::now", "take `now` as an argument"),
    ("SystemTime::now", "take `now` as an argument"),
    ("Instant::now", "take `now` as an argument"),
    ("Timestamp::now", "take `now` as an argument"),
    ("Zoned::now", "take `now` as an argument"),
    ("getrandom", "take random bytes as an argument"),
    ("rand", "take random bytes as an argument"),
];

/// A plain value that happens to live in `std::process`.
const HARMLESS: [&str; 1] = ["std::process::ExitCode"];

fn breaches(room: &Room) -> Vec<String> {
    let files = room.files.iter().filter(|file| !file.test && !file.program);
    files.flat_map(|file| [world(file), serde(file), unsafe_code(file)].concat()).collect()
}

fn world(file: &File) -> Vec<String> {
    if file.marks.edge {
        return Vec::new();
    }
    let mut told = Vec::new();
    for (line, path) in paths(&file.code) {
        let path = path.trim_start_matches("::");
        let touches = |name: &str| {
            path == name
                || path.starts_with(&format!("{name}::"))
                || (name.contains("::now") && path.ends_with(name))
        };
        if HARMLESS.iter().any(|name| path.starts_with(name)) {
            continue;
        }
        if let Some((_, instead)) = WORLD.iter().find(|(name, _)| touches(name)) {
            told.push(format!("{}:{line} names `{path}` in a pure file (R6).\n  Mend: {instead}; or mark the module `// edge: what it touches` in lib.rs.", file.path));
        }
    }
    told.dedup();
    told
}

fn serde(file: &File) -> Vec<String> {
    if file.marks.border {
        return Vec::new();
    }
    let found = ["Serialize", "Deserialize"]
        .into_iter()
        .flat_map(|word| find_word(&file.code, word).into_iter().map(move |at| (word, at)));
    found
        .map(|(word, at)| format!("{}:{} names `{word}` inside the room (R7): a type is serialisable only where it crosses a border.\n  Mend: convert at the border; or mark the module `// border` in lib.rs.", file.path, line_of(&file.code, at)))
        .collect()
}

fn unsafe_code(file: &File) -> Vec<String> {
    if file.marks.unsafe_ {
        return Vec::new();
    }
    let found = find_word(&file.code, "unsafe").into_iter().chain(file.code.find("allow(unsafe_code)"));
    found.map(|at| format!("{}:{} is `unsafe` (R8).\n  Mend: use rustix; or mark the module `// edge, unsafe: why` in lib.rs.", file.path, line_of(&file.code, at))).collect()
}

#[test]
fn r6_to_r8_the_world_serde_and_unsafe_stay_in_marked_files() {
    hold(House::load().rooms.iter().filter(|room| room.name != "tests").flat_map(breaches).collect());
}

#[test]
fn what_touches_the_world_is_noticed_and_marks_excuse_it() {
    let text = "use std::{fs, fmt};\nuse serde::Serialize;\nfn f() { let t = std::time::Instant::now(); unsafe { g() } }";
    let bad = sample::room("sns", "", &[("lib.rs", "pub mod a;"), ("a.rs", text)]);
    assert_eq!(breaches(&bad).len(), 4, "{:#?}", breaches(&bad));
    let marked =
        sample::room("sns", "", &[("lib.rs", "pub mod a; // edge, border, unsafe: files"), ("a.rs", text)]);
    assert!(breaches(&marked).is_empty());
    let pure = sample::room(
        "sns",
        "",
        &[
            ("lib.rs", "pub mod a;"),
            (
                "a.rs",
                "//! std::fs\nfn operand() { let s = \"tokio::\"; }\nuse std::process::ExitCode;\n#[cfg(test)]\nmod tests { use std::fs; }",
            ),
        ],
    );
    assert!(breaches(&pure).is_empty(), "{:#?}", breaches(&pure));
}
