//! The proof of the jail: a child enters it and tries what it forbids, beside what must still work.

use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::process::{Call, Name, Server};

const INSIDE: &str = "MIMAMORI_TEST_JAIL";

/// Runs the test of that name again, alone in a process, and returns what it wrote.
fn child(test: &str, dir: &Path, jailed: bool) -> String {
    child_with(test, dir, jailed, &[])
}

fn child_with(test: &str, dir: &Path, jailed: bool, environment: &[(&str, &Path)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("jail::tests::{test}"), "--nocapture", "--test-threads=1"])
        .env(INSIDE, format!("{}:{jailed}", dir.display()))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

/// Inside the child: where it may work, and whether it is to be jailed.
fn inside() -> Option<(PathBuf, bool)> {
    let value = std::env::var(INSIDE).ok()?;
    let (dir, jailed) = value.rsplit_once(':')?;
    Some((PathBuf::from(dir), jailed == "true"))
}

#[test]
fn what_is_forbidden_fails_and_what_is_needed_works() {
    let Some((dir, jailed)) = inside() else {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        std::fs::write(dir.path().join("outside"), "outside").unwrap();
        let free = child("what_is_forbidden_fails_and_what_is_needed_works", dir.path(), false);
        assert!(free.contains("outside=read created=yes exec=ran tcp=connected"), "the control: {free}");
        let held = child("what_is_forbidden_fails_and_what_is_needed_works", dir.path(), true);
        if held.contains("no landlock") {
            return; // Said, not hidden: this kernel has none, and the calls are proved below.
        }
        assert!(
            held.contains(
                "outside=PermissionDenied created=PermissionDenied exec=PermissionDenied tcp=PermissionDenied"
            ),
            "{held}"
        );
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    if jailed {
        let jail = Jail::together(vec![dir.join("state")], PathBuf::from("/usr/sbin/nft"));
        let held = enter(&jail).unwrap();
        println!("{held}");
    }
    // A thread that starts later is inside too.
    let seen = std::thread::spawn(move || attempts(&dir, address)).join().unwrap();
    println!("{seen}");
}

fn attempts(dir: &Path, address: std::net::SocketAddr) -> String {
    // What a room needs.
    let state = dir.join("state");
    std::fs::File::create(state.join("a")).unwrap().write_all(b"a").unwrap();
    std::fs::create_dir_all(state.join("sub")).unwrap();
    std::fs::rename(state.join("a"), state.join("sub/b")).unwrap();
    assert_eq!(std::fs::read(state.join("sub/b")).unwrap(), b"a");
    std::fs::remove_file(state.join("sub/b")).unwrap();
    assert!(UdpSocket::bind("127.0.0.1:0").is_ok());
    // What an intruder would like.
    let word = |result: Result<&'static str, ErrorKind>| match result {
        Ok(word) => word.to_owned(),
        Err(kind) => format!("{kind:?}"),
    };
    let outside = word(std::fs::read(dir.join("outside")).map(|_| "read").map_err(|e| e.kind()));
    let created = word(std::fs::write(dir.join("new"), "x").map(|()| "yes").map_err(|e| e.kind()));
    let exec = word(Command::new("/bin/true").status().map(|_| "ran").map_err(|e| e.kind()));
    let tcp = word(TcpStream::connect(address).map(|_| "connected").map_err(|e| e.kind()));
    format!("outside={outside} created={created} exec={exec} tcp={tcp}")
}

