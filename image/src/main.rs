//! `cargo run -p image -- ROOT [--together] [--config FILE]`: renders the process table below ROOT and names
//! what it wrote. With a realm's configuration also what its mail and its database's server add to the units.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use image::Form;

fn main() -> ExitCode {
    let mut err = std::io::stderr();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((root, form, config)) = wanted(&words) else {
        let _ = writeln!(err, "使い方 / usage: image ROOT [--together] [--config FILE]");
        return ExitCode::from(2);
    };
    match image::write(root, form, config) {
        Ok(paths) => {
            let mut out = std::io::stdout();
            for path in paths {
                let _ = writeln!(out, "{}", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(err, "{error}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(words: &[OsString]) -> Option<(&Path, Form, Option<&Path>)> {
    let (mut root, mut form, mut config) = (None, Form::default(), None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--together") => form = Form::Together,
            Some("--config") => config = Some(Path::new(words.next()?)),
            Some(option) if option.starts_with('-') => return None,
            _ if root.is_none() => root = Some(Path::new(word)),
            _ => return None,
        }
    }
    Some((root?, form, config))
}
