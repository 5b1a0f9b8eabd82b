//! `pki bench`: a throw-away authority in an empty folder, behind one loopback port, until it is ended. It
//! says its pid, its address and where its one-time tokens lie, one per line. Touches files, tokio.

use std::path::Path;

use data_encoding::BASE32_NOPAD;
use pki::ceremony::CeremonyConfig;
use pki::folders::{self, Folders};
use pki::{Secret, pem};
use serde_json::json;
use vpn::SlotNumber;

use super::authority::write;
use super::failure::Failure;
use super::out::Out;
use super::pki_args::BenchArgs;
use crate::exit::Exit;
use crate::loopback::{Loopback, Tokens};
use crate::messages::Message;
use crate::operator::door::now_ms;

/// A token of 130 bits, five to a letter.
const TOKEN_LEN: usize = 17;
/// Numbers of one series: tokens beyond go round.
const NUMBERS: u32 = 10_000;
const ZONE: &str = "bench.example.jp";
const TOKENS: &str = "tokens";
const ISSUER: &str = "device-ca.pem";
const ROOT: &str = "root.pem";

pub fn bench(args: &BenchArgs, out: &Out) -> Result<Exit, Failure> {
    if !Loopback::allowed(&args.listen) {
        let why = format!("{}: 127.0.0.1, [::1]", args.listen);
        return Err(Message::Argument { name: "--listen".to_owned(), why }.into());
    }
    // One thread answers, and the ledger has its own: what is measured is work, not the passing on of it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    let folders =
        Folders { root: args.dir.join("root"), pki: args.dir.join("pki"), gateway: args.dir.join("gateway") };
    let base = "http://127.0.0.1";
    let secret = || Secret::new(vec![b'x'; 32]).map_err(|error| failed(&error));
    let ceremony = CeremonyConfig {
        zone: ZONE.to_owned(),
        realm_name: "性能測定".to_owned(),
        published_base: base.to_owned(),
        root_secret: secret()?,
        pki_secret: secret()?,
        shares: None,
        token: None,
    };
    runtime.block_on(folders::hold(&ceremony, &folders, now_ms() / 1000)).map_err(|error| failed(&error))?;
    let config = pki::Config {
        dir: folders.pki.clone(),
        secret: secret()?,
        token: None,
        published_base: base.to_owned(),
    };
    let room = pki::open(config).map_err(|error| failed(&error))?;
    let room = runtime.block_on(room.start()).map_err(|error| failed(&error))?;
    let tokens = tokens(&args.dir, args.tokens)?;
    let pem = |der: &[u8]| pem::certificate(der).into_bytes();
    write(&args.dir.join(ISSUER), &pem(room.authority().ca().der()))?;
    let root = std::fs::read(folders.pki.join(folders::ROOT_DER)).map_err(|error| failed(&error))?;
    write(&args.dir.join(ROOT), &pem(&root))?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(args.listen).await.map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        let url = format!("http://{address}");
        let value = json!({
            "pid": std::process::id(), "url": url, "tokens": args.dir.join(TOKENS), "issuer": args.dir.join(ISSUER),
            "root": args.dir.join(ROOT), "enrol": format!("{url}/.well-known/est/simpleenroll"),
            "reenrol": format!("{url}/.well-known/est/simplereenroll"), "ocsp": format!("{url}/ocsp"),
        });
        out.result(&value, || format!("{value}\n"))?;
        Loopback::new(room, tokens).serve(listener).await;
        Ok(Exit::Ok)
    })
}

/// Fresh tokens in a file, and in memory by their hashes.
fn tokens(dir: &Path, count: u32) -> Result<Tokens, Failure> {
    let (mut tokens, mut text) = (Tokens::new(), String::new());
    for n in 0..count {
        let mut random = [0; TOKEN_LEN];
        getrandom::fill(&mut random).map_err(|error| failed(&error))?;
        let token = BASE32_NOPAD.encode(&random);
        let slot: SlotNumber =
            format!("18-{:04}", n % NUMBERS).parse().map_err(|_| failed(&"a slot's number"))?;
        text.push_str(&token);
        text.push('\n');
        tokens.insert(pki::Hash::of(token.as_bytes()), slot);
    }
    write(&dir.join(TOKENS), text.as_bytes())?;
    Ok(tokens)
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Message::OpenFailed { room: "pki".to_owned(), why: error.to_string() }.into()
}