#[test]
fn the_kernel_confirms_what_the_jail_says() {
    let Some((dir, _)) = inside() else {
        let dir = tempfile::tempdir().unwrap();
        let said = child("the_kernel_confirms_what_the_jail_says", dir.path(), true);
        assert!(said.contains("NoNewPrivs=1 Seccomp=2 pivot=EPERM"), "{said}");
        return;
    };
    let status = std::fs::File::open("/proc/thread-self/status").unwrap();
    let held = enter(&Jail::together(vec![dir], PathBuf::from("/usr/sbin/nft"))).unwrap();
    // The file was opened before; reading it now shows this thread as it is now.
    let text = std::io::read_to_string(status).unwrap();
    let field =
        |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map_or("?", str::trim).to_owned();
    // Without the jail root would hear EINVAL and others EPERM; inside, seccomp answers first.
    let pivot = match rustix::process::pivot_root("/", "/") {
        Err(rustix::io::Errno::PERM) => "EPERM",
        _ => "other",
    };
    println!("NoNewPrivs={} Seccomp={} pivot={pivot}", field("NoNewPrivs:"), field("Seccomp:"));
    let effective = u64::from_str_radix(&field("CapEff:"), 16).unwrap();
    let net_admin = 1u64 << 12;
    assert_eq!(effective & !net_admin, 0, "only CAP_NET_ADMIN may be left");
    assert_eq!(held.capabilities.is_empty(), effective == 0);
}

/// A realm with a smarthost and a database's server on this machine, both by TCP.
fn outside(dir: &Path, smarthost: u16) -> crate::config::Config {
    let at = |name: &str| dir.join(name).display().to_string();
    let text = format!(
        "[realm]\nzone = \"care.example.jp\"\nname = \"a\"\nseries = [{{ name = \"18\", block = 18 }}]\n\
         [paths]\nstate = \"{}\"\nrun = \"{}\"\noutput = \"{}\"\n\
         [secrets]\npki_passphrase_file = \"/a\"\nvpn_key_file = \"/b\"\nsns_epoch_file = \"/c\"\n\
         gateway_key_file = \"/d\"\n[database]\nurl_file = \"/e\"\n\
         [mail]\nsmarthost = \"localhost\"\nport = {smarthost}\ntls = \"none\"\nfrom = \"a@care.example.jp\"\n",
        at("state"),
        at("run"),
        at("output"),
    );
    crate::config::read(&text).unwrap()
}

/// Ruling 13, the attacker's test: of the internet each process reaches the ports that its row and the
/// configuration name, by the one protocol that Landlock watches. Most reach nothing.
#[test]
fn each_process_calls_whom_the_configuration_names_and_nobody_else() {
    const TEST: &str = "each_process_calls_whom_the_configuration_names_and_nobody_else";
    let Some((dir, jailed)) = inside() else {
        for name in Name::SERVED {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("state").join(name.as_str())).unwrap();
            std::fs::create_dir(dir.path().join("output")).unwrap();
            std::fs::write(dir.path().join("row"), name.as_str()).unwrap();
            let free = child(TEST, dir.path(), false);
            assert!(free.contains("smarthost=connected database=connected other=connected"), "{free}");
            assert!(!free.contains("fastopen=PermissionDenied"), "the control of {}: {free}", name.as_str());
            let held = child(TEST, dir.path(), true);
            let landlock = !held.contains("no landlock");
            let calls = |call: Call| process::process(name).calls.contains(&call);
            let word = |allowed: bool| if allowed { "connected" } else { "PermissionDenied" };
            let any = calls(Call::Database) || calls(Call::Smarthost);
            // Without Landlock the family alone is held, which is said where the jail says what it holds.
            let (mail, other) = if landlock { (calls(Call::Smarthost), false) } else { (any, any) };
            let wanted = format!(
                "smarthost={} database={} other={} fastopen=PermissionDenied mptcp=PermissionDenied \
                 sctp=PermissionDenied seqpacket=PermissionDenied udp={}",
                if mail { "connected" } else { "refused" },
                word(calls(Call::Database)),
                word(other),
                if any { "made" } else { "PermissionDenied" },
            );
            assert!(held.contains(&wanted), "{}: wanted {wanted}, got {held}", name.as_str());
        }
        return;
    };
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [smarthost, database, other] = listeners.each_ref().map(|it| it.local_addr().unwrap());
    let row = std::fs::read_to_string(dir.join("row")).unwrap();
    let name = Name::SERVED.into_iter().find(|name| name.as_str() == row).unwrap();
    if jailed {
        let config = outside(&dir, smarthost.port());
        let server = Server::Tcp { host: "127.0.0.1".to_owned(), port: database.port(), reads: Vec::new() };
        let outward = Outward::of(process::process(name), &config, Some(&server));
        println!("{}", enter(&Jail::of(process::process(name), &config).calling(&outward)).unwrap());
    }
    let word = |done: std::io::Result<&'static str>| {
        done.map_or_else(|error| format!("{:?}", error.kind()), str::to_owned)
    };
    // By name, which is how a smarthost is called.
    let named = TcpStream::connect(("localhost", smarthost.port())).map_or("refused", |_| "connected");
    let called = |address| word(TcpStream::connect(address).map(|_| "connected"));
    let made = |kind, protocol| {
        let made = rustix::net::socket(rustix::net::AddressFamily::INET, kind, protocol);
        word(made.map(|_| "made").map_err(std::io::Error::from))
    };
    use rustix::net::{SocketType, ipproto};
    println!(
        "smarthost={named} database={} other={} fastopen={} mptcp={} sctp={} seqpacket={} udp={}",
        called(database),
        called(other),
        word(fast_open(other).map(|()| "connected")),
        made(SocketType::STREAM, Some(ipproto::MPTCP)),
        made(SocketType::STREAM, Some(ipproto::SCTP)),
        made(SocketType::SEQPACKET, None),
        made(SocketType::DGRAM, None),
    );
}

