//! The root becomes what is booted: an erofs that nobody can write, and the tree of hashes over it, whose top
//! stands on the kernel's command line. The same root gives the same bytes. An edge: `mkfs.erofs`, `veritysetup`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{BuildError, at, run};
use crate::tree::EPOCH;

/// Fixed, so that builds can be compared; they name nothing secret.
const UUID: &str = "6d696d61-6d6f-7269-a000-000000000001";
const VERITY_UUID: &str = "6d696d61-6d6f-7269-a000-000000000002";
const SALT: &str = "6d696d616d6f72690000000000000000000000000000000000000000000000ff";

/// What lies in the folder `out` then.
#[derive(Clone, Debug)]
pub struct Sealed {
    pub erofs: PathBuf,
    pub verity: PathBuf,
    pub root_hash: String,
}

pub fn seal(root: &Path, out: &Path) -> Result<Sealed, BuildError> {
    let (erofs, verity) = (out.join("root.erofs"), out.join("root.verity"));
    for path in [&erofs, &verity] {
        if path.exists() {
            fs::remove_file(path).map_err(at(path))?;
        }
    }
    // lz4 because it costs 4 s of a processor; what is smaller costs minutes.
    run(Command::new("mkfs.erofs")
        .args(["-zlz4hc,9", "-C65536", &format!("-T{EPOCH}"), "-U", UUID])
        .arg(&erofs)
        .arg(root))?;
    let file = out.join("roothash");
    let said = run(Command::new("veritysetup")
        .args(["format", &format!("--salt={SALT}"), &format!("--uuid={VERITY_UUID}")])
        .arg(&erofs)
        .arg(&verity))?;
    let root_hash = said
        .lines()
        .find_map(|line| line.strip_prefix("Root hash:"))
        .map(|hash| hash.trim().to_owned())
        .ok_or_else(|| BuildError::Program { program: "veritysetup".into(), why: said.clone() })?;
    fs::write(&file, format!("{root_hash}\n")).map_err(at(&file))?;
    Ok(Sealed { erofs, verity, root_hash })
}
