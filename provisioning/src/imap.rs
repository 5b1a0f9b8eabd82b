//! A session with the bounce mailbox: TLS from the first octet, LOGIN, SELECT, UID SEARCH, UID FETCH, STORE, EXPUNGE. One
//! command after another; every line, literal and wait has its limit. Edge: network, clock (through tokio).
//!
//! Our own hand because of what the crates hold in memory: async-imap reads a literal of whatever size a server announces
//! and takes any tag for the answer to LOGIN (both are open there); eight commands need no general parser.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use crate::bounce::MAIL_MAX;
use crate::imap_talk::{Said, found, is_fetch, literal, quoted, said};
use crate::post::BounceBox;

/// A server that is silent for so long is away.
const PATIENCE: Duration = Duration::from_secs(60);
/// RFC 2683 3.2.1.5 asks clients to take lines of 8,000 octets.
const LINE_MAX: u64 = 8 * 1024;
/// Lines of one answer: a mailbox that changes meanwhile says so, not without end.
const LINES_MAX: usize = 2_000;
/// What is kept of the server's words.
const SHOWN_MAX: usize = 100;
const LOGOUT: &str = "LOGOUT";
/// We ask for so many octets of a mail; one more says that it is longer.
const FETCHED_MAX: usize = MAIL_MAX + 1;

#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("no answer in time")]
    Silent,
    #[error("refused: {0}")]
    Refused(String),
    #[error("an answer that is none to our question")]
    Odd,
    #[error("more than was asked for")]
    TooMuch,
    #[error("{0}")]
    Config(String),
}

pub struct Session<S> {
    stream: BufReader<S>,
    commands: u32,
}

/// An answer: its untagged lines, and the literals in them.
struct Answer {
    lines: Vec<String>,
    literals: Vec<Vec<u8>>,
}

/// Signed in, with the mailbox selected.
pub async fn open(place: &BounceBox) -> Result<Session<TlsStream<TcpStream>>, ImapError> {
    let connector = connector(place)?;
    let name =
        ServerName::try_from(place.host.clone()).map_err(|error| ImapError::Config(error.to_string()))?;
    let connect = async {
        let tcp = TcpStream::connect((place.host.as_str(), place.port)).await?;
        connector.connect(name, tcp).await
    };
    let stream = timeout(PATIENCE, connect).await.map_err(|_| ImapError::Silent)??;
    Session::begin(stream, place).await
}

