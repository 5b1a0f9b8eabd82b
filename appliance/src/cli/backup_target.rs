//! Where the files of a backup go: a folder (a stick), or another machine's by SSH. Under its name a file is whole, or it
//! is not there. An edge: files, `ssh`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::failure::Failure;
use crate::backup::make::MakeError;
use crate::files;
use crate::messages::Message;

pub enum Target {
    Folder(PathBuf),
    Ssh { host: String, port: Option<u16>, folder: String },
}

impl Target {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::from(Message::Argument {
                name: "--to".into(),
                why: "/folder, ssh://user@host[:port]/folder".into(),
            })
        };
        let Some(rest) = text.strip_prefix("ssh://") else { return Ok(Self::Folder(text.into())) };
        let (place, folder) = rest.split_once('/').ok_or_else(wrong)?;
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (place, None),
        };
        // They become words of a command over there, so they are letters and nothing else.
        let plain = |text: &str, more: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !plain(host, "@.-_") || !plain(folder, "./-_") {
            return Err(wrong());
        }
        Ok(Self::Ssh { host: host.to_owned(), port, folder: folder.to_owned() })
    }

    /// Whole under its name, or not there at all.
    pub fn put(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<u64, Failure>,
    ) -> Result<u64, Failure> {
        match self {
            Self::Folder(folder) => put_here(&folder.join(name), fill),
            Self::Ssh { host, port, folder } => {
                let script = format!(
                    "umask 077; cat > {folder}/{name}.part && mv {folder}/{name}.part {folder}/{name}"
                );
                put_there(host, *port, &script, fill)
            }
        }
    }
}

fn put_here(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<u64, Failure>) -> Result<u64, Failure> {
    let failed = |error: std::io::Error| unmade(MakeError::File(path.display().to_string(), error));
    let half = path.with_extension("age.part");
    files::remove(&half).map_err(failed)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half).map_err(failed)?;
    let mut sink = BufWriter::new(file);
    let filled = fill(&mut sink);
    let kept = filled.and_then(|bytes| {
        let file: File = sink.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().and_then(|()| fs::rename(&half, path)).map_err(failed)?;
        files::sync_folder(path).map_err(failed)?;
        Ok(bytes)
    });
    if kept.is_err() {
        let _ = files::remove(&half);
    }
    kept
}

/// OpenSSH with the caller's own keys; the other side needs nothing but `cat` and `mv`.
fn put_there(
    host: &str,
    port: Option<u16>,
    script: &str,
    fill: impl FnOnce(&mut dyn Write) -> Result<u64, Failure>,
) -> Result<u64, Failure> {
    let failed = |error: std::io::Error| unmade(MakeError::File(format!("ssh {host}"), error));
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes"]);
    if let Some(port) = port {
        ssh.args(["-p", &port.to_string()]);
    }
    ssh.args(["--", host, script]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = ssh.spawn().map_err(failed)?;
    let filled = match child.stdin.take() {
        Some(stdin) => {
            let mut sink = BufWriter::new(stdin);
            let filled = fill(&mut sink);
            filled.and_then(|bytes| sink.flush().map(|()| bytes).map_err(failed))
        }
        None => Err(failed(std::io::Error::other("no standard input"))),
    };
    if filled.is_err() {
        // A file without its end must not get its name.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    let bytes = filled?;
    if status.success() { Ok(bytes) } else { Err(failed(std::io::Error::other(status.to_string()))) }
}

pub fn unmade(error: MakeError) -> Failure {
    Message::BackupFailed { what: "backup".into(), why: error.to_string() }.into()
}
