//! The live stream through HTTP: nothing lost, nothing twice, gone when it must be (H-12, ruling 7, s8).

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use http::{Method, StatusCode};
use pki::identity::{Identity, Role};
use serde_json::{Value, json};
use sns::door::EndStreams;
use sns::{SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};
use tower::ServiceExt;

use super::world::{TEXT, World, ack, events, facility, identity, patient, posts, trail};

/// An SSE client: frames out of bytes, keep-alives passed over.
struct Client {
    body: BodyDataStream,
    buffer: String,
}

impl Client {
    async fn open(world: &World, who: &Identity, path: &str, last: Option<i64>) -> Self {
        let mut request = World::request(who, Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = world.room.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), buffer: String::new() }
    }

    /// Name, number and data of the next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<(String, i64, Value)> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| {
                    frame
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim().to_owned())
                };
                let event =
                    field("event:").map(|name| (name, field("id:").unwrap(), field("data:").unwrap()));
                self.buffer = rest.to_owned();
                match event {
                    Some((name, id, data)) => {
                        return Some((name, id.parse().unwrap(), serde_json::from_str(&data).unwrap()));
                    }
                    None => continue,
                }
            }
            self.buffer.push_str(std::str::from_utf8(&self.body.next().await?.unwrap()).unwrap());
        }
    }
}

async fn streams(world: &World) -> u32 {
    let SnsAnswer::Status { streams, .. } = world.room.operator(SnsQuestion::Status).await else { panic!() };
    streams
}

