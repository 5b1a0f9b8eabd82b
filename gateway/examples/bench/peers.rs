//! The peers and their configurations, written for equal work: TLS 1.3, P-256 both sides, the client's
//! certificate verified, no tickets, two workers, kept connections to one Unix socket, the device told
//! in a header.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

const WORKERS: usize = 2;

/// Certificates, and where everybody finds them.
pub struct World {
    pub dir: PathBuf,
    pub upstream: PathBuf,
    pub ca: CertificateDer<'static>,
    pub client: CertificateDer<'static>,
    pub client_key: PrivateKeyDer<'static>,
}

impl World {
    pub fn new(dir: &Path) -> Self {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir, mode).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "bench CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = |name: &str, usage: ExtendedKeyUsagePurpose| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![usage];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &ca).unwrap(), key)
        };
        let (server, server_key) = leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = leaf("slot-0042", ExtendedKeyUsagePurpose::ClientAuth);
        // Throw-away keys: peers may run as users of their own.
        let write = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
        write("ca.crt", ca.pem());
        write("server.crt", server.pem());
        write("server.key", server_key.serialize_pem());
        write("server.pem", server.pem() + &server_key.serialize_pem());
        Self {
            dir: dir.to_owned(),
            upstream: dir.join("up.sock"),
            ca: ca.der().clone(),
            client: client.der().clone(),
            client_key: PrivateKeyDer::try_from(client_key.serialize_der()).unwrap(),
        }
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

pub struct Peer {
    pub name: &'static str,
    pub port: u16,
    program: PathBuf,
}

impl Peer {
    /// Those that are there; ours and the baseline lie beside this program.
    pub fn installed(world: &World) -> Vec<Peer> {
        let beside = |name: &str| std::env::current_exe().unwrap().with_file_name(name);
        let found = |name: &str| {
            let folders = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/sbin"];
            let mut paths = folders.iter().map(|folder| Path::new(folder).join(name));
            paths.find(|path| path.exists())
        };
        let all = [
            ("nginx", found("nginx")),
            ("haproxy", found("haproxy")),
            ("caddy", found("caddy")),
            ("plain", Some(beside("plain"))),
            ("mimamori", Some(beside("standalone"))),
        ];
        let mut peers = Vec::new();
        for (name, program) in all {
            match program.filter(|path| path.exists()) {
                Some(program) => peers.push(Peer { name, port: free_port(), program }),
                None => eprintln!("{name} is not installed: skipped"),
            }
        }
        let _ = world;
        peers
    }

    pub fn command(&self, world: &World) -> Command {
        let mut command = Command::new(&self.program);
        match self.name {
            "nginx" => {
                let path = world.file("nginx.conf");
                std::fs::write(&path, nginx(world, self.port)).unwrap();
                command.args(["-p", &world.file(""), "-c", &path, "-e", &world.file("nginx.err")]);
            }
            "haproxy" => {
                let path = world.file("haproxy.cfg");
                std::fs::write(&path, haproxy(world, self.port)).unwrap();
                command.args(["-db", "-f", &path]);
            }
            "caddy" => {
                let path = world.file("caddy.json");
                std::fs::write(&path, caddy(world, self.port)).unwrap();
                command.args(["run", "--config", &path]).env("HOME", &world.dir).env("GOMAXPROCS", "2");
            }
            _ => {
                let listen = format!("127.0.0.1:{}", self.port);
                let upstream = format!("unix:{}", world.upstream.display());
                command.args(["--listen", &listen, "--upstream", &upstream]);
                for (name, file) in [("--cert", "server.crt"), ("--key", "server.key"), ("--ca", "ca.crt")] {
                    command.args([name, &world.file(file)]);
                }
                if self.name == "mimamori" {
                    command.args(["--audit", &world.file("audit"), "--workers", &WORKERS.to_string()]);
                }
                command.env("TOKIO_WORKER_THREADS", WORKERS.to_string());
            }
        }
        command
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn nginx(world: &World, port: u16) -> String {
    let (dir, upstream) = (world.dir.display(), world.upstream.display());
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {dir}/{name};"))
        .join(" ");
    format!(
        "worker_processes {WORKERS}; daemon off; pid {dir}/nginx.pid; worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  access_log off; tcp_nodelay on; client_max_body_size 0; {temporary}
  keepalive_timeout 1h; keepalive_requests 1000000000;
  upstream behind {{ server unix:{upstream}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }}
  server {{
    listen 127.0.0.1:{port} ssl http2 reuseport;
    ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key;
    ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
    ssl_client_certificate {dir}/ca.crt; ssl_verify_client on;
    location / {{
      proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_set_header X-Device-Slot $ssl_client_s_dn; proxy_request_buffering off;
    }}
  }}
}}
"
    )
}

fn haproxy(world: &World, port: u16) -> String {
    let (dir, upstream) = (world.dir.display(), world.upstream.display());
    format!(
        "global
  nbthread {WORKERS}
  maxconn 8000
  tune.ssl.cachesize 0
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend front
  bind 127.0.0.1:{port} ssl crt {dir}/server.pem ca-file {dir}/ca.crt verify required alpn h2,http/1.1
  http-request set-header X-Device-Slot %[ssl_c_s_dn(cn)]
  default_backend behind
backend behind
  http-reuse always
  server one unix@{upstream} pool-max-conn 256
"
    )
}

fn caddy(world: &World, port: u16) -> String {
    let file = |name: &str| world.file(name);
    let tls = serde_json::json!({
        "certificates": { "load_files": [{ "certificate": file("server.crt"), "key": file("server.key") }] },
        "session_tickets": { "disabled": true },
    });
    let policy = serde_json::json!({
        "protocol_min": "tls1.3",
        "client_authentication": { "trusted_ca_certs_pem_files": [file("ca.crt")], "mode": "require_and_verify" },
    });
    let handler = serde_json::json!({
        "handler": "reverse_proxy",
        "upstreams": [{ "dial": format!("unix/{}", world.upstream.display()) }],
        "headers": { "request": { "set": { "X-Device-Slot": ["{http.request.tls.client.subject}"] } } },
        "transport": { "protocol": "http", "keep_alive": { "max_idle_conns_per_host": 256 } },
    });
    let server = serde_json::json!({
        "listen": [format!("127.0.0.1:{port}")], "automatic_https": { "disable": true }, "protocols": ["h1", "h2"],
        "tls_connection_policies": [policy], "routes": [{ "handle": [handler] }],
    });
    serde_json::json!({
        "admin": { "disabled": true }, "logging": { "logs": { "default": { "level": "ERROR" } } },
        "storage": { "module": "file_system", "root": file("caddy") },
        "apps": { "tls": tls, "http": { "servers": { "one": server } } },
    })
    .to_string()
}
