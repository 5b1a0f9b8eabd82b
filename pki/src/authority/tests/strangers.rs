//! What strangers' linters and verifiers say of what we issue: OpenSSL strict, GnuTLS at its high profile, NSS,
//! webpki, and in the campaign pkilint. Random realms, slots, kinds, days; no finding at all (issue 5).
//! `make test` asks about 200 certificates, `make campaign-pki` about 10,000.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::authority::Wish;
use crate::ceremony::{Ceremony, create, tests::config};
use crate::holders::Sharing;
use crate::lifetime::utc;

const CASES: &str = "MIMAMORI_LINT_CASES";
const CASES_AT_HOME: usize = 200;
/// Python of an environment that holds pkilint.
const PKILINT: &str = "MIMAMORI_PKILINT";
/// Realms: their names stand in every certificate.
const REALMS: [(&str, &str, &str); 4] = [
    ("m.example.jp", "在宅医療連携協議会", "http://10.18.255.2"),
    ("a.b.c.d.example", "x", "http://lists.a.b.c.d.example:8080"),
    ("x--y.example.co.jp", "医療法人社団「みまもり」 & Söhne, \"O=Ü\"", "http://192.0.2.1"),
    (
        "a-long-zone-name-of-a-prefecture-and-cities.example.co.jp",
        "長い名前の在宅医療・介護連携推進協議会連合会",
        "http://10.1.255.2",
    ),
];
/// The realms are so old, and issued on any day since: GnuTLS before 3.8 knows no other time than today's.
const AGE_DAYS: i64 = 700;
/// Certificates of one day, signed together.
const A_DAY: usize = 25;

/// When the realms were founded.
fn founded() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() - AGE_DAYS * DAY
}

/// A folder of one realm's files, and its CA.
struct Realms {
    dir: tempfile::TempDir,
    ceremony: Ceremony,
    authority: Authority,
}

async fn realm(number: usize) -> Realms {
    let (zone, name, base) = REALMS[number % REALMS.len()];
    let mut config = config();
    (config.zone, config.realm_name, config.published_base) = (zone.into(), name.into(), base.into());
    let (dir, ceremony) = (tempfile::tempdir().unwrap(), create(&config, founded()).unwrap());
    let folders = folders_in(dir.path());
    folders::write(&ceremony, &folders).await.unwrap();
    let key = MemoryKey::unseal("device-ca", ceremony.device_ca_key.text(), &config.pki_secret).unwrap();
    let ca = CaCertificate::parse(&ceremony.device_ca_der).unwrap();
    let ledger = Ledger::open(&folders.pki.join(LEDGER)).await.unwrap();
    let realm = Realm::new(zone, name, base).unwrap();
    let authority = Authority::open(realm, ca, Box::new(key), ledger, founded()).await.unwrap();
    for (name, der) in [
        ("root", &ceremony.root_der),
        ("device", &ceremony.device_ca_der),
        ("server", &ceremony.server_ca_der),
        ("gateway", &ceremony.gateway_der),
    ] {
        std::fs::write(dir.path().join(format!("{name}.pem")), pem::certificate(der)).unwrap();
    }
    Realms { dir, ceremony, authority }
}

impl Realms {
    /// Certificates of this day; the names of their files.
    async fn issue(&self, day: i64, count: usize, random: &mut impl FnMut(u64) -> u64) -> Vec<String> {
        let now = founded() + day * DAY + i64::try_from(random(DAY as u64)).unwrap();
        let wishes: Vec<Wish> = (0..count)
            .map(|_| {
                let series = ["18", "18F", "01D", "99"][random(4) as usize];
                let place = slot(&format!("{series}-{:04}", random(10_000)));
                let kind = DeviceKind::ALL[random(3) as usize];
                let token = format!("{} {}", random(u64::MAX), random(u64::MAX));
                Wish::new(place, kind, &request(), &token, Sharing::Vouched).unwrap()
            })
            .collect();
        let verifier = DeviceVerifier::new(&[&self.ceremony.device_ca_der]).unwrap();
        let mut files = Vec::new();
        for issued in self.authority.issue_many(&wishes, now).await {
            let issued = issued.unwrap();
            assert_eq!(verifier.verify(&issued.chain, now).unwrap().slot(), issued.slot, "webpki");
            let file = format!("{}.pem", issued.serial);
            std::fs::write(self.dir.path().join(&file), pem::certificate(&issued.chain[0])).unwrap();
            files.push(file);
        }
        self.ask_openssl(now, &files);
        for file in &files {
            self.ask_gnutls(file);
            self.ask_nss(now, file);
        }
        files
    }

