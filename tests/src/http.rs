//! HTTP as a device's browser would speak it: `curl` inside the namespace. Owns nothing; one call, one process.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::fault::{Fault, Told, While};
use crate::net::Namespace;
use crate::shell;

/// curl's own bound for one answer; the slow ones are password hashes on a busy machine.
const ANSWER_WITHIN_S: &str = "30";
/// When a connection must not come up, this is how long an attacker tries.
const ATTACK_FOR_S: &str = "1";

/// What a caller shows: nothing, or a certificate and its key.
#[derive(Clone, Default)]
pub struct Credentials {
    pub root: PathBuf,
    pub certificate: Option<(PathBuf, PathBuf)>,
    pub cookies: Option<PathBuf>,
}

pub struct Request {
    method: &'static str,
    url: String,
    headers: Vec<String>,
    body: Option<Vec<u8>>,
    attack: bool,
    /// Not where the hosts file says.
    at: Option<Ipv4Addr>,
    from: Option<Ipv4Addr>,
}

impl Request {
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET",
            url: url.into(),
            headers: Vec::new(),
            body: None,
            attack: false,
            at: None,
            from: None,
        }
    }

    /// With the `Origin` that a browser on this very site sends.
    pub fn post(url: impl Into<String>, body: &Value) -> Self {
        let mut request = Self::get(url);
        request.method = "POST";
        let origin = origin_of(&request.url);
        request.headers = vec!["Content-Type: application/json".into(), format!("Origin: {origin}")];
        request.body = Some(body.to_string().into_bytes());
        request
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|h| !h.to_ascii_lowercase().starts_with(&format!("{}:", name.to_ascii_lowercase())));
        self.headers.push(format!("{name}: {value}"));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|h| !h.to_ascii_lowercase().starts_with(&format!("{}:", name.to_ascii_lowercase())));
        self
    }

    /// Gives up soon: the answer we want is none.
    pub fn attack(mut self) -> Self {
        self.attack = true;
        self
    }

    /// To this address, whatever the name says.
    pub fn at(mut self, address: Ipv4Addr) -> Self {
        self.at = Some(address);
        self
    }

    /// From this source address, which may be a lie.
    pub fn from(mut self, address: Ipv4Addr) -> Self {
        self.from = Some(address);
        self
    }

    pub fn send(&self, space: &Namespace, credentials: &Credentials) -> Told<Answer> {
        let mut command = space.command("curl");
        self.arguments(&mut command, credentials);
        command.args(["--include", "--write-out", "%{stderr}%{http_code} %{exitcode}"]);
        if let Some(jar) = &credentials.cookies {
            command.arg("--cookie-jar").arg(jar);
        }
        let done = shell::run_with(command, self.body.as_deref().unwrap_or_default())?;
        Answer::read(&self.url, done)
    }

    /// curl's arguments, for `send` and for a stream.
    pub fn arguments(&self, command: &mut Command, credentials: &Credentials) {
        let limit = if self.attack { ATTACK_FOR_S } else { ANSWER_WITHIN_S };
        command.args(["--silent", "--show-error", "--http1.1", "--noproxy", "*", "--request", self.method]);
        command.args(["--connect-timeout", limit]);
        command.arg("--cacert").arg(&credentials.root);
        if let Some((certificate, key)) = &credentials.certificate {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        if let Some(jar) = &credentials.cookies {
            command.arg("--cookie").arg(jar);
        }
        if let Some(address) = self.at {
            command.args(["--connect-to", &format!("::{address}:")]);
        }
        if let Some(address) = self.from {
            command.args(["--interface", &address.to_string()]);
        }
        for header in &self.headers {
            command.arg("--header").arg(header);
        }
        if self.body.is_some() {
            command.args(["--data-binary", "@-"]);
        }
        if !self.headers.iter().any(|h| h.contains("text/event-stream")) {
            command.args(["--max-time", limit]);
        }
        command.arg(&self.url);
    }
}

pub struct Answer {
    url: String,
    /// 0: no HTTP answer at all.
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
    /// curl's own code and words when there was no HTTP answer.
    pub curl: String,
}

impl Answer {
    pub fn json(&self) -> Told<Value> {
        serde_json::from_slice(&self.body)
            .while_(|| format!("{} answered {} with {}", self.url, self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(600).collect()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// The body as JSON, if the status is one of `wanted`.
    pub fn expect(&self, wanted: &[u16]) -> Told<Value> {
        if !wanted.contains(&self.status) {
            let Self { url, status, curl, .. } = self;
            return Err(Fault::new(format!(
                "{url} answered {status}, not {wanted:?}: {} {curl}",
                self.text()
            )));
        }
        if self.body.is_empty() { Ok(Value::Null) } else { self.json() }
    }

    /// No HTTP answer: the connection or TLS failed.
    pub fn nothing(&self) -> bool {
        self.status == 0
    }

    fn read(url: &str, done: shell::Finished) -> Told<Self> {
        let (said, codes) = done.stderr.rsplit_once('\n').unwrap_or(("", &done.stderr));
        let (status, exit) = codes.trim().split_once(' ').unwrap_or(("0", "?"));
        let (headers, body) = split_head(&done.stdout);
        Ok(Self {
            url: url.to_owned(),
            status: status.parse().unwrap_or(0),
            headers,
            body,
            curl: if exit == "0" { String::new() } else { format!("curl {exit}: {}", said.trim()) },
        })
    }
}

/// Writes what `curl --cookie-jar` will fill, readable by its owner only.
pub fn cookie_jar(folder: &Path, name: &str) -> Told<PathBuf> {
    let jar = folder.join(format!("{name}.cookies"));
    std::fs::write(&jar, "")?;
    Ok(jar)
}

fn origin_of(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

/// `--include` prints the head first; interim (1xx) heads are skipped.
fn split_head(bytes: &[u8]) -> (String, Vec<u8>) {
    let mut rest = bytes;
    loop {
        let Some(end) = rest.windows(4).position(|w| w == b"\r\n\r\n") else {
            return (String::new(), rest.to_vec());
        };
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        if !head.starts_with("HTTP/1.1 1") {
            return (head, rest.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_names_its_own_site() {
        assert_eq!(origin_of("https://sns.example.jp/api/teams?x=/y"), "https://sns.example.jp");
    }

    #[test]
    fn interim_answers_are_skipped() {
        let (head, body) = split_head(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nA: b\r\n\r\n{}");
        assert!(head.starts_with("HTTP/1.1 201"));
        assert_eq!(body, b"{}");
    }
}
