//! The streams against a table that grows while they read, against full registries and against being ended.

use futures_util::StreamExt;
use proptest::prelude::*;

use super::*;

fn who(slot: &str, person: u8, patient: u8) -> Who {
    Who {
        slot: slot.into(),
        person: PersonId::from_random([person; 10]),
        membership: MembershipId::from_random([person; 10]),
        facility: FacilityId::from_random([person / 10; 10]),
        patient: PatientId::from_random([patient; 10]),
    }
}

/// A table of numbers; odd ones are invisible when `half`.
#[derive(Clone, Default)]
struct Table {
    newest: Arc<Mutex<i64>>,
    half: bool,
    ended: Arc<Mutex<Option<i64>>>,
}

impl Table {
    fn grow(&self, live: &Live, patient: u8) {
        let number = {
            let mut newest = self.newest.lock().unwrap();
            *newest += 1;
            *newest
        };
        live.wake(&PatientId::from_random([patient; 10]), number);
    }
}

impl Source for Table {
    type Item = i64;

    fn step(&mut self, after: i64) -> Later<'_, Step<i64>> {
        Box::pin(async move {
            // What is written here, between the look and the wait, must not be missed.
            tokio::task::yield_now().await;
            let newest = *self.newest.lock().unwrap();
            tokio::task::yield_now().await;
            match after + 1 {
                next if next > newest => Step::Caught,
                next if self.half && next % 2 == 1 => Step::Skip(next),
                next => Step::Deliver(next, next),
            }
        })
    }

    fn ended(&mut self, last: i64) -> Later<'_, ()> {
        *self.ended.lock().unwrap() = Some(last);
        Box::pin(async {})
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_stream_that_breaks_and_resumes_anywhere_sees_every_number_once(
        total in 1i64..40, cuts in prop::collection::vec(1usize..12, 0..6),
    ) {
        let seen = block_on(async move {
            let (live, table) = (Live::new(), Table::default());
            let writer = { let (live, table) = (live.clone(), table.clone()); tokio::spawn(async move {
                for _ in 0..total { table.grow(&live, 1); tokio::task::yield_now().await; }
            }) };
            let mut seen = Vec::new();
            for cut in cuts {
                let mut stream = live.join(who("18-0001", 1, 1)).unwrap().follow(seen.last().copied().unwrap_or(0), table.clone());
                while seen.len() < usize::try_from(total).unwrap() {
                    seen.push(stream.next().await.unwrap());
                    if seen.len() % cut == 0 { break; }
                }
            }
            let mut stream = live.join(who("18-0001", 1, 1)).unwrap().follow(seen.last().copied().unwrap_or(0), table.clone());
            while seen.len() < usize::try_from(total).unwrap() { seen.push(stream.next().await.unwrap()); }
            writer.await.unwrap();
            seen
        });
        prop_assert_eq!(seen, (1..=total).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn ending_a_slot_a_person_or_a_facility_ends_their_streams_and_no_other_h_12() {
    let (live, table) = (Live::new(), Table::default());
    let mut lost = live.join(who("18-0042", 11, 1)).unwrap().follow(0, table.clone());
    let mut stays = live.join(who("18-0043", 21, 1)).unwrap().follow(0, table.clone());
    table.grow(&live, 1);
    assert_eq!((lost.next().await, stays.next().await), (Some(1), Some(1)));
    assert_eq!(live.end(|who| who.slot == "18-0042").await, 1);
    assert_eq!((live.streams(), lost.next().await), (1, None));
    table.grow(&live, 1);
    assert_eq!(stays.next().await, Some(2), "a bystander loses nothing");
    assert_eq!(live.end(|who| who.person == PersonId::from_random([99; 10])).await, 0);
    assert_eq!(live.end(|who| who.facility == FacilityId::from_random([2; 10])).await, 1);
    assert_eq!(live.streams(), 0);
}

#[tokio::test]
async fn what_was_queued_when_the_stream_was_ended_is_never_delivered() {
    let (live, table) = (Live::new(), Table::default());
    let mut stream = live.join(who("18-0042", 1, 1)).unwrap().follow(0, table.clone());
    table.grow(&live, 1);
    table.grow(&live, 1);
    assert_eq!(stream.next().await, Some(1));
    // Nobody polls: event 2 sits in the queue, as behind a stalled connection.
    while stream.queue.is_empty() {
        tokio::task::yield_now().await;
    }
    live.end(|_| true).await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn invisible_events_are_passed_over_and_dropped_streams_leave() {
    let (live, table) = (Live::new(), Table { half: true, ..Table::default() });
    let mut stream = live.join(who("18-0042", 1, 1)).unwrap().follow(0, table.clone());
    for _ in 0..4 {
        table.grow(&live, 1);
    }
    assert_eq!((stream.next().await, stream.next().await), (Some(2), Some(4)));
    drop(stream);
    live.close().await;
    assert_eq!(live.streams(), 0);
    assert_eq!(*table.ended.lock().unwrap(), Some(4));
    assert!(live.state().teams.is_empty());
    assert_eq!(live.join(who("18-0042", 1, 1)).err(), Some(Message::Stopping));
}

#[test]
fn streams_are_bounded_per_slot_and_per_person_ruling_13() {
    let live = Live::new();
    let tickets: Vec<_> = (0..STREAMS_PER_SLOT)
        .map(|n| live.join(who("18-0042", u8::try_from(n).unwrap(), 1)).unwrap())
        .collect();
    assert_eq!(live.join(who("18-0042", 200, 1)).err(), Some(Message::TooManyStreams));
    assert!(live.join(who("18-0043", 200, 1)).is_ok());
    drop(tickets);
    let _tickets: Vec<_> =
        (0..STREAMS_PER_PERSON).map(|n| live.join(who(&format!("18-{n:04}"), 1, 1)).unwrap()).collect();
    assert_eq!(live.join(who("18-0099", 1, 1)).err(), Some(Message::TooManyStreams));
}
