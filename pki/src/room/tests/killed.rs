//! kill -9 at any moment of issuing and revoking: what was acknowledged stands, and nobody revoked is good (issue 5).
//! The child is this test binary again, with a real room; it says every acknowledgement on its standard
//! output, and is killed after a random one, or a random while later. Nothing here measures time.
//! `make test` kills a hundred times, `make campaign-pki` ten thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::CertificateSerial;
use crate::realm::shard_of;

const FOLDER: &str = "MIMAMORI_KILLED_FOLDER";
const FIRST: &str = "MIMAMORI_KILLED_FIRST";
const KILLS: &str = "MIMAMORI_KILLS";
/// Of each of the four tests.
const KILLS_AT_HOME: u32 = 25;
/// One realm for so many kills, so that taking up its ledger stays quick.
const KILLS_PER_REALM: u32 = 250;
/// Askers at once, each with slots of its own.
const ASKERS: u32 = 4;
/// Slots that one life of the child may use.
const SLOTS_PER_LIFE: u32 = 100;
/// The whole ledger is recomputed after so many kills, and at the end.
const VERIFY_EVERY: u32 = 10;

/// The child: issues and revokes until it is killed. Not a test of its own.
#[test]
#[ignore = "the child of the tests below"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let room = room(Path::new(&folder)).await;
        say("open");
        let askers: Vec<_> = (0..ASKERS).map(|asker| tokio::spawn(ask(room.clone(), first, asker))).collect();
        for asker in askers {
            asker.await.unwrap();
        }
        // Whoever was not killed until now waits for it.
        std::future::pending::<()>().await;
    });
}

/// Issues one certificate after the other, and revokes every third.
async fn ask(room: Room, first: u32, asker: u32) {
    for n in (0..SLOTS_PER_LIFE).filter(|n| n % ASKERS == asker) {
        let number = first + n;
        let slot = format!("{}-{:04}", 10 + number / 10_000, number % 10_000).parse().unwrap();
        let kind = DeviceKind::Facility;
        let token = format!("claim {number}");
        let question = IssuingQuestion::Issue { slot, kind, request: request(), token };
        let IssuingAnswer::Issued(issued) = room.issuing(question).await else { panic!("not issued") };
        say(&format!("issued {} {}", issued.serial, Hash::of(&issued.chain[0])));
        if n % 3 == 0 {
            let (what, reason) = (Revoke::Certificate(issued.serial), RevocationReason::KeyCompromise);
            let revoked = room.issuing(IssuingQuestion::Revoke { what, reason }).await;
            assert!(matches!(revoked, IssuingAnswer::Revoked { .. }), "{revoked:?}");
            say(&format!("revoked {}", issued.serial));
        }
    }
}

/// One write, so that a line is whole or is not there.
fn say(line: &str) {
    use std::io::Write;
    std::io::stdout().write_all(format!("\n#{line}\n").as_bytes()).unwrap();
}

/// What the child acknowledged, in all its lives.
#[derive(Default)]
struct Acknowledged {
    issued: BTreeMap<CertificateSerial, Hash>,
    revoked: BTreeSet<CertificateSerial>,
}

impl Acknowledged {
    fn hear(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.trim().split(' ').collect();
        match words.as_slice() {
            ["#open"] => {}
            ["#issued", serial, hash] => {
                self.issued.insert(serial.parse().unwrap(), hash.parse().unwrap());
            }
            ["#revoked", serial] => {
                self.revoked.insert(serial.parse().unwrap());
            }
            _ => return false,
        }
        true
    }

