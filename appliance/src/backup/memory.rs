//! What the realm remembers of its backups: one small file beside the rooms' folders, which whoever may ask for the
//! status may read. An edge: files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::manifest::Remembered;
use crate::config::Config;
use crate::files;

const FILE: &str = "backup.json";
const FILE_MAX: usize = 64 << 10;
const MODE: u32 = 0o644;

/// Nothing, when nobody ever made one.
pub fn recall(config: &Config) -> Remembered {
    let bytes = files::read_limited(&config.paths.state.join(FILE), FILE_MAX).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

pub fn remember(config: &Config, change: impl FnOnce(&mut Remembered)) -> io::Result<()> {
    let mut remembered = recall(config);
    change(&mut remembered);
    let path = config.paths.state.join(FILE);
    let new = path.with_extension("json.new");
    files::remove(&new)?;
    files::write_new(&new, &serde_json::to_vec_pretty(&remembered)?)?;
    fs::set_permissions(&new, Permissions::from_mode(MODE))?;
    rename_over(&new, &path)
}

fn rename_over(new: &Path, path: &Path) -> io::Result<()> {
    fs::rename(new, path)?;
    files::sync_folder(path)
}