    fn ask_openssl(&self, now: i64, files: &[String]) {
        let strict =
            format!("verify -x509_strict -check_ss_sig -policy_check -purpose sslclient -attime {now}");
        let said = openssl(
            self.dir.path(),
            &format!("{strict} -CAfile root.pem -untrusted device.pem {}", files.join(" ")),
        )
        .unwrap();
        assert_eq!(said.lines().filter(|line| line.ends_with(": OK")).count(), files.len(), "{said}");
    }

    fn ask_gnutls(&self, file: &str) {
        let read = |name: &str| std::fs::read_to_string(self.dir.path().join(name)).unwrap();
        let chain = read(file) + &read("device.pem");
        let mut command = Command::new("certtool");
        command.args(["--verify", "--verify-profile=high", "--verify-purpose=1.3.6.1.5.5.7.3.2"]);
        command.args(["--load-ca-certificate", "root.pem"]);
        let said = told(command.current_dir(self.dir.path()), &chain);
        assert!(said.contains("Chain verification output: Verified."), "{file}: {said}");
    }

    fn ask_nss(&self, now: i64, file: &str) {
        let at: String = utc(now).chars().filter(char::is_ascii_digit).collect();
        let at = format!("{}Z", &at[2..12]);
        let mut command = Command::new("vfychain");
        command.args(["-pp", "-u", "0", "-b", &at, "-a", file, "-a", "device.pem", "-t", "-a", "root.pem"]);
        let said = told(command.current_dir(self.dir.path()), "");
        assert!(said.contains("Chain is good!"), "{file}: {said}");
    }
}

/// Everything that a program says, with this on its standard input.
fn told(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("tests/setup/deps installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let out = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn ask_pkilint(dir: &Path, read: usize) {
    let Some(python) = std::env::var_os(PKILINT) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("campaign/lint");
    let said = told(Command::new(python).arg(script).arg(dir), "");
    assert!(said.ends_with(&format!("pkilint: {read} read, 0 findings\n")), "{said}");
}

fn campaign(number: usize) {
    let cases = std::env::var(CASES).ok().and_then(|text| text.parse().ok()).unwrap_or(CASES_AT_HOME);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let realm = realm(number).await;
        let mut left = cases / REALMS.len();
        let (mut days, mut issued) = (0, 0);
        while left > 0 {
            let files = realm.issue(days, left.min(A_DAY), &mut random).await;
            (left, issued) = (left - files.len(), issued + files.len());
            days = i64::try_from(random(AGE_DAYS as u64)).unwrap();
        }
        for shard in 0..SHARDS {
            std::fs::write(
                realm.dir.path().join(format!("{shard}.crl")),
                realm.authority.list(shard).unwrap(),
            )
            .unwrap();
        }
        ask_pkilint(realm.dir.path(), issued + 4 + usize::from(SHARDS));
        realm.authority.close().await;
    });
}

#[test]
fn issue_5_no_stranger_finds_fault_in_a_plain_realm() {
    campaign(0);
}

#[test]
fn issue_5_no_stranger_finds_fault_in_a_deep_zone() {
    campaign(1);
}

#[test]
fn issue_5_no_stranger_finds_fault_in_an_odd_name() {
    campaign(2);
}

#[test]
fn issue_5_no_stranger_finds_fault_in_a_long_zone() {
    campaign(3);
}