#[tokio::test]
async fn a_post_and_its_acknowledgement_arrive_live() {
    let world = World::new().await;
    let (author, reader) = (identity(11, Role::Staff), identity(21, Role::Staff));
    let mut client = Client::open(&world, &reader, &events(1), None).await;
    let post = world.write(&author, TEXT).await;
    let (name, number, data) = client.next().await.unwrap();
    assert_eq!(
        (name.as_str(), number, data["text"].as_str(), data["post"].as_str()),
        ("post", 1, Some(TEXT), Some(post.as_str()))
    );
    world.post(&reader, &ack(&post), json!(null)).await;
    let (name, number, data) = client.next().await.unwrap();
    assert_eq!((name.as_str(), number, data["ack"]["by"]["name"].as_str()), ("ack", 2, Some("職員21号")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resuming_anywhere_while_two_facilities_write_loses_nothing() {
    const EACH: usize = 15;
    let world = std::sync::Arc::new(World::new().await);
    let writers: Vec<_> = [11, 21]
        .into_iter()
        .map(|n| {
            let world = world.clone();
            tokio::spawn(async move {
                for at in 0..EACH {
                    world.write(&identity(n, Role::Staff), &format!("{n}/{at}")).await;
                }
            })
        })
        .collect();
    let reader = identity(21, Role::Staff);
    let mut seen: Vec<(i64, String)> = Vec::new();
    for take in [1, 2, 3, 5, 8, usize::MAX] {
        let mut client =
            Client::open(&world, &reader, &events(1), Some(seen.last().map_or(0, |(number, _)| *number)))
                .await;
        for _ in 0..take {
            if seen.len() == 2 * EACH {
                break;
            }
            let (_, number, data) = client.next().await.unwrap();
            seen.push((number, data["text"].as_str().unwrap().to_owned()));
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(seen.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());
    for n in [11, 21] {
        let own: Vec<_> = seen
            .iter()
            .filter(|(_, text)| text.starts_with(&format!("{n}/")))
            .map(|(_, text)| text.clone())
            .collect();
        assert_eq!(own, (0..EACH).map(|at| format!("{n}/{at}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_stream_resumes_over_a_restart_and_from_a_number_of_the_future() {
    let mut world = World::new().await;
    let (author, reader) = (identity(11, Role::Staff), identity(21, Role::Staff));
    let mut client = Client::open(&world, &reader, &events(1), None).await;
    world.write(&author, "1").await;
    assert_eq!(client.next().await.unwrap().1, 1);
    world.restart().await;
    assert!(client.next().await.is_none(), "stopping ends the streams");
    world.write(&author, "2").await;
    let mut client = Client::open(&world, &reader, &events(1), Some(1)).await;
    assert_eq!(client.next().await.unwrap().1, 2);
    // Known from before an older sns.db was put back: what is new from here on arrives.
    let mut client = Client::open(&world, &reader, &events(1), Some(500)).await;
    let mut by_query = Client::open(&world, &reader, &format!("{}?after=1", events(1)), None).await;
    world.write(&author, "3").await;
    assert_eq!((client.next().await.unwrap().1, by_query.next().await.unwrap().1), (3, 2));
}

#[tokio::test]
async fn a_lost_device_s_stream_ends_and_a_bystander_loses_nothing_s8() {
    let world = World::new().await;
    let (author, reader) = (identity(11, Role::Staff), identity(21, Role::Staff));
    let mut lost = Client::open(&world, &reader, &events(1), None).await;
    let mut bystander = Client::open(&world, &author, &events(1), None).await;
    world.write(&author, "1").await;
    assert!(lost.next().await.is_some());
    for whose in [
        EndStreams::Slot("18-0021".into()),
        EndStreams::Person(reader.person.clone()),
        EndStreams::Facility(reader.facility.clone()),
    ] {
        let answer = world.room.teams(TeamsQuestion::End(whose)).await;
        assert!(matches!(answer, TeamsAnswer::Ended { .. }));
        assert_eq!(streams(&world).await, 1);
        assert!(lost.next().await.is_none());
        lost = Client::open(&world, &reader, &events(1), None).await;
    }
    drop(lost);
    world.write(&author, "2").await;
    assert_eq!((bystander.next().await.unwrap().1, bystander.next().await.unwrap().1), (1, 2));
}

#[tokio::test]
async fn a_removed_member_s_stream_ends_and_a_hidden_lane_is_not_streamed() {
    let world = World::new().await;
    let (author, reader, family) =
        (identity(11, Role::Staff), identity(21, Role::Staff), identity(22, Role::Family));
    let mut staff = Client::open(&world, &reader, &events(1), None).await;
    let mut relative = Client::open(&world, &family, &events(1), None).await;
    world.write(&author, "専門職のみ").await;
    assert!(staff.next().await.is_some());
    world.post(&author, &posts(1), json!({ "text": "家族にも", "family": true })).await;
    assert_eq!(relative.next().await.unwrap().2["text"], "家族にも");
    let remove = TeamsQuestion::RemoveMember { patient: patient(1), membership: reader.membership };
    world.room.teams(remove).await;
    assert!(staff.next().await.is_none());
    assert_eq!(streams(&world).await, 1);
}

/// H-14, P-33: whoever has left is out of every team at once, their streams end, and what they wrote keeps its author.
#[tokio::test]
async fn h_14_who_has_left_is_out_of_every_team_at_once() {
    let world = World::new().await;
    let (leaver, stays) = (identity(21, Role::Staff), identity(11, Role::Staff));
    world.write(&leaver, "引き継ぎ").await;
    let mut stream = Client::open(&world, &leaver, &events(1), None).await;
    let leave = TeamsQuestion::Leave { membership: leaver.membership.clone() };
    let first = world.room.teams(leave.clone()).await;
    assert!(matches!(first, TeamsAnswer::Left { teams } if teams > 0), "{first:?}");
    while stream.next().await.is_some() {}
    assert_eq!(world.room.teams(leave).await, TeamsAnswer::Left { teams: 0 }, "twice is once");
    assert_eq!(world.get(&leaver, &posts(1)).await.status, StatusCode::NOT_FOUND);
    let seen = world.get(&stays, &posts(1)).await;
    assert!(seen.status == StatusCode::OK && seen.text().contains("引き継ぎ"));
}

/// C-7: the streams of a facility that leaves the team end with it; a bystander's goes on.
#[tokio::test]
async fn c_7_a_leaving_facility_s_streams_end_at_once() {
    let world = World::new().await;
    let (leaver, stays) = (identity(21, Role::Staff), identity(11, Role::Staff));
    let mut gone = Client::open(&world, &leaver, &events(1), None).await;
    let mut bystander = Client::open(&world, &stays, &events(1), None).await;
    let question =
        TeamsQuestion::UnlinkFacility { patient: Some(patient(1)), facility: facility(2).facility };
    assert_eq!(world.room.teams(question).await, TeamsAnswer::Left { teams: 1 });
    assert!(gone.next().await.is_none());
    world.write(&stays, "続き").await;
    assert!(bystander.next().await.is_some());
}

#[tokio::test]
async fn what_a_stream_delivered_is_in_the_trail_ruling_11() {
    let world = World::new().await;
    let reader = identity(21, Role::Staff);
    let mut client = Client::open(&world, &reader, &events(1), None).await;
    world.write(&identity(11, Role::Staff), "1").await;
    client.next().await.unwrap();
    drop(client);
    let room = world.room.clone();
    room.stop().await;
    let room = super::world::start(&world.dir, world.server.as_ref()).await.unwrap();
    assert!(trail(&room, None).await.iter().any(|line| line.act == "stream-end"
        && line.on.as_deref() == Some("0..1")
        && line.who.contains(reader.person.as_str())));
}
