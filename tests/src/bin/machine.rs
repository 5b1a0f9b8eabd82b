//! `make test-machine`, `make image-test` and `make image-run`. `machine quick OUT`: the image's root under a real
//! systemd, as far as a minute goes; `machine inspect OUT`: the same root, whole; `machine boot OUT`: its disk in an
//! emulated machine; `machine trust OUT`: with Secure Boot and a TPM; `machine run OUT`: the disk, and it stays. OUT is
//! where `image build` wrote. Each step is printed as it holds; the first that does not ends it. Needs root.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tests::net::{APPLIANCE_OUTER, Namespace};
use tests::world::{Tools, World};
use tests::{Told, booting, inspection, shell, trusted};

/// Where the machine's SSH is heard on this one.
const HERE: &str = "127.0.0.1:2222";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [verb, out] = words.as_slice() else {
        say("usage: machine quick|inspect|boot|trust|run OUT (the folder that `image build` made)");
        return ExitCode::from(2);
    };
    let out = PathBuf::from(out);
    let mut held = |step: &str| say(&format!("  holds  {step}"));
    let told = match verb.as_str() {
        "quick" => world().and_then(|mut world| inspection::quick(&mut world, &out.join("root"), &mut held)),
        "inspect" => world().and_then(|mut world| inspection::play(&mut world, &out.join("root"), &mut held)),
        "boot" => world().and_then(|mut world| booting::play(&mut world, &out, &mut held)),
        "trust" => world().and_then(|mut world| trusted::play(&mut world, &out, &mut held)),
        "run" => world().and_then(|mut world| stay(&mut world, &out)),
        _ => {
            say("usage: machine quick|inspect|boot|trust|run OUT");
            return ExitCode::from(2);
        }
    };
    match told {
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

fn world() -> Told<World> {
    let own = std::env::current_exe()?;
    World::raise(&Tools::beside(&own.with_file_name("demo"))?)
}

/// Until somebody ends it.
fn stay(world: &mut World, out: &Path) -> Told<usize> {
    let up = booting::raise(world, out)?;
    let listener = TcpListener::bind(HERE)?;
    let space = up.device.space.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let space = space.clone();
            std::thread::spawn(move || carry(stream, &space));
        }
    });
    say(&format!(
        "the machine is up; {} is admitted through its tunnel (handshake at {})\n\
         ssh -p 2222 -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -i {} mm-operator@127.0.0.1\n\
         Ctrl-C ends it",
        up.device.slot,
        up.device.last_handshake()?,
        up.engineer.folder.join("good").display()
    ));
    shell::linger();
    while !shell::interrupted() {
        std::thread::park_timeout(Duration::from_millis(200));
    }
    Ok(2)
}

/// A connection here is one from the engineer's place there.
fn carry(here: TcpStream, space: &Namespace) {
    let ssh = SocketAddr::from((APPLIANCE_OUTER, 22));
    let Ok(there) = space.connect(ssh, Duration::from_secs(20)) else { return };
    let (Ok(a), Ok(b)) = (here.try_clone(), there.try_clone()) else { return };
    let back = std::thread::spawn(move || pass(b, here));
    pass(a, there);
    let _ = back.join();
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[allow(clippy::print_stdout)] // it is a command line
fn say(text: &str) {
    println!("{text}");
}
