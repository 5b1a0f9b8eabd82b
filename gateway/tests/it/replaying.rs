//! The corpus of requests (`tests/corpus/http1.txt`): the gate and the checks behind the parser judge each of
//! them in the same way however it is cut into pieces, and over the wire nothing that is refused reaches the
//! room behind (issue 6, strict HTTP).

use gateway::heads::Heads;
use gateway::strict::{self, Scheme};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::World;

struct Case {
    passes: bool,
    name: &'static str,
    text: &'static str,
}

fn corpus() -> Vec<Case> {
    let lines = include_str!("../corpus/http1.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &'static str| {
        let (verdict, rest) = line.split_once(' ').unwrap();
        let (name, text) = rest.split_once(": ").unwrap();
        assert!(matches!(verdict, "pass" | "refuse"), "{line}");
        Case { passes: verdict == "pass", name, text }
    };
    lines.map(case).collect()
}

impl Case {
    fn bytes(&self, cookie: &str) -> Vec<u8> {
        let head = format!(
            "Host: sns.m.example.jp\\r\\nCookie: {cookie}\\r\\nOrigin: https://sns.m.example.jp\\r\\n"
        );
        let second = format!("GET /smuggled HTTP/1.1\\r\\n{head}\\r\\n");
        let text = self.text.replace("<S>", &second).replace("<H>", &head).replace("<C>", cookie);
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'\\' {
                bytes.push(byte);
                continue;
            }
            bytes.push(match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'\\' => b'\\',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => panic!("\\{}", char::from(other)),
            });
        }
        bytes
    }
}

/// What the gate lets through of these pieces, and whether it let all of it through.
fn gate<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
    let mut heads = Heads::default();
    let mut passed = Vec::new();
    for piece in pieces {
        let mut out = Vec::new();
        match heads.pass(piece, &mut out) {
            Ok(count) => {
                passed.extend(out);
                passed.extend_from_slice(&piece[..count]);
            }
            Err(_) => return (passed, false),
        }
    }
    (passed, true)
}

/// The checks behind the parser.
fn checks(head: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    if !parsed.parse(head).unwrap().is_complete() {
        return false;
    }
    let request = Request::builder().method(parsed.method.unwrap()).uri(parsed.path.unwrap());
    let request = parsed.headers.iter().fold(request, |request, one| request.header(one.name, one.value));
    let Ok(request) = request.body(()) else { return false };
    strict::check(&request.into_parts().0, Scheme::Https, &[("sns.m.example.jp".to_owned(), 0u8)]).is_ok()
}

#[test]
fn the_gate_judges_every_request_of_the_corpus_alike_in_pieces_of_every_size() {
    let mut wrong = Vec::new();
    for case in corpus() {
        let bytes = case.bytes("session");
        let (whole, all) = gate(std::iter::once(&bytes[..]));
        if (all && checks(&whole)) != case.passes {
            wrong.push(case.name);
        }
        for size in 1..bytes.len() {
            assert_eq!(gate(bytes.chunks(size)).1, all, "{} in pieces of {size}", case.name);
            assert_eq!(gate([&bytes[..size], &bytes[size..]].into_iter()).1, all, "{}, {size}", case.name);
        }
    }
    assert!(wrong.is_empty(), "judged otherwise: {wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_wire_what_is_refused_reaches_nobody_and_what_passes_does() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let cookie = client.cookie.clone().unwrap();
    for case in corpus() {
        let before = world.upstream.seen().len();
        let mut tls = client.tls().await.unwrap();
        let _ = tls.write_all(&case.bytes(&cookie)).await;
        let mut answer = Vec::new();
        // The head is enough: a refusal behind the parser leaves the connection open.
        while !answer.ends_with(b"\r\n\r\n") {
            let Ok(byte) = tls.read_u8().await else { break };
            answer.push(byte);
        }
        let answer = String::from_utf8_lossy(&answer);
        let reached: Vec<String> =
            world.upstream.seen()[before..].iter().map(|seen| seen.line.clone()).collect();
        let name = case.name;
        if case.passes {
            assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
            assert_eq!(reached.len(), 1, "{name}: {reached:?}");
            continue;
        }
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
        // A body that breaks half-way may have begun; what it hides may not.
        let begun = case.text.starts_with("POST") && reached == ["POST /a"];
        assert!(reached.is_empty() || begun, "{name}: {reached:?}");
    }
}
