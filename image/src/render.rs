//! Writes the rendered files below a root folder, as they lie on the image. An edge file; it holds
//! nothing afterwards.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use appliance::cli::args::Shell;
use appliance::cli::pages;
use appliance::process::{Process, TABLE, check};

use crate::{folders, unit, users};

const UNITS: &str = "usr/lib/systemd/system";
const MANUALS: &str = "usr/share/man/man1";
/// Where Debian's shells look for what packages bring.
const COMPLETIONS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions", "mimamori"),
    (Shell::Zsh, "usr/share/zsh/vendor-completions", "_mimamori"),
    (Shell::Fish, "usr/share/fish/vendor_completions.d", "mimamori.fish"),
];

/// One file of the image: where, and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub path: String,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the process table is wrong: {0}; mend appliance/src/process.rs")]
    Table(String),
    #[error("the manual pages cannot be made: {0}")]
    Manuals(io::Error),
    #[error("cannot write {path}: {source}; is the folder there and writable?")]
    Write { path: PathBuf, source: io::Error },
}

/// Everything that follows from a process table.
pub fn files(table: &[Process]) -> Result<Vec<Rendered>, RenderError> {
    let faults = check(table);
    if !faults.is_empty() {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(RenderError::Table(faults.join("; ")));
    }
    let mut files = vec![
        rendered("usr/lib/sysusers.d", "mimamori.conf", users::sysusers(table)),
        rendered("usr/lib/tmpfiles.d", "mimamori.conf", folders::tmpfiles(table)),
        rendered(UNITS, unit::TOGETHER, unit::together(table)),
        rendered(UNITS, unit::TARGET, unit::target(table)),
    ];
    for row in unit::served(table) {
        files.push(rendered(UNITS, &unit::service_name(row.name), unit::service(table, row)));
        for (_, arrow) in row.arrows() {
            files.push(rendered(UNITS, &unit::socket_name(arrow), unit::socket(row, arrow)));
        }
    }
    for (shell, folder, name) in COMPLETIONS {
        files.push(rendered(folder, name, text(pages::completions(shell))));
    }
    for manual in pages::manuals().map_err(RenderError::Manuals)? {
        files.push(rendered(MANUALS, &manual.name, text(manual.text)));
    }
    Ok(files)
}

/// What the command's own declaration became; it was text before it was bytes.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn rendered(folder: &str, name: &str, text: String) -> Rendered {
    Rendered { path: format!("{folder}/{name}"), text }
}

/// Renders the one process table below `root`.
pub fn write(root: &Path) -> Result<Vec<PathBuf>, RenderError> {
    let mut written = Vec::new();
    for file in files(&TABLE)? {
        let path = root.join(&file.path);
        let failed = |source| RenderError::Write { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&path, &file.text).map_err(failed)?;
        written.push(path);
    }
    Ok(written)
}
