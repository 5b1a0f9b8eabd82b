//! The cut (ruling 7; s8): everything live of it is gone before it is acknowledged, nobody else notices.

use gateway::CutQuestion;
use http::{Method, StatusCode};
use pki::identity::FacilityId;
use vpn::address::Place;

use super::world::client::{Client, ask, next_event};
use super::world::doubles::{facility, membership, person};
use super::world::{World, address, slot};

async fn signed_in(world: &World, n: u16) -> Client {
    let mut client = world.client(n).await;
    assert_eq!(client.sign_in(n as u8).await.status, StatusCode::OK);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_ends_stream_keep_alive_half_upload_and_half_handshake_and_a_bystander_loses_nothing() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new().await;
    let (victim, bystander) = (signed_in(&world, 1).await, signed_in(&world, 2).await);
    let (_a, mut stream) = victim.events().await;
    let (_b, mut other) = bystander.events().await;
    world.upstream.say("one");
    assert_eq!(next_event(&mut stream).await.as_deref(), Some("data: one\n\n"));
    let mut idle = victim.connect().await.unwrap();
    let request = victim.request(Method::GET, "sns", "/api/teams", "");
    assert_eq!(ask(&mut idle, request).await.status, StatusCode::OK);
    let mut upload = victim.tls().await.unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: sns.m.example.jp\r\nOrigin: https://sns.m.example.jp\r\nCookie: {}\r\nContent-Length: 1000\r\n\r\nhalf",
        victim.cookie.as_ref().unwrap()
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    let mut handshake = victim.tcp(world.room.addresses().mutual).await.unwrap();
    world.eventually("all five stand", async || world.live().await.len() == 5).await;
    world
        .eventually("the upload runs", async || {
            world.live().await.iter().map(|one| one.streams).sum::<u32>() == 3
        })
        .await;

    let answer = world.room.cut(CutQuestion::Slot { slot: slot(1), generation: 5 }).await;
    assert_eq!((answer.connections, answer.sessions), (4, 1));
    let left = world.live().await;
    assert!(left.iter().all(|one| one.slot == slot(2)), "{left:?}");

    world.upstream.say("two");
    assert_eq!(next_event(&mut stream).await, None, "not a byte after the acknowledgement");
    let mut byte = [0];
    assert!(matches!(handshake.read(&mut byte).await, Ok(0) | Err(_)));
    assert!(matches!(upload.read(&mut byte).await, Ok(0) | Err(_)));
    world.eventually("the idle one is closed", async || idle.is_closed()).await;
    for expected in ["data: one\n\n", "data: two\n\n"] {
        assert_eq!(next_event(&mut other).await.as_deref(), Some(expected));
    }
    assert!(victim.refused().await.contains("AccessDenied"));
    world
        .eventually("nothing is left", async || world.live().await.iter().all(|one| one.slot != slot(1)))
        .await;
    let again = world.room.cut(CutQuestion::Slot { slot: slot(1), generation: 5 }).await;
    assert_eq!((again.connections, again.sessions), (0, 0), "cutting what is cut is acknowledged too");
    world.eventually("recorded", async || world.audit().contains("\"kind\":\"cut\"")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_slot_comes_back_by_a_newer_generation_only_even_after_a_restart() {
    let mut world = World::new().await;
    let device = world.device(1).await;
    let here = address(1, Place::Active);
    world.room.cut(CutQuestion::Slot { slot: slot(1), generation: 5 }).await;
    assert!(world.from(here, Some(&device)).refused().await.contains("AccessDenied"));
    world.restart().await;
    assert!(world.from(here, Some(&device)).refused().await.contains("AccessDenied"));
    world.eventually("recorded", async || world.why(1).await == ["MM-3003"]).await;
    world.grants.hold(1, 1, 6);
    world.caught_up().await;
    assert_eq!(world.from(here, Some(&device)).get("/sign-in").await.status, StatusCode::OK);
    // A late repetition of the old cut leaves the new generation alone.
    let client = world.from(here, Some(&device));
    let mut kept = client.connect().await.unwrap();
    let request = || client.request(Method::GET, "sns", "/sign-in", "");
    assert_eq!(ask(&mut kept, request()).await.status, StatusCode::OK);
    world.room.cut(CutQuestion::Slot { slot: slot(1), generation: 5 }).await;
    assert_eq!(ask(&mut kept, request()).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_certificate_never_comes_back_though_pki_still_lists_it() {
    let mut world = World::new().await;
    let device = world.device(1).await;
    let here = address(1, Place::Active);
    let mut client = world.from(here, Some(&device));
    client.sign_in(1).await;
    let (_kept, mut events) = client.events().await;
    let answer = world.room.cut(CutQuestion::Certificate { serial: device.serial }).await;
    assert_eq!((answer.connections > 0, answer.sessions), (true, 1));
    assert_eq!(next_event(&mut events).await, None);
    world.restart().await;
    assert!(world.from(here, Some(&device)).refused().await.contains("AccessDenied"));
    let second = world.device(1).await;
    assert_eq!(world.from(here, Some(&second)).get("/sign-in").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn person_membership_and_facility_are_cut_each_exactly() {
    for cut in [
        CutQuestion::Person { person: person(1) },
        CutQuestion::Membership { membership: membership(1) },
        CutQuestion::Facility { facility: facility(1) },
    ] {
        let world = World::new().await;
        let (victim, bystander) = (signed_in(&world, 1).await, signed_in(&world, 2).await);
        let (_a, mut stream) = victim.events().await;
        let (_b, mut other) = bystander.events().await;
        let answer = world.room.cut(cut.clone()).await;
        assert!(answer.connections >= 1 && answer.sessions == 1, "{cut:?}: {answer:?}");
        assert_eq!(next_event(&mut stream).await, None, "{cut:?}");
        world.upstream.say("fine");
        assert!(next_event(&mut other).await.is_some(), "{cut:?}");
        assert_eq!(bystander.get("/api/teams").await.status, StatusCode::OK);
        // The floor of people and facilities lifts once the feed has answered a later question.
        let mut again = world.client(1).await;
        world
            .eventually("the grants still permit it", async || {
                again.connect().await.is_ok() && {
                    let body = r#"{"login":"1@m","password":"password-1"}"#;
                    let request = again.request(Method::POST, "sns", "/sign-in", body);
                    again.send(request).await.is_ok_and(|reply| reply.status == StatusCode::OK)
                }
            })
            .await;
        again.sign_in(1).await;
        assert_eq!(again.get("/api/teams").await.status, StatusCode::OK);
    }
    let world = World::new().await;
    let nobody = CutQuestion::Facility { facility: FacilityId::from_random([200; 10]) };
    assert_eq!(world.room.cut(nobody).await.connections, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_truth_ends_what_it_no_longer_permits() {
    // Without any cut: the feeds alone suffice (ruling 8, level not edge).
    type Change = fn(&World, pki::CertificateSerial);
    let changes: [Change; 4] = [
        |world, _| world.grants.close(1, 6),
        |world, _| world.grants.member(1, 1, false),
        |world, _| world.grants.hold(1, 3, 6),
        |world, serial| {
            world.revocations.remove(serial);
        },
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let world = World::new().await;
        let device = world.device(1).await;
        let mut victim = world.from(address(1, Place::Active), Some(&device));
        victim.sign_in(1).await;
        let bystander = signed_in(&world, 2).await;
        let (_a, mut stream) = victim.events().await;
        let (_b, mut other) = bystander.events().await;
        change(&world, device.serial);
        assert_eq!(next_event(&mut stream).await, None, "change {n}");
        world.eventually("its session is ended", async || world.status().await.sessions == 1).await;
        world.upstream.say("fine");
        assert!(next_event(&mut other).await.is_some(), "change {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_outlives_its_certificate() {
    let world = World::new().await;
    let device = world.authority.short_lived(slot(1));
    let number = world.revocations.add(&device);
    world.eventually("listed", async || world.status().await.revocations >= number).await;
    let client = world.from(address(1, Place::Active), Some(&device));
    let mut kept = client.connect().await.unwrap();
    let request = client.request(Method::GET, "sns", "/sign-in", "");
    assert_eq!(ask(&mut kept, request).await.status, StatusCode::OK);
    world.clock.skip(24 * 60 * 60_000);
    world.eventually("the connection is ended", async || kept.is_closed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_ends_streams_and_closes_the_trail() {
    let mut world = World::new().await;
    let client = signed_in(&world, 1).await;
    let (_kept, mut events) = client.events().await;
    world.room.stop().await;
    assert_eq!(next_event(&mut events).await, None);
    assert!(world.audit().lines().last().unwrap().contains("stopped"));
    world.restart().await;
    assert!(!world.audit().contains("broken"), "the chain goes on");
}

/// The sweep runs on every change of the truth, and beside a cut: whoever it finds first is counted all the
/// same, waited for and reset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_counts_every_connection_though_the_sweep_never_rests() {
    const EACH: u32 = 30;
    let world = World::new().await;
    let grants = world.grants.clone();
    let busy = tokio::spawn(async move {
        for n in 0u32.. {
            grants.member(9, 9, n.is_multiple_of(2));
            tokio::task::yield_now().await;
        }
    });
    for n in 1..=3 {
        let client = signed_in(&world, n).await;
        let mut streams = Vec::new();
        for _ in 0..EACH {
            streams.push(client.events().await);
        }
        world
            .eventually("all stand", async || {
                let live = world.live().await;
                live.iter().filter(|one| one.slot == slot(n) && one.streams == 1).count() == EACH as usize
            })
            .await;
        let answer = world.room.cut(CutQuestion::Slot { slot: slot(n), generation: 5 }).await;
        assert_eq!((answer.connections, answer.sessions), (EACH, 1));
        for (_kept, mut stream) in streams {
            assert_eq!(next_event(&mut stream).await, None);
        }
    }
    busy.abort();
}

/// Ruling 8: the feeds' word is law at once; the disk that writes it down may stand still meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_stands_still_holds_up_no_end() {
    let world = World::new().await;
    let client = signed_in(&world, 1).await;
    let (_kept, mut stream) = client.events().await;
    let lock = world.lock_sessions().await;
    world.grants.member(1, 1, false);
    assert_eq!(next_event(&mut stream).await, None);
    drop(lock);
    world.eventually("written down", async || world.audit().contains("session-ended")).await;
}
