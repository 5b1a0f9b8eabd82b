//! The task against a firewall in memory that can be broken, and that somebody else can tamper with.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::door::{Admitted, Answering, DoorClosed};

#[derive(Default)]
struct Kernel {
    table: Mutex<Option<Admitted>>,
    broken: AtomicBool,
    calls: AtomicU32,
}

impl MirrorDoor for Kernel {
    fn ask(&self, question: MirrorQuestion) -> Answering<'_, MirrorAnswer> {
        Box::pin(async move { Ok::<_, DoorClosed>(self.answer(question)) })
    }
}

impl Kernel {
    fn answer(&self, question: MirrorQuestion) -> MirrorAnswer {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let failed = |why: &str| MirrorAnswer::Failed { why: why.into() };
        if self.broken.load(Ordering::Relaxed) {
            return failed("broken");
        }
        let mut table = self.table.lock().unwrap();
        match (question, &mut *table) {
            (MirrorQuestion::Install { admitted }, table) => *table = Some(admitted),
            (MirrorQuestion::Remove, table) => *table = None,
            (_, None) => return failed("no such table"),
            (MirrorQuestion::ReadBack, Some(admitted)) => {
                return MirrorAnswer::Table { admitted: admitted.clone(), rules: "rules".into() };
            }
            (MirrorQuestion::Change { changes }, Some(admitted)) => {
                for change in changes {
                    if let Some(gate) = change.from
                        && !admitted.remove(&(change.address, gate))
                    {
                        return failed("no such element");
                    }
                    admitted.extend(change.to.map(|gate| (change.address, gate)));
                }
            }
        }
        MirrorAnswer::Done
    }

    fn admitted(&self) -> Option<Vec<(Ipv4Addr, Gate)>> {
        self.table.lock().unwrap().as_ref().map(|table| table.iter().copied().collect())
    }
}

fn at(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 18, 0, n)
}

const ACTIVE: Option<Gate> = Some(Gate::Active);

async fn start(kernel: &Arc<Kernel>) -> (Mirroring, tokio::task::JoinHandle<()>) {
    Mirroring::start(kernel.clone(), vec![(at(1), ACTIVE)]).await.unwrap()
}

#[tokio::test]
async fn an_answer_means_that_the_firewall_has_it_and_stopping_takes_the_table_away() {
    let kernel = Arc::new(Kernel::default());
    let (mirroring, task) = start(&kernel).await;
    assert_eq!(mirroring.truth(), Some(true));
    mirroring.follow(vec![(at(2), ACTIVE)]).await.unwrap();
    assert_eq!(kernel.admitted().unwrap(), [(at(1), Gate::Active), (at(2), Gate::Active)]);
    mirroring.follow(vec![(at(1), None)]).await.unwrap();
    assert_eq!(kernel.admitted().unwrap(), [(at(2), Gate::Active)]);
    mirroring.stop(Ending::Removed);
    task.await.unwrap();
    assert_eq!(kernel.admitted(), None);
}

#[tokio::test]
async fn a_burst_of_changes_shares_runs_of_nft() {
    let kernel = Arc::new(Kernel::default());
    let (mirroring, _task) = start(&kernel).await;
    let before = kernel.calls.load(Ordering::Relaxed);
    let asked: Vec<_> = (0..200)
        .map(|n| {
            let mirroring = mirroring.clone();
            tokio::spawn(async move { mirroring.follow(vec![(at(n), ACTIVE)]).await })
        })
        .collect();
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    assert!(kernel.calls.load(Ordering::Relaxed) - before < 20);
    assert_eq!(kernel.admitted().unwrap().len(), 200);
}

#[tokio::test]
async fn a_room_whose_firewall_does_not_stand_does_not_start() {
    let kernel = Arc::new(Kernel::default());
    kernel.broken.store(true, Ordering::Relaxed);
    assert!(Mirroring::start(kernel, vec![]).await.is_err());
}

#[tokio::test]
async fn a_broken_firewall_is_pending_and_false_and_the_repeated_question_mends_it() {
    let kernel = Arc::new(Kernel::default());
    let (mirroring, _task) = start(&kernel).await;
    kernel.broken.store(true, Ordering::Relaxed);
    assert_eq!(mirroring.follow(vec![(at(1), None)]).await, Err("broken".into()));
    assert_eq!(mirroring.truth(), Some(false));
    kernel.broken.store(false, Ordering::Relaxed);
    mirroring.follow(vec![(at(1), None)]).await.unwrap();
    assert_eq!(kernel.admitted().unwrap(), []);
}

#[tokio::test]
async fn attacker_what_somebody_slipped_in_or_took_out_is_put_right() {
    let kernel = Arc::new(Kernel::default());
    let (mirroring, _task) = start(&kernel).await;
    *kernel.table.lock().unwrap() = Some([(at(66), Gate::Active)].into());
    mirroring.follow(vec![(at(1), None)]).await.unwrap(); // the change fails on what is gone: replaced whole
    assert_eq!(kernel.admitted().unwrap(), []);
    let mut truth = mirroring.truth.clone();
    *kernel.table.lock().unwrap() = Some([(at(66), Gate::Active)].into());
    truth.mark_unchanged();
    truth.changed().await.unwrap(); // the next reading back
    truth.wait_for(|truth| *truth == Some(true)).await.unwrap();
    assert_eq!(kernel.admitted().unwrap(), []);
}
