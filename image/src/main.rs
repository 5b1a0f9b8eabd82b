//! `image ROOT [--together] [--config FILE]`: renders the process table below ROOT and names what it wrote. With a
//! realm's configuration also what its mail and its database's server add to the units.
//! `image build BINARY CACHE OUT [LABEL]`: makes the image's root, seals it, and says how large it became.
//! `image root BINARY CACHE OUT`: the root alone, for a container.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use image::Form;
use image::tools::BuildError;
use image::tree::Wanted;

fn main() -> ExitCode {
    let mut err = std::io::stderr();
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [verb, binary, cache, out, more @ ..] = words.as_slice()
        && (verb == "build" && more.len() <= 1 || verb == "root" && more.is_empty())
    {
        let label = more.first().map(|label| label.to_string_lossy()).unwrap_or_default();
        let (binary, cache, out) = (Path::new(binary), Path::new(cache), Path::new(out));
        let made = if verb == "root" { root(binary, cache, out) } else { build(binary, cache, out, &label) };
        return match made {
            Ok(text) => {
                let _ = writeln!(std::io::stdout(), "{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                let _ = writeln!(err, "{error}");
                ExitCode::FAILURE
            }
        };
    }
    let Some((root, form, config)) = wanted(&words) else {
        let _ = writeln!(
            err,
            "使い方 / usage: image ROOT [--together] [--config FILE]\n              image build|root BINARY CACHE OUT [LABEL]"
        );
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

fn root(binary: &Path, cache: &Path, out: &Path) -> Result<String, BuildError> {
    let update_keys = image::package::public_key(&cache.join("keys"))?;
    let root = image::tree::make(Wanted::Root, binary, cache, out, &update_keys, "")?;
    Ok(root.display().to_string())
}

fn build(binary: &Path, cache: &Path, out: &Path, label: &str) -> Result<String, BuildError> {
    let keys = cache.join("keys");
    let update_keys = image::package::public_key(&keys)?;
    let root = image::tree::make(Wanted::Disk, binary, cache, out, &update_keys, label)?;
    let sealed = image::seal::seal(&root, out)?;
    let booted = image::disk::make(&sealed, &keys, out)?;
    image::package::make(&sealed, &booted, &keys, out)?;
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len() >> 20);
    let (erofs, verity, kernel) = (size(&sealed.erofs), size(&sealed.verity), size(&booted.kernel));
    Ok(format!(
        "{}: {} MB (root {erofs} MiB, verity {verity} MiB, kernel with initrd {kernel} MiB)\nroot hash {}",
        booted.raw.display(),
        booted.size / 1_000_000,
        sealed.root_hash
    ))
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
