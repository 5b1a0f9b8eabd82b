//! Writes the rendered files below a root folder, as they lie on the image. An edge file; it holds
//! nothing afterwards.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use appliance::cli::args::Shell;
use appliance::cli::pages;
use appliance::process::{Process, TABLE, check};
use appliance::{config, database, secrets};

use crate::outside::{self, OneReader, Outside};
use crate::{folders, unit, users};

const UNITS: &str = "usr/lib/systemd/system";
const MANUALS: &str = "usr/share/man/man1";
/// Where Debian's shells look for what packages bring.
const COMPLETIONS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions", "mimamori"),
    (Shell::Zsh, "usr/share/zsh/vendor-completions", "_mimamori"),
    (Shell::Fish, "usr/share/fish/vendor_completions.d", "mimamori.fish"),
];
/// What follows from a realm's configuration is not the image's.
const LOCAL: &str = "etc/systemd/system";

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
    #[error("{0}")]
    Reader(#[from] OneReader),
    #[error("the configuration {path} cannot be used: {why}; ask `mimamori check`")]
    Config { path: PathBuf, why: String },
    #[error("cannot write {path}: {source}; is the folder there and writable?")]
    Write { path: PathBuf, source: io::Error },
}

/// How the appliance runs on this machine. The state folders belong to one user or to six: a machine has
/// the files of one form, and changing it is changing their owners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Separated,
    Together,
}

/// Everything that follows from a process table, and from the configuration where it is known.
pub fn files(
    table: &[Process],
    form: Form,
    outside: Option<&Outside<'_>>,
) -> Result<Vec<Rendered>, RenderError> {
    let faults = check(table);
    if !faults.is_empty() {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(RenderError::Table(faults.join("; ")));
    }
    let mut files = match form {
        Form::Together => vec![
            rendered("usr/lib/tmpfiles.d", "mimamori.conf", folders::tmpfiles_together()),
            rendered(UNITS, unit::TOGETHER, unit::together(table)),
        ],
        Form::Separated => separated(table, outside)?,
    };
    for (shell, folder, name) in COMPLETIONS {
        files.push(rendered(folder, name, text(pages::completions(shell))));
    }
    for manual in pages::manuals().map_err(RenderError::Manuals)? {
        files.push(rendered(MANUALS, &manual.name, text(manual.text)));
    }
    Ok(files)
}

/// A unit for each room, a socket for each arrow, and what one realm's configuration adds.
fn separated(table: &[Process], outside: Option<&Outside<'_>>) -> Result<Vec<Rendered>, RenderError> {
    let mut files = vec![
        rendered("usr/lib/sysusers.d", "mimamori.conf", users::sysusers(table)),
        rendered("usr/lib/tmpfiles.d", "mimamori.conf", folders::tmpfiles(table)),
        rendered(UNITS, unit::TARGET, unit::target(table)),
    ];
    for row in unit::served(table) {
        let service = unit::service_name(row.name);
        files.push(rendered(UNITS, &service, unit::service(table, row)));
        for (_, arrow) in row.arrows() {
            files.push(rendered(UNITS, &unit::socket_name(arrow), unit::socket(row, arrow)));
        }
        if let Some(text) = outside.map(|outside| outside::drop_in(row, outside)).transpose()?.flatten() {
            files.push(rendered(&format!("{LOCAL}/{service}.d"), outside::NAME, text));
        }
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

/// Renders the one process table below `root`; with the configuration of a realm its drop-ins too, for which
/// its secrets' folder must be readable.
pub fn write(root: &Path, form: Form, config: Option<&Path>) -> Result<Vec<PathBuf>, RenderError> {
    let files = match config {
        None => files(&TABLE, form, None)?,
        Some(path) => {
            let failed = |why: String| RenderError::Config { path: path.to_owned(), why };
            let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
            let config = config::read(&text).map_err(|faults| failed(format!("{} faults", faults.len())))?;
            let url = secrets::open_database(&config.secrets, Some(Path::new(unit::SECRETS)));
            let server = url.and_then(|url| database::server(url.as_ref()));
            let server = server.map_err(|message| failed(message.en()))?;
            files(&TABLE, form, Some(&Outside { config: &config, server: server.as_ref() }))?
        }
    };
    let mut written = Vec::new();
    for file in files {
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
