//! A disk as a value; the machine dies after every write of every sequence of commands, and comes home.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, Default)]
struct Disk {
    revisions: BTreeMap<u64, String>,
    state: State,
    active: Option<String>,
}

impl Disk {
    fn write(&mut self, write: &Write) {
        match write {
            Write::Revision { number, text } => {
                self.revisions.insert(*number, text.clone());
            }
            Write::State(state) => self.state = state.clone(),
            Write::Active(number) => self.active = self.revisions.get(number).cloned(),
            Write::Forget(number) => {
                self.revisions.remove(number);
            }
        }
    }

    fn text(&self, number: Option<u64>) -> Option<String> {
        number.and_then(|number| self.revisions.get(&number).cloned())
    }

    fn settle(&mut self, now: &Now) {
        let right = self.active == self.text(self.state.active());
        for write in self.state.settle(now, right) {
            self.write(&write);
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Commit { text: u8, confirm: bool },
    Confirm,
    Abandon,
    Wait(u64),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<u8>(), any::<bool>()).prop_map(|(text, confirm)| Act::Commit { text, confirm }),
        2 => Just(Act::Confirm),
        1 => Just(Act::Abandon),
        2 => (0u64..120_000).prop_map(Act::Wait),
        1 => Just(Act::Restart),
    ]
}

fn plan(disk: &Disk, act: &Act, now: &Now) -> Vec<Write> {
    let decided = match act {
        Act::Commit { text, confirm } => {
            let text = format!("text {text}");
            disk.state.commit(&text, disk.active.as_deref(), (0, "t"), confirm.then_some(60_000), now)
        }
        Act::Confirm => disk.state.confirm(),
        Act::Abandon => disk.state.abandon(),
        Act::Wait(_) | Act::Restart => Ok(Vec::new()),
    };
    decided.unwrap_or_default()
}

fn start(n: u64) -> Now {
    Now { since_boot_ms: 0, boot: n.to_string() }
}

/// Whatever happened before: after a start the rooms read what was confirmed, and it is readable.
fn home(disk: &Disk, boot: u64, was_confirmed: &[Option<String>]) {
    let mut disk = disk.clone();
    disk.settle(&start(boot));
    assert_eq!(disk.state.pending, None, "a pending commit outlived a start");
    assert_eq!(
        disk.active,
        disk.text(disk.state.active()),
        "the rooms read something else than the state says"
    );
    assert!(was_confirmed.contains(&disk.active), "{:?} is none of {was_confirmed:?}", disk.active);
    assert!(disk.state.revisions.iter().all(|revision| disk.revisions.contains_key(&revision.number)));
    // Once home, nothing is left to do.
    let right = disk.active == disk.text(disk.state.active());
    assert!(disk.state.settle(&start(boot), right).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_power_cut_after_any_write_leads_home(acts in prop::collection::vec(act(), 1..40)) {
        let (mut disk, mut now, mut boot) = (Disk::default(), start(0), 0);
        for act in &acts {
            let before = disk.text(disk.state.confirmed());
            let writes = plan(&disk, act, &now);
            let mut whole = disk.clone();
            for write in &writes {
                whole.write(write);
            }
            let after = whole.text(whole.state.confirmed());
            // Between the two, or what was confirmed before: never a third, never nothing where there was one.
            let allowed = [before, after];
            let mut cut = disk.clone();
            home(&cut, boot + 1000, &allowed);
            for write in &writes {
                cut.write(write);
                home(&cut, boot + 1000, &allowed);
                // And when the writes of coming home are cut, too.
                let right = cut.active == cut.text(cut.state.active());
                let mut twice = cut.clone();
                for again in cut.state.settle(&start(boot + 1000), right) {
                    twice.write(&again);
                    home(&twice, boot + 2000, &allowed);
                }
            }
            disk = whole;
            match act {
                Act::Wait(ms) => now.since_boot_ms += ms,
                Act::Restart => {
                    boot += 1;
                    now = start(boot);
                }
                _ => {}
            }
            disk.settle(&now);
            prop_assert!(disk.state.revisions.len() <= KEPT_MAX);
            prop_assert_eq!(disk.revisions.len(), disk.state.revisions.len(), "a revision that nobody knows is left");
            if let Some(pending) = &disk.state.pending {
                prop_assert!(!pending.is_over(&now), "its time is up, and it stands");
            }
        }
    }
}

#[test]
fn an_unconfirmed_commit_falls_when_its_time_is_up_and_a_confirmed_one_stays() {
    let mut disk = Disk::default();
    let now = start(1);
    let commit = |disk: &mut Disk, text: &str, confirm: Option<u64>| {
        let writes = disk.state.commit(text, disk.active.as_deref(), (0, "t"), confirm, &now);
        writes.map(|writes| writes.iter().for_each(|write| disk.write(write)))
    };
    commit(&mut disk, "good", None).unwrap();
    commit(&mut disk, "bad", Some(60_000)).unwrap();
    assert_eq!(commit(&mut disk, "third", None), Err(Refusal::Pending), "one at a time");
    disk.settle(&Now { since_boot_ms: 59_999, ..now.clone() });
    assert_eq!(disk.active.as_deref(), Some("bad"));
    disk.settle(&Now { since_boot_ms: 60_000, ..now.clone() });
    assert_eq!(disk.active.as_deref(), Some("good"));
    assert_eq!(disk.state.confirm(), Err(Refusal::NothingPending), "too late to confirm");

    commit(&mut disk, "better", Some(60_000)).unwrap();
    for write in disk.state.confirm().unwrap() {
        disk.write(&write);
    }
    disk.settle(&start(2));
    assert_eq!(disk.active.as_deref(), Some("better"));
    assert_eq!(disk.text(disk.state.before(1).ok()).as_deref(), Some("good"));
    assert_eq!(disk.state.before(2), Err(Refusal::NoRevision));
}

#[test]
fn fifty_are_kept_and_times_have_limits() {
    let mut disk = Disk::default();
    let now = start(1);
    for n in 0..KEPT_MAX + 20 {
        let writes = disk.state.commit(&n.to_string(), disk.active.as_deref(), (0, "t"), None, &now).unwrap();
        writes.iter().for_each(|write| disk.write(write));
    }
    assert_eq!((disk.revisions.len(), disk.state.revisions.len()), (KEPT_MAX, KEPT_MAX));
    for ms in [0, CONFIRM_MIN_MS - 1, CONFIRM_MAX_MS + 1] {
        assert_eq!(disk.state.commit("x", None, (0, "t"), Some(ms), &now), Err(Refusal::Time), "{ms}");
    }
    assert_eq!(disk.state.commit("x", Some("x"), (0, "t"), None, &now), Err(Refusal::Same));
}
