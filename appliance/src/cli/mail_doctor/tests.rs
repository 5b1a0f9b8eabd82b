//! The doctor's questions against name servers: one of this file's own making, which says what no good server says, and
//! dnsmasq, which never saw our wire.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use provisioning::post;

use super::super::dns_wire::{answered, asked};
use super::*;

/// Of a test: a machine may stand still meanwhile.
const LONG: Duration = Duration::from_secs(120);
const ZONE: &str = "care.fukui.example.jp";

fn expected() -> Expected {
    let [dkim, spf, _] = post::records(ZONE, "smtp.example.jp", &"A".repeat(392));
    Expected {
        zone: spf.name,
        from: format!("office@{ZONE}"),
        smarthost: "smtp.example.jp".into(),
        dkim_name: dkim.name,
        dkim_value: dkim.value,
    }
}

fn verdicts(server: SocketAddr) -> Vec<(String, Verdict, String)> {
    let findings = judge(&expected(), &Resolver::new(server, LONG).look(&expected()));
    findings.into_iter().map(|finding| (finding.check, finding.verdict, finding.seen)).collect()
}

fn of(server: SocketAddr, check: &str) -> Verdict {
    verdicts(server).into_iter().find(|(name, ..)| name == check).unwrap().1
}

/// dnsmasq with these lines of configuration; ends with the value.
struct Dnsmasq {
    child: Child,
    address: SocketAddr,
}

impl Dnsmasq {
    /// A port that is free now may be taken before dnsmasq has it: then it ends, and another is tried.
    fn serving(records: &[String]) -> Self {
        loop {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut child = Command::new("dnsmasq")
                .args([
                    "--keep-in-foreground",
                    "--conf-file=/dev/null",
                    "--no-resolv",
                    "--no-hosts",
                    "--pid-file=",
                ])
                .args([
                    "--listen-address=127.0.0.1",
                    "--bind-interfaces",
                    "--user=",
                    "--group=",
                    "--log-facility=/dev/null",
                ])
                .arg(format!("--port={}", address.port()))
                // Longer answers come over TCP, as at a server of 1987.
                .arg("--edns-packet-max=512")
                .arg(format!("--txt-record=ready.test,{address}"))
                .args(records)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("dnsmasq (package dnsmasq-base; tests/setup/deps installs it)");
            // Whoever answers at that port, it is dnsmasq only when it knows this.
            let ready = Resolver::new(address, Duration::from_millis(200));
            while child.try_wait().unwrap().is_none() {
                if ready.texts("ready.test") == Asked::Got(vec![address.to_string()]) {
                    return Self { child, address };
                }
                ready.away.replace(None);
                std::thread::yield_now();
            }
        }
    }

