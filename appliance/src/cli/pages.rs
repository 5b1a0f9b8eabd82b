//! What a shell and `man` know of this command, made from its declaration: completions and manual pages.
//! `completions` and `manuals` are text for the image, too; only `man` touches a folder.

use std::path::Path;

use clap_complete::Shell as Target;
use serde_json::json;

use super::args::{Shell, declared};
use super::failure::Failure;
use super::out::Out;
use crate::exit::Exit;
use crate::messages::Message;

const NAME: &str = "mimamori";

/// One manual page: `mimamori-slot-show.1`, and its text.
pub struct Manual {
    pub name: String,
    pub text: Vec<u8>,
}

/// The script that a shell reads.
pub fn completions(shell: Shell) -> Vec<u8> {
    let target = match shell {
        Shell::Bash => Target::Bash,
        Shell::Zsh => Target::Zsh,
        Shell::Fish => Target::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(target, &mut declared(), NAME, &mut text);
    text
}

/// A page for the program and one for each verb.
pub fn manuals() -> std::io::Result<Vec<Manual>> {
    let mut root = declared();
    root.build();
    let (mut left, mut pages) = (vec![root], Vec::new());
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().cloned());
        let man = clap_mangen::Man::new(command)
            .manual("mimamori")
            .source(format!("mimamori {}", env!("CARGO_PKG_VERSION")));
        let mut text = Vec::new();
        man.render(&mut text)?;
        pages.push(Manual { name: man.get_filename(), text });
    }
    pages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pages)
}

pub fn print_completions(shell: Shell, out: &Out) -> Result<Exit, Failure> {
    let text = completions(shell);
    out.plain(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Ok)
}

pub fn man(dir: &Path, out: &Out) -> Result<Exit, Failure> {
    let unwritten = |path: &Path, error: std::io::Error| Message::FileWrite {
        path: path.display().to_string(),
        why: error.to_string(),
    };
    let pages = manuals().map_err(|error| unwritten(dir, error))?;
    std::fs::create_dir_all(dir).map_err(|error| unwritten(dir, error))?;
    let mut written = Vec::new();
    for page in &pages {
        let path = dir.join(&page.name);
        std::fs::write(&path, &page.text).map_err(|error| unwritten(&path, error))?;
        written.push(path.display().to_string());
    }
    out.result(&json!({ "pages": written }), || written.iter().map(|path| format!("{path}\n")).collect())?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Every verb has its page, and its page says in Japanese what it is for.
    #[test]
    fn every_verb_has_a_manual_page() {
        let pages = manuals().unwrap();
        let mut left = vec![declared()];
        let mut seen = 0;
        while let Some(mut command) = left.pop() {
            command.build();
            let name = format!("{}.1", command.get_display_name().unwrap_or(NAME));
            let page =
                pages.iter().find(|page| page.name == name).unwrap_or_else(|| panic!("no page {name}"));
            let about = command.get_about().unwrap().to_string();
            let first = about.split([':', '（', ' ', '(']).next().unwrap();
            assert!(String::from_utf8_lossy(&page.text).contains(first), "{name} does not say {first}");
            left.extend(command.get_subcommands().cloned());
            seen += 1;
        }
        assert_eq!(pages.len(), seen, "a page of nothing");
    }

    /// Asked of bash itself, which is on every Debian.
    #[test]
    fn bash_completes_verbs_and_their_words() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("mimamori");
        std::fs::write(&script, completions(Shell::Bash)).unwrap();
        let complete = |words: &str, last: usize| {
            let line = format!(
                "source {}; COMP_WORDS=({words}); COMP_CWORD={last}; _mimamori mimamori \"${{COMP_WORDS[{last}]}}\" x; echo \"${{COMPREPLY[*]}}\"",
                script.display()
            );
            let done = Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
            String::from_utf8(done.stdout).unwrap()
        };
        assert_eq!(complete("mimamori sl", 1).trim(), "slot");
        assert_eq!(complete("mimamori slot sh", 2).trim(), "show");
        assert_eq!(complete("mimamori device revoke --re", 3).trim(), "--reason");
        assert_eq!(complete("mimamori completions z", 2).trim(), "zsh");
        for shell in [Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(completions(shell)).unwrap();
            assert!(text.contains("revoke") && text.contains("利用停止"), "{shell:?}");
        }
    }
}