    /// As a gateway, a reader of lists and an asker of OCSP would see it after the restart.
    async fn stands(&self, dir: &Path, whole: bool) {
        let config = Config {
            dir: folders_in(dir).pki,
            secret: Secret::new(PASSPHRASE.into()).unwrap(),
            token: None,
            published_base: "http://10.18.255.2".into(),
        };
        let room = open(config).unwrap().start_still().await.unwrap();
        let authority = room.authority();
        let living: BTreeSet<_> = authority.snapshot().all().into_iter().map(|one| one.serial).collect();
        authority.renew_answers(now()).await;
        for (serial, hash) in &self.issued {
            let der = authority.ledger().certificate(serial).await.unwrap();
            assert_eq!(der.map(|der| Hash::of(&der)), Some(*hash), "{serial} was acknowledged, and is lost");
            let revoked = self.revoked.contains(serial);
            assert!(!(revoked && living.contains(serial)), "{serial} was revoked, and is admitted");
            if revoked {
                let list = authority.list(shard_of(serial)).unwrap();
                let listed = list.windows(16).any(|part| part == serial.as_bytes());
                assert!(listed, "{serial} was revoked, and is on no list");
                let answer = authority.answers().of(serial).unwrap();
                assert_eq!(
                    status(&answer, serial),
                    Some(REVOKED),
                    "{serial} was revoked, and OCSP denies it"
                );
            }
        }
        if whole {
            authority.ledger().verify_all().await.unwrap();
        }
        room.stop().await;
    }
}

/// certStatus's `[1]`, a sequence (RFC 6960 4.2.1).
const REVOKED: u8 = 0xa1;

/// The tag of what stands behind the serial in an answer: the certificate's status.
fn status(answer: &[u8], serial: &CertificateSerial) -> Option<u8> {
    let at = answer.windows(16).position(|part| part == serial.as_bytes())?;
    answer.get(at + 16).copied()
}

fn give_birth(dir: &Path, first: u32) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["room::tests::killed::child", "--exact", "--ignored", "--nocapture"]);
    command.env(FOLDER, dir).env(FIRST, first.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Lets a child live until it has acknowledged `after` acts and a little longer, and kills it.
#[expect(clippy::disallowed_methods, reason = "a random moment to die at; nothing is decided by it")]
fn live_and_die(dir: &Path, first: u32, after: u64, longer: std::time::Duration) -> Acknowledged {
    let mut child = give_birth(dir, first);
    let mut heard = Acknowledged::default();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut count = 0;
    // The room is open: one act more.
    while count <= after {
        match lines.next() {
            Some(line) => count += u64::from(heard.hear(&line.unwrap())),
            None => panic!("the child ended by itself: {:?}", child.wait()),
        }
    }
    std::thread::sleep(longer);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died counts; a torn last line does not.
    for line in lines {
        heard.hear(&line.unwrap());
    }
    heard
}

fn campaign(seed: u64) {
    let kills = std::env::var(KILLS).ok().and_then(|text| text.parse::<u32>().ok());
    let kills = kills.map_or(KILLS_AT_HOME, |all| all.div_ceil(4));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // SplitMix64: the same moments every time, as far as the machine allows.
    let mut state = seed;
    let mut random = |below: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % below
    };
    let (mut dir, mut all, mut acts) = (tempfile::tempdir().unwrap(), Acknowledged::default(), 0);
    for kill in 0..kills {
        if kill % KILLS_PER_REALM == 0 {
            (dir, all) = (tempfile::tempdir().unwrap(), Acknowledged::default());
            runtime.block_on(folders::write(ceremony(), &folders_in(dir.path()))).unwrap();
        }
        let longer = std::time::Duration::from_micros(random(20_000));
        let first = kill % KILLS_PER_REALM * SLOTS_PER_LIFE;
        let mut heard = live_and_die(dir.path(), first, random(12), longer);
        acts += heard.issued.len() + heard.revoked.len();
        all.issued.append(&mut heard.issued);
        all.revoked.append(&mut heard.revoked);
        let whole = kill % VERIFY_EVERY == VERIFY_EVERY - 1 || kill + 1 == kills;
        runtime.block_on(all.stands(dir.path(), whole));
    }
    println!("{kills} kills, {acts} acknowledged acts, 0 lost, 0 revoked but good");
}

#[test]
fn issue_5_killed_at_any_moment_nothing_acknowledged_is_lost_1() {
    campaign(1);
}

#[test]
fn issue_5_killed_at_any_moment_nothing_acknowledged_is_lost_2() {
    campaign(2);
}

#[test]
fn issue_5_killed_at_any_moment_nothing_acknowledged_is_lost_3() {
    campaign(3);
}

#[test]
fn issue_5_killed_at_any_moment_nothing_acknowledged_is_lost_4() {
    campaign(4);
}
