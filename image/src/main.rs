//! `cargo run -p image -- ROOT`: renders the process table below ROOT and names what it wrote.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut err = std::io::stderr();
    let Some(root) = std::env::args_os().nth(1) else {
        let _ = writeln!(err, "使い方 / usage: image ROOT");
        return ExitCode::from(2);
    };
    match image::write(Path::new(&root)) {
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