    /// What `mail dns` prints and a provider sets for the smarthost, changed as the test wishes.
    fn of(change: impl Fn(&str, &str) -> Option<String>) -> Self {
        let records = post::records(ZONE, "smtp.example.jp", &"A".repeat(392));
        let mut lines: Vec<String> = Vec::new();
        for record in &records {
            if let Some(value) = change(&record.name, &record.value) {
                let strings: Vec<&str> =
                    value.as_bytes().chunks(255).map(|part| std::str::from_utf8(part).unwrap()).collect();
                lines.push(format!("--txt-record={},{}", record.name, strings.join(",")));
            }
        }
        for (name, value) in
            [("smtp.example.jp", "192.0.2.25"), ("25.2.0.192.in-addr.arpa", "smtp.example.jp")]
        {
            if let Some(value) = change(name, value) {
                let kind = if name.ends_with("arpa") { "ptr-record" } else { "address" };
                lines.push(match kind {
                    "address" => format!("--address=/{name}/{value}"),
                    _ => format!("--ptr-record={name},{value}"),
                });
            }
        }
        lines.push("--local=/example.jp/192.in-addr.arpa/".into());
        Self::serving(&lines)
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Issue 7, mail: SPF, DKIM, DMARC alignment and PTR, as a server that is not ours tells them; the key's record of
/// more than 512 octets comes over TCP.
#[test]
fn what_mail_dns_prints_is_found_good_at_dnsmasq() {
    let server = Dnsmasq::of(|_, value| Some(value.to_owned()));
    let found = verdicts(server.address);
    assert!(found.iter().all(|(_, verdict, _)| *verdict == Verdict::Good), "{found:?}");
    assert_eq!(found.len(), 6);
}

#[test]
fn each_record_that_is_wrong_at_dnsmasq_is_named_and_no_other() {
    let dkim = format!("mimamori._domainkey.{ZONE}");
    let dmarc = format!("_dmarc.{ZONE}");
    let table: [(&str, Option<&str>, &[&str]); 7] = [
        (ZONE, None, &["spf"]),
        (ZONE, Some("v=spf1 a:mail.example.net -all"), &[]),
        (ZONE, Some("v=spf1 ip4:198.51.100.1 -all"), &["spf"]),
        (&dkim, Some("v=DKIM1; k=rsa; p=QUJD"), &["dkim"]),
        (&dmarc, Some("v=DMARC1; p=none"), &["dmarc"]),
        ("25.2.0.192.in-addr.arpa", Some("other.example.jp"), &["ptr"]),
        ("smtp.example.jp", None, &["address"]),
    ];
    for (name, value, wanted) in table {
        let server =
            Dnsmasq::of(|of, good| if of == name { value.map(str::to_owned) } else { Some(good.to_owned()) });
        let bad: Vec<String> = verdicts(server.address)
            .into_iter()
            .filter(|(_, verdict, _)| *verdict == Verdict::Bad)
            .map(|(check, ..)| check)
            .collect();
        assert_eq!(bad, wanted, "{name} {value:?}");
    }
}

/// What it says to a question's octets.
type Answers = fn(&[u8]) -> Option<Vec<u8>>;

/// A name server of our own that lives as long as the test's process: answers are octets of the test's.
fn serve(answers: Answers) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut octets = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut octets) {
            if let Some(answer) = answers(&octets[..length]) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    address
}

/// The attacker's: whatever comes back, it is told, and nobody waits or falls over.
#[test]
fn a_server_that_talks_nonsense_is_silent_to_us() {
    let nonsense: [Answers; 5] = [
        |_| Some(Vec::new()),
        |_| Some(vec![0xc0; 600]),
        // Another question's number.
        |question| {
            let mut answer = answered(question, Kind::Txt, &[b"\x01x".to_vec()]);
            answer[1] ^= 1;
            Some(answer)
        },
        // Its own records cut in the middle.
        |question| {
            let mut answer = answered(question, Kind::Txt, &[vec![200, 1, 2]]);
            answer.truncate(answer.len() - 1);
            Some(answer)
        },
        // SERVFAIL.
        |question| {
            let mut answer = answered(question, Kind::Txt, &[]);
            answer[3] = 0x82;
            Some(answer)
        },
    ];
    for answers in nonsense {
        assert_eq!(of(serve(answers), "spf"), Verdict::Silent);
    }
}

#[test]
fn a_server_that_is_away_is_waited_for_once() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Bound and never read: nothing comes back, and the kernel refuses nothing.
    let resolver = Resolver::new(nobody.local_addr().unwrap(), Duration::from_millis(50));
    let findings = judge(&expected(), &resolver.look(&expected()));
    let silent = findings.iter().filter(|finding| finding.verdict == Verdict::Silent).count();
    assert_eq!(silent, 5, "{findings:?}");
    nobody.set_nonblocking(true).unwrap();
    let asked_for = std::iter::from_fn(|| {
        let mut octets = [0; 512];
        nobody.recv(&mut octets).ok().map(|length| asked(&octets[..length]).unwrap())
    });
    assert_eq!(asked_for.count(), TRIES, "one question, so many times");
}

#[test]
fn the_names_above_a_zone_end_before_the_top() {
    assert_eq!(above("a.b.fukui.or.jp").collect::<Vec<_>>(), ["b.fukui.or.jp", "fukui.or.jp", "or.jp"]);
    assert_eq!(above("example.jp").count(), 0);
}
