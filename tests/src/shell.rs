//! Runs programs and waits for events: every wait has a limit, and what ends it is the event.
//! Owns nothing beyond a call, except `INTERRUPTED`, which a signal sets and every wait sees.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::fault::{Fault, Told, While};

/// Generous: reaching it means that the event never comes, not that the machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How often a condition without an event of its own is looked at.
const POLL: Duration = Duration::from_millis(20);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static LINGERS: AtomicBool = AtomicBool::new(false);

/// From the signal's thread: every wait ends now, so that the world can be taken down.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Whoever stays ends politely: the signal's thread kills nobody.
pub fn linger() {
    LINGERS.store(true, Ordering::SeqCst);
}

pub fn lingers() -> bool {
    LINGERS.load(Ordering::SeqCst)
}

/// The checkout that this program works for, asked when it runs: a target folder may serve several checkouts.
/// Cargo tells its programs their package; make starts the others where the Makefile lies.
pub fn checkout() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    package
        .and_then(|package| package.parent().map(Path::to_owned))
        .unwrap_or_else(|| std::env::current_dir().unwrap_or_default())
}

/// What a program left behind.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Finished {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn ok(self, what: &str) -> Told<Finished> {
        if self.code == Some(0) {
            return Ok(self);
        }
        let said = format!("{}{}", self.stderr.trim_end(), self.text().trim_end());
        let said: String = said.chars().take(2000).collect();
        Err(Fault::new(format!("{what} ended with {:?}: {said}", self.code)))
    }
}

/// Runs to its end, or is killed at the limit.
pub fn run(command: Command) -> Told<Finished> {
    run_with(command, &[])
}

/// As `run`, with bytes on its standard input (where secrets travel: arguments are visible to all).
pub fn run_with(mut command: Command, input: &[u8]) -> Told<Finished> {
    let name = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().while_(|| format!("starting {name}"))?;
    let stdin = child.stdin.take();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // The program may end without reading; that is its answer's business.
            let _ = stdin.write_all(&input);
        }
    });
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let ended = until(&name, PATIENCE, || Ok(child.try_wait()?));
    if ended.is_err() {
        end(&mut child);
    }
    let code = ended?.code();
    let _ = writer.join();
    Ok(Finished {
        code,
        stdout: stdout.join().unwrap_or_default(),
        stderr: String::from_utf8_lossy(&stderr.join().unwrap_or_default()).into_owned(),
    })
}

/// Looks until `look` finds something. A fault of `look` ends the wait.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Told<Option<T>>) -> Told<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if interrupted() {
            return Err(Fault::new(format!("interrupted while waiting for {what}")));
        }
        if begun.elapsed() > limit {
            return Err(Fault::new(format!("waited {} s in vain for {what}", limit.as_secs())));
        }
        std::thread::park_timeout(POLL);
    }
}

/// Ends a child by its id, politely first, and collects it.
pub fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    signal(child.id(), rustix::process::Signal::TERM);
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(10) {
        std::thread::park_timeout(POLL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // Already gone is as good as ended.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}
