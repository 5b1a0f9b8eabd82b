//! Certificate, key, device CA, grants and certificates alive change under load (issue 6): no request and no
//! WebSocket is lost, and the next handshakes see the new ones. A reload is all or nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use gateway::door::{GatewayAnswer, GatewayQuestion};
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::client::{Client, ask};
use super::world::{World, files};

const RELOADS: usize = 12;

async fn reload(world: &World) -> GatewayAnswer {
    world.room.operator(GatewayQuestion::Reload { dry_run: false }).await
}

/// What the gateway shows of itself to a new connection.
async fn shown(client: &Client) -> Vec<u8> {
    let tls = client.tls().await.unwrap();
    tls.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_no_request_and_no_socket() {
    let mut world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let (head, mut socket) = client.socket("/socket", |head| head).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for keeps in [true, true, false, false] {
        let (client, over, asked) = (client.clone(), over.clone(), asked.clone());
        load.spawn(async move {
            let mut kept = client.connect().await.unwrap();
            while !over.load(SeqCst) {
                if !keeps {
                    kept = client.connect().await.unwrap();
                }
                let request = client.request(Method::GET, "sns", "/api/teams", "");
                assert_eq!(ask(&mut kept, request).await.status, StatusCode::OK);
                asked.fetch_add(1, SeqCst);
                // Below the bound of a slot's requests.
                tokio::time::sleep(std::time::Duration::from_millis(60)).await;
            }
        });
    }
    for n in 0..RELOADS {
        let before = asked.load(SeqCst);
        world.authority.renew();
        world.authority.write(&files(world.dir.path()));
        assert_eq!(reload(&world).await, GatewayAnswer::Reloaded);
        // Feeds change as well: another device comes, and another person.
        world.device(2).await;
        world.grants.member(3, 3, n.is_multiple_of(2));
        socket.write_all(format!("{n:04}").as_bytes()).await.unwrap();
        let mut echoed = [0; 4];
        socket.read_exact(&mut echoed).await.unwrap();
        assert_eq!(echoed, format!("{n:04}").as_bytes());
        world.eventually("the load goes on", async || asked.load(SeqCst) >= before + 4).await;
    }
    over.store(true, SeqCst);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_handshake_sees_the_new_certificate_and_a_bad_file_changes_nothing() {
    let mut world = World::new().await;
    let client = world.client(1).await;
    let first = shown(&client).await;
    let files = files(world.dir.path());
    world.authority.renew();
    world.authority.write(&files);
    let dry = world.room.operator(GatewayQuestion::Reload { dry_run: true }).await;
    assert_eq!((dry, shown(&client).await == first), (GatewayAnswer::Reloaded, true));
    assert_eq!(reload(&world).await, GatewayAnswer::Reloaded);
    let second = shown(&client).await;
    assert_ne!(first, second);
    // A new certificate with the old key; then no device CA: all or nothing.
    let key = std::fs::read(&files.tls_key).unwrap();
    world.authority.renew();
    world.authority.write(&files);
    std::fs::write(&files.tls_key, key).unwrap();
    assert!(matches!(reload(&world).await, GatewayAnswer::Failed { why } if why.contains("MM-3107")));
    world.authority.write(&files);
    std::fs::write(&files.device_ca, b"no certificate").unwrap();
    assert!(matches!(reload(&world).await, GatewayAnswer::Failed { why } if why.contains("MM-3108")));
    std::fs::remove_file(&files.device_ca).unwrap();
    assert!(matches!(reload(&world).await, GatewayAnswer::Failed { why } if why.contains("MM-3115")));
    assert_eq!(shown(&client).await, second);
    assert_eq!(client.get("/sign-in").await.status, StatusCode::OK);
}