fn connector(place: &BounceBox) -> Result<TlsConnector, ImapError> {
    let wrong = |error: &dyn std::fmt::Display| ImapError::Config(error.to_string());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&place.roots_pem) {
        roots.add(root.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Greeting, LOGIN, SELECT.
    pub async fn begin(stream: S, place: &BounceBox) -> Result<Self, ImapError> {
        let mut session = Self { stream: BufReader::new(stream), commands: 0 };
        let greeting = timeout(PATIENCE, session.line()).await.map_err(|_| ImapError::Silent)??;
        if !greeting.starts_with(b"* OK") {
            return Err(ImapError::Refused(shown(&String::from_utf8_lossy(&greeting))));
        }
        let word = |text: &str| quoted(text).ok_or_else(|| ImapError::Config("account".to_owned()));
        let login = Zeroizing::new(format!("LOGIN {} {}", word(&place.username)?, word(&place.password)?));
        session.command(&login).await.map_err(|error| match error {
            // A server that quotes the line it refuses would have the password written into the log.
            ImapError::Refused(words) if words.contains(place.password.as_str()) => {
                ImapError::Refused("LOGIN".to_owned())
            }
            error => error,
        })?;
        session.command(&format!("SELECT {}", word(&place.folder)?)).await?;
        Ok(session)
    }

    /// Mails that nobody has looked at: neither dealt with nor set aside.
    pub async fn waiting(&mut self, limit: usize) -> Result<Vec<u32>, ImapError> {
        let answer = self.command("UID SEARCH UNDELETED UNFLAGGED").await?;
        Ok(answer.lines.iter().find_map(|line| found(line, limit)).unwrap_or_default())
    }

    /// A mail as it lies there, cut after the longest that is read; `None`: somebody else took it away.
    pub async fn fetch(&mut self, uid: u32) -> Result<Option<Vec<u8>>, ImapError> {
        let answer = self.command(&format!("UID FETCH {uid} (UID BODY.PEEK[]<0.{FETCHED_MAX}>)")).await?;
        let ours = answer.lines.iter().any(|line| is_fetch(line, uid));
        // One mail was asked for: with more than one literal it is not told which is its.
        match (ours, answer.literals.len()) {
            (true, 1) => Ok(answer.literals.into_iter().next()),
            (false, 0) => Ok(None),
            _ => Err(ImapError::Odd),
        }
    }

    /// Dealt with; gone at the end of the round.
    pub async fn delete(&mut self, uid: u32) -> Result<(), ImapError> {
        self.command(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted \\Seen)")).await.map(|_| ())
    }

    /// Not ours to understand: it stays, marked, for a person.
    pub async fn set_aside(&mut self, uid: u32) -> Result<(), ImapError> {
        self.command(&format!("UID STORE {uid} +FLAGS.SILENT (\\Flagged)")).await.map(|_| ())
    }

    /// Nothing was changed.
    pub async fn leave(mut self) {
        let _ = self.command(LOGOUT).await;
    }

    pub async fn end(mut self) -> Result<(), ImapError> {
        self.command("EXPUNGE").await?;
        // After this nothing depends on the farewell.
        let _ = self.command(LOGOUT).await;
        Ok(())
    }

    async fn command(&mut self, text: &str) -> Result<Answer, ImapError> {
        timeout(PATIENCE, self.exchange(text)).await.map_err(|_| ImapError::Silent)?
    }

    async fn exchange(&mut self, text: &str) -> Result<Answer, ImapError> {
        self.commands += 1;
        let tag = format!("m{}", self.commands);
        let line = Zeroizing::new(format!("{tag} {text}\r\n"));
        self.stream.write_all(line.as_bytes()).await?;
        self.stream.flush().await?;
        let mut answer = Answer { lines: Vec::new(), literals: Vec::new() };
        for _ in 0..LINES_MAX {
            let line = self.response(&mut answer.literals).await?;
            match said(&tag, &line) {
                // A server says goodbye before it ends; after our own it still answers by the tag.
                Said::Untagged(words) if is_bye(&words) && text != LOGOUT => {
                    return Err(ImapError::Refused(shown(&words)));
                }
                Said::Untagged(words) => answer.lines.push(words),
                Said::Ok => return Ok(answer),
                Said::Refused(words) => return Err(ImapError::Refused(shown(&words))),
                Said::Odd => return Err(ImapError::Odd),
            }
        }
        Err(ImapError::TooMuch)
    }

    /// One line with its literals cut out of it.
    async fn response(&mut self, literals: &mut Vec<Vec<u8>>) -> Result<Vec<u8>, ImapError> {
        let mut whole = Vec::new();
        loop {
            let line = self.line().await?;
            let announced = literal(&line);
            whole.extend_from_slice(&line);
            if whole.len() as u64 > 2 * LINE_MAX {
                return Err(ImapError::TooMuch);
            }
            match announced {
                None => return Ok(whole),
                Some(Ok(length)) if length <= FETCHED_MAX && literals.len() < 2 => {
                    let mut octets = vec![0; length];
                    self.stream.read_exact(&mut octets).await?;
                    literals.push(octets);
                    // What stands before and after a literal is one line.
                    while whole.last().is_some_and(|octet| *octet != b'{') {
                        whole.pop();
                    }
                    whole.pop();
                }
                Some(_) => return Err(ImapError::TooMuch),
            }
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, ImapError> {
        let mut line = Vec::new();
        (&mut self.stream).take(LINE_MAX).read_until(b'\n', &mut line).await?;
        match line.last() {
            Some(b'\n') => Ok(line),
            Some(_) if line.len() as u64 == LINE_MAX => Err(ImapError::TooMuch),
            _ => Err(ImapError::Io(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// A stranger's words: short, and without anything that moves a terminal.
fn shown(words: &str) -> String {
    words.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MAX).collect()
}

fn is_bye(words: &str) -> bool {
    words.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case("BYE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> BounceBox {
        BounceBox {
            host: "localhost".into(),
            port: 993,
            username: "bounce@mimamori.example.jp".into(),
            password: Zeroizing::new("secret".into()),
            folder: "INBOX".into(),
            roots_pem: Vec::new(),
        }
    }

    /// A server that says these octets, whatever it is asked, and then ends.
    async fn against(octets: &[u8]) -> Result<Session<tokio::io::DuplexStream>, ImapError> {
        let (ours, mut theirs) = tokio::io::duplex(4 * MAIL_MAX);
        theirs.write_all(octets).await.unwrap();
        theirs.shutdown().await.unwrap();
        // Kept open to what we write; its end is the end of what it says.
        tokio::spawn(async move {
            let mut heard = Vec::new();
            let _ = theirs.read_to_end(&mut heard).await;
        });
        Session::begin(ours, &place()).await
    }

    const IN: &str = "* OK ready\r\nm1 OK in\r\n* 1 EXISTS\r\nm2 OK selected\r\n";

    #[tokio::test]
    async fn a_mail_is_found_and_fetched_with_its_literal() {
        let said =
            format!("{IN}* SEARCH 7\r\nm3 OK\r\n* 1 FETCH (UID 7 BODY[]<0> {{5}}\r\nab\r\nc)\r\nm4 OK\r\n");
        let mut session = against(said.as_bytes()).await.unwrap();
        assert_eq!(session.waiting(10).await.unwrap(), [7]);
        assert_eq!(session.fetch(7).await.unwrap().as_deref(), Some(&b"ab\r\nc"[..]));
    }

    #[tokio::test]
    async fn what_a_server_may_not_do_ends_the_session() {
        let long = format!("{IN}* {}\r\n", "x".repeat(9_000));
        let huge = format!("{IN}* 1 FETCH (UID 7 BODY[] {{4000000000}}\r\n");
        let endless = format!("{IN}{}", "* 1 EXISTS\r\n".repeat(LINES_MAX + 1));
        for (said, wanted) in [
            (long, "more than was asked"),
            (huge, "more than was asked"),
            (endless, "more than was asked"),
            (format!("{IN}m2 OK late\r\n"), "none to our question"),
            (format!("{IN}* BYE closing\r\n"), "refused"),
            (IN.to_owned(), "eof"),
        ] {
            let mut session = against(said.as_bytes()).await.unwrap();
            let error = session.fetch(7).await.unwrap_err().to_string();
            assert!(error.contains(wanted) || wanted == "eof", "{wanted}: {error}");
        }
        let Err(refused) = against(b"* OK ready\r\nm1 NO wrong\r\n").await else { panic!("signed in") };
        assert!(matches!(refused, ImapError::Refused(_)));
        let Err(strange) = against(b"HTTP/1.1 400 Bad Request\r\n").await else { panic!("signed in") };
        assert!(matches!(strange, ImapError::Refused(_)));
    }
}
