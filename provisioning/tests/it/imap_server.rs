//! An IMAP server that plays the attacker, or is gone at a chosen moment: TLS with a certificate of its own, one mailbox in
//! memory. It knows the commands that the room says, and no others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use provisioning::post::BounceBox;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

pub const PASSWORD: &str = "himitsu-no-kotoba";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Honest,
    /// Hangs up where such a command comes.
    GoneAt(&'static str),
    /// Says nothing more, and keeps the line.
    SilentAt(&'static str),
    GiantLiteral,
    EndlessLine,
    EndlessLines,
    /// The answer to another command.
    OtherTag,
    /// Another mail than the one that was asked for.
    OtherMail,
    QuotesThePassword,
}

struct State {
    script: Script,
    /// By UID: the mail, and its flags.
    mails: BTreeMap<u32, (Vec<u8>, String)>,
}

pub struct Imap {
    pub place: BounceBox,
    state: Arc<Mutex<State>>,
}

impl Imap {
    pub async fn start() -> Self {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = BounceBox {
            host: "localhost".into(),
            port: listener.local_addr().unwrap().port(),
            username: "bounce@mimamori.example.jp".into(),
            password: Zeroizing::new(PASSWORD.into()),
            folder: "INBOX".into(),
            roots_pem: pair.cert.pem().into_bytes(),
        };
        let state = Arc::new(Mutex::new(State { script: Script::Honest, mails: BTreeMap::new() }));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        // It ends when the other side is gone, which is what some scripts are about.
                        let _ = serve(BufReader::new(stream), &state).await;
                    }
                });
            }
        });
        Self { place, state }
    }

    pub fn script(&self, script: Script) {
        self.state.lock().unwrap().script = script;
    }

    pub fn put(&self, uid: u32, mail: &[u8]) {
        self.state.lock().unwrap().mails.insert(uid, (mail.to_owned(), String::new()));
    }

    pub fn left(&self) -> usize {
        self.state.lock().unwrap().mails.len()
    }
}

async fn serve(mut stream: BufReader<TlsStream<TcpStream>>, state: &Mutex<State>) -> std::io::Result<()> {
    stream.write_all(b"* OK ready\r\n").await?;
    stream.flush().await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        let script = state.lock().unwrap().script;
        match script {
            Script::GoneAt(at) if command.starts_with(at) => return Ok(()),
            Script::SilentAt(at) if command.starts_with(at) => std::future::pending().await,
            _ => {}
        }
        let answer = answer(&mut state.lock().unwrap(), script, tag, command);
        stream.write_all(&answer).await?;
        stream.flush().await?;
        if script == Script::EndlessLine && command.starts_with("UID FETCH") {
            loop {
                stream.write_all(&[b'x'; 4_096]).await?;
            }
        }
        if script == Script::EndlessLines && command.starts_with("UID FETCH") {
            loop {
                stream.write_all(b"* 1 EXISTS\r\n").await?;
            }
        }
    }
}

fn answer(state: &mut State, script: Script, tag: &str, command: &str) -> Vec<u8> {
    let mut words = command.split(' ');
    let verb = words.next().unwrap();
    let (verb, uid) = if verb == "UID" { (words.next().unwrap(), words.next().unwrap()) } else { (verb, "") };
    let mut said = Vec::new();
    match verb {
        "LOGIN" if script == Script::QuotesThePassword => {
            return format!("{tag} NO I do not like {command}\r\n").into_bytes();
        }
        "LOGIN" => {
            assert!(command.ends_with(&format!("\"{PASSWORD}\"")), "the scripted server is told its password")
        }
        "SELECT" => said.extend(format!("* {} EXISTS\r\n", state.mails.len()).bytes()),
        "SEARCH" => {
            let uids = state
                .mails
                .iter()
                .filter(|(_, (_, flags))| flags.is_empty())
                .map(|(uid, _)| format!(" {uid}"));
            said.extend(format!("* SEARCH{}\r\n", uids.collect::<String>()).bytes());
        }
        "FETCH" => match script {
            Script::GiantLiteral => said.extend(b"* 1 FETCH (UID 7 BODY[]<0> {4000000000}\r\n"),
            Script::EndlessLine => return b"* ".to_vec(),
            Script::EndlessLines => return Vec::new(),
            Script::OtherTag => return b"m2 OK\r\n".to_vec(),
            _ => {
                let uid: u32 = uid.parse().unwrap();
                let told = if script == Script::OtherMail { uid + 1 } else { uid };
                if let Some((mail, _)) = state.mails.get(&uid) {
                    said.extend(format!("* 1 FETCH (UID {told} BODY[]<0> {{{}}}\r\n", mail.len()).bytes());
                    said.extend(mail);
                    said.extend(b")\r\n");
                }
            }
        },
        "STORE" => {
            if let Some((_, flags)) = state.mails.get_mut(&uid.parse().unwrap()) {
                flags.push_str(command);
            }
        }
        "EXPUNGE" => state.mails.retain(|_, (_, flags)| !flags.contains("\\Deleted")),
        _ => {}
    }
    said.extend(format!("{tag} OK\r\n").bytes());
    said
}
