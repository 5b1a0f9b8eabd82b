//! What leaves for a room behind, byte by byte: whatever a device sends, the room's parser sees plain
//! requests that two independent readers understand alike, with our identity in them and nothing that
//! is on no list (issue 6, strict HTTP; r3: no unusual byte reaches the SNS).

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::World;

/// Requests that are sent: enough to mix every ingredient with every other.
const CASES: u32 = 300;

/// A request as a reader understood it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The library's way: httparse, and framing from its headers.
fn read_by_library(mut bytes: &[u8]) -> Result<Vec<Read>, String> {
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(end) = request.parse(bytes).map_err(|e| e.to_string())? else {
            return Err("half a head".into());
        };
        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|h| (h.name.to_lowercase(), String::from_utf8(h.value.to_vec()).unwrap()))
            .collect();
        let get = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        bytes = &bytes[end..];
        let mut body = Vec::new();
        if get("transfer-encoding").is_some() {
            loop {
                let httparse::Status::Complete((at, size)) =
                    httparse::parse_chunk_size(bytes).map_err(|_| "chunk")?
                else {
                    return Err("half a chunk".into());
                };
                let size = size as usize;
                body.extend_from_slice(bytes.get(at..at + size).ok_or("half a chunk")?);
                bytes = bytes.get(at + size + 2..).ok_or("half a chunk")?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = get("content-length") {
            let length: usize = length.parse().map_err(|_| "length")?;
            body.extend_from_slice(bytes.get(..length).ok_or("half a body")?);
            bytes = &bytes[length..];
        }
        let (method, target) = (request.method.unwrap().to_owned(), request.path.unwrap().to_owned());
        requests.push(Read { method, target, headers, body });
    }
    Ok(requests)
}

