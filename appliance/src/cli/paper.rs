//! `form`: the forms to hand out, and the returned ones. Reads and writes the files that the operator names.

use std::path::Path;

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_paper::{PaperKind, PaperQuestion};

use super::args_paper::{FormCommand, FormFile, FormImport, Kind};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::imported::{imported, written};
use super::out::Out;
use crate::exit::Exit;
use crate::files;

/// As for 様式1: as JSON it must fit the door's frame.
const IMPORT_MAX: usize = 3 << 20;

pub fn form(door: &Door, command: FormCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        FormCommand::File(FormFile { form, out: path, kind, case }) => {
            file(door, PaperQuestion::Form { form, kind: kind_of(kind), case }, &path, out)
        }
        FormCommand::Import(FormImport { file, form, dry_run }) => {
            let bytes = files::read_limited(&file, IMPORT_MAX)?;
            out.progress("様式を確かめています", "checking the form");
            import(door, PaperQuestion::Import { bytes, form, dry_run }, out)
        }
    }
}

pub fn kind_of(kind: Kind) -> PaperKind {
    match kind {
        Kind::Pdf => PaperKind::Pdf,
        Kind::Xlsx => PaperKind::Xlsx,
        Kind::Csv => PaperKind::Csv,
    }
}

/// Writes the file that answers a question.
pub fn file(door: &Door, question: PaperQuestion, path: &Path, out: &Out) -> Result<Exit, Failure> {
    let ProvisioningAnswer::File { bytes, .. } = door.provisioning(ProvisioningQuestion::Paper(question))?
    else {
        return Err(odd_kind("provisioning"));
    };
    written(path, &bytes, out)
}

pub fn import(door: &Door, question: PaperQuestion, out: &Out) -> Result<Exit, Failure> {
    let ProvisioningAnswer::Import(report) = door.provisioning(ProvisioningQuestion::Paper(question))? else {
        return Err(odd_kind("provisioning"));
    };
    imported(&report, out)
}
