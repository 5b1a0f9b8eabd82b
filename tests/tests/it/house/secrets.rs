//! A type that holds a secret cannot be printed by accident: no derived `Debug`.

use super::hold;
use super::source::{File, House, closing};

/// Field names that hold a secret when their type is raw.
const SECRET_FIELDS: [&str; 9] =
    ["password", "passphrase", "psk", "private_key", "secret", "secret_key", "key_pem", "seal_key", "cookie"];
const RAW_TYPES: [&str; 6] = ["String", "Vec<u8>", "[u8", "Option<String>", "Option<Vec<u8>>", "Box<[u8"];

fn breaches(file: &File) -> Vec<String> {
    let mut told = Vec::new();
    for (at, _) in file.code.match_indices("#[derive(") {
        let derive_end = file.code[at..].find(")]").map_or(file.code.len(), |i| at + i);
        let derives: Vec<&str> = file.code[at + 9..derive_end].split(',').map(str::trim).collect();
        if !derives.contains(&"Debug") {
            continue;
        }
        let rest = &file.code[derive_end..];
        let head = rest.find(['{', ';', '(']).map_or(rest, |i| &rest[..i]);
        let name =
            head.split_whitespace().skip_while(|w| *w != "struct" && *w != "enum").nth(1).unwrap_or("?");
        let wipes = derives.iter().any(|d| d.ends_with("Zeroize") || d.ends_with("ZeroizeOnDrop"));
        let open = derive_end + head.len();
        let body =
            if file.code[open..].starts_with('{') { &file.code[open..closing(&file.code, open)] } else { "" };
        if wipes || holds_secret(body) {
            told.push(format!(
                "{}: `{name}` holds a secret and derives Debug.\n  Mend: write `impl Debug` that says `<hidden>`, or give the field a type that does.",
                file.path
            ));
        }
    }
    told
}

fn holds_secret(body: &str) -> bool {
    body.split([',', '{', '\n']).filter_map(|field| field.split_once(':')).any(|(name, kind)| {
        let name = name.trim().trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim();
        SECRET_FIELDS.contains(&name) && RAW_TYPES.iter().any(|raw| kind.trim().starts_with(raw))
    })
}

#[test]
fn no_secret_derives_debug() {
    let house = House::load();
    hold(house.files().filter(|file| !file.test).flat_map(breaches).collect());
}

/// The hash that protects nothing is named in tests only (its own file declares it).
#[test]
fn the_appliance_hashes_passwords_at_the_full_cost() {
    let house = House::load();
    let named = house.files().filter(|file| !file.test && file.code.contains("Cost::TOKEN"));
    hold(named.map(|file| format!("{} names Cost::TOKEN.\n  Mend: Cost::FULL.", file.path)).collect());
    let sample = super::sample::room("sns", "", &[("lib.rs", "mod a;"), ("a.rs", "let c = Cost::TOKEN;")]);
    assert!(sample.files.iter().any(|file| file.code.contains("Cost::TOKEN")), "the rule sees it");
}

#[test]
fn a_printable_secret_is_noticed() {
    let room = super::sample::room(
        "sns",
        "",
        &[
            ("lib.rs", "mod a;"),
            (
                "a.rs",
                "#[derive(Debug, Zeroize)]\nstruct K([u8; 32]);\n#[derive(Clone, Debug)]\npub struct P { pub password: String }\n#[derive(Debug)]\nstruct Fine { password: Password, name: String }",
            ),
        ],
    );
    let told: Vec<_> = room.files.iter().flat_map(breaches).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
}
