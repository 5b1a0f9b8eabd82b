//! `make demo STAY=1` as a person and their browser meet it: in the background, without a terminal, three
//! addresses, a page, a live event, strangers refused; and nothing is left when it is told to end (issue 3).

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tests::shell::{self, PATIENCE};
use tests::{Fault, Told};

/// The scene waits for the other worlds on this machine, then needs half a minute of its own.
const SCENE: Duration = Duration::from_secs(480);

/// The demo in a folder of its own; ended politely, whatever the test finds.
struct Demo {
    child: Child,
    folder: tempfile::TempDir,
}

impl Demo {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.current_dir(folder.path()).env("STAY", "only").env_remove("FORM").env_remove("ENGINE");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // As behind `&` of a script: no terminal, not of our group.
        command.process_group(0);
        Self { child: command.spawn().unwrap(), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("target/demo/stay.json")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn ready(&mut self) -> Value {
        let told = shell::until("stay.json", SCENE, || {
            if let Some(status) = self.child.try_wait()? {
                return Err(Fault::new(format!("the demo ended with {status}")));
            }
            // Renamed into its place: whoever sees it sees all of it.
            Ok(fs::read(self.file()).ok().map(|bytes| serde_json::from_slice(&bytes)))
        });
        told.unwrap_or_else(|fault| panic!("{fault}\n{}", self.log())).unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        shell::end(&mut self.child);
    }
}

/// A browser on this machine: its cookies and the address it was given.
struct Browser {
    jar: PathBuf,
    first: String,
    origin: String,
}

impl Browser {
    fn new(folder: &Path, told: &Value, who: &str) -> Self {
        let first = told["urls"][who].as_str().unwrap().to_owned();
        let origin = first.split("/?token=").next().unwrap().to_owned();
        assert!(origin.starts_with("http://127.0.0.1:") && first.len() > origin.len() + 50, "{first}");
        Self { jar: folder.join(format!("{who}.jar")), first, origin }
    }

    /// Status and body.
    fn send(&self, path: &str, words: &[&str]) -> (u16, String) {
        let mut curl = self.curl(path);
        curl.args(words).args(["--max-time", "60", "--write-out", "\n%{http_code}"]);
        let said = shell::run(curl).unwrap().text();
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn curl(&self, path: &str) -> Command {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.origin) };
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--header", "Accept: text/html"]);
        curl.arg("--cookie").arg(&self.jar).arg("--cookie-jar").arg(&self.jar).arg(url);
        curl
    }

    fn sign_in(&self, told: &Value, who: &str) {
        let logins = told["logins"].as_array().unwrap();
        let login = logins.iter().find(|login| login["who"] == who).unwrap();
        assert_eq!(self.send(&self.first, &[]).0, 303, "{who}: the printed address");
        let (status, page) = self.send("/sign-in", &[]);
        assert!(status == 200 && page.contains("ログイン"), "{who}: {status} {page}");
        let field = |name: &str| format!("{name}={}", login[name].as_str().unwrap());
        let origin = format!("Origin: {}", self.origin);
        let (login, password) = (field("login"), field("password"));
        let form = ["--header", &origin, "--data-urlencode", &login, "--data-urlencode", &password];
        let (status, page) = self.send("/sign-in", &form);
        assert_eq!(status, 303, "{who}: {page}");
    }
}

#[test]
fn three_addresses_lead_through_other_peoples_devices_until_it_is_told_to_end() {
    let mut demo = Demo::begin();
    let told = demo.ready();
    let jars = tempfile::tempdir().unwrap();
    let [clerk, admin, nurse] =
        ["secretariat", "facility_admin", "staff"].map(|who| Browser::new(jars.path(), &told, who));

    for browser in [&clerk, &admin, &nurse] {
        strangers_are_refused(browser);
    }
    for (browser, who, seen) in [
        (&clerk, "secretariat", "福井中央診療所"),
        (&admin, "facility_admin", "端末"),
        (&nurse, "staff", "福井 花子"),
    ] {
        browser.sign_in(&told, who);
        let (status, page) = browser.send("/", &["--location"]);
        assert!(status == 200 && page.contains(seen), "{who}: {status}, no {seen}");
    }
    another_origin_borrows_nothing(&nurse);
    a_post_arrives_live(&nurse, told["patient"].as_str().unwrap(), jars.path());
    the_papers_are_real(&told);

    ends_with_nothing_left(&mut demo, &told, &nurse);
}

