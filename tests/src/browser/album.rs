//! Every page that a person meets is looked at: by machine always, by strangers' rules (axe-core, WCAG 2.2 AA) when
//! `MIMAMORI_AXE` names their script, by people when `SCREENS` is set (pictures at a phone, a tablet, a desk and on A4 in
//! `target/demo/screens`). Owns that folder's pictures.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser::screen::{Screen, Size};
use crate::fault::Told;
use crate::holds;
use crate::shell;

/// In the checkout, whatever CARGO_TARGET_DIR says.
const FOLDER: &str = "target/demo/screens";

pub struct Album {
    folder: Option<PathBuf>,
    /// `make scan-screens` brings it.
    axe: Option<String>,
    /// All of them at once: a person mends a stylesheet, not a page.
    faults: RefCell<Vec<String>>,
}

impl Album {
    pub fn open() -> Told<Self> {
        let folder = std::env::var_os("SCREENS").map(|_| shell::checkout().join(FOLDER));
        if let Some(folder) = &folder {
            fs::create_dir_all(folder)?;
        }
        let axe = std::env::var_os("MIMAMORI_AXE").map(fs::read_to_string).transpose()?;
        Ok(Self { folder, axe, faults: RefCell::default() })
    }

    /// The page is looked at on a phone and at the size it is used at; a picture of it is kept.
    pub fn page(&self, screen: &Screen, name: &str) -> Told<()> {
        let own = screen.size();
        for size in [Size::Phone, own] {
            screen.resize(size)?;
            let mut told = screen.faults()?;
            if let Some(axe) = &self.axe {
                told.extend(screen.strangers_faults(axe)?);
            }
            let told = told.into_iter().map(|fault| format!("{name} on a {}: {fault}", size.as_str()));
            self.faults.borrow_mut().extend(told);
        }
        if let Some(folder) = &self.folder {
            keep(screen, folder, name)?;
            screen.resize(own)?;
        }
        Ok(())
    }

    /// A file that somebody prints: kept beside the pages.
    pub fn paper(&self, file: &Path, name: &str) -> Told<()> {
        let bytes = fs::read(file)?;
        holds!(bytes.starts_with(b"%PDF-"), "{} is no PDF", file.display());
        let Some(folder) = &self.folder else { return Ok(()) };
        let paper = folder.join(format!("{name}-print"));
        fs::write(paper.with_extension("pdf"), bytes)?;
        pages_of(&paper)
    }

    /// No page had a fault (ruling 15).
    pub fn close(&self) -> Told<()> {
        let faults = self.faults.borrow();
        holds!(faults.is_empty(), "pages that are not whole:\n{}", faults.join("\n"));
        Ok(())
    }
}

fn keep(screen: &Screen, folder: &Path, name: &str) -> Told<()> {
    for size in [Size::Phone, Size::Tablet, Size::Desktop] {
        screen.resize(size)?;
        fs::write(folder.join(format!("{name}-{}.png", size.as_str())), screen.picture(None)?)?;
    }
    let paper = folder.join(format!("{name}-print"));
    fs::write(paper.with_extension("pdf"), screen.paper()?)?;
    pages_of(&paper)
}

fn pages_of(paper: &Path) -> Told<()> {
    let mut sheets = Command::new("pdftoppm");
    sheets.args(["-png", "-r", "60"]).arg(paper.with_extension("pdf")).arg(paper);
    shell::run(sheets)?.ok("the printed page as a picture")?;
    Ok(())
}