/// By hand, line by line, accepting nothing that a grammar lesson would not.
fn read_by_hand(text: &[u8]) -> Result<Vec<Read>, String> {
    let mut rest = text;
    let line = |rest: &mut &[u8]| -> Result<String, String> {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or("no end of line")?;
        let line = rest[..end].to_vec();
        *rest = &rest[end + 2..];
        if line.iter().any(|b| !(b' '..=b'~').contains(b)) {
            return Err(format!("an odd byte in {line:?}"));
        }
        Ok(String::from_utf8(line).unwrap())
    };
    let mut requests = Vec::new();
    while !rest.is_empty() {
        let first = line(&mut rest)?;
        let words: Vec<&str> = first.split(' ').collect();
        let [method, target, "HTTP/1.1"] = words[..] else { return Err(first) };
        let (mut headers, mut length, mut chunked) = (Vec::new(), None, false);
        loop {
            let header = line(&mut rest)?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(": ").ok_or(format!("no header: {header}"))?;
            let (name, value) = (name.to_lowercase(), value.to_owned());
            if headers.iter().any(|(n, _)| *n == name) && name != "accept" && name != "accept-language" {
                return Err(format!("twice: {name}"));
            }
            match name.as_str() {
                "content-length" => length = Some(value.parse::<usize>().map_err(|_| header)?),
                "transfer-encoding" if value == "chunked" => chunked = true,
                "transfer-encoding" => return Err(header),
                _ => {}
            }
            headers.push((name, value));
        }
        let mut body = Vec::new();
        let mut take = |rest: &mut &[u8], count: usize| -> Result<(), String> {
            body.extend_from_slice(rest.get(..count).ok_or("half a body")?);
            *rest = &rest[count..];
            Ok(())
        };
        match (length, chunked) {
            (Some(_), true) => return Err("two framings".into()),
            (Some(length), false) => take(&mut rest, length)?,
            (None, true) => loop {
                let size = usize::from_str_radix(&line(&mut rest)?, 16).map_err(|e| e.to_string())?;
                take(&mut rest, size)?;
                if !line(&mut rest)?.is_empty() {
                    return Err("a chunk's end".into());
                }
                if size == 0 {
                    break;
                }
            },
            (None, false) => {}
        }
        requests.push(Read { method: method.into(), target: target.into(), headers, body });
    }
    Ok(requests)
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let method =
        prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("HEAD"), Just("DELETE"), Just("get")];
    let target = prop_oneof![
        Just("/".to_owned()),
        "/[a-z0-9/.?=&%+_-]{0,20}",
        "/[ -~]{0,12}",
        Just("https://sns.m.example.jp/a".to_owned()),
        Just("//evil.example/".to_owned()),
    ];
    let name = prop_oneof![
        "[A-Za-z_-]{1,16}",
        Just("Accept".to_owned()),
        Just("Content-Type".to_owned()),
        Just("Connection".to_owned()),
        Just("Content-Length".to_owned()),
        Just("Transfer-Encoding".to_owned()),
        Just("Host".to_owned()),
        Just("Expect".to_owned()),
        Just("TE".to_owned()),
        Just("Trailer".to_owned()),
        Just("mimamori-identity".to_owned()),
        Just("Mimamori_Identity".to_owned()),
        Just("Last-Event-ID".to_owned()),
        Just("Idempotency-Key".to_owned()),
    ];
    let value = prop_oneof![
        "[ -~]{0,20}",
        Just("chunked".into()),
        Just("close, accept".into()),
        Just("5".into()),
        Just("100-continue".into())
    ];
    let headers = proptest::collection::vec(
        (name, value, prop_oneof![9 => Just(": "), 1 => Just(":"), 1 => Just(" : ")]),
        0..6,
    );
    let framing = prop_oneof![Just(0u8), Just(1), Just(2)];
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    let flips = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
    (method, target, headers, framing, body, proptest::option::weighted(0.3, flips)).prop_map(
        |(method, target, headers, framing, body, flips)| {
            let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: sns.m.example.jp\r\nOrigin: https://sns.m.example.jp\r\nCOOKIE\r\n").into_bytes();
            for (name, value, between) in headers {
                bytes.extend(format!("{name}{between}{value}\r\n").into_bytes());
            }
            match framing {
                1 => bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes()),
                2 => bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n"),
                _ => bytes.extend(b"\r\n"),
            }
            match framing {
                1 => bytes.extend(&body),
                2 if body.is_empty() => bytes.extend(b"0\r\n\r\n"),
                2 => {
                    bytes.extend(format!("{:x}\r\n", body.len()).into_bytes());
                    bytes.extend(&body);
                    bytes.extend(b"\r\n0\r\n\r\n");
                }
                _ => {}
            }
            for (index, byte) in flips.unwrap_or_default() {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_readers_understand_alike_whatever_leaves() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let cookie = format!("Cookie: {}", client.cookie.as_ref().unwrap());
    world.upstream.record();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let strategy = requests();
    let (mut sent, mut answered) = (0, 0);
    while sent < CASES {
        let mut tls = client.tls().await.unwrap();
        // Several on one connection, until one breaks it.
        for _ in 0..8 {
            let bytes = strategy.new_tree(&mut runner).unwrap().current();
            let text: Vec<u8> = match bytes.windows(6).position(|six| six == b"COOKIE") {
                Some(at) => [&bytes[..at], cookie.as_bytes(), &bytes[at + 6..]].concat(),
                None => bytes,
            };
            sent += 1;
            if tls.write_all(&text).await.is_err() {
                break;
            }
            let mut answer = [0; 8192];
            let reading = tokio::time::timeout(std::time::Duration::from_millis(500), tls.read(&mut answer));
            match reading.await {
                Ok(Ok(read)) if read > 0 && answer.starts_with(b"HTTP/1.1 200") => answered += 1,
                Ok(Ok(read)) if read > 0 && answer.starts_with(b"HTTP/1.1 4") => {}
                _ => break,
            }
        }
    }
    assert!(answered > CASES / 20, "only {answered} of {sent} were ordinary");
    for line in world.upstream.recorded() {
        read_alike(&line);
    }
}

fn read_alike(line: &[u8]) {
    let lists: BTreeSet<&str> = [
        "accept",
        "accept-language",
        "content-type",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "range",
        "user-agent",
        "idempotency-key",
        "last-event-id",
        "host",
        "mimamori-identity",
        "mimamori-trace",
        "content-length",
        "transfer-encoding",
    ]
    .into();
    // A line that was broken off ends in the middle of a request that was never finished.
    let (by_library, by_hand) = (read_by_library(line), read_by_hand(line));
    let shown = String::from_utf8_lossy(line).into_owned();
    let (Ok(by_library), Ok(by_hand)) = (&by_library, &by_hand) else {
        let half = |read: &Result<Vec<Read>, String>| matches!(read, Err(why) if why.starts_with("half") || why == "no end of line" || why == "chunk");
        assert!(half(&by_library) && half(&by_hand), "{by_library:?} {by_hand:?} {shown}");
        return;
    };
    assert_eq!(by_library, by_hand, "{shown}");
    for request in by_library {
        let count = |name: &str| request.headers.iter().filter(|(n, _)| n == name).count();
        assert_eq!(
            (count("host"), count("mimamori-identity"), count("mimamori-trace")),
            (1, 1, 1),
            "{shown}"
        );
        assert!(count("content-length") + count("transfer-encoding") <= 1, "{shown}");
        for (name, value) in &request.headers {
            assert!(lists.contains(name.as_str()), "{name} in {shown}");
            if name == "mimamori-identity" {
                assert!(value.starts_with("v1;slot=18-0001;"), "{shown}");
            }
        }
        assert!(request.target.starts_with('/') && !request.target.contains('#'), "{shown}");
    }
}
