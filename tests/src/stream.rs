//! A live stream (SSE) as a device reads it: `curl -N` in the namespace, a thread that collects.
//! Owns the curl process and its reader; ends when the server ends it, or on drop.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::{Fault, Told, While};
use crate::http::{Credentials, Request};
use crate::net::Namespace;
use crate::shell;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub kind: String,
    pub data: String,
}

#[derive(Default)]
struct Seen {
    lines: u64,
    events: Vec<Event>,
    ended: bool,
}

pub struct Stream {
    curl: Child,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Stream {
    /// Returns once the server has begun to answer, so that nothing posted afterwards is missed.
    pub fn open(space: &Namespace, credentials: &Credentials, url: &str) -> Told<Self> {
        let mut command = space.command("curl");
        Request::get(url).header("Accept", "text/event-stream").arguments(&mut command, credentials);
        command.args(["--no-buffer", "--fail", "--dump-header", "-"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut curl = command.spawn().while_(|| "starting curl".into())?;
        let stdout = curl.stdout.take().ok_or_else(|| Fault::new("curl without an output"))?;
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let collected = seen.clone();
        std::thread::spawn(move || collect(BufReader::new(stdout), &collected));
        let stream = Self { curl, seen };
        stream.wait("the stream to begin", |seen| seen.lines > 0)?;
        if stream.ended() {
            return Err(Fault::new(format!("{url} is no stream")));
        }
        Ok(stream)
    }

    /// Waits for the first event that `wanted` accepts.
    pub fn event(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Told<Event> {
        self.wait(what, |seen| seen.events.iter().any(&wanted))?;
        self.events()
            .into_iter()
            .find(|e| wanted(e))
            .ok_or_else(|| Fault::new(format!("the stream ended before {what}")))
    }

    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Has the server (or the network) ended it?
    pub fn ended(&self) -> bool {
        self.lock().ended
    }

    fn wait(&self, what: &str, done: impl Fn(&Seen) -> bool) -> Told<()> {
        let begun = Instant::now();
        let mut seen = self.lock();
        while !done(&seen) && !seen.ended {
            if shell::interrupted() || begun.elapsed() > shell::PATIENCE {
                return Err(Fault::new(format!("waited in vain for {what}; seen: {:?}", seen.events)));
            }
            let waited = self.seen.1.wait_timeout(seen, Duration::from_millis(200));
            seen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        shell::end(&mut self.curl);
    }
}

/// RFC-less but simple: `field: value` lines, an empty line ends an event, `:` begins a comment.
fn collect(lines: impl BufRead, seen: &(Mutex<Seen>, Condvar)) {
    let mut event = Event::default();
    let mut head = true;
    for line in lines.lines() {
        let Ok(line) = line else { break };
        let line = line.trim_end_matches('\r');
        let mut told = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        if head {
            // The answer's head; its end is the stream's beginning.
            if line.is_empty() {
                head = false;
                told.lines += 1;
            }
        } else if line.is_empty() {
            if event != Event::default() {
                told.events.push(std::mem::take(&mut event));
            }
        } else if let Some((field, value)) = line.split_once(':') {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => event.id = value.to_owned(),
                "event" => event.kind = value.to_owned(),
                "data" => event.data.push_str(value),
                _ => {}
            }
        }
        seen.1.notify_all();
    }
    seen.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
    seen.1.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_comments_are_not() {
        let seen = (Mutex::new(Seen::default()), Condvar::new());
        let text = "HTTP/1.1 200 OK\r\n\r\n: keep-alive\n\nid: 7\nevent: post\ndata: {\"a\":1}\n\nid: 8\n";
        collect(text.as_bytes(), &seen);
        let seen = seen.0.into_inner().unwrap();
        let post = Event { id: "7".into(), kind: "post".into(), data: "{\"a\":1}".into() };
        assert_eq!(seen.events, [post]);
        assert!(seen.ended);
    }
}
