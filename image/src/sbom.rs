//! What is in the image, by name and version: a lock that two builds can be held against, and a bill of materials
//! (CycloneDX) of Debian's packages and our program's crates. Pure text.

use std::fmt::Write;

/// `name version architecture`, one to a line, sorted.
pub fn lock(status: &str) -> String {
    let mut lines: Vec<String> = packages(status)
        .iter()
        .map(|package| format!("{} {} {}\n", package.name, package.version, package.architecture))
        .collect();
    lines.sort();
    lines.concat()
}

/// CycloneDX 1.5 in JSON. Without a time and a serial number: the same inputs give the same bytes.
pub fn bill(status: &str, cargo_lock: &str) -> String {
    let mut components: Vec<String> = packages(status)
        .iter()
        .map(|package| {
            let link =
                format!("pkg:deb/debian/{}@{}?arch={}", package.name, package.version, package.architecture);
            component(package.name, package.version, &link, None)
        })
        .collect();
    components.extend(crates(cargo_lock).iter().map(|(name, version, hash)| {
        component(name, version, &format!("pkg:cargo/{name}@{version}"), *hash)
    }));
    components.sort();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\",\"version\":1,\"metadata\":{{\"component\":\
         {{\"type\":\"operating-system\",\"name\":\"mimamori\",\"version\":{}}}}},\"components\":[\n{}\n]}}\n",
        quoted(version),
        components.join(",\n")
    )
}

struct Package<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
}

fn packages(status: &str) -> Vec<Package<'_>> {
    status.split("\n\n").filter_map(package).collect()
}

fn package(block: &str) -> Option<Package<'_>> {
    let field = |name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
    };
    field("Status")?.ends_with(" installed").then_some(())?;
    Some(Package {
        name: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture")?,
    })
}

/// Name, version, and the registry's SHA-256 where there is one.
fn crates(lock: &str) -> Vec<(&str, &str, Option<&str>)> {
    let field = |block: &'_ str, name: &str| -> Option<(usize, usize)> {
        let start = block.find(&format!("\n{name} = \""))? + name.len() + 5;
        Some((start, start + block[start..].find('"')?))
    };
    lock.split("[[package]]")
        .skip(1)
        .filter_map(|block| {
            let text = |name: &str| field(block, name).and_then(|(from, to)| block.get(from..to));
            Some((text("name")?, text("version")?, text("checksum")))
        })
        .collect()
}

fn component(name: &str, version: &str, link: &str, hash: Option<&str>) -> String {
    let mut text = format!(
        "{{\"type\":\"library\",\"name\":{},\"version\":{},\"purl\":{}",
        quoted(name),
        quoted(version),
        quoted(&link.replace('+', "%2B").replace(':', "%3A").replacen("pkg%3A", "pkg:", 1))
    );
    if let Some(hash) = hash {
        let _ = write!(text, ",\"hashes\":[{{\"alg\":\"SHA-256\",\"content\":{}}}]", quoted(hash));
    }
    text.push('}');
    text
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\n\
        Version: 1:1.3+1\nDescription: a\n b\n\nPackage: gone\nStatus: deinstall ok config-files\n\
        Architecture: all\nVersion: 1\n\nPackage: apt\nStatus: install ok installed\nArchitecture: all\nVersion: 3\n";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"x\"\n\
        checksum = \"00ff\"\n\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";

    #[test]
    fn the_lock_names_what_is_installed_sorted() {
        assert_eq!(lock(STATUS), "apt 3 all\nzlib1g 1:1.3+1 amd64\n");
    }

    #[test]
    fn the_bill_names_packages_and_crates_with_their_sums() {
        let text = bill(STATUS, LOCK);
        assert!(text.contains("\"purl\":\"pkg:deb/debian/zlib1g@1%3A1.3%2B1?arch=amd64\""), "{text}");
        assert!(text.contains(
            "\"purl\":\"pkg:cargo/a@1.0.0\",\"hashes\":[{\"alg\":\"SHA-256\",\"content\":\"00ff\"}]"
        ));
        assert!(text.contains("\"name\":\"own\"") && !text.contains("gone"));
        assert!(crates(include_str!("../../Cargo.lock")).len() > 100, "the real lock is read");
    }
}
