//! Debian's programs, run to their end, and why a build of the image ends before its own. An edge: processes.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::render::RenderError;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("{0} is not installed: apt-get install {1}")]
    Missing(&'static str, &'static str),
    #[error("{program} failed: {why}")]
    Program { program: String, why: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the image is made as root: its files belong to many users")]
    NotRoot,
    #[error("{0} would keep more rights than it was started with; take its package or the file out")]
    SetId(PathBuf),
}

/// To its end; what it said is the reason when it fails.
pub(crate) fn run(command: &mut Command) -> Result<String, BuildError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |why: String| BuildError::Program { program: program.clone(), why };
    let done = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let last: Vec<&str> = said.lines().rev().take(12).collect();
    Err(failed(last.into_iter().rev().collect::<Vec<_>>().join("\n")))
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> BuildError + use<'_> {
    move |source| BuildError::File { path: path.to_owned(), source }
}
