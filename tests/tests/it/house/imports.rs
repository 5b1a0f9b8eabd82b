//! R1–R4: which room imports which.

use super::source::{House, Room, paths};
use super::{hold, sample};

/// Who may import whom; a new arrow is a decision for ARCHITECTURE.md, not for a patch.
const MAY: [(&str, &[&str]); 8] = [
    ("vpn", &[]),
    ("pki", &["vpn"]),
    ("gateway", &["pki", "vpn"]),
    ("sns", &["pki"]),
    ("provisioning", &["pki", "vpn"]),
    ("appliance", &["vpn", "pki", "gateway", "sns", "provisioning"]),
    ("image", &["appliance"]),
    ("tests", &["vpn", "pki", "gateway", "sns", "provisioning", "appliance", "image"]),
];

/// R2: of vpn, pki knows the slot's names (the module, or its names re-exported by vpn's front page).
const OF_VPN_FOR_PKI: [&str; 4] = ["slot", "SlotNumber", "SeatClass", "Series"];

fn breaches(room: &Room) -> Vec<String> {
    let may = MAY.iter().find(|(name, _)| *name == room.name).map_or(&[] as &[_], |(_, may)| may);
    let siblings =
        || MAY.iter().map(|(name, _)| *name).filter(|name| *name != room.name && !may.contains(name));
    let mut breaches = Vec::new();
    for sibling in siblings() {
        let declares =
            |line: &str| line.starts_with(&format!("{sibling}.")) || line.starts_with(&format!("{sibling} "));
        if room.manifest.lines().any(declares) {
            breaches.push(format!(
                "{}/Cargo.toml depends on `{sibling}` (R1–R4).\n  Mend: say what you need as a trait of plain values in `{}/src/need.rs`; `appliance` adapts it.",
                room.name, room.name
            ));
        }
    }
    for file in &room.files {
        for (line, path) in paths(&file.code) {
            let mut parts = path.trim_start_matches("::").split("::");
            let (first, second) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            // A module of the room's own may bear a sibling's name; `tests` nearly always is one.
            if first != "tests"
                && siblings().any(|sibling| sibling == first)
                && room.position(first).is_none()
                && path.contains("::")
                && !file.module.is_empty()
                && !own_name(file, first)
            {
                breaches.push(format!("{}:{line} names `{path}` of room `{first}` (R1–R4).\n  Mend: ask through a door or a need instead.", file.path));
            }
            // A bare `vpn::{` is told again by its parts.
            if room.name == "pki" && first == "vpn" && !second.is_empty() && !OF_VPN_FOR_PKI.contains(&second)
            {
                breaches.push(format!("{}:{line} names `{path}` (R2): of vpn, pki imports only `vpn::slot`.\n  Mend: take a plain value as an argument.", file.path));
            }
        }
    }
    breaches.dedup();
    breaches
}

/// A variable or child module called like a room (`let sns = …; sns::x` cannot be, `mod gateway;` can).
fn own_name(file: &super::source::File, name: &str) -> bool {
    super::source::declared(&file.raw).iter().any(|m| m.name == name)
        || paths(&file.code)
            .iter()
            .any(|(_, path)| path.ends_with(&format!("::{name}")) && !path.starts_with(name))
}

#[test]
fn r1_to_r4_rooms_import_only_whom_they_may() {
    hold(House::load().rooms.iter().flat_map(breaches).collect());
}

#[test]
fn a_sibling_in_the_manifest_or_in_a_path_is_noticed() {
    let gateway = sample::room(
        "gateway",
        "sns.workspace = true",
        &[("lib.rs", "pub mod a;"), ("a.rs", "use sns::Room;")],
    );
    assert_eq!(breaches(&gateway).len(), 2);
    let pki = sample::room(
        "pki",
        "vpn.workspace = true",
        &[("lib.rs", "pub mod a;"), ("a.rs", "use vpn::{slot::SlotNumber, key};")],
    );
    assert_eq!(breaches(&pki).len(), 1);
    let fine = sample::room(
        "sns",
        "pki.workspace = true",
        &[("lib.rs", "pub mod a;"), ("a.rs", "use pki::Identity; // vpn::x\nuse super::tests::a;")],
    );
    assert!(breaches(&fine).is_empty());
}
