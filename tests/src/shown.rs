//! What a test has shown beside what its own text says: the story drives each case over its page, and which steps stood
//! closed there is known only when it ran. One file for each test below the checkout's target folder, written anew by each
//! run; `coverage` counts it when the test passed. Edge: files.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::fault::Told;
use crate::shell;

const FOLDER: &str = "target/shown";

/// This process's files, each begun by its first line.
static BEGUN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

pub fn folder() -> PathBuf {
    shell::checkout().join(FOLDER)
}

/// The running test has shown this requirement. Outside a test's own thread nobody could say whose it is: nothing is kept.
pub fn shows(id: &str) -> Told<()> {
    let thread = std::thread::current();
    let Some(test) = thread.name().filter(|name| name.contains("::")) else { return Ok(()) };
    let path = folder().join(test.replace("::", "."));
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = if begun.contains(&path) {
        OpenOptions::new().append(true).open(&path)?
    } else {
        fs::create_dir_all(folder())?;
        begun.push(path.clone());
        File::create(&path)?
    };
    writeln!(file, "{id}")?;
    Ok(())
}
