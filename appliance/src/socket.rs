//! The operator door's place on the disk: a lock that says that somebody runs, and a socket of mode 0600.
//! Owns both; dropping it takes the socket away and gives the lock back.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use crate::config::Paths;
use crate::files;
use crate::messages::Message;

pub struct OperatorSocket {
    path: PathBuf,
    listener: Option<UnixListener>,
    /// Held as long as this lives; the kernel gives it back even after a crash.
    _lock: File,
}

impl OperatorSocket {
    /// Refuses when another appliance holds the lock; a socket left by a crash is replaced.
    pub fn open(paths: &Paths) -> Result<Self, Message> {
        let path = paths.operator_socket();
        let shown = path.display().to_string();
        let failed =
            |error: std::io::Error| Message::FolderFailed { path: shown.clone(), why: error.to_string() };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(paths.run.join("operator.lock"))
            .map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Message::AlreadyRunning { path: shown.clone() })?;
        files::remove(&path).map_err(failed)?;
        // The folder is 0700 already: nobody can knock between the two calls.
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { path, listener: Some(listener), _lock: lock })
    }

    /// For the runtime; once.
    pub fn take(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }
}

impl Drop for OperatorSocket {
    fn drop(&mut self) {
        if let Err(error) = files::remove(&self.path) {
            log::warn!("the operator socket stays behind: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn two_appliances_never_share_a_folder_and_a_crash_leaves_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            state: dir.path().join("state"),
            run: dir.path().to_owned(),
            output: dir.path().join("output"),
            root: None,
        };
        // What a crash leaves behind.
        drop(UnixListener::bind(paths.operator_socket()).unwrap());
        let first = OperatorSocket::open(&paths).unwrap();
        assert_eq!(std::fs::metadata(paths.operator_socket()).unwrap().mode() & 0o777, 0o600);
        let second = OperatorSocket::open(&paths).err().map(|message| message.code());
        assert_eq!(second, Some("MM-6043"));
        drop(first);
        assert!(!paths.operator_socket().exists());
        assert!(OperatorSocket::open(&paths).is_ok());
    }
}
