//! The claim page's scripts and style, inside the binary: what the page may load, and nothing else.
//! Pure: names in, texts out.

/// A file of the page.
pub struct PageFile {
    pub media_type: &'static str,
    pub text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file below `/claim/`, by name.
const FILES: &[(&str, &str, &str)] = &[
    ("apple.js", SCRIPT, include_str!("../assets/apple.js")),
    ("base64.js", SCRIPT, include_str!("../assets/base64.js")),
    ("claim.js", SCRIPT, include_str!("../assets/claim.js")),
    ("der.js", SCRIPT, include_str!("../assets/der.js")),
    ("des.js", SCRIPT, include_str!("../assets/des.js")),
    ("digest.js", SCRIPT, include_str!("../assets/digest.js")),
    ("linux.js", SCRIPT, include_str!("../assets/linux.js")),
    ("p12.js", SCRIPT, include_str!("../assets/p12.js")),
    ("password.js", SCRIPT, include_str!("../assets/password.js")),
    ("problem.js", SCRIPT, include_str!("../assets/problem.js")),
    ("qr.js", SCRIPT, include_str!("../assets/qr.js")),
    ("request.js", SCRIPT, include_str!("../assets/request.js")),
    ("result.js", SCRIPT, include_str!("../assets/result.js")),
    ("sheet.js", SCRIPT, include_str!("../assets/sheet.js")),
    ("tar.js", SCRIPT, include_str!("../assets/tar.js")),
    ("tunnel.js", SCRIPT, include_str!("../assets/tunnel.js")),
    ("work.js", SCRIPT, include_str!("../assets/work.js")),
    ("x25519.js", SCRIPT, include_str!("../assets/x25519.js")),
    ("claim.css", "text/css; charset=utf-8", include_str!("../assets/claim.css")),
];

pub fn find(name: &str) -> Option<PageFile> {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    found.map(|(_, media_type, text)| PageFile { media_type, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a script imports and the page loads is here, and nothing comes from another host.
    #[test]
    fn every_import_is_a_file_of_ours() {
        for (name, _, text) in FILES {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let from = line.split('"').nth(1).unwrap();
                assert!(find(from.strip_prefix("./").unwrap()).is_some(), "{name}: {from}");
            }
        }
        let page = include_str!("../templates/claim.html");
        for loaded in page.split("/claim/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            // What Windows saves is made for each slot.
            assert!(find(loaded).is_some() || loaded == "windows.ps1", "{loaded}");
        }
        assert!(!page.contains("://") && !page.contains("<script>") && !page.contains("style="));
    }

    #[test]
    fn other_names_are_nothing() {
        for name in ["", "../Cargo.toml", "test/browser.mjs", "claim.html", "CLAIM.JS"] {
            assert!(find(name).is_none(), "{name}");
        }
    }
}
