//! R5: `lib.rs` is the front page, and imports flow towards its top. No circles, no dead files.

use super::source::{File, House, Module, Room, declared, find_word, paths, strip};
use super::{hold, sample};

fn breaches(room: &Room) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in room.files.iter().filter(|file| !file.program) {
        if file.module.is_empty() {
            breaches.extend(front_page(file));
        } else {
            breaches.extend(dead(room, file));
            if !file.test {
                breaches.extend(upward(room, file));
            }
        }
    }
    breaches
}

/// Module list and re-exports, nothing else.
fn front_page(file: &File) -> Vec<String> {
    let words = ["fn ", "struct ", "enum ", "trait ", "impl ", "const ", "static ", "type ", "macro_rules!"];
    let found = words.iter().filter(|word| !find_word(&file.code, word).is_empty());
    let told = found.map(|word| format!("{} holds a `{}` (R5): the front page is a module list in reading order and re-exports.\n  Mend: move it into a module named for it.", file.path, word.trim()));
    told.collect()
}

fn dead(room: &Room, file: &File) -> Option<String> {
    let (name, parents) = file.module.split_last()?;
    let parent = room.files.iter().find(|other| other.module == parents && !other.program)?;
    let known = declared(&parent.raw).iter().any(|module| module.name == *name);
    (!known).then(|| {
        format!(
            "{} is declared nowhere: a dead file.\n  Mend: declare it in {} or delete it.",
            file.path, parent.path
        )
    })
}

/// Imports of modules that stand below on the page (or below among the parent's children).
fn upward(room: &Room, file: &File) -> Vec<String> {
    let front: Vec<&str> = room.front.iter().map(|m| m.name.as_str()).collect();
    let exports = re_exports(room);
    let mut breaches = Vec::new();
    for (line, path) in paths(&file.code) {
        let Some(target) = absolute(&path, &file.module) else { continue };
        let target: Vec<String> = match exports.iter().find(|(name, _)| Some(name) == target.first()) {
            Some((_, module)) if !front.contains(&target[0].as_str()) => vec![module.clone()],
            _ => target,
        };
        if let Some(why) = above(room, &front, &file.module, &target) {
            breaches.push(format!("{}:{line} names `{path}` (R5): {why}.\n  Mend: let the lower module take what it needs as an argument, or move the noun up.", file.path));
        }
    }
    breaches.dedup();
    breaches
}

/// `crate::a::b` and `super::b` as a path from the room's front page; `None` for other crates.
fn absolute(path: &str, module: &[String]) -> Option<Vec<String>> {
    let mut parts: Vec<&str> = path.split("::").collect();
    let mut base = match *parts.first()? {
        "crate" => Vec::new(),
        "super" | "self" => module.to_vec(),
        _ => return None,
    };
    if parts[0] == "crate" || parts[0] == "self" {
        parts.remove(0);
    }
    while parts.first() == Some(&"super") {
        base.pop();
        parts.remove(0);
    }
    base.extend(parts.iter().map(|part| (*part).to_owned()));
    Some(base)
}

/// Why `from` may not name `to`.
fn above(room: &Room, front: &[&str], from: &[String], to: &[String]) -> Option<String> {
    let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let (here, there) = (from.get(shared)?, to.get(shared)?);
    let order: Vec<String> = if shared == 0 {
        front.iter().map(|name| (*name).to_owned()).collect()
    } else {
        let parent = room.files.iter().find(|file| file.module == from[..shared])?;
        declared(&parent.raw).into_iter().map(|module: Module| module.name).collect()
    };
    let place = |name: &String| order.iter().position(|known| known == name);
    let (here_at, there_at) = (place(here)?, place(there)?);
    (there_at > here_at).then(|| format!("`{there}` stands below `{here}` in the list"))
}

/// Names that the front page re-exports, with the module they come from.
fn re_exports(room: &Room) -> Vec<(String, String)> {
    let Some(front) = room.files.iter().find(|file| file.module.is_empty() && !file.program) else {
        return Vec::new();
    };
    let spelled =
        paths(&strip(&front.raw)).into_iter().map(|(_, path)| path.trim_start_matches("pub use ").to_owned());
    let pairs = spelled.filter_map(|path| {
        let parts: Vec<&str> = path.trim_start_matches("crate::").split("::").collect();
        (parts.len() >= 2 && parts.iter().all(|part| !part.is_empty()))
            .then(|| (parts[parts.len() - 1].to_owned(), parts[0].to_owned()))
    });
    pairs.collect()
}

#[test]
fn r5_imports_flow_to_the_top_of_the_front_page() {
    hold(House::load().rooms.iter().flat_map(breaches).collect());
}

#[test]
fn an_upward_import_a_dead_file_and_a_type_on_the_front_page_are_noticed() {
    let bad = sample::room(
        "vpn",
        "",
        &[
            ("lib.rs", "pub mod noun;\npub mod edge;\npub use edge::Socket;\npub struct S;"),
            ("noun.rs", "use crate::edge::Socket;\nfn f() { crate::Socket::new() }"),
            ("edge.rs", "use crate::noun;"),
            ("lost.rs", ""),
        ],
    );
    let told = breaches(&bad);
    assert_eq!(told.len(), 4, "{told:#?}");
    let nested = sample::room(
        "vpn",
        "",
        &[
            ("lib.rs", "pub mod a;"),
            ("a.rs", "mod low;\nmod high;"),
            ("a/low.rs", "use super::high::X;"),
            ("a/high.rs", "use super::low::Y;"),
        ],
    );
    assert_eq!(breaches(&nested).len(), 1);
}