/// Connects by sending: a way around the rule about connecting.
fn fast_open(to: std::net::SocketAddr) -> std::io::Result<()> {
    use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sendto(&socket, b"x", SendFlags::from_bits_retain(libc::MSG_FASTOPEN as _), &to)?;
    Ok(())
}

/// The module's place on Debian.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A configuration whose authority has its keys in a token of SoftHSM below `dir`.
fn beside_a_token(dir: &Path) -> crate::config::Config {
    let at = |name: &str| dir.join(name).display().to_string();
    let text = format!(
        "[realm]\nzone = \"m.example.jp\"\nname = \"a\"\nseries = [{{ name = \"18\", block = 18 }}]\n\
         [paths]\nstate = \"{}\"\nrun = \"{}\"\noutput = \"{}\"\n\
         [secrets]\npki_passphrase_file = \"/a\"\nvpn_key_file = \"/b\"\nsns_epoch_file = \"/c\"\n\
         gateway_key_file = \"/d\"\n[token]\nmodule = \"{SOFTHSM}\"\nlabel = \"jailed\"\npin_file = \"{}\"\n\
         writes = [\"{}\"]\nreads = [\"{}\"]\n",
        at("state"),
        at("run"),
        at("output"),
        at("pin"),
        at("token-home"),
        at("softhsm2.conf"),
    );
    crate::config::read(&text).unwrap()
}

/// Issue 5: the jail of the process that signs lets the module's store and settings in, and nothing more. A token that
/// is pulled out and put back is taken up again from inside.
#[test]
fn the_authority_signs_by_a_token_from_inside_its_jail() {
    const TEST: &str = "the_authority_signs_by_a_token_from_inside_its_jail";
    let Some((dir, _)) = inside() else {
        let dir = tempfile::tempdir().unwrap();
        let tokens = dir.path().join("token-home/tokens");
        std::fs::create_dir_all(&tokens).unwrap();
        std::fs::create_dir_all(dir.path().join("state/pki")).unwrap();
        std::fs::write(dir.path().join("outside"), "outside").unwrap();
        let conf = dir.path().join("softhsm2.conf");
        std::fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "jailed", "--pin", "4711", "--so-pin", "1234"])
            .env("SOFTHSM2_CONF", &conf)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let said = child_with(TEST, dir.path(), true, &[("SOFTHSM2_CONF", &conf)]);
        let landlock = !said.contains("no landlock");
        let outside = if landlock { "PermissionDenied" } else { "read" };
        assert!(
            said.contains(&format!(
                "first=MM-ok gone=MM-2009 back=MM-ok outside={outside} exec=PermissionDenied"
            )),
            "{said}"
        );
        return;
    };
    let config = beside_a_token(&dir);
    let row = process::process(Name::Pki);
    let opened = open_by_a_token(&dir, &config);
    println!("{}", enter(&Jail::of(row, &config).keeping(row, &config)).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let said = runtime.block_on(issued_and_pulled_out(opened, &dir));
    let word = |done: std::io::Result<&str>| done.map_or_else(|e| format!("{:?}", e.kind()), str::to_owned);
    let outside = word(std::fs::read(dir.join("outside")).map(|_| "read"));
    let exec = word(Command::new("/bin/true").status().map(|_| "ran"));
    println!("{said} outside={outside} exec={exec}");
}

