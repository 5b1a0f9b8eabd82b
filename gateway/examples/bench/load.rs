//! The load: clients with a certificate, over HTTP/1.1 as bytes and over HTTP/2 by the library.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::peers::World;
use crate::process::Process;
use crate::responder::MIB;

#[derive(Clone, Copy)]
pub enum Work {
    Handshakes,
    Http1,
    Http2,
    Down,
    Up,
}

impl Work {
    fn clients(self) -> usize {
        match self {
            Work::Handshakes => 16,
            Work::Http1 => 32,
            Work::Http2 => 8,
            Work::Down | Work::Up => 4,
        }
    }
}

/// Requests that one HTTP/2 connection has open at once.
const PARALLEL: usize = 8;

#[derive(Clone)]
pub struct Load {
    port: u16,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Load {
    pub fn new(world: &World, port: u16) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(world.ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = |alpn: &[u8]| {
            let mut config = ClientConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_root_certificates(roots.clone())
                .with_client_auth_cert(vec![world.client.clone()], world.client_key.clone_key())
                .unwrap();
            config.resumption = rustls::client::Resumption::disabled();
            config.alpn_protocols = vec![alpn.to_vec()];
            Arc::new(config)
        };
        Self { port, http1: config(b"http/1.1"), http2: config(b"h2") }
    }

    pub async fn until_up(&self, process: &Process) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..200 {
            match self.once().await {
                Ok(()) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
            let _ = process.cpu_seconds();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("never up: {last}"))
    }

    /// Connections that have asked once and ask no more.
    pub async fn idle(&self, count: usize) -> Vec<TlsStream<TcpStream>> {
        let mut held = Vec::new();
        for _ in 0..count {
            let mut tls = self.connect(&self.http1).await.unwrap();
            exchange(&mut tls, GET, &[]).await.unwrap();
            held.push(tls);
        }
        held
    }

    /// How much was done, and how often something else came than was asked for.
    pub async fn run(&self, work: Work, length: Duration) -> (u64, u64) {
        let end = Instant::now() + length;
        let mut clients = JoinSet::new();
        for _ in 0..work.clients() {
            let load = self.clone();
            clients.spawn(async move { load.client(work, end).await });
        }
        let mut sum = (0, 0);
        while let Some(Ok((done, wrong))) = clients.join_next().await {
            sum = (sum.0 + done, sum.1 + wrong);
        }
        sum
    }

    async fn client(&self, work: Work, end: Instant) -> (u64, u64) {
        let (mut done, mut wrong) = (0, 0);
        if matches!(work, Work::Http2) {
            return self.http2(end).await;
        }
        let upload = if matches!(work, Work::Up) { vec![b'z'; MIB] } else { Vec::new() };
        let head = match work {
            Work::Down => GET_MIB,
            Work::Up => POST_MIB,
            _ => GET,
        };
        while Instant::now() < end {
            if matches!(work, Work::Handshakes) {
                match self.once().await {
                    Ok(()) => done += 1,
                    Err(_) => wrong += 1,
                }
                continue;
            }
            let Ok(mut tls) = self.connect(&self.http1).await else {
                wrong += 1;
                continue;
            };
            while Instant::now() < end {
                match exchange(&mut tls, head, &upload).await {
                    Ok(()) => done += 1,
                    Err(_) => {
                        wrong += 1;
                        break;
                    }
                }
            }
        }
        (done, wrong)
    }

    async fn http2(&self, end: Instant) -> (u64, u64) {
        let Ok(tls) = self.connect(&self.http2).await else { return (0, 1) };
        let io = TokioIo::new(tls);
        let Ok((sender, connection)) =
            hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), io).await
        else {
            return (0, 1);
        };
        tokio::spawn(connection);
        let mut streams = JoinSet::new();
        for _ in 0..PARALLEL {
            let mut sender = sender.clone();
            streams.spawn(async move {
                let (mut done, mut wrong) = (0, 0);
                while Instant::now() < end {
                    let request = Request::get("https://localhost/").body(Full::default()).unwrap();
                    let answer = async {
                        let response = sender.send_request(request).await.ok()?;
                        let fine = response.status() == StatusCode::OK;
                        response.into_body().collect().await.ok().filter(|_| fine)
                    };
                    match answer.await {
                        Some(_) => done += 1,
                        None => {
                            wrong += 1;
                            break;
                        }
                    }
                }
                (done, wrong)
            });
        }
        let mut sum = (0, 0);
        while let Some(Ok((done, wrong))) = streams.join_next().await {
            sum = (sum.0 + done, sum.1 + wrong);
        }
        sum
    }

    async fn once(&self) -> std::io::Result<()> {
        let mut tls = self.connect(&self.http1).await?;
        exchange(&mut tls, GET, &[]).await
    }

    async fn connect(&self, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(config.clone()).connect(name, tcp).await
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const GET_MIB: &[u8] = b"GET /1m HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const POST_MIB: &[u8] =
    b"POST /up HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\nContent-Length: 1048576\r\n\r\n";

/// One request and its whole answer, which has a `Content-Length`.
async fn exchange(tls: &mut TlsStream<TcpStream>, head: &[u8], body: &[u8]) -> std::io::Result<()> {
    tls.write_all(head).await?;
    tls.write_all(body).await?;
    tls.flush().await?;
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    let odd = |what: &str| std::io::Error::other(what.to_owned());
    let end = loop {
        let read = tls.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(odd("no answer"));
        }
        filled += read;
        if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    if !text.starts_with("http/1.1 200") {
        return Err(odd(&text));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|text| text.trim().parse().ok()).ok_or_else(|| odd("no length"))?;
    let mut left = length - (filled - end);
    while left > 0 {
        let want = left.min(buffer.len());
        let read = tls.read(&mut buffer[..want]).await?;
        if read == 0 {
            return Err(odd("half an answer"));
        }
        left -= read;
    }
    Ok(())
}