fn strangers_are_refused(browser: &Browser) {
    assert_eq!(browser.send("/", &[]).0, 403, "without a token");
    assert_eq!(browser.send("/?token=AAAA", &[]).0, 403, "with a guess");
    assert_eq!(browser.send(&browser.first, &["--header", "Host: evil.example"]).0, 403, "by another name");
    assert!(!fs::read_to_string(&browser.jar).unwrap_or_default().contains("shim"), "a refusal set a cookie");
}

fn another_origin_borrows_nothing(nurse: &Browser) {
    for foreign in ["Origin: http://127.0.0.1:1", "Origin: null", "Sec-Fetch-Site: same-site"] {
        assert_eq!(nurse.send("/sign-out", &["--header", foreign, "--data", ""]).0, 403, "{foreign}");
    }
    assert_eq!(nurse.send("/", &[]).0, 200, "still signed in");
}

fn a_post_arrives_live(nurse: &Browser, patient: &str, folder: &Path) {
    let heard = folder.join("events");
    let mut stream = nurse.curl(&format!("/api/teams/{patient}/events"));
    stream.args(["--no-buffer", "--include"]);
    let mut stream = stream.stdout(File::create(&heard).unwrap()).spawn().unwrap();
    let wait = |what: &str| -> Told<()> {
        shell::until(what, PATIENCE, || Ok(fs::read_to_string(&heard)?.contains(what).then_some(())))
    };
    let begun = wait("text/event-stream");
    let words = "シムを通った投稿";
    let body = format!("text={words}&once=stay-1");
    let origin = format!("Origin: {}", nurse.origin);
    let posted = nurse.send(&format!("/teams/{patient}/posts"), &["--header", &origin, "--data", &body]);
    let arrived = wait(words);
    shell::end(&mut stream);
    assert_eq!(posted.0, 303, "{}", posted.1);
    begun.and(arrived).unwrap();
}

/// The chain leads to the root, and the lost device's certificate is on its list: asked of OpenSSL.
fn the_papers_are_real(told: &Value) {
    let openssl = |words: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(words);
        shell::run(command).and_then(|done| done.ok("openssl")).unwrap().text()
    };
    let (chain, crl) = (told["chain"].as_str().unwrap(), told["crl"].as_str().unwrap());
    openssl(&["verify", "-CAfile", chain, chain]);
    openssl(&["crl", "-inform", "DER", "-in", crl, "-noout"]);
    let lost = |key: &str| told["lost"][key].as_str().unwrap();
    let serial = openssl(&["x509", "-in", lost("chain"), "-noout", "-serial"]);
    let listed = openssl(&["crl", "-inform", "DER", "-in", lost("crl"), "-noout", "-text"]);
    assert!(listed.contains(serial.trim().trim_start_matches("serial=")), "{serial} {listed}");
    assert!(told.get("ocsp_url").is_some(), "null or an address, never absent");
}

fn ends_with_nothing_left(demo: &mut Demo, told: &Value, nurse: &Browser) {
    shell::signal(demo.child.id(), Signal::TERM);
    let status = shell::until("the demo to end", PATIENCE, || Ok(demo.child.try_wait()?)).unwrap();
    assert!(status.success(), "{status}\n{}", demo.log());
    for (name, pid) in told["pids"].as_object().unwrap() {
        // A new process may have got the number; ours had another parent's children.
        let alive = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!alive.contains("mimamori") && !alive.contains("demo"), "{name} {pid} still runs: {alive}");
    }
    assert!(!demo.file().exists(), "stay.json tells of what is gone");
    let namespaces = shell::run({
        let mut ip = Command::new("ip");
        ip.args(["netns", "list"]);
        ip
    });
    let run = told["namespace"].as_str().unwrap();
    assert!(!namespaces.unwrap().text().lines().any(|line| line.starts_with(run)), "{run} is left");
    assert!(!Path::new(told["config"].as_str().unwrap()).exists(), "the realm's secrets are left");
    let mut curl = nurse.curl("/");
    curl.args(["--max-time", "5"]);
    assert_eq!(shell::run(curl).unwrap().code, Some(7), "somebody still listens");
    assert!(demo.log().contains("http://127.0.0.1:"), "the addresses were printed: {}", demo.log());
}
