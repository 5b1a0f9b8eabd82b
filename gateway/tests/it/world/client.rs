//! A device: connects from its own source address, with or without a certificate.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use gateway::Listen;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ZONE;
use super::authority::{Authority, Device};

#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    listen: Listen,
    source: Ipv4Addr,
    /// `__Host-session=…`, once signed in.
    pub cookie: Option<String>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    pub fn new(authority: &Authority, listen: Listen, source: Ipv4Addr, device: Option<&Device>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.server_ca_der.clone())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match device {
            // Not the builder that checks whether the key fits: some of our devices are thieves.
            Some(device) => {
                let key = any_supported_type(&device.key).unwrap();
                let presented = CertifiedKey::new(device.chain.clone(), key);
                builder.with_client_cert_resolver(Arc::new(Presents(Arc::new(presented))))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { config: Arc::new(config), listen, source, cookie: None }
    }

    pub fn with_cookie(mut self, cookie: Option<String>) -> Self {
        self.cookie = cookie;
        self
    }

    pub async fn tcp(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((self.source, 0).into())?;
        socket.connect(to).await
    }

    /// To the mutual listener; an alert comes with the first read, not here.
    pub async fn tls(&self) -> io::Result<TlsStream<TcpStream>> {
        self.tls_to(self.listen.mutual, "sns").await
    }

    pub async fn tls_to(&self, to: SocketAddr, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let tcp = self.tcp(to).await?;
        let name = ServerName::try_from(format!("{host}.{ZONE}")).unwrap();
        TlsConnector::from(self.config.clone()).connect(name, tcp).await
    }

    /// The same, speaking HTTP/2.
    pub async fn tls2(&self) -> io::Result<TlsStream<TcpStream>> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tls = Self { config: Arc::new(config), ..self.clone() }.tls().await?;
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Ok(tls)
    }

    pub async fn connect2(&self) -> http2::SendRequest<Full<Bytes>> {
        let io = TokioIo::new(self.tls2().await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// A request as HTTP/2 says it.
    pub fn request2(&self, method: Method, host: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
        let mut request = self.request(method, host, path, body);
        request.headers_mut().remove("host");
        *request.uri_mut() = format!("https://{host}.{ZONE}{path}").parse().unwrap();
        request
    }

    /// Asks for a WebSocket; the head of the answer, and the connection.
    pub async fn socket(
        &self,
        path: &str,
        change: impl Fn(String) -> String,
    ) -> (String, TlsStream<TcpStream>) {
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: sns.{ZONE}\r\n{cookie}Origin: https://sns.{ZONE}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut tls = self.tls().await.unwrap();
        tls.write_all(change(head).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            match tls.read_u8().await {
                Ok(byte) => answer.push(byte),
                Err(_) => break,
            }
        }
        (String::from_utf8(answer).unwrap(), tls)
    }

    /// Sends bytes as they are, reads to the end.
    pub async fn raw(&self, bytes: &[u8]) -> io::Result<String> {
        let mut tls = self.tls().await?;
        tls.write_all(bytes).await?;
        let mut text = Vec::new();
        tls.read_to_end(&mut text).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// How the handshake ends for one who is refused.
    pub async fn refused(&self) -> String {
        match self.raw(b"GET / HTTP/1.1\r\nHost: sns.m.example.jp\r\n\r\n").await {
            Ok(text) => panic!("let in: {text}"),
            Err(error) => error.to_string(),
        }
    }

    pub async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        Ok(http(self.tls().await?).await)
    }

    pub fn request(&self, method: Method, host: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
        let mut request =
            Request::builder().method(&method).uri(path).header("host", format!("{host}.{ZONE}"));
        if method != Method::GET {
            request = request
                .header("origin", format!("https://{host}.{ZONE}"))
                .header("content-type", "application/json");
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        request.body(Full::from(body.to_owned())).unwrap()
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> io::Result<Reply> {
        let mut sender = self.connect().await?;
        reply(sender.send_request(request).await.map_err(io::Error::other)?).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, "sns", path, "")).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &str) -> Reply {
        self.send(self.request(Method::POST, "sns", path, body)).await.unwrap()
    }

    pub async fn claim(&self, request: Request<Full<Bytes>>) -> io::Result<Reply> {
        let tls = self.tls_to(self.listen.open_tls, "claim").await?;
        let mut sender = http(tls).await;
        reply(sender.send_request(request).await.map_err(io::Error::other)?).await
    }

    pub async fn plain(&self, method: &str, host: &str, path: &str) -> Reply {
        let tcp = self.tcp(self.listen.open_http).await.unwrap();
        let mut sender = http(tcp).await;
        let request = Request::builder().method(method).uri(path).header("host", host);
        let request = request.body(Full::default()).unwrap();
        reply(sender.send_request(request).await.unwrap()).await.unwrap()
    }

    /// Signs in as person `n` and keeps the cookie.
    pub async fn sign_in(&mut self, n: u8) -> Reply {
        let body = format!(r#"{{"login":"{n}@m","password":"password-{n}"}}"#);
        let reply = self.post("/sign-in", &body).await;
        self.keep_cookie(&reply);
        reply
    }

    pub fn keep_cookie(&mut self, reply: &Reply) {
        if let Some(cookie) = reply.headers.get("set-cookie") {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
    }

    /// An open stream of events.
    pub async fn events(&self) -> (SendRequest<Full<Bytes>>, Incoming) {
        let mut sender = self.connect().await.unwrap();
        let request = self.request(Method::GET, "sns", "/events", "");
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        (sender, response.into_body())
    }
}

#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The next event of a stream; `None` when it was cut.
pub async fn next_event(body: &mut Incoming) -> Option<String> {
    let frame = body.frame().await?.ok()?;
    Some(String::from_utf8(frame.into_data().ok()?.to_vec()).unwrap())
}

/// A whole exchange on an open connection.
pub async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Reply {
    sender.ready().await.unwrap();
    reply(sender.send_request(request).await.unwrap()).await.unwrap()
}

async fn http<S>(io: S) -> SendRequest<Full<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    sender
}

pub async fn reply(response: http::Response<Incoming>) -> io::Result<Reply> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Reply { status: parts.status, headers: parts.headers, body })
}
