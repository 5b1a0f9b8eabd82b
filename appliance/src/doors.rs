//! The sockets of one process: for each arrow of its row the listener that systemd (or the launcher)
//! handed over, or one made here, each with its guard. An edge: Unix sockets, LISTEN_FDS.
//! Listeners that are not taken close with it; sockets made here stay behind and are replaced at the next start.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;
use rustix::fs::{FlockOperation, flock};
use vpn::Handover;

use crate::config::Config;
use crate::files;
use crate::messages::Message;
use crate::process::{Arrow, Name, Process, process};
use crate::relay;
use crate::wire::frame::{CONNECTIONS_MAX, Guard, OPERATOR_FRAME_MAX, QUESTION_TIME, ROOM_FRAME_MAX};
use crate::wire::http;

/// Open to the owner and the arrow's group.
const MODE: u32 = 0o660;
/// What one room asks another at once: the feeds' long polls, the workers and the pages together.
const ROOM_CONNECTIONS_MAX: usize = 64;

/// By the door's name (`seats`).
pub struct Doors {
    open: BTreeMap<&'static str, (UnixListener, Guard)>,
    lock: Option<File>,
    left: Option<Handover>,
    kept: gateway::Kept,
}

impl Doors {
    pub fn open(row: &'static Process, config: &Config) -> Result<Self, Message> {
        let mut handed = Handed::over()?;
        let mut lock = None;
        let mut open = BTreeMap::new();
        for (door, arrow) in row.arrows() {
            let listener = match handed.take(arrow.socket)? {
                Some(listener) => listener,
                None => {
                    if lock.is_none() {
                        lock = Some(locked(&config.paths.run, row.name)?);
                    }
                    bind(&config.paths.run, arrow)?
                }
            };
            listener.set_nonblocking(true).map_err(|error| failed(&config.paths.run, &error))?;
            open.insert(door.name, (listener, guard(door.name, arrow, config)));
        }
        Ok(Self { open, lock, left: handed.left(), kept: handed.kept()? })
    }

    /// The listeners that were kept for this gateway.
    pub fn kept(&mut self) -> gateway::Kept {
        std::mem::take(&mut self.kept)
    }

    /// What the last process of this room has left.
    pub fn left(&mut self) -> Option<Handover> {
        self.left.take()
    }

    /// Where sockets were made here: to be held as long as they are served, so that nobody takes them from
    /// a process that runs.
    #[must_use]
    pub fn lock(&mut self) -> Option<File> {
        self.lock.take()
    }

    /// A door that the row of this process does not have is a fault of ours.
    pub fn take(&mut self, door: &'static str) -> Result<(tokio::net::UnixListener, Guard), Message> {
        let failed = |why: String| Message::OpenFailed { room: door.to_owned(), why };
        let (listener, guard) =
            self.open.remove(door).ok_or_else(|| failed("not in the process table".to_owned()))?;
        let listener =
            tokio::net::UnixListener::from_std(listener).map_err(|error| failed(error.to_string()))?;
        Ok((listener, guard))
    }
}

/// Whom a door hears.
fn guard(door: &'static str, arrow: &Arrow, config: &Config) -> Guard {
    let own = rustix::process::geteuid().as_raw();
    let operator = arrow.from == Name::Cli;
    let mut uids = if config.uids_checked { vec![process(arrow.from).uid] } else { vec![own] };
    if operator {
        // Root may become anybody; refusing it would only make scripts stranger.
        uids.push(0);
    }
    let connections = match (operator, door) {
        (true, _) => CONNECTIONS_MAX,
        (_, "http") => http::CONNECTIONS_MAX,
        _ => ROOM_CONNECTIONS_MAX,
    };
    let frame_limit = if operator { OPERATOR_FRAME_MAX } else { ROOM_FRAME_MAX };
    Guard { door: arrow.socket, uids, frame_limit, question_time: QUESTION_TIME, connections }
}

/// The sockets of LISTEN_FDS by their names; each is an arrow's or refused.
pub struct Handed {
    names: Vec<String>,
    sockets: ListenFd,
}

impl Handed {
    pub fn over() -> Result<Self, Message> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names = names.split(':').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(Self { names, sockets: ListenFd::from_env() })
    }

    /// What the vpn room's last process has left with systemd.
    pub fn left(&mut self) -> Option<Handover> {
        relay::take(|name| {
            let at = self.names.iter().position(|known| known == name)?;
            self.sockets.take_raw_fd(at).ok().flatten().and_then(relay::adopt)
        })
    }

    /// The gateway's listeners: of its last process, or of socket units under the same names.
    pub fn kept(&mut self) -> Result<gateway::Kept, Message> {
        gateway::Kept::find(|name| {
            let Some(at) = self.names.iter().position(|known| known == name) else { return Ok(None) };
            self.sockets
                .take_tcp_listener(at)
                .map_err(|error| Message::FolderFailed { path: name.to_owned(), why: error.to_string() })
        })
    }

    fn take(&mut self, name: &str) -> Result<Option<UnixListener>, Message> {
        let Some(at) = self.names.iter().position(|known| known == name) else { return Ok(None) };
        self.sockets
            .take_unix_listener(at)
            .map_err(|error| Message::FolderFailed { path: name.to_owned(), why: error.to_string() })
    }
}

fn locked(run: &Path, name: Name) -> Result<File, Message> {
    let path = run.join(format!("{}.lock", name.as_str()));
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed(&path, &error))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Message::AlreadyRunning { path: path.display().to_string() })?;
    Ok(lock)
}

fn bind(run: &Path, arrow: &Arrow) -> Result<UnixListener, Message> {
    let path = run.join(arrow.socket);
    files::remove(&path).map_err(|error| failed(&path, &error))?;
    // The mask is 077: closed to everybody else until the two calls below.
    let listener = UnixListener::bind(&path).map_err(|error| failed(&path, &error))?;
    // Not every starter may give it away; then only this user and root can knock, which is the safe side.
    if let Err(error) = std::os::unix::fs::chown(&path, None, Some(arrow.gid)) {
        log::info!("{} keeps its own group: {error}", arrow.socket);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))
            .map_err(|error| failed(&path, &error))?;
        return Ok(listener);
    }
    std::fs::set_permissions(&path, Permissions::from_mode(MODE)).map_err(|error| failed(&path, &error))?;
    Ok(listener)
}

fn failed(path: &Path, error: &std::io::Error) -> Message {
    Message::FolderFailed { path: path.display().to_string(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn sockets_made_here_are_closed_to_others_and_never_taken_from_a_running_process() {
        let dir = tempfile::tempdir().unwrap();
        let lock = locked(dir.path(), Name::Pki).unwrap();
        assert_eq!(locked(dir.path(), Name::Pki).err().map(|message| message.code()), Some("MM-6043"));
        drop(lock);
        assert!(locked(dir.path(), Name::Pki).is_ok());
        for (_, arrow) in process(Name::Pki).arrows() {
            // What a crash leaves behind is no obstacle.
            drop(bind(dir.path(), arrow).unwrap());
            let _listener = bind(dir.path(), arrow).unwrap();
            assert_eq!(std::fs::metadata(dir.path().join(arrow.socket)).unwrap().mode() & 0o007, 0);
        }
    }
}
