//! A disk that is too small: a folder moved onto a tmpfs of its own, filled to the last byte and freed again.
//! Owns the mount and the filler; both end with it, and with the run's namespaces after a kill.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::{Fault, Told, While};
use crate::shell;

/// A page, then less and less, so that not even a row fits.
const STEPS: [usize; 4] = [1 << 20, 4096, 64, 1];

pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// What lies in `folder` lies there afterwards, too, with the same owners.
    pub fn under(folder: &Path, mebibytes: u32) -> Told<Self> {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).while_(|| format!("moving {}", folder.display()))?;
        fs::create_dir(folder)?;
        let (from, at) = (aside.to_string_lossy(), folder.to_string_lossy());
        run(&["mount", "-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "mms-small", &at])?;
        let disk = Self { at: folder.to_owned() };
        run(&["cp", "-a", &format!("{from}/."), &at])?;
        fs::remove_dir_all(&aside)?;
        Ok(disk)
    }

    /// Until not one byte more can be written.
    pub fn fill(&self) -> Told<()> {
        let mut filler = fs::OpenOptions::new().create(true).append(true).open(self.filler())?;
        for step in STEPS {
            let bytes = vec![b'x'; step];
            loop {
                match filler.write_all(&bytes) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(Fault::from(error)),
                }
            }
        }
        Ok(())
    }

    pub fn free(&self) -> Told<()> {
        fs::remove_file(self.filler()).while_(|| "freeing the disk".into())
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still holds a file there keeps it until it ends.
        let _ = run(&["umount", "--lazy", &self.at.to_string_lossy()]);
    }
}

fn run(words: &[&str]) -> Told<()> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    shell::run(command)?.ok(&words.join(" "))?;
    Ok(())
}
