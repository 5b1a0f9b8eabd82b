//! `make image-test`, the quick tier: the image's root under a real systemd. Every unit up or the build fails;
//! a tunnel by an independent client, HTTPS through it, a port that nobody opened, the engineer's SSH.
//! `machine ROOT`: each step is printed as it holds; the first that does not ends it. Needs root.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tests::Told;
use tests::inspection;
use tests::world::{Tools, World};

fn main() -> ExitCode {
    let Some(root) = std::env::args_os().nth(1).map(PathBuf::from) else {
        say("usage: machine ROOT (the folder that `image build` made)");
        return ExitCode::from(2);
    };
    match play(&root) {
        Ok(steps) => {
            say(&format!("{steps} steps held"));
            ExitCode::SUCCESS
        }
        Err(fault) => {
            say(&format!("failed: {fault}"));
            ExitCode::FAILURE
        }
    }
}

fn play(root: &Path) -> Told<usize> {
    let own = std::env::current_exe()?;
    let mut world = World::raise(&Tools::beside(&own.with_file_name("demo"))?)?;
    inspection::play(&mut world, root, &mut |step| say(&format!("  holds  {step}")))
}

#[allow(clippy::print_stdout)] // it is a command line
fn say(text: &str) {
    println!("{text}");
}