/// A realm whose issuing keys were made in the token, opened as the authority's process opens it.
fn open_by_a_token(dir: &Path, config: &crate::config::Config) -> pki::Opened {
    let secret = || pki::Secret::new(b"a passphrase of the appliance".to_vec()).unwrap();
    let token = || pki::token::TokenConfig {
        module: SOFTHSM.into(),
        label: "jailed".into(),
        pin: pki::token::Pin::new("4711"),
    };
    let folders = pki::folders::Folders {
        root: dir.join("root"),
        pki: config.paths.room("pki"),
        gateway: dir.join("gateway"),
    };
    let ceremony = pki::ceremony::CeremonyConfig {
        zone: "m.example.jp".into(),
        realm_name: "a".into(),
        published_base: "http://10.18.255.2".into(),
        root_secret: secret(),
        pki_secret: secret(),
        shares: None,
        token: Some(pki::ceremony::TokenKeys {
            token: pki::token::Token::open(token()).unwrap(),
            prefix: "mimamori".into(),
            origin: pki::ceremony::Origin::Made,
        }),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(pki::folders::hold(&ceremony, &folders, crate::operator::door::now_ms() / 1000))
        .unwrap();
    // Ended before the jail, which wants to be entered by one thread.
    drop(runtime);
    std::env::set_current_dir(&folders.pki).unwrap();
    let config = pki::Config {
        dir: folders.pki,
        secret: secret(),
        token: Some(token()),
        published_base: "http://10.18.255.2".into(),
    };
    pki::open(config).unwrap()
}

async fn issued_and_pulled_out(opened: pki::Opened, dir: &Path) -> String {
    use pki::door::{DeviceKind, IssuingAnswer, IssuingQuestion};
    let room = opened.start().await.unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    let issue = async |token: &str| {
        let (kind, slot) = (DeviceKind::Facility, "18-0042".parse().unwrap());
        let (request, token) = (request.clone(), token.to_owned());
        match room.issuing(IssuingQuestion::Issue { slot, kind, request, token }).await {
            IssuingAnswer::Refused(refusal) => refusal.code(),
            _ => "MM-ok",
        }
    };
    let first = issue("1").await;
    let (here, away) = (dir.join("token-home/tokens"), dir.join("token-home/drawer"));
    std::fs::rename(&here, &away).unwrap();
    let gone = issue("2").await;
    std::fs::rename(&away, &here).unwrap();
    let back = issue("3").await;
    room.stop().await;
    format!("first={first} gone={gone} back={back}")
}

#[test]
fn nft_still_runs_inside() {
    let Some((dir, _)) = inside() else {
        if !Path::new("/usr/sbin/nft").exists() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let said = child("nft_still_runs_inside", dir.path(), true);
        assert!(said.contains("nft=ran"), "{said}");
        return;
    };
    enter(&Jail::together(vec![dir], PathBuf::from("/usr/sbin/nft"))).unwrap();
    let output = Command::new("/usr/sbin/nft").arg("--version").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("nft=ran");
}

#[test]
fn the_status_line_is_honest() {
    assert_eq!(Held::nothing().to_string(), "jail: no landlock, no seccomp, capabilities all");
    assert!(!Held::nothing().is_whole());
    let held = Held { landlock: Landlock::Partial { version: 3 }, seccomp: Some(9), capabilities: vec![] };
    assert_eq!(held.to_string(), "jail: landlock v3 (partial), seccomp denies 9 calls, capabilities none");
    assert!(!held.is_whole());
}
